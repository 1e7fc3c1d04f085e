"""`show stat` of single backends: how their servers do. Pure.

The table has a hundred columns on 2.6 and four hundred on 3.x, so it is asked for backend by backend:
0.4 ms of HAProxy's time each among 10,000 of them, where the whole table takes 200 ms (measured).
"""

import csv
from collections.abc import Iterable, Iterator

import msgspec

from lbsync.errors import Unavailable

_WITHOUT_FRONTENDS = 2 | 4
"""Types of rows: 1 frontends, 2 backends, 4 servers (management guide, 9.3, "show stat")."""
_BACKEND = "BACKEND"
_NO_BACKEND = "No such proxy."
_FEWEST_COLUMNS = ("pxname", "svname", "scur", "stot", "status")


class StatRow(msgspec.Struct, frozen=True):
    """One backend, or one of its servers; field by field as the management guide has them in 9.1."""

    backend: str
    server: str
    """Empty: the row is the backend's own."""
    status: str
    check_status: str
    check_code: int
    last_chk: str
    lastchg: int
    addr: str
    weight: int
    scur: int
    qcur: int
    rate: int
    stot: int
    hrsp_5xx: int
    econ: int
    eresp: int
    rtime: int


def command(backend: str) -> str:
    """Return the command that shows one backend and its servers."""
    return f"show stat {backend} {_WITHOUT_FRONTENDS} -1"


def parse(answer: str) -> list[StatRow]:
    """Read the answers to any number of `command`s, one after the other, each with its header.

    A backend that does not exist is left out. Raises `Unavailable` when it is something else.
    """
    try:
        # What a check met may be of several lines, in quotes.
        return list(_rows(csv.reader(answer.splitlines(keepends=True))))
    except csv.Error as error:
        raise Unavailable(f"'show stat' answered something else: {answer[:200]!r}") from error


def _rows(table: Iterable[list[str]]) -> Iterator[StatRow]:
    columns: dict[str, int] = {}
    for cells in table:
        if cells and cells[0].startswith("# "):
            columns = {name.removeprefix("# "): at for at, name in enumerate(cells)}
            if missing := [name for name in _FEWEST_COLUMNS if name not in columns]:
                raise Unavailable(f"'show stat' has no column {missing[0]}")
        elif columns and len(cells) > 1:
            yield _row(cells, columns)
        elif cells and cells[0] not in ("", _NO_BACKEND):
            raise Unavailable(f"'show stat' answered something else: {','.join(cells)[:200]!r}")


def _row(cells: list[str], columns: dict[str, int]) -> StatRow:
    def text(name: str) -> str:
        at = columns.get(name, len(cells))
        return cells[at] if at < len(cells) else ""

    def number(name: str) -> int:
        cell = text(name)
        return int(cell) if cell else 0

    server = text("svname")
    try:
        return StatRow(
            text("pxname"),
            "" if server == _BACKEND else server,
            text("status"),
            # A star stands before the outcome of the last one while a check is under way.
            text("check_status").removeprefix("* "),
            number("check_code"),
            text("last_chk"),
            number("lastchg"),
            text("addr"),
            number("weight"),
            number("scur"),
            number("qcur"),
            number("rate"),
            number("stot"),
            number("hrsp_5xx"),
            number("econ"),
            number("eresp"),
            number("rtime"),
        )
    except ValueError as error:
        raise Unavailable(
            f"'show stat' has an unreadable row: {','.join(cells)[:200]!r}"
        ) from error
