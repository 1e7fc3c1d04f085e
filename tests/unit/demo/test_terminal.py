import io

import pytest

from demo.terminal import Terminal


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(out: io.StringIO) -> str:
    tell = Terminal(out, clock=iter([0.0, 12.5]).__next__)
    tell.title("the show")
    tell.step("first")
    tell.did("something")
    tell.typed("lbsync status")
    tell.heard("two\nlines\n")
    tell.proved("it worked", 0.1234)
    tell.step("second")
    tell.failed("it did not")
    tell.end("over")
    return out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    assert told(io.StringIO()) == (
        "the show\n"
        "\n1. first\n   something\n   $ lbsync status\n   | two\n   | lines\n   ok it worked  123 ms\n"
        "\n2. second\n   FAILED it did not\n"
        "\nover (12.5 s)\n"
    )


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mok\x1b[0m it worked" in told(Tty())


def test_a_terminal_whose_owner_wants_none_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert told(Tty()) == told(io.StringIO())


def test_a_long_sentence_is_broken_for_reading_but_a_command_never() -> None:
    out = io.StringIO()
    tell = Terminal(out)
    tell.did("word " * 60)
    tell.typed("x" * 200)
    lines = out.getvalue().splitlines()
    assert all(len(line) < 110 for line in lines[:-1])
    assert lines[-1] == "   $ " + "x" * 200
