"""Keep a `Mirror` fresh: list once, follow the watch, and start over when that cannot be trusted.

One thread reads the stream of a raw Watch RPC, a second one probes (see `probe`). A lost stream is
resumed at the last event's revision + 1, never at the header's: while etcd catches up, the header
is ahead of the events.
"""

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.clients.etcd.auth import Metadata
from lbsync.clients.etcd.connections import Connection, Connections
from lbsync.clients.etcd.failures import CALL_ERRORS, Kind, RpcFailure, failure, kind_of
from lbsync.clients.etcd.kv import Kv
from lbsync.clients.etcd.mirror import Change, Mirror
from lbsync.clients.etcd.protobuf import etcdrpc
from lbsync.clients.source import Health
from lbsync.errors import LbsyncError, Stuck, Unavailable
from lbsync.threads import SupervisedThread, supervise

_FIRST_PAUSE = 0.1
_LAST_PAUSE = 1.0
_REFUSED_PAUSE = 5.0
_SETTLED_AFTER = 2.0
_JOIN = 10.0
#: A stream that was given up ends in milliseconds; one that does not is read by nobody.
_GIVEN_UP_AFTER = 8.0
#: A process that was stopped (SIGSTOP) has let its threads do nothing meanwhile: one look is too few.
_LATE_LOOKS = 2
_NOT_YET = "etcd was not listed yet"


class Relist(LbsyncError):
    """The mirror can no longer be brought up to date by events; the message says why."""


