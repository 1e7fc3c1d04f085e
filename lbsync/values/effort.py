r"""How many steps a backtracking matcher takes at most for a path pattern. Pure.

PCRE tries, for each place a repetition may end at, everything that follows. So counted is, piece by
piece, how often it is tried: on how many ways (`tries`), and how many of these begin at one place of the
path (`alike`). Two things keep that small and are known exactly: a repetition that cannot match what must
come next ends in one place; and one that cannot match the character right before it, as `/[^/]*`, sees
each part of the path once, wherever it begins.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

LONGEST_PATH = 16_384
"""HAProxy's buffer (manual, `tune.bufsize`): no request line is longer."""
MAX_STEPS = 1_000_000
"""About 60 for each character of the longest path; 3 ms of HAProxy's thread at most (measured on 2.6)."""
_FAR = 1 << 60


class Piece(NamedTuple):
    """An atom and how often it may be repeated; or the alternatives of a group."""

    atom: str
    low: int = 1
    high: int | None = 1
    """None: without a limit."""
    branches: tuple[tuple["Piece", ...], ...] = ()


class _At(NamedTuple):
    tries: int = 1
    alike: int = 1
    before: str = ""
    """The character right before, where it is always the same."""


def steps(pieces: Sequence[Piece]) -> int:
    """Return an upper bound for a pattern of these pieces that must match a whole path."""
    return min(_walk(pieces, (), _At())[0], _FAR)


def _walk(pieces: Sequence[Piece], after: tuple[Piece, ...], at: _At) -> tuple[int, _At]:
    total = 0
    for index, piece in enumerate(pieces):
        rest = (*pieces[index + 1 :], *after)
        spent, at = _branches(piece, rest, at) if piece.branches else _repeat(piece, rest, at)
        total += spent
        at = _At(min(at.tries, _FAR), min(at.alike, _FAR), at.before)
    return total, at


def _branches(group: Piece, rest: tuple[Piece, ...], at: _At) -> tuple[int, _At]:
    ends, total = [at] if group.low == 0 else [], 0
    for branch in group.branches:
        spent, end = _walk(branch, rest, at)
        total += spent
        ends.append(end)
    if len(ends) == 1:
        return total, ends[0]
    return total, _At(sum(end.tries for end in ends), sum(end.alike for end in ends))


def _repeat(piece: Piece, rest: tuple[Piece, ...], at: _At) -> tuple[int, _At]:
    own = _characters(piece.atom)
    if piece.low == piece.high == 1:
        (one, *more) = own or {""}
        return at.tries, _At(at.tries, at.alike, "" if more else one)
    if piece.high is None and not rest and len(own) == _ALL:
        return LONGEST_PATH, at  # takes all that is left, and that is a match
    span = LONGEST_PATH if piece.high is None else min(piece.high, LONGEST_PATH)
    ends = span - piece.low + 1
    apart = at.before != "" and at.before not in own
    spent = at.alike * LONGEST_PATH + at.tries if apart and span > 1 else at.tries * (span + 1)
    spent = min(spent, at.tries * (span + 1))
    if own.isdisjoint(_first(rest)) or ends <= 1:
        alike = at.alike if apart or ends <= 1 else at.tries
        return spent, _At(at.tries, alike)
    if apart:
        return spent, _At(min(at.alike * LONGEST_PATH + at.tries, at.tries * ends), at.alike)
    return spent, _At(at.tries * ends, min(at.tries, at.alike * ends))


def _first(rest: Sequence[Piece]) -> frozenset[str]:
    """Return the characters that what follows may begin with."""
    found: frozenset[str] = frozenset()
    for index, piece in enumerate(rest):
        if piece.branches:
            for branch in piece.branches:
                found |= _first((*branch, *rest[index + 1 :]))
            if piece.low:
                return found
            continue
        found |= _characters(piece.atom)
        if piece.low:
            return found
    return found


@cache
def _characters(atom: str) -> frozenset[str]:
    matches = re.compile(atom, re.DOTALL).fullmatch
    return frozenset(char for char in map(chr, range(256)) if matches(char))


_ALL = 256
