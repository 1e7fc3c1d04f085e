"""The services: their hosts and paths, the split of traffic, and the balancers that do not serve them as written."""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from lbsync.console.facts.state import State
from lbsync.model.desired import Service
from lbsync.model.records import ServerRecord
from lbsync.schema.keys import ServiceId

MOST_SHOWN = 1000
"""Services on one page."""
_MOST_REACHED = 3
ORDERS = ("name", "trouble", "servers")


class GroupRow(msgspec.Struct, frozen=True):
    """One group of servers."""

    group: str
    share: float
    """Of the service's traffic, in percent; 0: it is kept ready and gets none."""
    servers: int
    up: int
    """How many of them are meant to take requests: neither `drain` nor `maint`, of a weight above 0."""


class ServiceRow(msgspec.Struct, frozen=True):
    """One line of the list."""

    service: str
    mode: str
    """`http` or `tcp`; empty: its own key is missing, or refused."""
    reached_by: tuple[str, ...]
    """Hosts with paths, or a port, as it was given them; the first few."""
    more: int
    """How many more of these there are."""
    groups: tuple[GroupRow, ...]
    owner: str = ""
    source: str = ""
    """Who writes its keys, where a program does."""
    problems: tuple[str, ...] = ()
    """Why it is not served as it is written, one sentence each."""

    @property
    def servers(self) -> int:
        """All servers of all groups."""
        return sum(group.servers for group in self.groups)


class ServicesView(msgspec.Struct, frozen=True):
    """One page of the list."""

    rows: tuple[ServiceRow, ...]
    found: int
    """How many services fit what was searched for."""
    all: int
    page: int
    pages: int
    per: int
    query: str
    order: str


class ServiceIndex:
    """The rows of one state, each made when it is asked for, or kept from the state before."""

    def __init__(self, state: State, before: "ServiceIndex | None" = None) -> None:
        self.state = state
        self._problems = _problems(state)
        self._rows: dict[str, tuple[Service | None, tuple[str, ...], ServiceRow]] = (
            before._rows if before is not None else {}
        )
        self.names = sorted({*state.services, *filter(_is_service, self._problems)})
        """All services that have a key, also those that nobody serves."""
        self._known = frozenset(self.names)

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a service."""
        return name in self._known

    def row(self, name: str) -> ServiceRow:
        """Return one line; `name` is one of `names`."""
        service, problems = self.state.services.get(name), self._problems.get(name, ())
        kept = self._rows.get(name)
        if kept is not None and kept[0] is service and kept[1] == problems:
            return kept[2]
        made = _row(name, service, problems)
        self._rows[name] = service, problems, made
        return made

    def select(
        self, query: str, order: str, page: int, per: int, namespaces: Collection[str] = ()
    ) -> ServicesView:
        """Return one page of matching services; pages count from 1, and a number beyond the last means the
        last.

        `query`: words that must all occur in the name, a host, the owner or the source; `is:trouble`
        matches services with a problem. `namespaces`: only these are shown; empty: all.
        """
        words = query.lower().split()
        names = self.names
        if namespaces:
            names = [name for name in names if name.partition("/")[0] in namespaces]
        rows = [row for row in map(self.row, names) if _fits(row, words)]
        if order == "trouble":
            rows.sort(key=lambda row: not row.problems)
        elif order == "servers":
            rows.sort(key=lambda row: -row.servers)
        per = min(max(per, 1), MOST_SHOWN)
        pages = max(1, -(-len(rows) // per))
        page = min(max(page, 1), pages)
        shown = tuple(rows[(page - 1) * per : page * per])
        return ServicesView(shown, len(rows), len(names), page, pages, per, query, order)


def _is_service(name: str) -> bool:
    try:
        return bool(ServiceId.parse(name))
    except ValueError:
        return False


def _fits(row: ServiceRow, words: Iterable[str]) -> bool:
    text = ""
    for word in words:
        if word == "is:trouble":
            if not row.problems:
                return False
            continue
        text = text or " ".join((row.service, *row.reached_by, row.owner, row.source)).lower()
        if word not in text:
            return False
    return True


def _problems(state: State) -> dict[str, tuple[str, ...]]:
    """Return what is wrong with each service: by the contract, and as hosts say."""
    found: dict[str, dict[str, None]] = {}
    for service, said in (*_by_contract(state), *_by_hosts(state), *_without_head(state)):
        if service:
            found.setdefault(service, {})[said] = None
    return {service: tuple(said) for service, said in found.items()}


def _by_contract(state: State) -> Iterator[tuple[str, str]]:
    for problem in state.desired.problems:
        yield problem.service, f"{problem.key}: {problem.reason}"


def _by_hosts(state: State) -> Iterator[tuple[str, str]]:
    for service, record in state.quarantined.items():
        yield service, f"quarantined by {record.host}: {record.reason}"
    for host, agent in state.census.live.items():
        for service in agent.quarantined if agent else ():
            if service not in state.quarantined:
                yield service, f"quarantined by {host}"
    for hold in state.holds.values():
        for service in hold.services:
            yield service, f"a removal of its servers is held ({hold.id})"


def _without_head(state: State) -> Iterator[tuple[str, str]]:
    """Yield the services of which there are servers, but no key of their own."""
    keys = state.snapshot.items
    for key in keys:
        if key.startswith("endpoints/"):
            service = "/".join(key.split("/")[1:3])
            if f"services/{service}" not in keys and _is_service(service):
                yield service, f"services/{service} is missing, so nothing leads here"


def _row(name: str, service: Service | None, problems: tuple[str, ...]) -> ServiceRow:
    if service is None:
        return ServiceRow(name, "", (), 0, (), problems=problems)
    reached = list(reached_by(service))
    record = service.record
    return ServiceRow(
        name,
        record.mode,
        tuple(reached[:_MOST_REACHED]),
        max(0, len(reached) - _MOST_REACHED),
        tuple(groups(service)),
        str(record.owner or ""),
        str(record.source or ""),
        problems,
    )


def reached_by(service: Service) -> Iterator[str]:
    """Yield what leads to a service, as it was given: `shop.example.com/cart`, or `port 5432`."""
    if service.record.mode == "tcp":
        yield f"port {service.record.listen}"
        return
    for route in service.open_routes:
        host, _, path = route.partition("/")
        shown = "any host" if host == "*" else host
        yield f"{shown}/{path.rstrip('/')}" if path else shown


def groups(service: Service) -> Iterator[GroupRow]:
    """Yield the groups of a service, each with its share of the traffic."""
    takers = [choice.backend for choice in service.choices]
    for backend in service.backends:
        share = 100 * takers.count(backend.name) / len(takers) if takers else 0.0
        up = sum(map(takes_requests, backend.servers))
        yield GroupRow(backend.group, round(share, 1), len(backend.servers), up)


def takes_requests(server: ServerRecord) -> bool:
    """Tell whether a server is intended to receive new requests."""
    return server.state == "up" and server.weight > 0
