"""Deleting what was retired, servers and whole backends, once nobody uses it."""

import time

from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.retired.backends import RetiredBackends
from lbsync.agent.runtime.retired.servers import RetiredServers
from lbsync.clients.haproxy.sockets import WorkerSocket


class Reaper:
    """Deletes what is leaving one HAProxy."""

    def __init__(self, worker: WorkerSocket, limit_s: float) -> None:
        """`limit_s`: seconds that sessions may take to end."""
        self._worker = worker
        self._limit_s = limit_s
        self.begin()

    def begin(self) -> None:
        """Another worker serves: what the one before had retired is no matter any more."""
        self._servers = RetiredServers(self._worker, self._limit_s)
        self._backends = RetiredBackends(self._worker, self._limit_s)

    def reap(self, running: RuntimeConfig) -> bool:
        """Delete what is idle; tell whether some is left for another call. Raises `Unavailable`."""
        if not running.leaving:
            return False
        now = time.monotonic()
        servers = self._servers.reap(running, now).waiting
        return self._backends.reap(running, now) or bool(servers)