class Watch:
    """The thread that owns a mirror. `wake` is called after each change of mirror or health."""

    def __init__(
        self, connections: Connections, kv: Kv, mirror: Mirror, wake: Callable[[], None]
    ) -> None:
        self._connections = connections
        self._kv = kv
        self._mirror = mirror
        self._wake = wake
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._call: Any = None
        self._connection: Connection | None = None
        self._interrupt: Relist | RpcFailure | None = None
        self._relist: str | None = "first listing"
        self._proven = False
        self._health = Health(False, _NOT_YET, time.time())
        self._interrupted_at = math.inf
        self._late_looks = 0
        self._thread = SupervisedThread(self._run, "etcd-watch", on_fault=self._failed)

    def start(self) -> None:
        """Begin in a thread of its own. Once only."""
        self._thread.start()
        supervise(self)

    def restart_ended(self) -> None:
        """Raise `Stuck` for a stream that was given up and does not end, as when the thread of gRPC's that
        hands on what comes has died: nothing that comes on this connection is heard any more."""
        if self._stopped.is_set() or not self._is_late():
            self._late_looks = 0
            return
        self._late_looks += 1
        if self._late_looks >= _LATE_LOOKS:
            raise Stuck(
                f"the watch of etcd was given up ({self._interrupt}) and does not end; only a new process can watch"
            )

    def _is_late(self) -> bool:
        return time.monotonic() - self._interrupted_at > _GIVEN_UP_AFTER

    def stop(self) -> None:
        """End the stream and ask the thread to end; `join` waits for it."""
        self._stopped.set()
        self._thread.stop()
        with self._lock:
            if self._call is not None:
                self._call.cancel()

    def join(self) -> None:
        """Wait until the thread has ended, which a call in progress may delay; not for one that was given up."""
        self._thread.join(0.0 if self._is_late() else _JOIN)

    def health(self) -> Health:
        """Return whether the watch is open, or why not and since when."""
        health = self._health
        if health.ok and not self._thread.is_alive():
            return Health(False, "the thread that watches etcd has ended", health.since)
        if health.ok and self._is_late():
            return Health(
                False, "a watch that was given up does not end; restart lbsync", health.since
            )
        return health

    def connection(self) -> Connection | None:
        """Return the endpoint that the stream hangs on; None while there is no stream."""
        return self._connection

    def interrupt(self, connection: Connection, why: Relist | RpcFailure) -> None:
        """Give up the stream on `connection`, if it is still the one, and open another."""
        with self._lock:
            if self._connection is connection and self._call is not None:
                self._interrupt = why
                self._interrupted_at = min(self._interrupted_at, time.monotonic())
                self._call.cancel()

    def _run(self) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LAST_PAUSE, spread=(0.5, 1.0))
        while not self._stopped.is_set():
            listed = math.inf
            try:
                self._refresh()
                listed = time.monotonic()
                self._follow(self._connections.current())
            except (Relist, Unavailable) as error:
                self._down(str(error))
                # A listing that failed after a long time is no success.
                if time.monotonic() - listed > _SETTLED_AFTER:
                    backoff.reset()
                pause = backoff.pause()
                if isinstance(error, Relist):
                    self._relist = str(error)
                elif isinstance(error, RpcFailure) and error.kind is Kind.REFUSED:
                    pause = _REFUSED_PAUSE
                elif isinstance(error, RpcFailure) and error.kind is Kind.INVALID:
                    self._relist = str(error)  # such as a response that nothing can receive
                self._stopped.wait(pause)

    def _refresh(self) -> None:
        """Bring the mirror to where events can take over: list it, or prove that it may stay."""
        if self._relist is None and not self._proven:
            newest = self._mirror.newest()
            if newest is None:
                self._relist = "nothing is held that could be compared"
            elif not self._kv.proves(newest):
                self._relist = f"{newest.key} of revision {newest.mod_revision} is not in its past"
        if self._relist is not None:
            listing = self._kv.list()
            held = self._mirror.revision
            log.get().info("listed etcd", why=self._relist, revision=listing.revision, held=held)
            self._relist = None
            if self._mirror.replace(listing):
                self._wake()
        self._proven = True

    def _follow(self, connection: Connection) -> None:
        """Read one stream until it ends; always ends in `Relist` or `Unavailable`."""
        self._proven = False
        metadata: Metadata = ()
        try:
            metadata = self._connections.tokens.metadata()
            self._read(connection, metadata)
            raise RpcFailure(connection.url, Kind.ELSEWHERE, "closed the watch")
        except CALL_ERRORS as error:
            why = self._interrupt or failure(connection.url, error, self._connections.explain)
            self._connections.leave(connection, why)
            raise why from error
        except RpcFailure as error:
            if error.kind is Kind.STALE_TOKEN:
                self._connections.tokens.drop(metadata)
            self._connections.leave(connection, error)
            raise

    def _read(self, connection: Connection, metadata: Metadata) -> None:
        """Open the stream and take in its responses until it ends or `stop` cancels it."""
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        requests.put(self._create_request())
        call = connection.watch(
            iter(requests.get, None), metadata=(*metadata, ("hasleader", "true"))
        )
        with self._lock:
            self._call, self._connection, self._interrupt = call, connection, None
        try:
            if not self._stopped.is_set():
                for response in call:
                    self._receive(connection, response)
        finally:
            with self._lock:
                self._call = self._connection = None
                self._interrupted_at = math.inf
            call.cancel()
            requests.put(None)

    def _create_request(self) -> Any:
        return etcdrpc.WatchRequest(
            create_request=etcdrpc.WatchCreateRequest(
                key=self._kv.prefix,
                range_end=self._kv.range_end,
                start_revision=self._mirror.revision + 1,
                progress_notify=True,
            )
        )

    def _receive(self, connection: Connection, response: Any) -> None:
        # A refused watch is answered with created *and* canceled set; canceled has the truth.
        if response.canceled:
            self._refused(connection, response)
        header = response.header
        if header.cluster_id != self._mirror.cluster_id:
            raise Relist(f"{connection.url} belongs to another cluster than before")
        if header.revision < self._mirror.revision:
            raise Relist(
                f"etcd went back from revision {self._mirror.revision} to {header.revision}"
            )
        if response.created:
            self._up(connection)
        if response.events and self._mirror.apply(map(self._change, response.events)):
            self._wake()

    def _refused(self, connection: Connection, response: Any) -> None:
        if response.compact_revision > 0:
            raise Relist(f"etcd compacted up to revision {response.compact_revision}")
        reason = response.cancel_reason or "canceled the watch"
        raise RpcFailure(connection.url, kind_of(grpc.StatusCode.UNKNOWN, reason), reason)

    def _change(self, event: Any) -> Change:
        kv = event.kv
        deleted = event.type == event.DELETE
        return Change(
            kv.key[len(self._kv.prefix) :],
            None if deleted else kv.value,
            kv.create_revision,
            kv.mod_revision,
            bool(kv.lease),
        )

    def _up(self, connection: Connection) -> None:
        if not self._health.ok:
            log.get().info("watching etcd", endpoint=connection.url, revision=self._mirror.revision)
            self._health = Health(True, f"watching {connection.url}", time.time())
            self._wake()

    def _failed(self, why: str) -> None:
        # Nobody knows how far the mirror got: it is listed anew.
        self._relist = "the watch failed"
        self._down(why)

    def _down(self, reason: str) -> None:
        if self._stopped.is_set():
            return
        if self._health.ok or self._health.detail == _NOT_YET:
            log.get().warning("etcd cannot be watched", why=reason)
            self._health = Health(False, reason, time.time())
            self._wake()
        else:
            self._health = Health(False, reason, self._health.since)
