"""Which generation's directory HAProxy's master may stand in.

With `default-path config` the master changes into the directory of the file that it reads, and where
it cannot open a file that is named there, it stays (measured up to 3.0). Each later reload asks for
the master's working directory first: were that removed, none would succeed any more, for as long as
the master lives. So it is not.
"""

import time
from pathlib import Path

from lbsync.clients.haproxy import processes, sockets
from lbsync.clients.haproxy.answers import Master
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import Unavailable

#: How exactly the ages of a process and of a file compare: `show proc` counts whole seconds.
_INEXACT_S = 5.0


class MasterDirectory:
    """Looks at the master of this host's HAProxy; never raises."""

    def __init__(self, options: HaproxyOptions) -> None:
        self._socket = sockets.master(options)
        self._pid_file = options.pid_file
        self._failure: tuple[int, int] | None = None

    def is_in(self, directory: Path) -> bool | None:
        """Tell whether the master stands in this directory; None if that cannot be seen.

        It cannot be seen where the master runs as another user, or in another pid namespace.
        """
        pid = self._pid()
        place = processes.working_directory(pid) if pid else None
        if place is None:
            return None
        try:
            stat = directory.stat()
        except OSError:
            return False
        return place == (stat.st_dev, stat.st_ino)

    def may_be_in(self, emptied: Path) -> bool:
        """Tell whether the master may stand in a directory that was emptied and is live no more.

        Where that cannot be seen, only a master that started later is known not to.
        """
        seen = self.is_in(emptied)
        if seen is not None:
            return seen
        master = self._master()
        if master is None or master.uptime_s < 0:
            return True
        try:
            age = time.time() - emptied.stat().st_mtime
        except OSError:
            return False
        return master.uptime_s + _INEXACT_S > age

    def has_new_failure(self) -> bool:
        """Tell, once for each failure, that a reload has failed, whoever asked for it."""
        master = self._master()
        if master is None or master.failed <= 0:
            return False
        failure = (master.pid, master.reloads)
        before, self._failure = self._failure, failure
        return failure != before

    def _master(self) -> Master | None:
        if self._socket is None:
            return None
        try:
            return self._socket.show_proc(retry_s=0)
        except Unavailable:
            return None

    def _pid(self) -> int:
        """Return the master's process id here; 0 if none is known."""
        master = self._master()
        if master is not None:
            return master.pid
        try:
            return processes.master_pid(self._pid_file)
        except Unavailable:
            return 0
