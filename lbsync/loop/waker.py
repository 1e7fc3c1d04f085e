"""Wake a thread that waits, from any thread and from signal handlers."""

import os
import select
import time


class Waker:
    """One flag to wait for. Many wakes before a wait are one.

    An eventfd rather than a `threading.Event`: that takes a lock inside, and a signal handler that
    runs while the waiting thread holds it would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._first: float | None = None
        self.woken_at = 0.0
        """When the first of the wakes came that ended the last wait, as `time.monotonic` counts."""

    def wake(self) -> None:
        """Set the flag. Never blocks."""
        if self._first is None:
            self._first = time.monotonic()
        os.eventfd_write(self._fd, 1)

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the flag, clear it, tell whether it was set."""
        if not self._poll.poll(max(timeout, 0.0) * 1000):
            return False
        os.eventfd_read(self._fd)
        first, self._first = self._first, None
        self.woken_at = time.monotonic() if first is None else first
        return True

    def close(self) -> None:
        """Free the descriptor; the waker cannot be used afterwards."""
        os.close(self._fd)
