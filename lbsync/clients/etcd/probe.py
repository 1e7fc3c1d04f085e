"""Ask etcd whether it is still there, and now and then whether the mirror is right.

A watch says nothing while nothing changes, whether its member is quiet, frozen or unplugged. So a
small linearizable read goes over the same connection every few seconds. etcd's own progress
request is not used for this: its answer is not synchronised with the events (etcd#15220).

What comes on the connection's streams is handed on by one thread of gRPC's, and the answer to this read is, too:
without that thread a watch would be silent for ever, and not even its time limit would end it.
"""

import random
import threading
import time
from typing import Any

import grpc

from lbsync import log
from lbsync.clients.etcd.auth import Metadata
from lbsync.clients.etcd.connections import Connection, Connections
from lbsync.clients.etcd.failures import Kind, RpcFailure
from lbsync.clients.etcd.kv import Kv
from lbsync.clients.etcd.mirror import Mirror, differences
from lbsync.clients.etcd.protobuf import etcdrpc
from lbsync.clients.etcd.watch import Relist, Watch
from lbsync.errors import Unavailable
from lbsync.model.snapshot import Item
from lbsync.threads import SupervisedThread

_EVERY = 5.0
_DEADLINE = 3.0
#: By when after its time limit a call has ended that anybody hears of.
_SLACK = 0.5
_FAILURES = 2
_JITTER = 0.1
_JOIN = 10.0
#: Seconds after which a thread that has not come round is not at work: longer than a probe and a full
#: comparison take where etcd answers slowly.
LATE_S = 60.0


class Probe:
    """The thread that doubts: it interrupts the watch, never the other way round."""

    def __init__(
        self,
        connections: Connections,
        kv: Kv,
        mirror: Mirror,
        watch: Watch,
        *,
        resync: float,
        every: float = _EVERY,
    ) -> None:
        """Probe each `every` seconds, compare everything each `resync` seconds."""
        self._connections = connections
        self._kv = kv
        self._mirror = mirror
        self._watch = watch
        self._resync = resync
        self._every = every
        self._stopped = threading.Event()
        self._failures = 0
        self._suspects: dict[str, tuple[Item | None, Item | None]] = {}
        self._compare_at = self._next_comparison()
        self._turned_at = time.monotonic()
        self._thread = SupervisedThread(self._run, "etcd-probe")
        self.differences = 0
        """Keys that full comparisons found to be wrong in the mirror, since the start."""

    def start(self) -> None:
        """Begin in a thread of its own. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stopped.set()
        self._thread.stop()

    def silent_for(self) -> float:
        """Return for how many seconds the thread has not come round; see `LATE_S`."""
        return time.monotonic() - self._turned_at

    def join(self) -> None:
        """Wait until the thread has ended, which a call in progress may delay."""
        self._thread.join(_JOIN)

    def _run(self) -> None:
        while not self._stopped.wait(min(self._every, self._resync)):
            self._turned_at = time.monotonic()
            connection = self._watch.connection()
            if connection is None:
                self._failures = 0
            elif self._alive(connection) and time.monotonic() >= self._compare_at:
                self._compare(connection)

    def _alive(self, connection: Connection) -> bool:
        """Read once over the connection of the watch; interrupt the watch if that will not do."""
        held, cluster_id = self._mirror.revision, self._mirror.cluster_id
        request = etcdrpc.RangeRequest(
            key=self._kv.prefix, range_end=self._kv.range_end, limit=1, keys_only=True
        )
        try:
            header = self._connections.once(connection, _through_streams, request, _DEADLINE).header
        except Unavailable as error:
            self._failures += 1
            known = error if isinstance(error, RpcFailure) else None
            if known is not None and (known.timed_out or self._failures >= _FAILURES):
                self._watch.interrupt(connection, known)
            return False
        self._failures = 0
        if header.cluster_id != cluster_id or header.revision < held:
            self._watch.interrupt(connection, Relist(f"{connection.url} has another past"))
            return False
        return True

    def _compare(self, connection: Connection) -> None:
        """List everything and compare it with the mirror, twice if there is a difference.

        A change that happens meanwhile looks like a difference once. One that is there again at
        the next probe, with the same on both sides, is an event that never came.
        """
        try:
            stored = self._kv.list()
        except Unavailable as error:
            log.get().warning("cannot compare the mirror with etcd", why=str(error))
            self._compare_at = self._next_comparison()
            return
        held = self._mirror.snapshot()
        found = differences(held.items if held else {}, stored.items)
        wrong = [key for key in found if self._suspects.get(key) == found[key]]
        if wrong:
            self.differences += len(wrong)
            log.get().error("the mirror differed from etcd", keys=wrong[:10], count=len(wrong))
            self._watch.interrupt(connection, Relist(f"{len(wrong)} keys differ from the mirror"))
        self._suspects = {} if self._suspects else found
        if not self._suspects:
            self._compare_at = self._next_comparison()

    def _next_comparison(self) -> float:
        return time.monotonic() + self._resync * (1 + random.uniform(0, _JITTER))


def _through_streams(client: Any) -> Any:
    """Return a read whose answer comes the way that those of streams come."""

    def call(request: Any, *, timeout: float, metadata: Metadata) -> Any:
        pending = client.kvstub.Range.future(request, timeout=timeout, metadata=metadata)
        try:
            return pending.result(timeout + _SLACK)
        except grpc.FutureTimeoutError as error:
            late = RpcFailure("etcd", Kind.ELSEWHERE, "no answer is heard, not even in time")
            late.timed_out = True
            raise late from error

    return call
