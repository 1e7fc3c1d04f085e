"""A lock on a file or a directory between processes (flock); released when its holder ends."""

import fcntl
import os
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from lbsync.errors import Conflict

_POLL_S = 0.05


def take(descriptor: int, timeout_s: float = 0.0) -> bool:
    """Lock what is open; tell whether that succeeded in time. Closing it lets go.

    Raises OSError where it cannot be locked at all: network file systems may lock files alone.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def is_held(descriptor: int) -> bool:
    """Tell whether somebody else has locked what is open; False where it cannot be locked at all. Those
    who ask at the same time do not see each other."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def hold(path: Path, timeout_s: float, *, what: str) -> AbstractContextManager[object]:
    """Lock a directory that is there, or a file that is made where it is missing; leaving what is returned
    lets go.

    Raises `Conflict`, which names `what` lock it is, when another process holds it for so many seconds;
    OSError when it cannot be opened or locked.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT
    with ExitStack() as stack:
        descriptor = os.open(path, flags, 0o644)
        stack.callback(os.close, descriptor)
        if not take(descriptor, timeout_s):
            raise Conflict(
                f"{path}: another process has held {what} for {timeout_s:g} s; "
                "see who with `fuser -v` on it"
            )
        return stack.pop_all()
