import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render import quoting
from lbsync.errors import Rejected
from tests.haproxy_words import cut

writable = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\x02\x03"), min_size=1
)
hostile = st.text(st.sampled_from(" \t\v\f#$\\'\"{}%[]()@x0an\x7f\x1fä-"), min_size=1)
# Which would end a condition, and is refused.
writable, hostile = (kind.filter(lambda value: value != "}") for kind in (writable, hostile))


@given(writable | hostile)
def test_a_quoted_value_is_one_word_and_the_same_value(value: str) -> None:
    assert cut(f"before {quoting.quote(value)} after") == ["before", value, "after"]


@given(writable | hostile)
def test_a_quoted_value_can_be_glued_to_words_on_both_sides(value: str) -> None:
    assert cut(f"a{quoting.quote(value)}b") == [f"a{value}b"]


@pytest.mark.parametrize(
    "value", ["10.0.0.1:80", "be_shop.cart-1", "/a/b?c=d&e", "[::1]:80", "100%"]
)
def test_a_plain_word_stays_bare(value: str) -> None:
    assert quoting.quote(value) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("}", "end a condition"),
        ("", "empty"),
        ("a\0b", "NUL"),
        ("a\nuser root", "line feed"),
        ("a\r\nEvil: 1", "carriage return"),
        ("a\x02b", "control character"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_no_word_can_hold_is_refused_and_named(value: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        quoting.quote(value)
    with pytest.raises(Rejected):
        quoting.deferred_haproxy(value)


def test_percent_signs_are_doubled_for_log_formats() -> None:
    assert quoting.logformat("%[env(SECRET)] 5%") == "%%[env(SECRET)] 5%%"


@pytest.mark.parametrize("key", ["a b", "#a", "a\tb", "", "a\nb", "a\x7fb"])
def test_a_map_key_without_a_written_form_is_refused(key: str) -> None:
    with pytest.raises(Rejected):
        quoting.map_key(key)


def test_a_map_key_may_hold_what_only_words_must_quote() -> None:
    assert quoting.map_key("a#b\"c'$d\\") == "a#b\"c'$d\\"


@pytest.mark.parametrize("value", [" a", "a ", "a\nb", "", "a\tb"])
def test_a_map_value_without_a_written_form_is_refused(value: str) -> None:
    with pytest.raises(Rejected):
        quoting.map_value(value)


def test_a_map_value_is_the_rest_of_the_line() -> None:
    assert quoting.map_value("a # b") == "a # b"


@pytest.mark.parametrize(
    "value", ["a;b", "a b", "$uri", "~^a", "a{", "a}", "'a", "a\\", "#a", "ä", "="]
)
def test_the_strict_style_takes_plain_words_only(value: str) -> None:
    with pytest.raises(Rejected):
        quoting.strict(value)


@pytest.mark.parametrize("value", ["*.example.com", "[::1]:80", "/a/b", "10.0.0.1:8080"])
def test_the_strict_style_takes_hosts_addresses_and_paths(value: str) -> None:
    assert quoting.strict(value) == value


@given(st.text())
def test_raw_never_starts_a_line_of_its_own(value: str) -> None:
    if set(value) & set("\n\r\v\f\0\x02\x03\x1e"):
        with pytest.raises(Rejected):
            quoting.raw(value)


def test_raw_takes_words_and_refuses_lines() -> None:
    assert quoting.raw("a b # c") == "a b # c"
    with pytest.raises(Rejected, match="line feed"):
        quoting.raw("a\nb")
