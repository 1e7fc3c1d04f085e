"""What `--watch` does: the same again and again, redrawn on a screen, and elsewhere a line for what is new."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.timestamps import stamp

EVERY_S = 1.0
_AT_MOST_EVERY_S = 0.2
"""A large fleet has news all the time, and nobody reads faster."""
_FIRST_S = 5.0
"""So long the first look waits for sources to be read."""
_OWN_LINES = 3
"""Of a screen: the title, and what is left out."""

Wait = Callable[[float], object]


class Document(msgspec.Struct, frozen=True):
    """What is told to programs."""

    value: object
    mark: object = None
    """What of it is new when it is told again; None: any of it."""


class View(msgspec.Struct, frozen=True):
    """How it is at one moment."""

    draw: Callable[[Terminal], object]
    """Writes all of it for people."""
    lines: Mapping[str, str]
    """The same in short: what it is about to what is said. What is new of it is told."""
    documents: Mapping[str, Document]
    """The same for programs."""
    title: str = ""


def begin(*sources: Source) -> Wait:
    """Follow sources, and wait for what they hold; return what waits for news of theirs, for some seconds."""
    news = threading.Event()
    for source in sources:
        source.start(news.set)
    deadline = time.monotonic() + _FIRST_S
    while time.monotonic() < deadline:
        news.clear()
        try:
            for source in sources:
                source.snapshot()
            break
        except Unavailable:
            news.wait(_AT_MOST_EVERY_S)

    def wait(seconds: float) -> None:
        news.wait(seconds)
        news.clear()

    return wait


def room() -> int:
    """Return how many lines of a screen are left for what is watched."""
    return shutil.get_terminal_size().lines - _OWN_LINES


def follow(
    look: Callable[[], View],
    *,
    as_json: bool,
    wait: Wait = time.sleep,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Show it whenever `wait` ends, until `until`, or until somebody has seen enough: Ctrl-C, or a pipe that is
    closed. What cannot be looked at now is told like everything else, and tried again."""
    terminal = Terminal()
    teller = Screen(terminal) if terminal.is_screen and not as_json else Lines(terminal, as_json)
    while True:
        try:
            view = look()
        except LbsyncError as error:
            teller.fail(str(error))
        else:
            teller.show(view)
        terminal.flush()
        terminal.demand_reader()
        if until():
            return
        time.sleep(_AT_MOST_EVERY_S)
        wait(EVERY_S - _AT_MOST_EVERY_S)


def show_once(view: View, *, as_json: bool) -> None:
    """Show it as it is now, drawn where somebody looks, and else in lines."""
    terminal = Terminal()
    if terminal.is_screen and not as_json:
        view.draw(terminal)
    else:
        Lines(terminal, as_json).show(view)


class Screen:
    """Draws all of it anew."""

    def __init__(self, terminal: Terminal) -> None:
        """Nothing is written yet."""
        self._terminal = terminal

    def show(self, view: View) -> None:
        """Draw it."""
        self._begin(view.title)
        view.draw(self._terminal)

    def fail(self, said: str) -> None:
        """Say why it cannot be looked at."""
        self._begin()
        self._terminal.line(self._terminal.paint(said, "red"))

    def _begin(self, title: str = "") -> None:
        self._terminal.clear()
        head = "   ".join(part for part in (title, stamp(), "Ctrl-C ends it") if part)
        self._terminal.line(self._terminal.paint(head, "dim"))


class Lines:
    """Writes a line for each thing that is new."""

    def __init__(self, terminal: Terminal, as_json: bool) -> None:
        """`as_json`: a line is a document for programs."""
        self._terminal = terminal
        self._as_json = as_json
        self._told: dict[str, object] = {}
        self._error = ""

    def show(self, view: View) -> None:
        """Tell what is new since it was last told."""
        if self._error and not self._as_json:
            self._terminal.line(f"{stamp()} known again")
        self._error = ""
        before, self._told = self._told, {}
        for about, said in (view.documents if self._as_json else view.lines).items():
            mark = said.mark if isinstance(said, Document) and said.mark is not None else said
            self._told[about] = mark
            if about not in before or before[about] != mark:
                self._line(said.value if isinstance(said, Document) else said)
        for about in before.keys() - self._told.keys():
            self._line({"gone": about} if self._as_json else f"{about} is there no more")

    def fail(self, said: str) -> None:
        """Say, once, why it cannot be looked at; what was told before still counts."""
        if said != self._error:
            self._line({"error": said} if self._as_json else f"unknown: {said}")
        self._error = said

    def _line(self, said: object) -> None:
        if self._as_json:
            self._terminal.line(msgspec.json.encode(said, enc_hook=str).decode())
        else:
            self._terminal.line(f"{stamp()} {said}")
