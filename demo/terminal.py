"""What the demo prints: plain when piped, with a little colour on a terminal."""

import os
import sys
import textwrap
import time
from collections.abc import Callable
from typing import TextIO

_BOLD, _DIM, _GREEN, _RED, _CYAN = "1", "2", "32", "31", "36"
_WIDTH = 96


class Terminal:
    """Prints steps and what came of them, and counts the steps."""

    def __init__(
        self, out: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Colours are used when `out` is a terminal and NO_COLOR is not set."""
        self._out = out
        self._clock = clock
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._began = clock()
        self._steps = 0

    def title(self, text: str) -> None:
        """Say what is to be seen."""
        self._line(self._paint(text, _BOLD))

    def step(self, text: str) -> None:
        """Open the next step."""
        self._steps += 1
        self._line("")
        self._line(self._paint(f"{self._steps}. {text}", _BOLD))

    def did(self, text: str) -> None:
        """Say what the demo does."""
        self._wrapped("   ", text)

    def typed(self, command: str) -> None:
        """Show a command one could type; never broken, so that it can be copied."""
        self._line("   " + self._paint(f"$ {command}", _CYAN))

    def heard(self, text: str) -> None:
        """Repeat what a program said."""
        for line in text.strip().splitlines():
            self._line(self._paint(f"   | {line}", _DIM))

    def proved(self, text: str, seconds: float | None = None) -> None:
        """Say what a request proved, and how long that took."""
        took = "" if seconds is None else f"  {seconds * 1000:.0f} ms"
        self._wrapped("   " + self._paint("ok", _GREEN) + " ", text + took)

    def failed(self, text: str) -> None:
        """Say what was not as promised."""
        self._wrapped("   " + self._paint("FAILED", _RED) + " ", text)

    def end(self, text: str) -> None:
        """Close with one line and the whole time."""
        self._line("")
        self._line(self._paint(f"{text} ({self._clock() - self._began:.1f} s)", _BOLD))

    def _wrapped(self, lead: str, text: str) -> None:
        first, *rest = textwrap.wrap(text, _WIDTH) or [""]
        self._line(lead + first)
        for line in rest:
            self._line("      " + line)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _line(self, text: str) -> None:
        print(text, file=self._out, flush=True)
