"""What a publisher is made of on the side of the cluster: watches, their objects, what has changed."""

import time
from collections.abc import Callable, Collection
from typing import Any

from lbsync.clients.kube import Change, Client, ClusterConfig, Timing
from lbsync.model.permission import Permission
from lbsync.publisher.cluster.informers import Informers
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.cluster.unlabelled import Unlabelled
from lbsync.publisher.cluster.work_queue import WorkQueue
from lbsync.publisher.config import identity_of, limits_of, options_of
from lbsync.publisher.sync import Sync
from lbsync.settings import Publisher as Settings
from lbsync.values.claims import Claims


class ClusterSide:
    """What is known of the cluster, and which Services are to be looked at because of it."""

    def __init__(
        self,
        settings: Settings,
        claims: Claims,
        cluster: ClusterConfig,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake: Callable[[], None] = lambda: None
        self.queue = WorkQueue()
        self.client = Client(cluster, timing)
        """For what is asked once, beside the watches."""
        self.informers = Informers(
            cluster,
            namespaces=settings.namespaces,
            ingress=settings.ingress,
            on_change=self._note,
            on_state=self._remark,
            timing=timing,
            clock=clock,
        )
        if settings.address_mode == "nodeport":
            self.informers.demand("nodes", "")
        elif not settings.namespaces:
            # Whether all nodes are lost at once is worth knowing whatever the servers are.
            self.informers.watch_optional("nodes")
        self.lister = Lister(
            self.informers.cluster, options_of(settings, claims), ingress=settings.ingress
        )
        self.unlabelled = Unlabelled(self.client, settings.namespaces, self._remark, clock=clock)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; `wake` is called from other threads when something changed."""
        self._wake = wake
        self.informers.start()
        self.unlabelled.start()

    def close(self) -> None:
        """End the watches. May be called twice."""
        self.unlabelled.close()
        self.client.close()
        self.informers.close()

    def take_namespaces(self) -> None:
        """Find out for the whole pass which namespaces are known."""
        self.lister.unlabelled = self.unlabelled.found
        unlisted = self.informers.unlisted
        if unlisted != self.lister.unlisted:
            self.lister.unlisted = unlisted
            self.queue.mark_all()

    def _note(self, change: Change[Any]) -> None:
        self.queue.note(change)
        self._wake()

    def _remark(self, services: Collection[str] = ()) -> None:
        self.queue.mark(services)
        self._wake()


def sync_of(settings: Settings, claims: Claims, side: ClusterSide, permission: Permission) -> Sync:
    """Return what translates the Services of this cluster."""
    return Sync(
        identity_of(settings),
        side.lister,
        options_of(settings, claims),
        limits_of(settings),
        side.informers.demand,
        permission=permission,
        keep_s=settings.claim_keep.seconds,
    )
