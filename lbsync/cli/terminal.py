"""Output for people: colours and diffs on a terminal, plain text in a pipe."""

import difflib
import os
import re
import select
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

from lbsync.deferred import Deferred
from lbsync.errors import LbsyncError
from lbsync.log.stream import harmless

if TYPE_CHECKING:
    import msgspec
else:
    msgspec = Deferred("msgspec")  # 30 ms; 'lbsync --help' prints no JSON

Colour = Literal["red", "green", "yellow", "cyan", "bold", "dim"]
_CODES: dict[Colour, str] = {
    "red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2",
}  # fmt: skip


#: Stands before our own colours until they are written: nobody else can know it.
_MARK = f"\x1b{os.urandom(8).hex()}"
_PAINT = re.compile(rf"{_MARK}(\[[0-9;]+m)")


class OutputLost(LbsyncError):
    """What a command has to say cannot be written, as on a full disk."""


@contextmanager
def _told_when_lost() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(f"the output cannot be written ({error.strerror})") from error


class Terminal:
    """An output stream that knows whether colours are wanted there."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Standard output when left out. Colours only on a terminal without NO_COLOR
        (https://no-color.org) that is not dumb."""
        self._stream = stream or sys.stdout
        self.colours = (
            self._stream.isatty()
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
        )

    def paint(self, text: str, *colours: Colour) -> str:
        """Return `text` in these colours, or as it is where there are none."""
        if not self.colours or not text:
            return text
        codes = ";".join(_CODES[colour] for colour in colours)
        return f"{_MARK}[{codes}m{text}{_MARK}[0m"

    @property
    def is_screen(self) -> bool:
        """Somebody looks at it, and what stands there can be written over."""
        return self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def over(self, text: str) -> None:
        """Write over the line at the cursor, cut to the width; nothing where there is no screen."""
        if self.is_screen:
            width = shutil.get_terminal_size().columns - 1
            self._put(f"\r\x1b[K{harmless(text)[:width]}")
            self.flush()

    def clear(self) -> None:
        """Begin again at the top of an empty screen; nothing where there is no terminal."""
        if self._stream.isatty():
            self._put("\x1b[H\x1b[J")

    def line(self, text: str = "") -> None:
        """Write one line; whatever others wrote into it, it stays one, and nothing in it is obeyed."""
        self._put(f"{self._harmless(text)}\n")

    def block(self, text: str) -> None:
        """Write lines of ours, with a line end after the last; nothing else in them is obeyed."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write text with its line ends; see `block`."""
        self._put(self._harmless(text, line_ends=True))

    def _harmless(self, text: str, *, line_ends: bool = False) -> str:
        """Return text in which nothing is obeyed but our own colours."""
        if not self.colours:
            return harmless(text, line_ends=line_ends)
        return "".join(
            f"\x1b{part}" if number % 2 else harmless(part, line_ends=line_ends)
            for number, part in enumerate(_PAINT.split(text))
        )

    def _put(self, text: str) -> None:
        with _told_when_lost():
            self._stream.write(text)

    def flush(self) -> None:
        """Write what is still in memory. Raises `OutputLost`."""
        with _told_when_lost():
            self._stream.flush()

    def demand_reader(self) -> None:
        """Raise `BrokenPipeError` if nobody reads any more: who writes only what is new would not notice."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):
            return
        looked = select.poll()
        looked.register(descriptor, 0)
        if any(event & select.POLLERR for _, event in looked.poll(0)):
            raise BrokenPipeError

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write columns, each as wide as its widest cell; the last one as long as it is."""
        lines = [[harmless(cell) for cell in cells] for cells in (head, *rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for number, cells in enumerate(lines):
            padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
            text = "  ".join(padded).rstrip()
            self.line(self.paint(text, "bold") if number == 0 else text)

    def diff(self, old: str, new: str, before: str, after: str) -> bool:
        """Write a unified diff with three lines around each change; tell whether there is any."""
        one, other = old.splitlines(), new.splitlines()
        if other and not one:  # the same as below, for a fraction: ten thousand keys may be new
            many = f",{len(other)}" if len(other) > 1 else ""
            head = (f"--- {before}", f"+++ {after}", f"@@ -0,0 +1{many} @@")
            found = [*head, *(f"+{line}" for line in other)]
        else:
            found = list(difflib.unified_diff(one, other, before, after, lineterm="", n=3))
        self._put("".join(f"{self._harmless(self._paint_diff(line))}\n" for line in found))
        return bool(found)

    def _paint_diff(self, line: str) -> str:
        if not self.colours:
            return line
        if line.startswith(("---", "+++")):
            return self.paint(line, "bold")
        if line.startswith("@@"):
            return self.paint(line, "cyan")
        if line.startswith("+"):
            return self.paint(line, "green")
        return self.paint(line, "red") if line.startswith("-") else line


def may_ask() -> bool:
    """Tell whether somebody sits there who can answer a question."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def said_yes(question: str) -> bool:
    """Ask, after all that was written so far, and tell whether the answer was yes; see `may_ask`."""
    Terminal().flush()
    terminal = Terminal(sys.stderr)
    terminal.write(f"{question} [y/N] ")
    terminal.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def to_json(value: object) -> str:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
