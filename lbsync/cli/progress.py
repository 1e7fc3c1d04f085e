"""How far a command is that takes long, told on standard error."""

import sys
import time

from lbsync.cli.terminal import Terminal
from lbsync.values.plural import count

_AFTER_S = 1.0
"""What is done by then needs no words."""
_LINE_EVERY_S = 10.0
_SCREEN_EVERY_S = 0.1


class Progress:
    """Counts up to `total`. At a terminal one line is written over and over, and taken away in the end; elsewhere,
    as in the log of a pipeline, there is a line every ten seconds."""

    def __init__(self, total: int, noun: str, done: str) -> None:
        """As in `written 400 of 30,000 keys`: `noun` is `key`, `done` is `written`."""
        self._total = count(total, noun)
        self._done = done
        self._terminal = Terminal(sys.stderr)
        self._is_screen = self._terminal.is_screen
        self._next = time.monotonic() + _AFTER_S
        self._is_shown = False

    def reached(self, number: int) -> None:
        """Tell it, where it is time to."""
        self.say(f"{self._done} {number} of {self._total}")

    def say(self, text: str) -> None:
        """Tell something else about it, where it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._is_screen:
            self._terminal.over(text)
            self._is_shown = True
        else:
            self._terminal.line(text)
            self._terminal.flush()
        self._next = now + (_SCREEN_EVERY_S if self._is_screen else _LINE_EVERY_S)

    def over(self) -> None:
        """Take the line away."""
        if self._is_shown:
            self._terminal.over("")
            self._is_shown = False
