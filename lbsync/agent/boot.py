"""A clock that survives a restart of the agent: seconds since boot."""

import time
from pathlib import Path


def now() -> float:
    """Return seconds since boot, sleep included; nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the id of this boot; empty if the kernel does not tell.

    Times of `now` are comparable only within one boot (proc(5), `random/boot_id`).
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
