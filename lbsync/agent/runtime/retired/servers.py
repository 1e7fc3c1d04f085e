"""Deleting retired servers once they have ended their sessions.

A plan retires a server (`RetireServer`: no new sessions). Here it is put into maintenance and
deleted as soon as it has no connections or its time is up. One that HAProxy refuses to delete
stays in maintenance, without traffic, until the next reload forgets it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from lbsync.agent.runtime.commands import DELETED
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.sockets import WorkerSocket

Name = tuple[str, str]
"""Backend and server."""

_MOST_AT_ONCE = 500
"""Servers deleted in one call: at 0.1 ms each (measured) it stays short."""
_REFERENCED = "due to other configuration elements"
"""Part of HAProxy's reply when `track` or `use-server` names the server."""


class ReapResult(msgspec.Struct, frozen=True):
    """The result of one attempt to delete the servers that are leaving."""

    deleted: tuple[Name, ...] = ()
    waiting: tuple[Name, ...] = ()
    """They still have connections and time."""
    refused: tuple[tuple[Name, str], ...] = ()
    """In maintenance, not deleted, and HAProxy's words why; tried again unless `stuck`."""
    stuck: tuple[Name, ...] = ()
    """In maintenance until the next reload: other lines of the configuration name them."""


class RetiredServers:
    """Follows the servers that `RuntimeConfig.leaving` names, for as long as one worker lives."""

    def __init__(self, worker: WorkerSocket, limit_s: float) -> None:
        """`limit_s`: seconds a retired server may take to finish its sessions."""
        self._worker = worker
        self._limit_s = limit_s
        self._since: dict[Name, float] = {}
        self._stuck: set[Name] = set()

    def reap(self, running: RuntimeConfig, now: float) -> ReapResult:
        """Delete what can be deleted; take it out of `running.leaving`.

        `now`: seconds on a clock that does not jump (`time.monotonic`). Asks HAProxy nothing while
        no server is leaving. Raises `Unavailable`; calling again goes on from there.
        """
        names = set(running.leaving.names())
        self._since = {name: self._since.get(name, now) for name in names}
        self._stuck &= names
        if not names - self._stuck:
            return ReapResult(stuck=tuple(sorted(self._stuck)))
        used = self._connections({backend for backend, _ in names})
        for name in names - used.keys():
            running.leaving.forget_server(*name)
        due, waiting = ready(used, self._since, now, self._limit_s, self._stuck)
        deleted, refused = self._delete(running, due[:_MOST_AT_ONCE])
        waiting += due[_MOST_AT_ONCE:]
        return ReapResult(deleted, tuple(waiting), refused, tuple(sorted(self._stuck)))

    def _connections(self, backends: Iterable[str]) -> dict[Name, int]:
        """Return how many connections each server of these backends has in use."""
        used: dict[Name, int] = {}
        for batch in self._worker.batches([f"show servers conn {b}" for b in sorted(backends)]):
            used.update(answers.parse_connections(self._worker.run(batch)))
        return used

    def _delete(
        self, running: RuntimeConfig, names: list[Name]
    ) -> tuple[tuple[Name, ...], tuple[tuple[Name, str], ...]]:
        # Entering maintenance closes idle connections. A request that ends later leaves another one,
        # which nothing closes: so the server enters maintenance again (measured).
        enter = [
            f"set server {backend}/{name} state {state}"
            for backend, name in names
            for state in ("drain", "maint")
        ]
        for batch in self._worker.batches(enter):
            self._worker.run(batch)
        deleted: list[Name] = []
        refused: list[tuple[Name, str]] = []
        for backend, name in names:
            # One by one: on 2.6 the reply is not closed by an empty line (measured).
            reply = self._worker.run([f"del server {backend}/{name}"]).strip()
            if DELETED.fullmatch(reply) or reply == "No such server.":
                running.leaving.forget_server(backend, name)
                deleted.append((backend, name))
            else:
                refused.append(((backend, name), reply))
                if _REFERENCED in reply:
                    self._stuck.add((backend, name))
        return tuple(deleted), tuple(refused)


def ready(
    used: Mapping[Name, int],
    since: Mapping[Name, float],
    now: float,
    limit_s: float,
    stuck: set[Name],
) -> tuple[list[Name], list[Name]]:
    """Return which of the leaving servers are to be deleted now, and which are to wait. Pure."""
    names = sorted(name for name in since if name in used and name not in stuck)
    due = [name for name in names if not used[name] or now - since[name] >= limit_s]
    return due, [name for name in names if name not in set(due)]
