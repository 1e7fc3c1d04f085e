"""The words of a `server` line as `add server` takes them. Pure.

`add server` inherits nothing from `default-server`, so all words in force are given to it; and it
knows fewer of them than the configuration does (management guide, section 9.3, "add server"; each
word tried on 2.6, 2.8, 3.0, 3.2 and 3.4, and compared with `add server help` of the last two).
"""

from collections.abc import Iterable

from lbsync.agent.haproxycfg.lexer import UNKNOWN
from lbsync.agent.haproxycfg.server_options import (
    ONLY_FOR_NAMES,
    Option,
    is_known,
    options,
    takes_value,
)
from lbsync.agent.runtime.changes.steps import Proof
from lbsync.clients.haproxy import capabilities
from lbsync.clients.haproxy.capabilities import Capabilities

_TAKEN_BACK = {
    f"no-{flag}": flag
    for flag in (
        *("agent-check", "backup", "check", "check-send-proxy", "check-ssl", "send-proxy"),
        *(
            "send-proxy-v2",
            "send-proxy-v2-ssl",
            "send-proxy-v2-ssl-cn",
            "ssl",
            "tfo",
            "renegotiate",
        ),
    )
}
FILES = frozenset(("ca-file", "crl-file", "crt"))
"""Options whose value is a file."""
_NO_PROOF = frozenset(("no-check", "track", "init-state"))
_NO_VERDICT = frozenset(
    (
        *("inter", "fastinter", "downinter", "rise", "fall", "slowstart", "maxconn", "minconn"),
        *("maxqueue", "cookie", "id", "guid", "backup", "on-marked-down", "on-marked-up"),
    )
)
"""Words that do not change what a check finds."""
_OWN_STEPS = frozenset(("weight", "disabled", "enabled"))
"""Words that have steps of their own."""


def lasting(words: Iterable[str]) -> tuple[Option, ...]:
    """Return the options that no step changes: all but weight and maintenance."""
    return tuple(option for option in options(words) if option[0] not in _OWN_STEPS)


def same_options(one: tuple[Option, ...], other: tuple[Option, ...]) -> bool:
    """Tell whether two lists of options mean the same; the last of a keyword counts."""
    if one == other:
        return True
    if not all(is_known(option[0]) for option in (*one, *other)):
        return False  # which words belong together is not known, so the order may matter
    return {option[0]: option for option in one} == {option[0]: option for option in other}


class Unfit(Exception):
    """Raised when a server's words cannot be given to `add server`; the text says why."""


def for_add(
    inherited: Iterable[str], own: Iterable[str], can: Capabilities, loaded: frozenset[str]
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
            _require(option, can, loaded)
            kept[keyword] = option
    return tuple(word for option in kept.values() for word in option)


def _require(option: Option, can: Capabilities, loaded: frozenset[str]) -> None:
    keyword, *values = option
    if not is_known(keyword):
        raise Unfit(f"HAProxy takes '{keyword}' only when it starts")
    if takes_value(keyword) and not values:
        raise Unfit(f"'{keyword}' has no value")
    name = keyword.partition("(")[0]
    if not can.takes(name):
        before = ".".join(map(str, capabilities.WORDS_SINCE[name]))
        raise Unfit(f"HAProxy before {before} takes '{keyword}' only when it starts")
    for value in values:
        if keyword in FILES and value not in loaded:
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


def proof(words: tuple[str, ...], *, persistent: bool) -> Proof:
    """Return what brings a server with these words up. `persistent`: some clients are sent to a certain server.

    HAProxy brings one that stops, as it calls that, up at its first good check, one that is down after `rise` of
    them; but clients that are sent to a certain server still find one that stops (2.6 to 3.4, measured). Where
    `rise` is 1, both are the same, and one that is down is checked sooner.
    """
    if not proves(words):
        return ""
    return "first" if not persistent and _number(words, "rise", 2) > 1 else "rise"


def health_before_first(words: tuple[str, ...], *, persistent: bool) -> int:
    """Return the health with which such a server stops in a state file; 0: it is down there.

    It is the most that HAProxy takes, so that some checks may fail before it is down. It lets no server stop for
    which one failed check is enough.
    """
    fall = _number(words, "fall", 3)
    if fall < 2 or proof(words, persistent=persistent) != "first":
        return 0
    return _number(words, "rise", 2) + fall - 2


def verdict_of(words: Iterable[str]) -> frozenset[Option]:
    """Return the options by which a server is found good or bad."""
    return frozenset(option for option in lasting(words) if option[0] not in _NO_VERDICT)


def _number(words: Iterable[str], keyword: str, default: int) -> int:
    """Return the value of a keyword; 0 where it is none that is known, like a variable."""
    said = [option[1] for option in options(words) if option[0] == keyword and len(option) > 1]
    if not said:
        return default
    return int(said[-1]) if said[-1].isdecimal() else 0


def files_of(words: Iterable[str]) -> frozenset[str]:
    """Return the files that a server with these words uses."""
    return frozenset(o[1] for o in options(words) if o[0] in FILES and len(o) > 1)


def sendable(word: str) -> bool:
    """Tell whether a word can be part of a command: text that HAProxy reads as one word."""
    return word != "" and UNKNOWN not in word and word.isprintable() and "<<" not in word
