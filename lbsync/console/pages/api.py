"""The same facts as JSON: the structs in `lbsync.console.facts`, described by OpenAPI."""

import time
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter

from lbsync.console.context import EVERYBODY, AnyRequest, context_of, visitor_of
from lbsync.console.facts.cluster import ClusterView, cluster_view
from lbsync.console.facts.health import HealthView, health_view
from lbsync.console.facts.history import HistoryView, history_view
from lbsync.console.facts.hosts import FleetView, HostView, fleet_view, host_view
from lbsync.console.facts.lookup import LookupView, lookup_view
from lbsync.console.facts.publishers import PublishersView, publishers_view
from lbsync.console.facts.refused import RefusedView, refused_view
from lbsync.console.facts.service import ServiceView, service_view
from lbsync.console.facts.services import ServicesView
from lbsync.console.pages.resources import problems
from lbsync.console.problem import Problem, RequestProblem

_WHOLE = 2**31


class Health(msgspec.Struct, frozen=True):
    """The state of the console, and the client's right."""

    ok: bool
    """etcd answers."""
    detail: str
    since: float
    """Seconds since 1970 of the last change of `ok`."""
    revision: int
    """Of etcd, that is shown; 0: nothing was read yet."""
    token: str
    """Name of the token; empty: none was shown, and none is needed."""
    right: str
    namespaces: tuple[str, ...]
    """All that the token opens; none: everything."""


@get("/health", summary="How the console does", responses=problems(404), opt=EVERYBODY)
async def health(request: AnyRequest) -> Health:
    """Return whether etcd answers, and the right of your token."""
    board, visitor = context_of(request).board, visitor_of(request)
    found = board.source_health
    return Health(
        found.ok, found.detail, found.since, board.revision,
        visitor.name, visitor.right, visitor.namespaces,
    )  # fmt: skip


@get("/fleet", summary="All balancers", responses=problems(404))
async def fleet(request: AnyRequest) -> FleetView:
    """Return all balancers, those that need attention first."""
    shown = await context_of(request).board.shown()
    return fleet_view(shown.state, refused_view(shown.state).all, shown.answers)


@get("/hosts/{host:str}", summary="One balancer", responses=problems(404))
async def host(request: AnyRequest, host: FromPath[str]) -> HostView:
    """Return one balancer."""
    shown = await context_of(request).board.shown()
    found = host_view(shown.state, host)
    if found is None:
        raise RequestProblem(
            Problem(404, "No such balancer", f"{host[:80]!r} never reported, or was forgotten.")
        )
    return found


@get("/services", summary="Services", responses=problems(404), opt=EVERYBODY)
async def services(
    request: AnyRequest,
    q: Annotated[str, QueryParameter(max_length=200)] = "",
    order: Annotated[str, QueryParameter(pattern="^(name|trouble|servers)$")] = "name",
    page: Annotated[int, QueryParameter(ge=1, le=_WHOLE)] = 1,
    per: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> ServicesView:
    """Search services."""
    shown = await context_of(request).board.shown()
    return shown.index.select(q, order, page, per, visitor_of(request).namespaces)


@get("/services/{ns:str}/{name:str}", summary="One service", responses=problems(404))
async def service(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> ServiceView:
    """Return one service."""
    shown = await context_of(request).board.shown()
    if f"{ns}/{name}" not in shown.index:
        raise _no_service(f"{ns}/{name}")
    return service_view(shown.state, shown.index.row(f"{ns}/{name}"))


@get(
    "/services/{ns:str}/{name:str}/health",
    summary="How the servers of one service do",
    responses=problems(404),
)
async def service_health(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> HealthView:
    """Return what balancers report about a service. The first request only starts the query: `silent` lists all
    balancers, and a second later most have answered."""
    context = context_of(request)
    shown = await context.board.shown()
    if f"{ns}/{name}" not in shown.index:
        raise _no_service(f"{ns}/{name}")
    context.health.look(f"{ns}/{name}")
    live = [host for host, record in shown.state.census.live.items() if record is not None]
    return health_view(f"{ns}/{name}", live, shown.answers)


def _no_service(name: str) -> RequestProblem:
    return RequestProblem(Problem(404, "No such service", f"No key names {name[:140]!r}."))


@get("/refused", summary="Refused keys", responses=problems(404))
async def refused(request: AnyRequest) -> RefusedView:
    """Return the keys that are not served as they are written."""
    return refused_view((await context_of(request).board.shown()).state)


@get("/publishers", summary="Publishers", responses=problems(404))
async def publishers(request: AnyRequest) -> PublishersView:
    """Return what the publishers of Kubernetes Services say."""
    shown = await context_of(request).board.shown()
    return publishers_view(shown.state, time.time())


@get("/cluster", summary="Nodes, pods and data stores", opt=EVERYBODY, responses=problems(404))
async def cluster(request: AnyRequest) -> ClusterView:
    """Return nodes, pods and data stores, those that need attention first. The first request only starts the
    query: the data is available a second later."""
    watch = context_of(request).cluster
    watch.look()
    namespaces = visitor_of(request).namespaces
    return cluster_view(watch.seen, namespaces, is_configured=watch.is_configured)


@get("/history", summary="Who did what", responses=problems(404))
async def history(request: AnyRequest) -> HistoryView:
    """Return who did what, the newest first."""
    return history_view((await context_of(request).board.shown()).state)


@get("/lookup", summary="Which service answers a URL", responses=problems(404))
async def lookup(
    request: AnyRequest, url: Annotated[str, QueryParameter(min_length=1, max_length=4096)]
) -> LookupView:
    """Return which service answers a URL."""
    shown = await context_of(request).board.shown()
    found = lookup_view(shown.index, url)
    if found.is_error:
        raise RequestProblem(Problem(400, "This is no URL", found.sentence))
    return found


HANDLERS = [
    health,
    fleet,
    host,
    services,
    service,
    service_health,
    refused,
    publishers,
    cluster,
    history,
    lookup,
]
