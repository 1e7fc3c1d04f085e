"""Deleting retired backends once they have ended their sessions.

A plan retires a backend (`RetireBackend`: no new requests). Its servers stay as they are until the last
request has left it, or its time is up; then they go into maintenance, and all of it is deleted. Sessions
that outlive their time hold their server, and with it the backend, until they end by themselves.
"""

import msgspec

from lbsync import log
from lbsync.agent.runtime.commands import BACKEND_DELETED, DELETED
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.clients.haproxy import stat
from lbsync.clients.haproxy.sockets import WorkerSocket
from lbsync.clients.haproxy.stat import StatRow

_MOST_AT_ONCE = 100
"""Backends deleted in one call: at 0.5 ms each (measured) it stays short."""
_GONE = ("No such backend.", "No such server.")
_NOT_YET = "Only a backend without server can be deleted."


class RetiredBackends:
    """Follows the backends that are leaving, for as long as one worker lives."""

    def __init__(self, worker: WorkerSocket, limit_s: float) -> None:
        """`limit_s`: seconds a retired backend may take to finish its sessions."""
        self._worker = worker
        self._limit_s = limit_s
        self._since: dict[str, float] = {}
        self._stuck: set[str] = set()

    def reap(self, running: RuntimeConfig, now: float) -> bool:
        """Delete what can be deleted; tell whether some are left for another call.

        `now`: seconds on a clock that does not jump (`time.monotonic`). Asks HAProxy nothing while no
        backend is leaving. Raises `Unavailable`; calling again goes on from there.
        """
        names = set(running.leaving.backends)
        self._since = {name: self._since.get(name, now) for name in names}
        self._stuck &= names
        rows = self._rows(names - self._stuck)
        for name in names - self._stuck - rows.keys():
            running.leaving.forget_backend(name)
        due = [n for n in sorted(rows) if is_idle(rows[n]) or now - self._since[n] >= self._limit_s]
        for name in due[:_MOST_AT_ONCE]:
            self._take_apart(running, name, [row.server for row in rows[name] if row.server])
        return bool(running.leaving.backends.keys() - self._stuck)

    def _rows(self, names: set[str]) -> dict[str, list[StatRow]]:
        found: dict[str, list[StatRow]] = {}
        for batch in self._worker.batches(map(stat.command, sorted(names))):
            for row in stat.parse(self._worker.run(batch)):
                found.setdefault(row.backend, []).append(row)
        return found

    def _take_apart(self, running: RuntimeConfig, name: str, servers: list[str]) -> None:
        left = running.leaving.backends[name]
        # Before the first command: what is half done is not brought back, but made anew by a reload.
        running.leaving.backends[name] = msgspec.structs.replace(left, taken_apart=True)
        # Entering maintenance closes idle connections, also those that a request left since the last time.
        enter = [
            f"set server {name}/{s} state {state}" for s in servers for state in ("drain", "maint")
        ]
        for batch in self._worker.batches(enter):
            self._worker.run(batch)
        for server in servers:
            # One by one: the reply is not always closed by an empty line (2.6).
            reply = self._worker.run([f"del server {name}/{server}"]).strip()
            if not DELETED.fullmatch(reply) and reply not in _GONE:
                return  # it has a session
        reply = ""
        # Twice: a reply may be the words of the command before it (3.4, measured).
        for _ in range(2):
            reply = self._worker.run([f"del backend {name}"]).strip()
            if BACKEND_DELETED.fullmatch(reply) or reply in _GONE:
                running.leaving.forget_backend(name)
                return
        if _NOT_YET not in reply:
            self._stuck.add(name)
            log.get().warning(
                f"backend {name} gets no requests any more, but stays until the next reload: HAProxy "
                f"does not delete it: {reply.splitlines()[-1] if reply else 'it said nothing'}"
            )


def is_idle(rows: list[StatRow]) -> bool:
    """Tell whether a backend has neither a request nor a session. Pure."""
    return not any(row.scur or row.qcur for row in rows)
