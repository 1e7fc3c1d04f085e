"""Every door through which others' bytes come in, each as a function that may raise `LbsyncError` alone."""

from collections.abc import Callable, Iterable, Mapping

from lbsync import published
from lbsync.agent.desired.decode import Entry, read_entry
from lbsync.agent.render.confd.functions import json as template_json
from lbsync.agent.render.text import Stored
from lbsync.agent.report.fleet_records import Refusal, pending_writes
from lbsync.cli.fleet import health as cli_health
from lbsync.cli.publish.changes import _text as changed_text
from lbsync.cli.service.arguments import parse
from lbsync.cli.service.writing import pretty
from lbsync.cli.status import fleet as status_fleet
from lbsync.cli.terminal import to_json
from lbsync.clients.files.contents import parse_yaml, to_value
from lbsync.errors import BadKey, LbsyncError
from lbsync.fleet import judge
from lbsync.model.desired import Problem
from lbsync.model.records import AgentRecord, QuarantineRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.publisher.cluster import identity
from lbsync.publisher.store.index import StoreIndex
from lbsync.schema import fleet, health, orders, publishing, service_document
from lbsync.schema.confirming import confirmations
from lbsync.schema.keys import ServiceId
from tests.outside_doors import OUTSIDE

CONTRACT = ("services/a/b", "endpoints/a/b/c", "routes/a/b", "settings/global")
SERVICE = ServiceId("a", "b")


def _agent(value: bytes) -> None:
    for name in CONTRACT:
        item = Item(name, value, 1, 1)
        found = read_entry(item)
        assert isinstance(found, (Entry, Problem))
        if isinstance(found, Problem):
            assert found.key == name
            assert found.reason
            assert found.reason.isprintable()
            assert len(found.reason) < 600


def _fleet(value: bytes) -> None:
    for kind, name in ((AgentRecord, "agents/lb-1"), (QuarantineRecord, "quarantine/a/b")):
        item = Item(name, value, 1, 1)
        try:
            fleet.read(kind, item)  # type: ignore[type-var]
        except BadKey as error:
            assert error.key == name
    items = {name: Item(name, value, 1, 1) for name in ("agents/lb-1", "quarantine/a/b")}
    for write in pending_writes({"a/b": Refusal("no", 1, 2.0)}, items, "lb-2", 9):
        assert len(write.guards) <= 2
    snapshot = Snapshot(9, 1, items)
    census = fleet.census(snapshot)
    judge(census, (), lambda revision, _keys: 5 if -(2**63) <= revision < 2**63 else 1 // 0)
    members = tuple(status_fleet.Member(host, 0, record) for host, record in census.live.items())
    report = status_fleet.Report(
        9, members, fleet.quarantines(items), {}, tuple(census.rivals), census.junk
    )
    to_json(report)
    list(status_fleet.judge(report))
    list(map(status_fleet._row, report.agents))
    list(status_fleet._details(report))


def _people(value: bytes) -> None:
    names = ("watchers/a", "orders/a", "history/a", "lb-1")
    items = {name: Item(name, value, 1, 1) for name in names}
    snapshot = Snapshot(9, 1, items, (), frozenset(items))
    health.asked(snapshot)
    to_json(health.answers(snapshot))
    for record in health.answers(snapshot).values():
        if record is not None:
            cli_health.doubts(record)
            for groups in record.services.values():
                for group in groups.values():
                    cli_health.figures(group)
                    list(map(cli_health.state, group.servers))
    orders.orders_for("lb-1", snapshot)
    to_json(orders.history(items))
    found = confirmations({"confirmations/ab": Item("confirmations/ab", value, 1, 1)})
    found.covers("a/b", 1, 1)
    found.names("ab", 1)


def _publishers(value: bytes) -> None:
    names = ("leader", "heartbeat", "origin", "reports/service/a/b", "reports/ingress/a/b")
    items = {f"publishers/k/{name}": Item(f"publishers/k/{name}", value, 1, 1) for name in names}
    for found in publishing.known(items).values():
        published.describe(found, 0.0)
        list(published.sentences(found))
        to_json(found)
    identity._read(items["publishers/k/origin"])
    publishing.read_kept(items["publishers/k/origin"])


def _service_commands(value: bytes) -> None:
    items = {name: Item(name, value, 1, 1) for name in CONTRACT}
    snapshot = Snapshot(1, 1, items)
    service_document.summaries(snapshot, None)
    pretty(value)
    changed_text(value)
    stored = service_document.stored(snapshot, SERVICE)
    document = service_document.compose(stored, SERVICE)
    to_json(document)


def _documents(value: bytes) -> None:
    document = parse(value, SERVICE)
    found = service_document.changes({}, document, SERVICE)
    service_document.validate(found)


def _publisher(value: bytes) -> None:
    stored = StoreIndex("k")
    stored.update(Snapshot(1, 1, {name: Item(name, value, 1, 1) for name in CONTRACT}))
    stored.services_of("k8s/k")


def _files(value: bytes) -> None:
    try:
        to_value(parse_yaml(value))
    except ValueError as error:
        assert str(error)


def _templates(value: bytes) -> None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return  # what templates see of such a value is another matter
    try:
        template_json(Stored(text, "/a/b"))
    except BadKey as error:
        assert error.key == "/a/b"


STORE: Mapping[str, Callable[[bytes], None]] = {
    "agent": _agent,
    "fleet": _fleet,
    "people": _people,
    "publishers": _publishers,
    "service commands": _service_commands,
    "documents": _documents,
    "publisher": _publisher,
    "files": _files,
    "templates": _templates,
}
DOORS = {**STORE, **OUTSIDE}


def some_doors(number: int) -> list[str]:
    """Return the names of all doors of the store of services, and of one of the others, which cost more: another one
    for each number."""
    return [*STORE, [*OUTSIDE][number % len(OUTSIDE)]]


def knock(value: bytes, names: Iterable[str] = DOORS) -> list[str]:
    """Try one document at these doors; return what was raised and should not have been."""
    found = []
    for name in names:
        try:
            DOORS[name](value)
        except LbsyncError:
            pass
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            found.append(f"{name}: {type(error).__name__}: {str(error)[:200]} for {value[:300]!r}")
    return found
