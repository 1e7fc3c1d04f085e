"""`--watch`: a screen is drawn anew, and a pipe gets a line for what is new."""

import io
from collections.abc import Mapping

import pytest

from lbsync.cli.fleet import health
from lbsync.cli.service.listing import Listing, Row
from lbsync.cli.terminal import Terminal
from lbsync.cli.watching import Document, Lines, View


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def nothing(_terminal: Terminal) -> None:
    """Draw nothing."""


class Pipe:
    """What was written into a pipe since it was last read, without times."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._stream = io.StringIO()
        self.lines = Lines(Terminal(self._stream), as_json)

    def show(self, said: Mapping[str, str]) -> list[str]:
        self.lines.show(View(nothing, said, {}))
        return self.new()

    def new(self) -> list[str]:
        told = self._stream.getvalue().splitlines()
        self._stream.seek(0)
        self._stream.truncate()
        return [line if line.startswith("{") else line.partition(" ")[2] for line in told]


def test_a_pipe_gets_what_is_new_once_and_hears_of_what_is_gone() -> None:
    pipe = Pipe()
    assert pipe.show({"a": "a is up", "b": "b is up"}) == ["a is up", "b is up"]
    assert pipe.show({"a": "a is up", "b": "b is up"}) == []
    assert pipe.show({"a": "a is down", "c": "c is up"}) == [
        "a is down", "c is up", "b is there no more",
    ]  # fmt: skip


def test_what_cannot_be_looked_at_is_told_once_and_takes_nothing_away() -> None:
    pipe = Pipe()
    pipe.show({"a": "a is up"})
    pipe.lines.fail("etcd is away")
    pipe.lines.fail("etcd is away")
    assert pipe.new() == ["unknown: etcd is away"]
    assert pipe.show({"a": "a is up"}) == ["known again"]


def test_programs_get_a_document_when_what_counts_of_it_is_new() -> None:
    pipe = Pipe(as_json=True)
    for at, state in ((1, "up"), (2, "up"), (3, "down")):
        pipe.lines.show(View(nothing, {}, {"a": Document({"at": at, "is": state}, state)}))
    pipe.lines.show(View(nothing, {}, {}))
    pipe.lines.fail("away")
    assert pipe.new() == [
        '{"at":1,"is":"up"}', '{"at":3,"is":"down"}', '{"gone":"a"}', '{"error":"away"}',
    ]  # fmt: skip


def test_a_screen_that_is_too_small_shows_first_what_somebody_should_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    rows = tuple(Row(f"s{n}", (f"s{n}", "x"), n, concerns=n in (3, 50)) for n in range(100))
    listing = Listing(("SERVICE", "HEALTH"), rows, health.Asked(why="health is not known: no"))
    screen = Screen()
    listing.view().draw(Terminal(screen))
    shown = [line for line in screen.getvalue().splitlines() if line]
    assert [line.split()[0] for line in shown[1:3]] == ["s3", "s50"]
    assert len(shown) <= 8
    assert "… and 95 more, on a higher terminal or piped" in shown[-2]
    assert "health is not known: no" in shown[-1]
