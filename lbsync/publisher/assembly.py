"""What a publisher is made of on the side of the cluster: informers, lister, sync."""

from collections.abc import Callable
from typing import Any

from lbsync.clients.kube import Change, ClusterConfig, Timing
from lbsync.model.permission import Permission
from lbsync.publisher.cluster.informers import Informers
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.config import identity_of, limits_of, options_of
from lbsync.publisher.sync import Sync
from lbsync.settings import Publisher as Settings
from lbsync.values.claims import Claims


def assemble(
    settings: Settings,
    claims: Claims,
    cluster: ClusterConfig,
    *,
    on_change: Callable[[Change[Any]], None],
    on_state: Callable[[], None],
    timing: Timing | None,
    clock: Callable[[], float],
) -> tuple[Informers, Lister, Sync]:
    """Return them, not started; `on_change` and `on_state` are called from several threads."""
    informers = Informers(
        cluster,
        namespaces=settings.namespaces,
        ingress=settings.ingress,
        on_change=on_change,
        on_state=on_state,
        timing=timing,
        clock=clock,
    )
    if settings.address_mode == "nodeport":
        informers.demand("nodes", "")
    elif not settings.namespaces:
        # Whether all nodes are lost at once is worth knowing whatever the servers are.
        informers.hope("nodes")
    options = options_of(settings, claims)
    lister = Lister(informers.cluster, options, ingress=settings.ingress)
    sync = Sync(
        identity_of(settings),
        lister,
        options,
        limits_of(settings),
        informers.demand,
        permission=Permission(claims),
        keep_s=settings.claim_keep.seconds,
    )
    return informers, lister, sync
