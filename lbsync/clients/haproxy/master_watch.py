"""Noticing at once that HAProxy ended, or began anew.

The master keeps a connection to its socket for as long as one wishes, and it ends with the process, and
with each reload, in which the master starts itself anew (measured on 2.6 and 2.8: within 10 ms). So one
that is held, and never written to, tells of both without asking. The worker's socket would not do: a
connection to it keeps a replaced worker alive.

A reload that this process asked for is no news: it is proved by who asked.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from lbsync.backoff import Backoff
from lbsync.threads import SupervisedThread

_LOOK_S = 0.5
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0
_BACK_WITHIN_S = 1.0
"""So long after a reload from here a master that does not listen may still be on its way."""


class MasterWatch:
    """Wakes somebody when the master goes, and again when there is one."""

    def __init__(self, wake: Callable[[], None], is_own: Callable[[], bool]) -> None:
        """`wake` is called from another thread, and so is `is_own`, which tells whether a reload that was
        asked for here goes on, or has only just ended."""
        self._wake = wake
        self._is_own = is_own
        self._expected_until = 0.0
        self._path = ""
        self._ended = threading.Event()
        self._thread = SupervisedThread(self._watch, "haproxy")

    def follow(self, path: str) -> None:
        """Hold a connection to this master socket from now on; empty: there is none to hold."""
        self._path = path
        if not self._thread.is_started:
            self._thread.start()

    def close(self) -> None:
        """End the thread; waits for it for two looks at most."""
        self._ended.set()
        self._thread.join(2 * _LOOK_S)

    def _watch(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_S, _LAST_PAUSE_S)
        is_lost = False
        while not self._ended.wait(backoff.pause()):
            path = self._path
            if not path:
                continue
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as held:
                held.settimeout(_LOOK_S)
                held.connect(path)
                if is_lost and not self._is_expected():
                    self._wake()
                is_lost, self._expected_until = True, 0.0
                backoff.reset()
                self._hold(held, path)
                if self._is_own():
                    self._expected_until = time.monotonic() + _BACK_WITHIN_S
                else:
                    self._wake()
                continue
            if self._expected_until and not self._is_expected():
                self._expected_until = 0.0
                self._wake()

    def _is_expected(self) -> bool:
        """Tell whether a master that listens again is the one that was reloaded from here, however long it takes to
        read ten thousand services."""
        if self._expected_until and self._is_own():
            self._expected_until = time.monotonic() + _BACK_WITHIN_S
        return time.monotonic() < self._expected_until

    def _hold(self, held: socket.socket, path: str) -> None:
        """Return when the connection ends, or another path is to be followed."""
        while not self._ended.is_set() and path == self._path:
            try:
                if not held.recv(4096):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
