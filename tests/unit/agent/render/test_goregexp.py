"""Regular expressions mean what Go's regexp package makes of them."""

import pytest

from lbsync.agent.render import goregexp


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"[0-9]+", "a12b3", "12"),
        (r"x", "abc", ""),
        (r"(a|ab)(c|bcd)", "abcd", "abcd"),
        (r"^b", "a\nb", ""),
        (r"(?m)^b$", "a\nb\nc", "b"),
        (r"a$", "a\n", ""),
        (r"(?m:a$)", "a\n", "a"),
        (r"a\z", "a", "a"),
        (r"(?i)SHOP", "my-shop", "shop"),
        (r"(?s)a.b", "a\nb", "a\nb"),
        (r"a.b", "a\nb", ""),
        (r"\d+", "٣7", "7"),
        (r"\w+", "é-b", "b"),
        (r"a\sb", "a\vb", ""),
        (r"[\s]x", "\tx", "\tx"),
        (r"[[:alpha:]]+", "12ab_", "ab"),
        (r"[^[:digit:].]+", "1.ab2", "ab"),
        (r"[]a]+", "b]a", "]a"),
        (r"[a&&b]+", "x&&a", "&&a"),
        (r"\x{41}\x42", "AB", "AB"),
        (r"\Qa.b\E+", "a.bb", "a.bb"),
        (r"(?P<n>a)(?<m>b)", "ab", "ab"),
        (r"a{,2}", "a{,2}", "a{,2}"),
        (r"a{2,3}?", "aaa", "aa"),
        (r"a{", "a{", "a{"),
        (r"\.\-\_\/", ".-_/", ".-_/"),
        (r"a+?", "aaa", "a"),
        (r"", "abc", ""),
    ],
)
def test_the_first_match_is_gos(pattern: str, text: str, found: str) -> None:
    assert goregexp.find(pattern, text) == found


def test_a_match_may_be_anywhere_and_may_be_empty() -> None:
    assert goregexp.matches("b", "abc")
    assert goregexp.matches("", "abc")
    assert not goregexp.matches("^b", "abc")


@pytest.mark.parametrize(
    ("pattern", "text", "new", "made"),
    [
        ("a(x*)b", "-ab-axxb-", "T", "-T-T-"),
        ("a(x*)b", "-ab-axxb-", "$1", "--xx-"),
        ("a(x*)b", "-ab-axxb-", "$1W", "---"),
        ("a(x*)b", "-ab-axxb-", "${1}W", "-W-xxW-"),
        ("a(?P<X>x*)b", "-axxb-", "<$X>$$", "-<xx>$-"),
        ("a(b)?", "a-ab", "[$1$7]", "[]-[b]"),
        ("a", "a", "$", "$"),
        ("a", "a", "${", "${"),
        ("a", "a", r"\1\n", r"\1\n"),
        # Empty matches: none right behind the one before, each place once.
        ("x*", "abxd", "-", "-a-b-d-"),
        ("|a", "a", "-", "-a-"),
        ("", "ab", "-", "-a-b-"),
        ("^", "ab", "-", "-ab"),
        ("$", "ab\n", "-", "ab\n-"),
        (r"\b", "ab cd", "|", "|ab| |cd|"),
        ("b", "abab", "", "aa"),
        ("é", "éa", "e", "ea"),
    ],
)
def test_replacing_is_gos(pattern: str, text: str, new: str, made: str) -> None:
    assert goregexp.replace_all(pattern, text, new) == made


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a)",
        "[a",
        "*a",
        "a**",
        "a*+",
        "a++",
        "a{2}{3}",
        "a{1001}",
        "a{3,2}",
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?>a)",
        "(?#a)",
        "(?x)a",
        "(?U)a",
        "(a)(?(1)b|c)",
        "(?P<n>a)(?P=n)",
        "a(?i)b",
        r"(a)\1",
        r"\07",
        r"\pL",
        r"\Z",
        r"\h",
        r"[\b]",
        r"[[:nonsense:]]",
        "a\\",
        r"\x{110000}",
        r"\x{zz}",
        r"\xg",
    ],
)
def test_what_go_does_not_take_or_python_would_read_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression here: "):
        goregexp.find(pattern, "a")
