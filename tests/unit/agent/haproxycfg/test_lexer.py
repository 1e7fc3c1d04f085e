"""Cutting a line into words: the quick way gives what HAProxy's own rules give."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.lexer import UNKNOWN, words
from tests.haproxy_words import cut


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  server s1  10.0.0.1:80 check # a comment", ["server", "s1", "10.0.0.1:80", "check"]),
        ("a\\ b 'c d'\"e f\" g", ["a b", "c de f", "g"]),
        ("x#y z", ["x"]),
        ('description "lbsync 1f0c" x', ["description", "lbsync 1f0c", "x"]),
        ('bind "${ADDRESS}:80"', ["bind", f"{UNKNOWN}{{ADDRESS}}:80"]),
        ("bind $ADDRESS:80", ["bind", "$ADDRESS:80"]),
        (r'"\x41\$\"\n" \q', ['A$"\n', r"\q"]),
        ("", []),
        ("one\rtwo", ["one"]),
    ],
)
def test_quotes_escapes_and_comments_are_understood(line: str, found: list[str]) -> None:
    assert words(line) == found


@given(st.text(alphabet=st.sampled_from("ab \t#'\"\\x41nq$_{}:%\r\v-."), max_size=30))
def test_every_line_is_cut_as_haproxy_cuts_it(line: str) -> None:
    try:
        wanted = cut(line)
    except ValueError:
        assume(False)  # HAProxy refuses it: what we make of it does not matter
    assert words(line) == [word.replace("<VARIABLE>", UNKNOWN) for word in wanted]


@given(st.text())
def test_no_line_is_too_odd_to_be_cut(line: str) -> None:
    words(line)
