"""Calls work that may fail: the only broad `except` of a long-running command."""

from collections.abc import Callable
from typing import TypeVar

from lbsync import log
from lbsync.errors import LbsyncError, Stuck, Superseded

T = TypeVar("T")


class Attempts:
    """Logs the traceback of a fault of ours once, until work of that kind has succeeded again."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        """By kind of work, the fault that its last attempts ended with."""

    def call(self, kind: str, work: Callable[[], T]) -> tuple[T | None, str]:
        """Return what `work` returns, or None and why it failed. Raises only what `work` raises as
        `Superseded` or `Stuck`."""
        try:
            done = work()
        except (Superseded, Stuck):
            raise
        except LbsyncError as problem:
            return None, str(problem)
        except Exception as fault:  # noqa: BLE001 (the one place: HAProxy serves on, we try again)
            error = f"unforeseen: {type(fault).__name__}: {fault}"
            if error != self._faults.get(kind):
                self._faults[kind] = error
                log.get().exception("this is a fault of lbsync, please report it")
            return None, error
        self._faults.pop(kind, None)
        return done, ""
