"""A whole tree that survives a power failure: it is on disk before anything refers to it."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lbsync import libc
from lbsync.atomic import fill, sync
from lbsync.errors import LbsyncError

_OTHERS = stat.S_IRWXO
_FEW_FILES = 8
"""Above this many files one `syncfs` is cheaper than an `fsync` for each."""


def write_tree(root: Path, files: Iterable[tuple[str, bytes, int]]) -> None:
    """Make the directory `root` and write files (relative path, content, mode) below it.

    When it returns, all of it is on disk. Raises OSError (then `root` may be there in part) and
    `LbsyncError` for a path that would leave `root`, before anything is written.
    """
    wanted = [(root / _inside(name), data, mode) for name, data, mode in files]
    directories = {root} | {
        parent for path, _, _ in wanted for parent in path.parents if root in parent.parents
    }
    for directory in sorted(directories):
        directory.mkdir()
        # Whatever the umask: HAProxy may run as another user. The door is `closed_directory` above.
        directory.chmod(0o755)
    one_by_one = len(wanted) <= _FEW_FILES
    for path, data, mode in wanted:
        _write(path, data, mode, one_by_one)
    if one_by_one:
        for directory in directories:
            sync(directory)
    else:
        _sync_filesystem(root)
    sync(root.parent)


def empty(directory: Path) -> None:
    """Remove what is in a directory, but not the directory. Never fails; nothing is synced."""
    with contextlib.suppress(OSError):
        for entry in list(directory.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()


def closed_directory(path: Path) -> None:
    """Make a directory that is there afterwards, with its parents, and is open to nobody but its owner
    and its group, whatever the umask: below it are password hashes and names of private networks.

    Raises OSError when it cannot be made. One that belongs to somebody else is left as it is.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o750)
    mode = path.stat().st_mode
    if mode & _OTHERS:
        with contextlib.suppress(PermissionError):
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise LbsyncError(
            f"{name!r} cannot be a file of a generation: give a path below its directory, "
            "without '..'"
        )
    return path


def _write(path: Path, data: bytes, mode: int, durable: bool) -> None:
    # Exclusive, and closed to others until the mode is right: some hold private keys.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    fill(descriptor, data, mode, durable=durable)


def _sync_filesystem(directory: Path) -> None:
    """Put everything on this file system to disk with one call."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        libc.sync_filesystem(descriptor)
    finally:
        os.close(descriptor)
