"""A haproxy.cfg taken apart: sections, binds, servers, and the files and backends it names.

Pure, and made to be run on every pass: a configuration of 10,000 backends is 5 MB, and between two
passes one of them has changed. The text is cut at section keywords; each piece that was seen
before comes from a cache keyed by its text.

This reads what HAProxy *would* read only as far as lbsync needs it. `haproxy -c` remains the judge.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.haproxycfg.parser import Bind, Section, read_sections
from lbsync.agent.section_kinds import KINDS
from lbsync.errors import LbsyncError
from lbsync.model.rendered import Rendered


class Placed(msgspec.Struct, frozen=True):
    """A section and where it stands."""

    section: Section
    line: int
    """Line of its keyword, counted from 1."""


class Config(msgspec.Struct, frozen=True, dict=True):
    """A whole configuration file."""

    placed: tuple[Placed, ...]

    def of(self, *kinds: str) -> Iterator[Placed]:
        """Yield the sections of these kinds in the order of the file."""
        return (placed for placed in self.placed if placed.section.kind in kinds)

    def binds(self) -> Iterator[tuple[Placed, Bind]]:
        """Yield every bind that takes traffic, with its section; disabled sections have none."""
        for placed in self._listening:
            for bind in placed.section.binds:
                yield placed, bind

    @cached_property
    def _listening(self) -> tuple[Placed, ...]:
        """Asked for six times in a pass, and few among ten thousand."""
        return tuple(
            placed
            for placed in self.of("frontend", "listen")
            if placed.section.binds and not placed.section.disabled
        )

    def section_at(self, line: int) -> Placed | None:
        """Return the section that line `line` (from 1) belongs to, or None above the first."""
        low, high = 0, len(self.placed)
        while low < high:
            middle = (low + high) // 2
            if self.placed[middle].line <= line:
                low = middle + 1
            else:
                high = middle
        return self.placed[low - 1] if low else None

    def backend_names(self) -> set[str]:
        """Return the names a `use_backend` may name."""
        return {placed.section.name for placed in self.of("backend", "listen")}


_PIECE = re.compile(rf"\n(?=(?:{'|'.join(sorted(KINDS))})(?:\s|$))")


class _Piece(NamedTuple):
    """What was cut out of a configuration: a section, nearly always."""

    text: str
    """Without line ends behind it. The text of its section is the same object: half of what is known of ten
    thousand backends are their texts."""
    line_ends: int
    placed: tuple[Placed, ...]


class Parser:
    """Parses configurations; remembers the sections of the last two.

    Two, since what is live is read between two looks at what is wanted: after that one, ten thousand
    sections would have to be read anew (0.15 s, measured).
    """

    def __init__(self) -> None:
        self._known: dict[str, _Piece] = {}
        self._before: dict[str, _Piece] = {}

    def parse(self, text: str) -> Config:
        """Take a configuration apart. Never fails: what it does not know it leaves out."""
        seen: dict[str, _Piece] = {}
        placed: list[Placed] = []
        line = 1
        start = 0
        cuts = [match.end() for match in _PIECE.finditer(text)]
        for cut in [*cuts, len(text)]:
            piece = text[start:cut].rstrip("\n")
            known = self._known.get(piece) or self._before.get(piece) or _read(piece)
            seen[known.text] = known
            for found in known.placed:
                placed.append(Placed(found.section, line + found.line))
            line += known.line_ends + cut - start - len(piece)
            start = cut
        self._before, self._known = self._known, seen
        return Config(tuple(placed))


def _read(piece: str) -> _Piece:
    placed = tuple(Placed(section, at) for at, section in read_sections(piece))
    text = placed[0].section.text if len(placed) == 1 else ""
    return _Piece(text if text == piece else piece, piece.count("\n"), placed)


def main_text(rendered: Rendered) -> str:
    """Return the text of `haproxy.cfg`."""
    for file in rendered.files:
        if file.path == MAIN_FILE:
            return file.data.decode(errors="surrogateescape")
    raise LbsyncError(f"generation {rendered.digest}: it has no {MAIN_FILE}")
