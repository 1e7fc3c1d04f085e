"""The pages, each a path, a template and a pure function from the state to the content."""

from collections.abc import Callable, Mapping

import msgspec

from lbsync.console.board import Shown
from lbsync.console.facts.apps import app_view, apps_view
from lbsync.console.facts.cluster import Seen, cluster_view
from lbsync.console.facts.deployment import deployment_view, events_view
from lbsync.console.facts.deployments import named
from lbsync.console.facts.health import health_view
from lbsync.console.facts.history import history_view
from lbsync.console.facts.hosts import fleet_view, host_view
from lbsync.console.facts.lookup import lookup_view
from lbsync.console.facts.publishers import publishers_view
from lbsync.console.facts.refused import refused_view
from lbsync.console.facts.service import service_view
from lbsync.console.facts.services import ORDERS
from lbsync.console.health_watch import EVERYTHING
from lbsync.console.pages.resources import no_app, no_deployment, there
from lbsync.console.problem import Problem, RequestProblem

_PER = 100
_MOST_QUERY = 200
_MOST_URL = 4096


class Question(msgspec.Struct, frozen=True):
    """What a page is asked for."""

    parts: Mapping[str, str]
    """The variable parts of its path."""
    query: Mapping[str, str]
    now: float
    """Seconds since 1970."""
    namespaces: tuple[str, ...] = ()
    """All that may be shown; none: everything."""
    cluster: Seen | None = None
    """What was found of nodes, pods and data stores; None: nobody looked yet."""
    has_cluster: bool = False
    """Whether any of that is set to be looked at."""

    def number(self, name: str, default: int) -> int:
        """Return an integer from the query, or the default if it is invalid."""
        text = self.query.get(name, "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else default


class Page(msgspec.Struct, frozen=True):
    """One kind of page."""

    path: str
    """With variable parts as Litestar writes them."""
    template: str
    title: str
    view: Callable[[Shown, Question], object]
    """Raises `RequestProblem` if there is no such thing."""
    by_time: bool = False
    """It changes by the clock alone, too."""
    is_cluster: bool = False
    """Its visitor looks at nodes, pods and data stores."""
    is_for_everybody: bool = False
    """It shows a token of some namespaces nothing but these; else only a path with `{ns}` is opened to it."""
    watches: Callable[[Question], str] = lambda _: ""
    """The service whose health its visitor looks at, or `EVERYTHING`; empty: none."""


def _fleet(shown: Shown, _: Question) -> object:
    return fleet_view(shown.state, refused_view(shown.state).all, shown.answers)


def _host(shown: Shown, asked: Question) -> object:
    host = asked.parts["host"]
    found = host_view(shown.state, host)
    if found is None:
        raise RequestProblem(
            Problem(404, "No such balancer", f"{host[:80]!r} never reported, or was forgotten.")
        )
    hold = shown.state.holds.get(found.hold_id)
    return {"host": found, "hold": hold}


def _services(shown: Shown, asked: Question) -> object:
    order = asked.query.get("order", "")
    return shown.index.select(
        asked.query.get("q", "")[:_MOST_QUERY],
        order if order in ORDERS else ORDERS[0],
        asked.number("page", 1),
        asked.number("per", _PER),
        asked.namespaces,
    )


def _service(shown: Shown, asked: Question) -> object:
    name = _named(asked)
    if name not in shown.index:
        raise RequestProblem(Problem(404, "No such service", f"No key names {name[:140]!r}."))
    live = [host for host, record in shown.state.census.live.items() if record is not None]
    return {
        "service": service_view(shown.state, shown.index.row(name)),
        "health": health_view(name, live, shown.answers),
    }


def _named(asked: Question) -> str:
    return f"{asked.parts['ns']}/{asked.parts['name']}"


def _apps(shown: Shown, asked: Question) -> object:
    query, page = asked.query.get("q", "")[:_MOST_QUERY], asked.number("page", 1)
    known = there(shown)
    return apps_view(shown.index, known, query, page, _PER, namespaces=asked.namespaces)


def _app(shown: Shown, asked: Question) -> object:
    name = _named(asked)
    found = app_view(shown.index, there(shown), name)
    if found is None:
        raise no_app(name)
    return found


def _deployment(shown: Shown, asked: Question) -> object:
    app, name, known = _named(asked), asked.parts["deployment"], there(shown)
    found = deployment_view(known, app, name)
    if found is None:
        raise no_deployment(app, name)
    return {"deployment": found, "events": events_view(known, app, name)}


def _deployments(shown: Shown, asked: Question) -> object:
    known = there(shown)
    return known.history(named(known.names, asked.namespaces), asked.query.get("after", ""), _PER)


def _cluster(_: Shown, asked: Question) -> object:
    return cluster_view(asked.cluster, asked.namespaces, is_configured=asked.has_cluster)


def _refused(shown: Shown, _: Question) -> object:
    return refused_view(shown.state)


def _publishers(shown: Shown, asked: Question) -> object:
    return publishers_view(shown.state, asked.now)


def _history(shown: Shown, _: Question) -> object:
    return history_view(shown.state)


def _lookup(shown: Shown, asked: Question) -> object:
    return lookup_view(shown.index, asked.query.get("url", "")[:_MOST_URL])


PAGES = (
    Page("/", "fleet.html.j2", "Fleet", _fleet, watches=lambda _: EVERYTHING),
    Page("/hosts/{host:str}", "host.html.j2", "Balancer", _host),
    Page("/services", "services.html.j2", "Services", _services, is_for_everybody=True),
    Page("/services/{ns:str}/{name:str}", "service.html.j2", "Service", _service, watches=_named),
    Page("/apps", "apps.html.j2", "Apps", _apps, is_for_everybody=True),
    Page("/apps/{ns:str}/{name:str}", "app.html.j2", "App", _app),
    Page("/deployments", "deployments.html.j2", "Deployments", _deployments, is_for_everybody=True),
    Page(
        "/deployments/{ns:str}/{name:str}/{deployment:str}",
        "deployment.html.j2",
        "Deployment",
        _deployment,
    ),
    Page(
        "/cluster", "cluster.html.j2", "Cluster", _cluster, is_for_everybody=True, is_cluster=True
    ),
    Page("/refused", "refused.html.j2", "Refused keys", _refused),
    Page("/publishers", "publishers.html.j2", "Publishers", _publishers, by_time=True),
    Page("/history", "history.html.j2", "History", _history),
    Page("/lookup", "lookup.html.j2", "Who answers?", _lookup),
)
