"""The socket that is listened on: made with one clear sentence for whatever is in the way."""

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from lbsync.errors import LbsyncError
from lbsync.values.addresses import HttpBind

BACKLOG = 64
_MODE = 0o660
_PROBE_S = 1.0
_FIRST_FREE = 1024
_CURES = {
    errno.EADDRINUSE: "another program listens there (ss -ltnp names it); choose another",
    errno.EADDRNOTAVAIL: "this host does not have that address",
    errno.EAFNOSUPPORT: "this host has no IPv6",
    errno.EACCES: "give lbsync's user the right to it, or choose another",
    errno.EPERM: "give lbsync's user the right to it, or choose another",
    errno.ENOENT: "make its directory first",
    errno.ENOTDIR: "make its directory first",
    errno.EROFS: "choose a directory that can be written, such as /run/lbsync",
}


def listen(bind: HttpBind) -> socket.socket:
    """Return a socket that listens at `bind`. Raises `LbsyncError` with what is in the way, and the cure.

    A socket file that nobody listens on any more is replaced. A new one is open to its owner and group.
    """
    with contextlib.ExitStack() as undo:
        try:
            made = _at_path(Path(bind.path)) if bind.path else _at_port(bind)
            undo.callback(made.close)
            made.listen(BACKLOG)
        except OSError as error:
            raise LbsyncError(_sentence(bind, error)) from error
        undo.pop_all()
        return made


def _sentence(bind: HttpBind, error: OSError) -> str:
    cure = _CURES.get(error.errno or 0, "")
    return f"{bind} cannot be listened on: {error.strerror or error}{f'; {cure}' if cure else ''}"


def obstacle(bind: HttpBind) -> str:
    """Return why `listen` would fail for this user, in the same words; empty: nothing is in the way, or it is lbsync
    that answers there. Nothing is changed."""
    try:
        if bind.path:
            _look_at_path(Path(bind.path))
        else:
            _at_port(bind).close()
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        # The units give the right to low ports, which whoever looks need not have.
        is_low = error.errno in (errno.EACCES, errno.EPERM) and 0 < bind.port < _FIRST_FREE
        return "" if is_low or (is_taken and _is_lbsync(bind)) else _sentence(bind, error)
    except LbsyncError as error:
        return str(error)
    return ""


def _look_at_path(path: Path) -> None:
    """Raise what `_at_path` would, as far as that is known without making anything."""
    _is_left_over(path)
    if not path.parent.is_dir():
        raise OSError(errno.ENOENT, f"{path.parent} is no directory, or is closed to this user")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, f"this user may not write in {path.parent}")


def _is_lbsync(bind: HttpBind) -> bool:
    """Tell whether it is a program of ours that answers there."""
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    with socket.socket(socket.AF_UNIX if bind.path else family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(bind.path or (bind.address, bind.port))
            probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            head = probe.recv(4096).lower()
        except OSError:
            return False
    return b"\r\nserver: lbsync\r\n" in head


def remove(bind: HttpBind, made: socket.socket) -> None:
    """Close the socket and remove its file, unless somebody else listens there by now."""
    made.close()
    if not bind.path:
        return
    with contextlib.suppress(OSError):
        if _is_stale(Path(bind.path)):
            Path(bind.path).unlink()


def _at_port(bind: HttpBind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((bind.address, bind.port))
    except OSError:
        made.close()
        raise
    return made


def _at_path(path: Path) -> socket.socket:
    if _is_left_over(path):
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(_MODE)
    except OSError:
        made.close()
        raise
    return made


def _is_left_over(path: Path) -> bool:
    """Tell whether there is a socket on which nobody listens. Raises `LbsyncError` if there is something else,
    `OSError` where somebody does."""
    if not (path.is_symlink() or path.exists()):
        return False
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise LbsyncError(f"{path} cannot be listened on: it is no socket; choose another path")
    if not _is_stale(path):
        raise OSError(errno.EADDRINUSE, "another program listens there")
    return True


def _is_stale(path: Path) -> bool:
    """Tell whether nobody listens on a socket file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
