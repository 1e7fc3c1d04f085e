"""What a publisher is made of on the side of the cluster: watches, view, work."""

from collections.abc import Callable
from typing import Any

from lbsync.clients.kube import Change, ClusterConfig, Timing
from lbsync.model.permission import Permission
from lbsync.publisher.chosen import identity_of, limits_of, options_of
from lbsync.publisher.view import View
from lbsync.publisher.watching import Watching
from lbsync.publisher.work import Work
from lbsync.settings import Publisher as Settings
from lbsync.settings.claims import Claims


def assemble(
    settings: Settings,
    claims: Claims,
    cluster: ClusterConfig,
    *,
    on_change: Callable[[Change[Any]], None],
    on_state: Callable[[], None],
    timing: Timing | None,
    clock: Callable[[], float],
) -> tuple[Watching, View, Work]:
    """Return them, not started; `on_change` and `on_state` are called from several threads."""
    watching = Watching(
        cluster,
        namespaces=settings.namespaces,
        ingress=settings.ingress,
        on_change=on_change,
        on_state=on_state,
        timing=timing,
        clock=clock,
    )
    if settings.address_mode == "nodeport":
        watching.demand("nodes", "")
    elif not settings.namespaces:
        # Whether all nodes are lost at once is worth knowing whatever the servers are.
        watching.hope("nodes")
    options = options_of(settings, claims)
    view = View(watching.cluster, options, ingress=settings.ingress)
    work = Work(
        identity_of(settings),
        view,
        options,
        limits_of(settings),
        watching.demand,
        permission=Permission(claims),
        keep_s=settings.claim_keep.seconds,
    )
    return watching, view, work
