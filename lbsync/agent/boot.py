"""Time that is worth keeping over a restart of the agent: since the machine was started."""

import time
from pathlib import Path


def now() -> float:
    """Return seconds since the machine was started, sleep included; nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return which start of the machine that was; empty where the kernel does not tell.

    Times of `now` compare only where this is the same (proc(5), `random/boot_id`).
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
