"""Keys that live as long as their writer: grant, renew from a thread, revoke."""

import threading
import time

import grpc

from lbsync import log
from lbsync.clients.etcd.connections import Connections
from lbsync.clients.etcd.protobuf import etcdrpc
from lbsync.errors import Unavailable
from lbsync.threads import SupervisedThread

_RENEWALS = 3
"""Renewals within one time to live, so that two may fail."""
_RETRY = 0.5
_JOIN = 10.0


class EtcdLease:
    """A lease and the thread that renews it."""

    def __init__(self, connections: Connections, ttl: int) -> None:
        """Grant it; etcd may give a longer time than asked for. Raises `Unavailable`."""
        self._connections = connections
        self._stopped = threading.Event()
        began = time.monotonic()
        granted = connections.call(
            lambda client: client.leasestub.LeaseGrant, etcdrpc.LeaseGrantRequest(TTL=ttl)
        )
        self._id = int(granted.ID)
        self._ttl = float(granted.TTL)
        self._until = began + self._ttl
        self._thread = SupervisedThread(self._run, "etcd-lease")
        self._thread.start()

    @property
    def id(self) -> int:
        """What goes into `Put.lease`."""
        return self._id

    def remaining(self) -> float:
        """Return for how many seconds etcd is sure to hold it; see `Lease.remaining`."""
        return max(0.0, self._until - time.monotonic())

    def stop(self) -> None:
        """Stop renewing; etcd removes the keys when the time is up."""
        self._stopped.set()
        self._thread.stop()

    def join(self) -> None:
        """Wait until the thread has ended, which a call in progress may delay."""
        self._thread.join(_JOIN)

    def end(self) -> None:
        """Stop renewing and remove the keys, now if etcd answers. May be called twice."""
        self.stop()
        self.join()
        if self.remaining() == 0.0:
            return
        self._until = 0.0
        request = etcdrpc.LeaseRevokeRequest(ID=self._id)
        try:
            self._connections.call(lambda client: client.leasestub.LeaseRevoke, request)
        except Unavailable as error:
            log.get().warning(
                "lease was not revoked, it will run out", lease=self._id, why=str(error)
            )

    def _run(self) -> None:
        pause = self._ttl / _RENEWALS
        while not self._stopped.wait(pause):
            sent = time.monotonic()
            try:
                ttl = self._renew()
            except Unavailable as error:
                pause = min(_RETRY, self._ttl / _RENEWALS)
                if self.remaining() == 0.0:
                    log.get().warning("lease ran out", lease=self._id, why=str(error))
                    return
                continue
            if ttl <= 0:
                self._until = 0.0
                log.get().warning("lease ended: etcd no longer knows it", lease=self._id)
                return
            self._until = sent + ttl
            pause = self._ttl / _RENEWALS

    def _renew(self) -> int:
        request = etcdrpc.LeaseKeepAliveRequest(ID=self._id)
        answer = self._connections.call(lambda client: renewal(client.channel), request)
        return int(answer.TTL)


def renewal(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable:
    """Return etcd's stream of renewals as a single call: one request, one answer.

    Its bytes on the wire are those of a stream that ends after the first request. It waits in the calling thread; a
    stream would depend on a thread of gRPC's, without which not even its time limit would end it.
    """
    return channel.unary_unary(
        "/etcdserverpb.Lease/LeaseKeepAlive",
        request_serializer=etcdrpc.LeaseKeepAliveRequest.SerializeToString,
        response_deserializer=etcdrpc.LeaseKeepAliveResponse.FromString,
    )
