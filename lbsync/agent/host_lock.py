"""The lock of one host's state directory: one agent (or one command in its place) at a time."""

import os
from pathlib import Path

from lbsync import filelock
from lbsync.agent.privileges import make_state_dir
from lbsync.errors import Conflict, LbsyncError, Superseded, cannot


class HostLock:
    """Holds `<state_dir>/agent.lock`, and the directory itself.

    A lock belongs to a file, not to its name: whoever removes the file or replaces the directory lets a
    second agent in. So `retake_if_lost` compares what is locked with what the names lead to. The lock on
    the directory itself survives the removal of everything in it.
    """

    def __init__(self, state_dir: Path, patience_s: float = 0.0) -> None:
        """`state_dir`: the agent's state directory; nothing is locked before `with`. `patience_s`: so long it is
        waited for there, since a program that an agent was just starting when it was killed holds its lock on
        for a moment."""
        self._state = state_dir
        self._patience_s = patience_s
        self._path = state_dir / "agent.lock"
        self._directory: int | None = None
        self._file: int | None = None

    def __enter__(self) -> "HostLock":
        """Raises `Conflict` when it is held, `LbsyncError` when the directory cannot be used."""
        try:
            self._take()
        except BaseException:
            self._close()
            raise
        self._patience_s = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def retake_if_lost(self) -> str:
        """Return what was removed or replaced since the last call and is locked again; or nothing.

        Raises `Superseded` when another agent was faster; `LbsyncError` when nothing can be made there.
        """
        is_there = _leads_to(self._state, self._directory)
        if is_there and _leads_to(self._path, self._file):
            return ""
        try:
            self._take()
        except Conflict as error:
            raise Superseded(
                f"{self._path} was removed or replaced, and {error}; this one ends, HAProxy serves on"
            ) from error
        if is_there:
            return f"{self._path} was removed or replaced"
        return f"{self._state} was removed, or another directory was put in its place"

    def _take(self) -> None:
        make_state_dir(self._state)
        try:
            if not _leads_to(self._state, self._directory):
                directory = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY)
                # Network file systems may lock files alone.
                self._directory = self._locked(directory, self._directory, optional=True)
            if not _leads_to(self._path, self._file):
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                self._file = self._locked(os.open(self._path, flags, 0o644), self._file)
        except OSError as error:
            otherwise = "run as the agent's user, or name another --state-dir"
            raise LbsyncError(f"{self._path}: {cannot('be opened', error, otherwise)}") from error

    def _locked(self, fresh: int, old: int | None, *, optional: bool = False) -> int:
        """Lock what was just opened, close the old one in its place, return the new one.

        `optional`: one that cannot be locked at all is held open without.
        """
        try:
            if not filelock.take(fresh, self._patience_s):
                raise Conflict(
                    f"another agent runs on this host with {self._state} ('lbsync status' shows it)"
                )
        except (Conflict, OSError) as error:
            if isinstance(error, Conflict) or not optional:
                os.close(fresh)
                raise
        if old is not None:
            os.close(old)
        return fresh

    def _close(self) -> None:
        for descriptor in (self._file, self._directory):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._directory = None


def _leads_to(path: Path, descriptor: int | None) -> bool:
    """Tell whether a path leads to an open file, whose inode cannot be reused."""
    if descriptor is None:
        return False
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
