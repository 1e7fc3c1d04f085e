"""A haproxy.cfg taken apart: sections, binds, servers, and the files and backends it names.

Pure, and made to be run on every pass: a configuration of 10,000 backends is 5 MB, and between two
passes one of them has changed. The text is cut at section keywords; each piece that was seen
before comes from a cache keyed by its text.

This reads what HAProxy *would* read only as far as lbsync needs it. `haproxy -c` remains the judge.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.haproxycfg.parser import Bind, Section, read_sections
from lbsync.agent.section_kinds import KINDS
from lbsync.errors import LbsyncError
from lbsync.model.rendered import Rendered


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A section and where it stands."""

    section: Section
    line: int
    """Line of its keyword, counted from 1."""


_WITH_DEFAULTS = frozenset(("defaults", "frontend", "listen"))
"""Kinds besides backends that may stand on a `defaults` section."""


class Overview(msgspec.Struct, frozen=True, eq=False):
    """What rules ask of many sections."""

    few: list[Placed] = msgspec.field(default_factory=list)
    """All but the backends, in the order of the file."""
    backends: set[str] = msgspec.field(default_factory=set)
    """Names of the backends."""
    first_users: dict[str, Placed] = msgspec.field(default_factory=dict)
    """Name of a `defaults` section to the first section that stands on it."""
    loading_files: list[Placed] = msgspec.field(default_factory=list)
    """The proxies, and `defaults`, that load maps, lists or error files."""


class Config(msgspec.Struct, frozen=True, dict=True):
    """A whole configuration file."""

    placed: tuple[Placed, ...]

    def of(self, *kinds: str) -> Iterator[Placed]:
        """Yield the sections of these kinds in the order of the file."""
        where = self.placed if "backend" in kinds else self.overview.few
        return (placed for placed in where if placed.section.kind in kinds)

    @cached_property
    def overview(self) -> "Overview":
        """What is asked of all sections, found in one walk: ten thousand are not in the processor's cache."""
        found = Overview()
        for placed in self.placed:
            section = placed.section
            if section.kind == "backend":
                found.backends.add(section.name)
            else:
                found.few.append(placed)
                if section.kind not in _WITH_DEFAULTS:
                    continue
            if section.inherits:
                found.first_users.setdefault(section.inherits, placed)
            if section.maps or section.lists or section.errorfiles:
                found.loading_files.append(placed)
        return found

    @cached_property
    def identities(self) -> frozenset[int]:
        """Of all sections."""
        return frozenset(map(id, [placed.section for placed in self.placed]))

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
        return self.overview.backends.union(each.section.name for each in self.of("listen"))


_PIECE = re.compile(rf"\n(?=(?:{'|'.join(sorted(KINDS))})(?:\s|$))".encode())
_WORD = max(map(len, KINDS)) + 1
"""Bytes from the beginning of a piece that make it one."""
_MOST_LEFT = 1000
"""So many pieces that are no longer there are remembered before all of them are forgotten."""


class _Piece(NamedTuple):
    """What was cut out of a configuration: a section, nearly always."""

    text: str
    """Without line ends behind it. The text of its section is the same object: half of what is known of ten
    thousand backends are their texts."""
    line_ends: int
    placed: tuple[Placed, ...]


