import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render.confd import gopath


@pytest.mark.parametrize(
    ("path", "cleaned", "last", "before"),
    [
        ("", ".", ".", "."),
        ("/", "/", "/", "/"),
        ("//", "/", "/", "/"),
        ("a", "a", "a", "."),
        ("/a", "/a", "a", "/"),
        ("/a/", "/a", "a", "/a"),
        ("/a/b/", "/a/b", "b", "/a/b"),
        ("a/b", "a/b", "b", "a"),
        ("//a//b", "/a/b", "b", "/a"),
        ("/../a", "/a", "a", "/"),
        ("../a", "../a", "a", ".."),
        ("a/../..", "..", "..", "."),
        ("/a/./b/../c", "/a/c", "c", "/a"),
    ],
)
def test_paths_are_taken_apart_as_go_does(path: str, cleaned: str, last: str, before: str) -> None:
    assert (gopath.clean(path), gopath.base(path), gopath.parent(path)) == (cleaned, last, before)


@pytest.mark.parametrize(
    ("elements", "joined"),
    [((), ""), (("", ""), ""), (("a", "", "b"), "a/b"), (("/", "a"), "/a"), (("a", "../b"), "b")],
)
def test_paths_are_joined_as_go_does(elements: tuple[str, ...], joined: str) -> None:
    assert gopath.join(*elements) == joined


# The table of Go's own path/match_test.go.
@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-\u03b6]*", "\u03b1", True),
        ("*[a-\u03b6]", "A", False),
        ("a?b", "a/b", False),
        ("a*b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[\\-x]", "x", True),
        ("[x\\-]", "-", True),
        ("[z-a]", "m", False),
        ("[^z-a]", "m", True),
        ("*x", "xxx", True),
        ("a.c", "abc", False),
        ("/a/*", "/a/b\n", True),
        ("[!a]", "!", True),
    ],
)
def test_patterns_match_as_in_go(pattern: str, text: str, expected: bool) -> None:
    assert bool(gopath.matcher(pattern)(text)) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "[\\",
        "[a-b-c]",
        "[",
        "[^",
        "[^bc",
        "a[",
        "a\\",
        "[]",
        "[a",
        "[x-",
    ],
)
def test_bad_patterns_are_errors(pattern: str) -> None:
    with pytest.raises(ValueError, match="bad pattern"):
        gopath.matcher(pattern)


parts = st.text(st.sampled_from("ab/*?[]-^\\."), max_size=8)


@given(parts, st.text(st.sampled_from("ab/*?[]-^\\."), max_size=8))
def test_any_pattern_matches_or_is_refused(pattern: str, text: str) -> None:
    try:
        matches = gopath.matcher(pattern)
    except ValueError:
        return
    if matches(text):
        assert text.startswith(gopath.literal_prefix(pattern))
    if not re.search(r"[*?\[\\]", pattern):
        assert bool(matches(text)) == (pattern == text)


@given(st.text(st.sampled_from("ab/*?"), max_size=8), st.text(st.sampled_from("ab/"), max_size=12))
def test_a_star_may_stand_for_anything_within_a_step(pattern: str, text: str) -> None:
    every_way = pattern.replace("*", "[^/]*").replace("?", "[^/]")
    assert bool(gopath.matcher(pattern)(text)) == bool(re.fullmatch(every_way, text))


@given(st.text(st.sampled_from("a./"), max_size=10))
def test_cleaning_twice_changes_nothing(path: str) -> None:
    once = gopath.clean(path)
    assert gopath.clean(once) == once
    assert once.startswith("/") == path.startswith("/")
