"""Commands started as root continue as the agent's user, with the rights of its unit.

The agent could not replace files that root left in the state directory, and root's permissions show
nothing about those of the agent.
"""

import contextlib
import ctypes
import grp
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from lbsync.errors import LbsyncError, Unavailable, cannot
from lbsync.libc import LIBC

AGENT = "lbsync"
"""The user of the agent's unit, which owns a new state directory."""
GROUPS = ("haproxy", "systemd-journal")
"""`SupplementaryGroups=` of the agent's unit."""
_UMASK = 0o027
"""`UMask=` of the agent's unit."""
_MODE = 0o750
_MAY_BIND = 1 << 10
"""CAP_NET_BIND_SERVICE (capability.h), the one capability of the agent's unit."""
_CAPABILITY_V3 = 0x20080522
_KEEP_CAPABILITIES = 8
"""PR_SET_KEEPCAPS (prctl.h)."""


def drop_privileges(state_dir: Path, *, sockets: Iterable[str | None] = ()) -> str:
    """As root, go on as the user that owns the state directory: the agent.

    `sockets`: of HAProxy; their groups are joined as well, for commands that act for the agent. Return
    the user's name; empty: nothing changed. Raises `Unavailable` when there is no such directory.
    """
    try:
        owner = state_dir.stat()
    except OSError as error:
        raise Unavailable(
            f"{state_dir}: {error.strerror}; is this the host, and --state-dir right?"
        ) from error
    if os.geteuid() != 0 or owner.st_uid == 0:
        return ""
    try:
        user = pwd.getpwuid(owner.st_uid)
    except KeyError as error:
        raise LbsyncError(f"{state_dir}: belongs to user {owner.st_uid}, who is unknown") from error
    groups = {*os.getgrouplist(user.pw_name, owner.st_gid), *_gids(GROUPS), *_owners(sockets)}
    LIBC.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups(sorted(groups))
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    _keep_one_capability()
    os.umask(_UMASK)
    if not os.access(os.__file__, os.R_OK):
        raise LbsyncError(
            f"{os.__file__}: user {user.pw_name}, who owns {state_dir}, may not read the Python that "
            "runs lbsync, so nothing was done; install lbsync where everybody may (`make install`)"
        )
    return user.pw_name


def make_state_dir(state_dir: Path) -> None:
    """Create the state directory if it is missing; as root, for the agent's user if there is one.

    Raises `LbsyncError`.
    """
    if state_dir.is_dir():
        return
    try:
        state_dir.mkdir(_MODE, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            with contextlib.suppress(KeyError):  # without the agent's user it stays root's
                user = pwd.getpwnam(AGENT)
                os.chown(state_dir, user.pw_uid, user.pw_gid)
    except OSError as error:
        otherwise = "run as the agent's user, or name another --state-dir"
        raise LbsyncError(f"{state_dir}: {cannot('be made', error, otherwise)}") from error


def _gids(names: Iterable[str]) -> set[int]:
    found = set()
    for name in names:
        with contextlib.suppress(KeyError):
            found.add(grp.getgrnam(name).gr_gid)
    return found


def _owners(sockets: Iterable[str | None]) -> set[int]:
    found = set()
    for path in filter(None, sockets):
        with contextlib.suppress(OSError):
            found.add(Path(path).stat().st_gid)
    return found


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """`__user_cap_data_struct`: effective, permitted, inheritable; twice in version 3."""

    _fields_ = tuple((f"{name}{half}", ctypes.c_uint32) for half in (0, 1) for name in "epi")


def _keep_one_capability() -> None:
    """Keep only the right to bind ports below 1024, as the unit does.

    Without effect where the kernel refuses, as in a container without that right.
    """
    sets = _Sets(e0=_MAY_BIND, p0=_MAY_BIND)
    capset = LIBC.capset
    if capset(ctypes.byref(_Header(_CAPABILITY_V3, 0)), ctypes.byref(sets)) != 0:
        capset(ctypes.byref(_Header(_CAPABILITY_V3, 0)), ctypes.byref(_Sets()))
