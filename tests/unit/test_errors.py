"""What cannot be written is told with what helps, which is not always a right."""

import errno
import os

import pytest

from lbsync.errors import cannot


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "cannot be written (Permission denied); run as root"),
        (errno.EROFS, "cannot be written (Read-only file system); mount that disk for writing"),
        (errno.ENOSPC, "cannot be written (No space left on device); make room on that disk"),
        (errno.EISDIR, "cannot be written (Is a directory); something else is in its place: move that away"),
    ],
)  # fmt: skip
def test_the_cure_fits_the_cause(number: int, told: str) -> None:
    assert cannot("be written", OSError(number, os.strerror(number)), "run as root") == told
