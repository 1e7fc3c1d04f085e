"""One thing in the place of another in one step: readers see the old or the new, and it whole; and how a reader sees
that it is another."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME_CHARACTERS = 50
"""So many of a file's name are in its draft's: with four bytes each, and what is added, a file system
takes it (255 bytes)."""
_ENDING = ".lbsync"
_AT_WORK_S = 120.0
"""For so long a draft may wait for its place: the check of an output takes up to a minute."""
FileMark = tuple[int, ...]
"""Differs whenever the file was replaced, written to, or given other rights."""


def mark(found: os.stat_result) -> FileMark:
    """Return the mark of a file.

    The time of its content says little alone: `cp -p` and archives keep it, Nix and ostree set it to the same for
    every file, and rights that are corrected leave it as it is. The time of its inode (ctime) cannot be chosen.
    """
    return (
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns,
    )  # fmt: skip


def replace_file(path: Path, data: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Give `path` new content, on disk when this returns, so that it outlives a power cut.

    `durable=False`: not forced to disk; for what is written again often, or means nothing after a power
    cut. Several may do this at once: the last one's content stays. Raises OSError; the old content is
    left then.
    """
    with replacement(path, data, mode, durable=durable):
        pass


@contextmanager
def replacement(
    path: Path,
    data: bytes,
    mode: int = 0o644,
    *,
    durable: bool = True,
    owner: int = -1,
    group: int = -1,
) -> Iterator[Path]:
    """Yield a file with the content for `path`; it takes its place when the block ends without an error.

    It lies beside its place, since a rename stays within one file system, and its name begins with a dot
    and ends otherwise, so that no `*.conf` picks it up. `owner`, `group`: ids; -1: this process's.
    """
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name[:_NAME_CHARACTERS]}.", suffix=_ENDING
    )
    draft = Path(name)
    try:
        fill(handle, data, mode, durable=durable, owner=owner, group=group)
        yield draft
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def replace_link(link: Path, target: Path) -> None:
    """Let `link` lead to `target` from now on, also after a power cut. One process at a time may do this.
    Raises OSError."""
    draft = link.with_name(f".{link.name}{_ENDING}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)
    sync(link.parent)


def sweep(directory: Path) -> None:
    """Remove the drafts that killed processes left in a directory, not those that may be at work. Never
    fails."""
    for draft in directory.glob(f".*{_ENDING}"):
        with suppress(OSError):
            if time.time() - draft.lstat().st_mtime > _AT_WORK_S:
                draft.unlink()


def fill(
    handle: int, data: bytes, mode: int, *, durable: bool, owner: int = -1, group: int = -1
) -> None:
    """Write a file that was opened for this and is closed to others until now: it may hold a private
    key. Closes it. Raises OSError."""
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        # Owner before mode: chown clears set-id bits, and nobody may read before both are right.
        os.fchown(handle, owner, group)
        os.fchmod(handle, mode)
        if durable:
            os.fsync(handle)


def sync(directory: Path) -> None:
    """Put a directory's entries to disk: what was created in it, or renamed into it. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
