"""HAProxy's processes: which there are, how much they hold, and the signal that reloads them.

What cannot be seen (another pid namespace, another user) is left out, never guessed.
"""

import contextlib
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lbsync.deferred import Deferred
from lbsync.errors import Denied, Unavailable

if TYPE_CHECKING:
    import psutil
else:
    psutil = Deferred("psutil")  # 15 ms

_CAP_NET_BIND_SERVICE = 10


def is_haproxy(pid: int) -> bool:
    """Tell whether this process id is, here, a HAProxy."""
    try:
        return psutil.Process(pid).name().startswith("haproxy")
    except psutil.Error:
        return False


def master_pid(pid_file: str) -> int:
    """Return the master's process id from the file of `haproxy -p`; verified to be HAProxy.

    Raises `Unavailable` when the file is missing, stale, or names another program.
    """
    try:
        pid = int(Path(pid_file).read_text().split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise Unavailable(f"{pid_file}: no process id in it: {error}") from error
    try:
        name = psutil.Process(pid).name()
    except psutil.Error as error:
        raise Unavailable(f"{pid_file}: process {pid} is not running: {error}") from error
    if not name.startswith("haproxy"):
        raise Unavailable(f"{pid_file}: process {pid} is {name!r}, not HAProxy; the file is stale")
    return pid


def working_directory(pid: int) -> tuple[int, int] | None:
    """Return device and inode of the directory that a HAProxy process stands in.

    None where that cannot be seen: another user's process, or one of another pid namespace.
    """
    if not is_haproxy(pid):
        return None
    try:
        stat = Path(f"/proc/{pid}/cwd").stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def command_line(pid: int) -> list[str]:
    """Return the words that a HAProxy process was started with; none where they cannot be seen."""
    if not is_haproxy(pid):
        return []
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def age(pid: int) -> float:
    """Return for how many seconds a process has been running; 0 if it is gone."""
    try:
        return max(0.0, time.time() - psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def may_bind_low_ports(pid: int) -> bool | None:
    """Tell whether a HAProxy process holds CAP_NET_BIND_SERVICE (capabilities(7)).

    None where that cannot be seen: a process of another pid namespace.
    """
    if not is_haproxy(pid):
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> _CAP_NET_BIND_SERVICE & 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def request_reload(pid: int) -> None:
    """Send the master SIGUSR2. Raises `Unavailable` when it is gone, `Denied` when not ours."""
    _signal(pid, signal.SIGUSR2)


def may_signal(pid: int) -> None:
    """Raise what `request_reload` would raise, having sent nothing."""
    _signal(pid, 0)  # kill(2): with 0, only existence and rights are checked


def _signal(pid: int, number: int) -> None:
    try:
        psutil.Process(pid).send_signal(number)
    except psutil.NoSuchProcess as error:
        raise Unavailable(
            f"HAProxy's master {pid} is gone (or in another pid namespace)"
        ) from error
    except psutil.AccessDenied as error:
        raise Denied(
            f"HAProxy's master {pid} belongs to another user; reload through the master socket"
        ) from error


def ports(pids: list[int]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the TCP ports that these processes listen on, and the UDP ports that they have, as far as
    they can be seen."""
    tcp: set[int] = set()
    udp: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            for connection in psutil.Process(pid).net_connections("inet"):
                if connection.type == socket.SOCK_DGRAM and connection.laddr:
                    udp.add(connection.laddr.port)
                elif connection.status == psutil.CONN_LISTEN and connection.laddr:
                    tcp.add(connection.laddr.port)
    return frozenset(tcp), frozenset(udp)
