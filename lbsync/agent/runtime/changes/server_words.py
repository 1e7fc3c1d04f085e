"""The words of a `server` line as `add server` takes them. Pure.

`add server` inherits nothing from `default-server`, so all words in force are given to it; and it
knows fewer of them than the configuration does (management guide, section 9.3, "add server";
refusals measured on 2.6 and 2.8).
"""

from collections.abc import Iterable

from lbsync.agent.haproxycfg.lexer import UNKNOWN
from lbsync.agent.haproxycfg.server_options import FLAGS, ONLY_FOR_NAMES, VALUED, Option, options

Version = tuple[int, int, int]


_TAKEN_BACK = {
    f"no-{flag}": flag
    for flag in (
        *("agent-check", "backup", "check", "check-send-proxy", "check-ssl", "send-proxy"),
        *("send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "ssl", "tfo"),
    )
}
_FILES = frozenset(("ca-file", "crl-file", "crt"))
_COOKIE_SINCE = (2, 8, 0)
_NO_PROOF = frozenset(("no-check", "track", "init-state"))
_OWN_STEPS = frozenset(("weight", "disabled", "enabled"))
"""Words that have steps of their own."""


def lasting(words: Iterable[str]) -> tuple[Option, ...]:
    """Return the options that no step changes: all but weight and maintenance."""
    return tuple(option for option in options(words) if option[0] not in _OWN_STEPS)


def same_options(one: tuple[Option, ...], other: tuple[Option, ...]) -> bool:
    """Tell whether two lists of options mean the same; the last of a keyword counts."""
    if one == other:
        return True
    known = FLAGS | VALUED | ONLY_FOR_NAMES
    if any(option[0] not in known for option in (*one, *other)):
        return False  # which words belong together is not known, so the order may matter
    return {option[0]: option for option in one} == {option[0]: option for option in other}


class Unfit(Exception):
    """Raised when a server's words cannot be given to `add server`; the text says why."""


def for_add(
    inherited: Iterable[str], own: Iterable[str], version: Version, loaded: frozenset[str]
) -> tuple[str, ...]:
    """Return the words for `add server`: the inherited ones first, as HAProxy would apply them.

    `loaded`: files (CA, client certificate) that a server of this backend uses already; HAProxy
    reads no others now. Raises `Unfit`.
    """
    kept: dict[str, Option] = {}
    for option in (*options(inherited), *options(own)):
        keyword = option[0]
        if keyword in _TAKEN_BACK:
            kept.pop(_TAKEN_BACK[keyword], None)
        elif keyword == "enabled":
            kept.pop("disabled", None)
        elif keyword not in ONLY_FOR_NAMES:
            _require(option, version, loaded)
            kept[keyword] = option
    return tuple(word for option in kept.values() for word in option)


def _require(option: Option, version: Version, loaded: frozenset[str]) -> None:
    keyword = option[0]
    if keyword not in FLAGS and keyword not in VALUED:
        raise Unfit(f"HAProxy takes '{keyword}' only when it starts")
    if keyword in VALUED and len(option) == 1:
        raise Unfit(f"'{keyword}' has no value")
    if keyword == "cookie" and version < _COOKIE_SINCE:
        raise Unfit("HAProxy before 2.8 takes a 'cookie' only when it starts")
    value = option[-1]
    if keyword in _FILES and value not in loaded:
        raise Unfit(f"HAProxy loads '{keyword} {value}' only when it starts")
    if not sendable(value):
        raise Unfit(f"the value of '{keyword}' cannot be written into a command")


def proves(words: Iterable[str]) -> bool:
    """Tell whether a server with these words is soon found good, or not, by a check of its own.

    `downinter` sets it off from a check that may take its time: so long after `add server`, or after a
    start as down, comes the first one (measured). Not `fastinter`: with that, `fall` bad checks take
    servers out that falter for a moment. With `track` another server's check
    decides, and with `init-state` (HAProxy 3.1) the line itself says how it starts.
    """
    keywords = {option[0] for option in options(words)}
    return {"check", "downinter"} <= keywords and not keywords & _NO_PROOF


def files_of(words: Iterable[str]) -> frozenset[str]:
    """Return the files that a server with these words uses."""
    return frozenset(o[1] for o in options(words) if o[0] in _FILES and len(o) > 1)


def sendable(word: str) -> bool:
    """Tell whether a word can be part of a command: text that HAProxy reads as one word."""
    return word != "" and UNKNOWN not in word and word.isprintable() and "<<" not in word
