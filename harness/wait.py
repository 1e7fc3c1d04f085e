"""Waiting for a condition instead of sleeping for a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    what: str, probe: Callable[[], T], *, timeout: float = 30.0, every: float = 0.01
) -> T:
    """Call `probe` until it returns something true; return that.

    `what` completes the sentence "waited … s for". An exception of type OSError counts as "not
    yet"; the last one is chained to the TimeoutError.
    """
    deadline = time.monotonic() + timeout
    last: OSError | None = None
    while True:
        try:
            result = probe()
            if result:
                return result
            last = None
        except OSError as error:
            last = error
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}") from last
        time.sleep(every)
