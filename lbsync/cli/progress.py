"""The progress of long-running commands, on standard error."""

import contextlib
import sys
import time

from lbsync.cli.terminal import OutputLost, Terminal

_AFTER_S = 1.0
"""What is done by then needs no words."""
_LINE_EVERY_S = 10.0
_SCREEN_EVERY_S = 0.1


class Progress:
    """At a terminal one line is written over and over, and taken away in the end; elsewhere,
    as in the log of a pipeline, there is a line every ten seconds."""

    def __init__(self) -> None:
        self._terminal = Terminal(sys.stderr)
        self._every = _SCREEN_EVERY_S if self._terminal.is_screen else _LINE_EVERY_S
        self._next = time.monotonic() + max(self._every, _AFTER_S)
        self._is_shown = False

    def say(self, text: str) -> None:
        """Tell how it stands, where it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        # Nobody reads it any more: that is no reason to end half-way.
        with contextlib.suppress(BrokenPipeError, OutputLost):
            if self._terminal.is_screen:
                self._terminal.over(text)
                self._is_shown = True
            else:
                self._terminal.line(text)
                self._terminal.flush()

    def over(self) -> None:
        """Take the line away."""
        if self._is_shown:
            self._is_shown = False
            with contextlib.suppress(BrokenPipeError, OutputLost):
                self._terminal.over("")
