"""Where log lines go, in a way that never raises and never waits for long.

A full disk, a reader that is gone and a pipe that nobody empties are no reason for the work that
speaks to fail: such lines are lost, and their number is told by the next one that can be written.
"""

import contextlib
import os
import select
from typing import TextIO

#: A pipe or socket that takes nothing for so many milliseconds is not waited for again until it does.
_PATIENCE_MS = 1000
#: POLLOUT on a pipe promises room for this many bytes (PIPE_BUF of Linux, pipe(7)), no more.
_CHUNK = 4096


class LogStream:
    """A text stream for whole lines; `write` and `flush` are all that structlog calls."""

    def __init__(self, stream: TextIO | None) -> None:
        """`stream`: None where the process was started without standard error."""
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._is_blocked = False
        self._lost = 0

    def write(self, line: str) -> None:
        """Write a line that ends with a line end, or lose it."""
        if self._lost:
            note = f"{self._lost} lines of this log could not be written\n"
            if not self._try(note):
                self._lost += 1
                return
            self._lost = 0
        if not self._try(line):
            self._lost += 1

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def _try(self, line: str) -> bool:
        data = line.encode("utf-8", "backslashreplace")
        try:
            if self._descriptor is not None:
                return self._send(self._descriptor, data)
            if self._stream is not None:
                self._stream.write(data.decode())
                self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            return False
        return True

    def _send(self, descriptor: int, data: bytes) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while data:
            if not poll.poll(0 if self._is_blocked else _PATIENCE_MS):
                self._is_blocked = True
                return False
            self._is_blocked = False
            data = data[os.write(descriptor, data[:_CHUNK]) :]
        return True

    def is_journal(self) -> bool:
        """Tell whether systemd's journal reads this stream: `$JOURNAL_STREAM`, systemd.exec(5)."""
        if self._descriptor is None:
            return False
        with contextlib.suppress(OSError):
            about = os.fstat(self._descriptor)
            return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
        return False


def harmless(text: str, *, line_ends: bool = False) -> str:
    """Return text with all escaped that a terminal would obey (`\\x1b`): whoever may write a key must not
    clear an operator's screen, set its title, or make a line that looks like ours. `line_ends`: these stay."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (line_ends and char == "\n") else repr(char)[1:-1]
        for char in text
    )


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the descriptor to write to, around Python's buffers: after an error these keep what could
    not be written, and raise again when the process ends."""
    if stream is None:
        return None
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
