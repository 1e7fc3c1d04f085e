"""Words of haproxy.cfg that a newer release of HAProxy refuses, to be told before the upgrade. Pure.

Measured with `haproxy -c` of 2.6, 2.8, 3.0, 3.2 and 3.4; what 3.5 will refuse, 3.4 announces.
"""

from collections.abc import Iterator

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.haproxycfg.config import Config, Placed
from lbsync.agent.haproxycfg.lexer import words

Release = tuple[int, int]


class _Dropped(msgspec.Struct, frozen=True):
    words: tuple[str, ...]
    """With which a line begins."""
    told: Release
    """The first release that warns of it, or refuses it, by itself."""
    effect: str
    instead: str


_UNSAFE = "option accept-unsafe-violations-in-http-"
_DROPPED = (
    _Dropped(("dispatch",), (3, 3), "refused by HAProxy 3.5", "write a 'server' line"),
    _Dropped(
        ("option", "transparent"), (3, 3), "refused by HAProxy 3.5", "write a server at 0.0.0.0"
    ),
    _Dropped(
        ("master-worker",), (3, 3), "refused by HAProxy 3.5", "start HAProxy with -W or -Ws"
    ),
    *(
        _Dropped(
            ("option", f"accept-invalid-http-{what}"), (3, 2), "deprecated in HAProxy 3.2",
            f"from 3.1 on write '{_UNSAFE}{what}'",
        )
        for what in ("request", "response")
    ),
)  # fmt: skip
_HIDDEN_HEADERS: Release = (2, 8)
_ONE_NAME: Release = (3, 2)


def sentences(config: Config, version: Release) -> Iterator[str]:
    """Yield a sentence for each word that newer releases refuse and `version` takes without a warning."""
    for placed in config.placed:
        for number, line in enumerate(placed.section.text.split("\n")):
            said = words(line)
            if text := _of_line(tuple(said), version):
                yield f"{_place(placed, number)}: {text}"
    if version < _ONE_NAME:
        yield from _shared_names(config)


def _of_line(said: tuple[str, ...], version: Release) -> str:
    for dropped in _DROPPED:
        if said[: len(dropped.words)] == dropped.words and version < dropped.told:
            return f"'{' '.join(dropped.words)}' is {dropped.effect}: {dropped.instead}"
    if (
        said[:2] == ("option", "httpchk")
        and any("\n" in word for word in said[2:])
        and version < _HIDDEN_HEADERS
    ):
        return (
            "headers in 'option httpchk' are refused by HAProxy 2.8: write 'http-check send hdr …'"
        )
    return ""


def _shared_names(config: Config) -> Iterator[str]:
    backends = {placed.section.name for placed in config.of("backend", "listen")}
    for placed in config.of("frontend"):
        if placed.section.name in backends:
            yield (
                f"{_place(placed, 0)}: a backend has the name of this frontend, too, which HAProxy 3.3 refuses: "
                "rename one of them"
            )


def _place(placed: Placed, number: int) -> str:
    return f"{MAIN_FILE}:{placed.line + number} ({placed.section.name or placed.section.kind})"
