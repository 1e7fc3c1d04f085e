"""`lbsync status --watch`: the same again and again, drawn anew on a screen, and elsewhere a line for what is new."""

import time
from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec

from lbsync.cli.terminal import Terminal
from lbsync.errors import LbsyncError
from lbsync.timestamps import stamp

EVERY_S = 1.0


class View(msgspec.Struct, frozen=True):
    """How it is at one moment."""

    draw: Callable[[Terminal], object]
    """Writes all of it for people."""
    lines: Mapping[str, str]
    """The same in short, one line for each host: what it is about to what is said. What is new of it is told."""
    document: object
    """The same for programs."""


def follow(look: Callable[[], View], *, as_json: bool) -> NoReturn:
    """Show it until somebody has seen enough: Ctrl-C, or a pipe that is closed.

    What cannot be looked at now is told like everything else, and tried again.
    """
    terminal = Terminal()
    told: dict[str, str] = {}
    while True:
        view = _looked(look)
        if as_json:
            text = msgspec.json.encode(view.document, enc_hook=str).decode()
            if told.get("") != text:
                told[""] = text
                terminal.line(text)
        elif terminal.is_screen:
            terminal.clear()
            terminal.line(terminal.paint(f"{stamp()}   Ctrl-C ends it", "dim"))
            view.draw(terminal)
        else:
            for about, said in view.lines.items():
                if told.get(about) != said:
                    terminal.line(f"{stamp()} {said}")
            for about in told.keys() - view.lines.keys():
                terminal.line(f"{stamp()} {about or 'that'} is there no more")
            told = dict(view.lines)
        terminal.flush()
        terminal.demand_reader()
        time.sleep(EVERY_S)


def _looked(look: Callable[[], View]) -> View:
    try:
        return look()
    except LbsyncError as error:
        said = str(error)
        return View(
            lambda terminal: terminal.line(terminal.paint(said, "red")),
            {"": f"unknown: {said}"},
            {"error": said},
        )
