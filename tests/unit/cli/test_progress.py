"""Whoever waits is told how it stands: over and over on a screen, now and then in a log."""

import io
import sys
import time

import pytest

from lbsync.cli import progress
from lbsync.cli.progress import Progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    told = Progress()
    for second in range(25):
        clock[0] = second
        told.say(f"{second} of 25")
    told.over()
    assert written.getvalue() == "10 of 25\n20 of 25\n"


def test_a_screen_gets_one_line_that_is_taken_away(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Screen()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    told = Progress()
    for second in (0.5, 1.0, 1.05, 1.2):
        clock[0] = second
        told.say(f"at {second}, which is longer than the screen \x1b]0;x")
    told.over()
    shown = written.getvalue()
    assert shown == "\r\x1b[Kat 1.0, which is lo\r\x1b[Kat 1.2, which is lo\r\x1b[K"


def test_a_reader_that_has_gone_ends_nothing(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    told = Progress()
    clock[0] = progress._LINE_EVERY_S
    told.say("on")
    told.over()
