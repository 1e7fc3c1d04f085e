"""Waiting until what was just changed can be read back."""

import time
from collections.abc import Callable

from lbsync.agent.runtime.drift import Drift

_ADDRESS_WITHIN_S = 0.05
_ADDRESS_EVERY_S = 0.005


def in_effect(differences: Callable[[], list[Drift]]) -> list[Drift]:
    """Return what differs once recent changes have had time to take effect.

    Since 3.0 `set server … addr` is answered up to 8.5 ms before another connection sees it
    (measured), so an address that differs is read again before it counts as wrong.
    """
    deadline = time.monotonic() + _ADDRESS_WITHIN_S
    while True:
        found = differences()
        moved = any(finding.mismatch.field in ("address", "port") for finding in found)
        if not moved or time.monotonic() >= deadline:
            return found
        time.sleep(_ADDRESS_EVERY_S)
