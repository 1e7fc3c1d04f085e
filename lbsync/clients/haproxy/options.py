"""How to reach the HAProxy of this host."""

from pathlib import Path
from typing import Literal

import msgspec

from lbsync.settings.root import Settings

ReloadMethod = Literal["master", "signal", "command"]


class HaproxyOptions(msgspec.Struct, frozen=True):
    """Where HAProxy's parts are, how it is reloaded, and where generations are kept."""

    binary: str = "haproxy"
    """Name or path of the program. Must be the same version as the one that runs, since it is
    what checks each configuration."""
    master_socket: str = "/run/haproxy-master.sock"
    """Path of the master socket (`haproxy -W -S PATH`); empty where there is none."""
    stats_socket: str = ""
    """Path of the `stats socket` with `level admin`; empty: go through the master socket."""
    reload: ReloadMethod = "master"
    """`master`: ask on its socket; `signal`: SIGUSR2 to the master; `command`: `reload_command`."""
    reload_command: tuple[str, ...] = ()
    """Program and arguments for `reload = "command"`: `systemctl`, `reload`, `haproxy`."""
    pid_file: str = "/run/haproxy.pid"
    """Where `haproxy -p` writes the master's process id; used by `signal` without a socket."""
    check_timeout_s: float = 30.0
    """Seconds `haproxy -c` may take. 10,000 backends take 0.3 s (measured); only names that do
    not resolve take longer."""
    reload_timeout_s: float = 30.0
    """Seconds from the request to reload until the new worker must have answered."""
    start_timeout_s: float = 1.5
    """Seconds to go on trying a socket that refuses before HAProxy counts as not running. It is
    re-created in each reload, so a few refusals are normal (measured: 10 to 100 ms)."""
    state_dir: str = "/var/lib/lbsync"
    """Holds `generations/` and the link `live`; HAProxy runs with `-f <state_dir>/live/haproxy.cfg`."""
    keep_generations: int = 10
    """How many generations stay on disk, besides the live and the confirmed one."""
    lock_file: str = ""
    """File that is locked (`flock`) around each reload, to be shared with other reloaders; empty:
    `<state_dir>/reload.lock`."""

    @property
    def lock_path(self) -> Path:
        """The lock file's path, the default filled in."""
        return Path(self.lock_file) if self.lock_file else Path(self.state_dir) / "reload.lock"


def from_settings(settings: Settings) -> HaproxyOptions:
    """Return what the settings say about the HAProxy of this host."""
    haproxy = settings.haproxy
    return HaproxyOptions(
        binary=haproxy.binary,
        master_socket=haproxy.master_socket or "",
        stats_socket=haproxy.stats_socket or "",
        reload=haproxy.reload,
        reload_command=haproxy.reload_command,
        pid_file=haproxy.pid_file,
        check_timeout_s=haproxy.check_timeout.seconds,
        reload_timeout_s=haproxy.reload_timeout.seconds,
        state_dir=settings.state_dir,
        keep_generations=settings.agent.keep_generations,
    )
