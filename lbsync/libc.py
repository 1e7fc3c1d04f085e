"""Functions of the C library that Python has not, from one handle.

Each `ctypes.CDLL` makes a class of its own, and a class is freed by the garbage collector alone, which comes
for new objects by the ten thousands: two handles in each pass were 7 kB a pass, 6 MB in ten minutes (measured).
"""

import contextlib
import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
"""What this process is linked with; a function that it does not have raises AttributeError."""

#: `M_ARENA_MAX` of glibc's malloc.h.
_M_ARENA_MAX = -8


def sync_filesystem(descriptor: int) -> None:
    """Put everything on the file system of an open file to disk: syncfs(2). Raises OSError."""
    if LIBC.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def limit_arenas(most: int) -> None:
    """Let threads share so many areas of memory at most: mallopt(3). Nothing in another C library."""
    with contextlib.suppress(AttributeError):
        LIBC.mallopt(_M_ARENA_MAX, most)


def trim() -> None:
    """Return free memory to the system: malloc_trim(3). Nothing in another C library."""
    with contextlib.suppress(AttributeError):
        LIBC.malloc_trim(0)