class _Layout:
    """Pieces in their order, and what each takes of a configuration."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pieces: list[_Piece] = []
        self.sizes: list[int] = []
        """Bytes of each, with the line ends behind it."""
        self.heights: list[int] = []
        """Lines of the same."""
        self.counts: list[int] = []
        """Sections in each."""
        self.placed: list[Placed] = []
        self.lines = 0
        """Lines of all."""

    def add(self, piece: _Piece, size: int, behind: int) -> None:
        """Put a piece below the others. `size`: its bytes; `behind`: how many line ends follow."""
        self.pieces.append(piece)
        self.sizes.append(size + behind)
        self.heights.append(piece.line_ends + behind)
        self.counts.append(len(piece.placed))
        first = 1 + self.lines
        self.placed += [Placed(each.section, first + each.line) for each in piece.placed]
        self.lines += piece.line_ends + behind

    def take(self, old: "_Old", first: int, end: int) -> None:
        """Put pieces of another layout below the others."""
        moved = self.lines - old.lines[first]
        placed = old.layout.placed[old.placed[first] : old.placed[end]]
        if moved:
            placed = [Placed(each.section, each.line + moved) for each in placed]
        self.placed += placed
        self.pieces += old.layout.pieces[first:end]
        self.sizes += old.layout.sizes[first:end]
        self.heights += old.layout.heights[first:end]
        self.counts += old.layout.counts[first:end]
        self.lines += old.lines[end] - old.lines[first]


class _Old:
    """A layout, and where each of its pieces begins."""

    def __init__(self, layout: _Layout) -> None:
        self.layout = layout
        self.starts = list(accumulate(layout.sizes, initial=0))
        self.lines = list(accumulate(layout.heights, initial=0))
        self.placed = list(accumulate(layout.counts, initial=0))

    @cached_property
    def places(self) -> dict[str, int]:
        """Text to the last piece with it."""
        return {piece.text: place for place, piece in enumerate(self.layout.pieces)}

    def alike_until(self, number: int, data: bytes, at: int) -> int:
        """Return up to which piece, from `number` on, a configuration goes on as this one: so far that each is
        surely cut from the next one."""
        if number >= len(self.layout.pieces):
            return number
        begin, ours = self.starts[number], self.layout.data
        if not data.startswith(ours[begin : self.starts[number + 1]], at):
            return number
        alike = _alike(ours, begin, data, at)
        if begin + alike == len(ours) and at + alike == len(data):
            return len(self.layout.pieces)
        return max(number, bisect_right(self.starts, begin + alike - _WORD) - 1)


class Parser:
    """Parses configurations; remembers the sections of the last two.

    Two, since what is live is read between two looks at what is wanted: after that one, ten thousand
    sections would have to be read anew (0.15 s, measured). What goes on as in the last one is compared as a whole, and
    neither cut out nor looked up: of ten thousand sections few differ.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Piece] = {}
        self._before: dict[str, _Piece] = {}
        self._last = _Layout(b"")
        self._texts: deque[tuple[bytes, Config]] = deque(maxlen=2)
        """The last two that differ."""

    def parse(self, text: str) -> Config:
        """As `read`, of a text."""
        return self.read(text.encode(errors="surrogateescape"))

    def read(self, data: bytes) -> Config:
        """Take a configuration apart. Never fails: what it does not know it leaves out."""
        for text, config in self._texts:
            if (
                text == data
            ):  # what is remembered stays: the live one may be read several times in a pass
                return config
        self._texts.append((data, self._take_apart(data)))
        return self._texts[-1][1]

    def _take_apart(self, data: bytes) -> Config:
        old, new = _Old(self._last), _Layout(data)
        pieces = old.layout.pieces
        known = dict(self._known)
        at = number = 0
        while at < len(data):
            end = old.alike_until(number, data, at)
            if end > number:
                new.take(old, number, end)
                at += old.starts[end] - old.starts[number]
                number = end
                continue
            found = _PIECE.search(data, at)
            cut = found.end() if found else len(data)
            cut_out = data[at:cut].rstrip(b"\n")
            piece = self._piece(cut_out.decode(errors="surrogateescape"))
            new.add(piece, len(cut_out), cut - at - len(cut_out))
            known[piece.text] = piece
            at = cut
            # Nearly always it stands in place of the one that was expected here.
            is_other = number < len(pieces) and pieces[number].text != piece.text
            if is_other and piece.text in self._known:
                number = old.places.get(piece.text, number)
            number = min(number + 1, len(pieces))
        self._before, self._last = self._known, new
        many = len(known) > len(new.pieces) + _MOST_LEFT
        self._known = {each.text: each for each in new.pieces} if many else known
        return Config(tuple(new.placed))

    def _piece(self, text: str) -> _Piece:
        return self._known.get(text) or self._before.get(text) or _read(text)


def _alike(one: bytes, start: int, other: bytes, at: int) -> int:
    """Return how many bytes from two places on are the same, at the speed of copying them."""
    most, count, size = min(len(one) - start, len(other) - at), 0, 4096
    while count < most:
        size = min(size, most - count)
        if not other.startswith(one[start + count : start + count + size], at + count):
            break
        count += size
        size *= 2
    else:
        return most
    while size > 1:
        half = size // 2
        if other.startswith(one[start + count : start + count + half], at + count):
            count += half
            size -= half
        else:
            size = half
    return count


def _read(piece: str) -> _Piece:
    placed = tuple(Placed(section, at) for at, section in read_sections(piece))
    text = placed[0].section.text if len(placed) == 1 else ""
    return _Piece(text if text == piece else piece, piece.count("\n"), placed)


def main_text(rendered: Rendered) -> str:
    """Return the text of `haproxy.cfg`."""
    return main_data(rendered).decode(errors="surrogateescape")


def main_data(rendered: Rendered) -> bytes:
    """Return the content of `haproxy.cfg`."""
    for file in rendered.files:
        if file.path == MAIN_FILE:
            return file.data
    raise LbsyncError(f"generation {rendered.digest}: it has no {MAIN_FILE}")
