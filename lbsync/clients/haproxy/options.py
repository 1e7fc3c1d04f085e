"""How to reach the HAProxy of this host."""

from pathlib import Path
from typing import Literal

import msgspec

from lbsync.settings.root import Settings

ReloadMethod = Literal["master", "signal", "command"]


class HaproxyOptions(msgspec.Struct, frozen=True):
    """What the settings of several sections say about the HAProxy of this host; what each means, and its
    default, stands there."""

    binary: str
    """Must be the same version as the one that runs, since it is what checks each configuration."""
    master_socket: str
    """Empty where there is none."""
    stats_socket: str
    """Empty: go through the master socket."""
    reload: ReloadMethod
    reload_command: tuple[str, ...]
    pid_file: str
    check_timeout_s: float
    reload_timeout_s: float
    state_dir: str

    @property
    def lock_path(self) -> Path:
        """The file that is locked around each reload."""
        return Path(self.state_dir) / "reload.lock"


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
    )
