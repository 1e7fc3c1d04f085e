"""Colours where people look, plain text where programs read."""

import difflib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.cli.terminal import Terminal, to_json
from lbsync.settings import Duration
from lbsync.values.plural import count


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def an_ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_diff_is_coloured_on_a_terminal_and_plain_in_a_pipe() -> None:
    screen, pipe = Screen(), io.StringIO()

    for stream in (screen, pipe):
        assert Terminal(stream).diff("a\nb\n", "a\nc\n", "old", "new")

    assert pipe.getvalue() == "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert "\x1b[31m-b\x1b[0m" in screen.getvalue()
    assert "\x1b[32m+c\x1b[0m" in screen.getvalue()


def test_equal_texts_have_no_diff() -> None:
    pipe = io.StringIO()

    assert not Terminal(pipe).diff("a\n", "a\n", "old", "new")
    assert pipe.getvalue() == ""


@given(st.lists(st.text(alphabet="ab+-@ ", max_size=4), max_size=4))
def test_what_is_new_is_told_as_any_other_difference_is(lines: list[str]) -> None:
    pipe = io.StringIO()
    new = "".join(f"{line}\n" for line in lines)

    Terminal(pipe).diff("", new, "old", "new")

    told = difflib.unified_diff([], lines, "old", "new", lineterm="", n=3)
    assert pipe.getvalue().splitlines() == list(told)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert Terminal(Screen()).paint("x", "red") == "x"


def test_columns_line_up() -> None:
    pipe = io.StringIO()

    Terminal(pipe).table(("A", "LONG", "C"), [("aaa", "b", ""), ("a", "b", "c")])

    assert pipe.getvalue() == "A    LONG  C\naaa  b\na    b     c\n"


def test_numbers_and_values_read_well() -> None:
    assert count(1, "key") == "1 key"
    assert count(0, "key") == "0 keys"
    assert to_json({"wait": Duration(2000)}) == '{\n  "wait": "2s"\n}'


EVIL = "a\nlb-9 confirmed \x1b[2J\x1b]0;mine\x07\x9b31m\x1b[31mred"


@pytest.mark.parametrize("stream", [Screen(), io.StringIO()], ids=["screen", "pipe"])
def test_words_of_others_are_shown_and_not_obeyed(stream: io.StringIO) -> None:
    terminal = Terminal(stream)
    terminal.line(f"host: {terminal.paint(EVIL, 'yellow')}")
    terminal.table(("A",), [(EVIL,)])
    terminal.diff("", EVIL, "old", EVIL)
    said = stream.getvalue()
    for ours in ("\x1b[33m", "\x1b[0m", "\x1b[1m", "\x1b[36m", "\x1b[32m", "\x1b[31m"):
        said = said.replace(ours, "") if terminal.colours and ours != "\x1b[31m" else said
    assert "\x1b" not in said.replace("\n", "")
    assert "\x07" not in said
    assert "\x9b" not in said
    assert not any(line.startswith("lb-9") for line in said.splitlines())
