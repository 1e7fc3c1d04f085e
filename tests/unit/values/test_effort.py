"""No pattern that is taken can take long: the bound holds for a matcher that does every step."""

from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.values import effort
from lbsync.values.effort import MAX_STEPS, Piece, steps
from lbsync.values.rewriting import PathPattern

SHORT = 6


class Naive:
    """A backtracking matcher without any cleverness, which counts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.count = 0

    def match(self, pieces: Sequence[Piece]) -> bool:
        return any(end == len(self.text) for end in self._walk(tuple(pieces), 0))

    def _walk(self, pieces: tuple[Piece, ...], at: int) -> Iterator[int]:
        if not pieces:
            yield at
            return
        piece, rest = pieces[0], pieces[1:]
        if piece.branches:
            for branch in piece.branches:
                yield from self._walk((*branch, *rest), at)
            if piece.low == 0:
                yield from self._walk(rest, at)
            return
        high = len(self.text) if piece.high is None else piece.high
        end, taken = at, 0
        while taken < high:
            self.count += 1
            if end >= len(self.text) or self.text[end] not in effort._characters(piece.atom):
                break
            end, taken = end + 1, taken + 1
        while taken >= piece.low:
            yield from self._walk(rest, end)
            end, taken = end - 1, taken - 1


ATOMS = st.sampled_from(["a", "b", "/", ".", "[^/]", "[ab]"])
TIMES = st.sampled_from([(1, 1), (0, 1), (0, None), (1, None), (0, 3), (2, 2), (2, None)])
PIECE = st.builds(lambda atom, times: Piece(atom, *times), ATOMS, TIMES)
GROUP = st.builds(
    lambda low, branches: Piece("", low, 1, tuple(map(tuple, branches))),
    st.sampled_from([0, 1]),
    st.lists(st.lists(PIECE, max_size=3), min_size=1, max_size=3),
)


@given(st.lists(PIECE | GROUP, min_size=1, max_size=4))
def test_the_bound_holds_for_every_short_path(pieces: list[Piece]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effort, "LONGEST_PATH", SHORT)
        bound = steps(pieces)
    worst = 0
    for letters in product("ab/", repeat=SHORT):
        naive = Naive("".join(letters))
        naive.match(pieces)
        worst = max(worst, naive.count)
    # Each piece may see one character more than it takes.
    assert worst <= 2 * bound + len(pieces) + SHORT


@pytest.mark.parametrize(
    "pattern",
    ["/users/([0-9]+)/(.*)", "/(.*)", "/(.*)/([^/]*)", "/(.*)/(.*)", r"/(.*)\.html", "/a/(.*)/b/(.*)",
     "/([^/]+)/([^/]+)/(.*)", "/v[0-9]+(/.*)?", "/(en|de)?/?(.*)", "a?" * 9, "[a-z]{0,900}", "(a|b|c|d)?" * 4],
)  # fmt: skip
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    assert PathPattern.parse(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    [".*.*[a-y]{0,255}z", ".*.*x", "/.*/.*x", ".*a.*a.*x", "[a-z]+[a-z0-9]+x", "(.*)(.*)x", "/.*[0-9]+/x",
     ".*foo[a-z]*x", "a*a*", "[^/]*[^/]*/x", "(?:a*|b*)a*x", ".*[a-z]{0,100}z", ".{0,300}.{0,300}.{0,300}z", "(a?|b)*x",
     "a{2,}a{2,}b", ".*(a|aa|aaa|aaaa)(a|aa|aaa|aaaa)(a|aa|aaa|aaaa)z", "/(.*)/(.*)/x", "a?" * 40 + "b"],
)  # fmt: skip
def test_patterns_whose_time_grows_with_a_square_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"steps on a long path|more of a regular expression"):
        PathPattern.parse(pattern)
    assert MAX_STEPS < effort.LONGEST_PATH**2
