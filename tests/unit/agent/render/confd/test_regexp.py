"""Regular expressions mean what Go's regexp package makes of them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.render.confd import gopath, regexp
from tests.unit.agent.render.conftest import Render


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
        (r"(?i)k", "\u212a", "\u212a"),
        (r"(?i)ſ", "s", "s"),
        (r"\pL+", "12äé", "äé"),
        (r"\p{Greek}", "aβ", "β"),
        (r"[\pN-]+", "a-½٣b", "-½٣"),
        (r"(?U)a+", "aaa", "a"),
        (r"(?U)a+?", "aaa", "aaa"),
        (r"a(?i)b", "aB", "aB"),
        (r"\07", "\x07", "\x07"),
        (r"\Q\C\E", r"a\Cb", r"\C"),
        (r"a\.", "aäa.", "a."),
    ],
)
def test_the_first_match_is_gos(pattern: str, text: str, found: str) -> None:
    assert regexp.find(pattern, text) == found


def test_a_match_may_be_anywhere_and_may_be_empty() -> None:
    assert regexp.matches("b", "abc")
    assert regexp.matches("", "abc")
    assert not regexp.matches("^b", "abc")


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
        ("x*", "é🦀", "-", "-é-🦀-"),
        ("(é)(.)", "éa", "$2$1$é${2}", "aéa"),
        ("a", "a", "${99999999999999999999}$٣", ""),
    ],
)
def test_replacing_is_gos(pattern: str, text: str, new: str, made: str) -> None:
    assert regexp.replace_all(pattern, text, new) == made


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
        "(a)(?(1)b|c)",
        "(?P<n>a)(?P=n)",
        r"(a)\1",
        r"\Z",
        r"\h",
        r"\C",
        r"\Qa\E\C",
        r"\p{Nonsense}",
        r"[\b]",
        r"[[:nonsense:]]",
        "a\\",
        r"\x{110000}",
        r"\x{zz}",
        r"\xg",
    ],
)
def test_what_go_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression here: "):
        regexp.find(pattern, "a")


#: What Go and Python read alike; a repetition of what may be empty is not among it.
_ATOMS = st.sampled_from(["a", "b", "c", r"\.", "[ab]", "[^b]", "[a-c]", r"\w", r"\d", "."])
_REPEATED = st.builds("{}{}".format, _ATOMS, st.sampled_from(["*", "+", "?", "*?", "+?", "{1,3}"]))
_PATTERNS = st.recursive(
    _ATOMS | _REPEATED,
    lambda parts: (
        st.builds("".join, st.lists(parts, min_size=1, max_size=3))
        | st.builds("({}|{})".format, parts, parts)
        | st.builds("(?:{})".format, parts)
    ),
    max_leaves=8,
)


@given(_PATTERNS, st.text("abc.1-", max_size=12))
def test_where_go_and_python_mean_the_same_both_find_the_same(pattern: str, text: str) -> None:
    found = re.search(pattern, text, re.ASCII)
    assert regexp.matches(pattern, text) is (found is not None)
    assert regexp.find(pattern, text) == (found[0] if found else "")


@given(_PATTERNS, st.text("abc.1-é", max_size=12))
def test_replacing_a_match_by_itself_changes_nothing(pattern: str, text: str) -> None:
    assert regexp.replace_all(pattern, text, "$0") == text


def _seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    "pattern", ["^([a-z0-9]+-?)+$", "(a+)+$", "(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]$"]
)
def test_the_time_for_a_match_grows_with_the_text(pattern: str) -> None:
    def match(characters: int) -> Callable[[], object]:
        return lambda: regexp.matches(pattern, "a" * characters + "_")

    match(32)()
    # Eight times the text: 8 times as long, and 64 times where each place is gone back to.
    assert _seconds(match(400_000)) < 30 * max(_seconds(match(50_000)), 0.005)


def test_the_time_for_a_key_grows_with_its_length() -> None:
    matcher = gopath.matcher("/*-*-*-*-*-*-*-*.")

    def match(characters: int) -> Callable[[], object]:
        return lambda: matcher("/" + "-" * characters)

    match(32)()
    assert _seconds(match(400_000)) < 30 * max(_seconds(match(50_000)), 0.005)


def test_one_key_of_a_plain_check_of_names_does_not_stop_rendering(render: Render) -> None:
    source = '{{ "ok" if regexMatch("^([a-z0-9]+-?)+$", getv("/a")) else "bad" }}'
    assert render(source, raw={"a": b"a" * 32 + b"_"}) == "bad\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('x\n{{ regexMatch("a", "b") }}', "regexMatch"),
        ('\n{% set x = "b"|regexFind("a") %}', "regexFind"),
        ('\n{% if 0 %}{{ regexReplaceAll("a", "b", "c") }}{% endif %}', "regexReplaceAll"),
    ],
)
def test_without_the_extra_a_template_that_needs_it_is_refused_with_the_cure(
    tmp_path: Path, source: str, name: str
) -> None:
    (tmp_path / "main.j2").write_text(source)
    done = _without_re2(
        "from lbsync.agent.render.renderer import OutputSpec, Renderer\n"
        f"Renderer([Path({str(tmp_path)!r})], [OutputSpec('main.j2', 'haproxy.cfg')])"
    )
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(
            f"main.j2:2: {name} needs RE2, Go's regular expressions: pip install 'lbsync[confd]'"
        )
    )


def test_without_the_extra_the_packaged_templates_are_complete() -> None:
    done = _without_re2(
        "from lbsync.agent.desired import template_context\nfrom lbsync.settings import Settings\n"
        "template_context.make_renderer(Settings())"
    )
    assert (done.returncode, done.stderr) == (0, "")


def _without_re2(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as on a host where the extra is not installed."""
    absent = "import sys; sys.modules['re2'] = None\nfrom pathlib import Path\n"
    return subprocess.run(
        [sys.executable, "-c", absent + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
