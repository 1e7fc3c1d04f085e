"""A haproxy.cfg taken apart: sections, binds, servers, and the files and backends it names.

Pure, and made to be run on every pass: a configuration of 10,000 backends is 5 MB, and between two
passes one of them has changed. The text is cut at section keywords; each piece that was seen
before comes from a cache keyed by its text.

This reads what HAProxy *would* read only as far as lbsync needs it. `haproxy -c` remains the judge.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
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
        if "backend" not in kinds:
            return (placed for placed in self._few if placed.section.kind in kinds)
        return (placed for placed in self.placed if placed.section.kind in kinds)

    @cached_property
    def _few(self) -> tuple[Placed, ...]:
        """All but the backends, of which there are ten thousand."""
        return tuple([placed for placed in self.placed if placed.section.kind != "backend"])

    @cached_property
    def loading_files(self) -> tuple[Placed, ...]:
        """The proxies, and their `defaults`, that load maps, lists or error files."""
        return tuple(
            [
                placed
                for placed in self.of("defaults", "frontend", "backend", "listen")
                if placed.section.maps or placed.section.lists or placed.section.errorfiles
            ]
        )

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
        found = {each.section.name for each in self.placed if each.section.kind == "backend"}
        return found.union(placed.section.name for placed in self.of("listen"))


_PIECE = re.compile(rf"\n(?=(?:{'|'.join(sorted(KINDS))})(?:\s|$))")


class _Piece(NamedTuple):
    """What was cut out of a configuration: a section, nearly always."""

    text: str
    """Without line ends behind it. The text of its section is the same object: half of what is known of ten
    thousand backends are their texts."""
    line_ends: int
    placed: tuple[Placed, ...]


class _Laid(NamedTuple):
    """A piece in its place in a configuration."""

    text: str
    behind: str
    """The line ends between it and the next one."""
    placed: tuple[Placed, ...]
    line: int
    """Where it begins, counted from 1."""
    piece: _Piece

    @property
    def below(self) -> int:
        """The line of what follows."""
        return self.line + self.piece.line_ends + len(self.behind)


class Parser:
    """Parses configurations; remembers the sections of the last two.

    Two, since what is live is read between two looks at what is wanted: after that one, ten thousand
    sections would have to be read anew (0.15 s, measured). What goes on as in the last one is only compared, not cut
    out and looked up: of ten thousand sections few differ, and that takes a third of the time.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Piece] = {}
        self._before: dict[str, _Piece] = {}
        self._laid: list[_Laid] = []

    def parse(self, text: str) -> Config:
        """Take a configuration apart. Never fails: what it does not know it leaves out."""
        old, laid = self._laid, list[_Laid]()
        places: dict[str, int] = {}
        at = number = 0
        line = 1
        while at < len(text):
            first = number
            at, number = _alike(text, at, old, number)
            if number > first:
                laid += _moved(old[first:number], line - old[first].line)
                line = laid[-1].below
            if at >= len(text):
                break
            each = self._next(text, at, line)
            laid.append(each)
            at, line = at + len(each.text) + len(each.behind), each.below
            # Nearly always it stands in place of the one that was expected here.
            if number < len(old) and old[number].text != each.text and each.text in self._known:
                places = places or {laid.text: place for place, laid in enumerate(old)}
                number = places.get(each.text, number)
            number = min(number + 1, len(old))
        self._laid, self._before = laid, self._known
        self._known = {piece.text: piece for _, _, _, _, piece in laid}
        return Config(tuple(chain.from_iterable([placed for _, _, placed, _, _ in laid])))

    def _next(self, text: str, start: int, line: int) -> _Laid:
        """Cut out the piece that begins here."""
        found = _PIECE.search(text, start)
        cut = found.end() if found else len(text)
        piece = text[start:cut].rstrip("\n")
        known = self._known.get(piece) or self._before.get(piece) or _read(piece)
        placed = tuple(Placed(each.section, line + each.line) for each in known.placed)
        return _Laid(known.text, "\n" * (cut - start - len(piece)), placed, line, known)


def _alike(text: str, at: int, old: Sequence[_Laid], number: int) -> tuple[int, int]:
    """Return how far a text goes on as pieces from `number` on, and which piece comes then.

    The last one that is alike counts only at the end of the text: what follows may belong to it now.
    """
    first, before, startswith = number, at, text.startswith
    for piece, behind, _, _, _ in islice(old, number, None):
        ends = at + len(piece)
        # Without a line end behind it, it may go on now.
        if not behind or not startswith(piece, at) or not startswith(behind, ends):
            break
        before, at = at, ends + len(behind)
        number += 1
    if at < len(text) and number > first:
        return before, number - 1
    return at, number


def _moved(laid: list[_Laid], lines: int) -> list[_Laid]:
    """Return pieces that begin so many lines further down."""
    if not lines:
        return laid
    return [
        each._replace(
            line=each.line + lines,
            placed=tuple(Placed(one.section, one.line + lines) for one in each.placed),
        )
        for each in laid
    ]


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
