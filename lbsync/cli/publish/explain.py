"""`lbsync explain service NS/NAME`: what was published for a Service, and why or why not."""

import argparse
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from lbsync.cli.context import add_output, service_id, settings_of, source_opened
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients import kube
from lbsync.clients.kube.errors import NotFound
from lbsync.clients.kube.kinds import Key
from lbsync.errors import Exit, LbsyncError, Rejected
from lbsync.kube_objects import Node, Service
from lbsync.model.permission import Permission
from lbsync.model.publishing import unread_sentence
from lbsync.model.snapshot import Snapshot
from lbsync.published import describe
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.cluster.work_queue import Work
from lbsync.publisher.config import identity_of, options_of
from lbsync.publisher.explain import Line, absent, explain, unread
from lbsync.publisher.store.index import Held, StoreIndex, neighbours_of
from lbsync.schema.keys import ServiceId
from lbsync.schema.publishing import known
from lbsync.settings import Settings

T = TypeVar("T")
_EPILOG = """\
examples:
  lbsync explain service shop/cart
  lbsync explain service shop/cart --offline       without asking Kubernetes
  lbsync explain service shop/cart --cluster prod --output json

Shows what is stored and who wrote it, what publishers report about it, and, if the API server is reachable
from here, everything in the cluster that affects it.

exit codes: 0 it is published and up to date; 5 it is not, or there is a problem; 6 the store does not answer.
"""


class Explanation(msgspec.Struct):
    """All that is known."""

    service: str
    stored: list[str]
    publishers: list[str]
    reports: list[str]
    neighbours: list[str]
    """Who else claims what falls under its claims."""
    cluster: list[Line]
    unasked: str = ""
    """Why Kubernetes was not asked."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show what was published for a Kubernetes Service and why, or why not."
    parser.epilog = _EPILOG
    kinds = parser.add_subparsers(metavar="KIND", required=True, parser_class=type(parser))
    service = kinds.add_parser(
        "service", help="explain one Service", description=parser.description, epilog=_EPILOG
    )
    service.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    service.add_argument("--cluster", metavar="NAME", help="overrides [publisher] cluster")
    service.add_argument("--offline", action="store_true", help="do not ask Kubernetes")
    add_output(service)


def run(args: argparse.Namespace) -> Exit:
    if args.cluster is not None:
        args.flags["publisher.cluster"] = args.cluster
    settings = settings_of(args)
    with source_opened(settings) as source:
        snapshot = source.snapshot()
    name = str(args.service)
    stored = StoreIndex(settings.publisher.cluster)
    stored.update(snapshot)
    found = Explanation(name, [], [], [], [], [])
    found.stored = [_stored(held) for _, held in sorted(stored.of(name).items())]
    found.publishers, found.reports = _publishers(snapshot, name)
    found.neighbours = list(neighbours_of(stored.of(name), stored))
    if args.offline:
        found.unasked = "--offline"
    else:
        try:
            found.cluster = _ask(settings, args.service, stored)
        except LbsyncError as error:
            found.unasked = str(error)
    if args.output == "json":
        Terminal().block(to_json(found))
    else:
        _show(Terminal(), found)
    is_well = bool(found.stored) and not found.reports and all(x.good for x in found.cluster)
    return Exit.OK if is_well else Exit.REJECTED


class _Fetched:
    """What was read of one Service's surroundings, in the form of a cluster's stores."""

    def __init__(self, kinds: Mapping[str, list[Any]]) -> None:
        self._kinds = kinds

    def objects(self, kind: kube.Kind[T]) -> dict[Key, T]:
        return {(x.namespace, x.name): x for x in self._kinds.get(kind.plural, ())}

    def get(self, kind: kube.Kind[T], namespace: str, name: str) -> T | None:
        return self.objects(kind).get((namespace, name))

    def group(self, kind: kube.Kind[T], namespace: str, index: str) -> list[T]:
        if kind.index is None:
            return []
        found = self.objects(kind).items()
        return [x for key, x in found if key[0] == namespace and kind.index(x) == index]


def _ask(settings: Settings, service: ServiceId, stored: StoreIndex) -> list[Line]:
    """Ask the API server; each kind only as far as it matters. Raises `LbsyncError`."""
    chosen = settings.publisher
    client = kube.Client(kube.load(chosen.kubeconfig, chosen.context))
    try:
        own = client.get(kube.SERVICES, service.ns, service.name)
        try:
            return _explained(settings, client, own, stored)
        except Rejected as error:
            return unread(own, options_of(chosen, settings.claims), str(error))
    except NotFound:
        return absent(str(service))
    finally:
        client.close()


def _explained(
    settings: Settings, client: kube.Client, service: Service, stored: StoreIndex
) -> list[Line]:
    chosen, ns = settings.publisher, service.namespace
    kinds: dict[str, list[Any]] = {"services": [service]}
    selector = f"kubernetes.io/service-name={service.name}"
    kinds["endpointslices"] = _values(client.list_all(kube.ENDPOINT_SLICES, ns, selector))
    if chosen.ingress:
        kinds["ingresses"] = _values(client.list_all(kube.INGRESSES, ns))
        if not chosen.namespaces:
            kinds["ingressclasses"] = _values(client.list_all(kube.INGRESS_CLASSES))
    options = options_of(chosen, settings.claims)
    lister = Lister(_Fetched(kinds), options, ingress=chosen.ingress)
    lister.refresh(Work(everything=True))
    leading = lister.leading_to(service)
    needs = lister.needs(service, leading)
    nodes: list[Node] = []
    if "nodes" in needs:
        nodes = kinds["nodes"] = _values(client.list_all(kube.NODES))
    if "pods" in needs:
        kinds["pods"] = _values(client.list_all(kube.PODS, ns))
    lister.refresh(Work(everything=True))
    keys = stored.of(f"{ns}/{service.name}")
    inputs = lister.inputs(service, lister.leading_to(service), needs)
    permission = Permission(settings.claims, settings.etcd.endpoints)
    return explain(identity_of(chosen), inputs, nodes, keys, options, permission=permission)


def _values(listing: Any) -> list[Any]:
    return [entry.value for entry in listing.entries if entry.value is not None]


def _stored(held: Held) -> str:
    author = held.source or "a person"
    text = held.item.value.decode(errors="backslashreplace")
    return f"{held.item.key} by {author}, revision {held.item.mod_revision}: {text}"


def _publishers(snapshot: Snapshot, name: str) -> tuple[list[str], list[str]]:
    """Return how the publishers of all clusters do, and what they say of one Service."""
    lines, reports = [], []
    for cluster, found in known(snapshot.items).items():
        lines.append(f"{cluster}: {describe(found, time.time())[0]}")
        namespace = name.partition("/")[0]
        if found.heartbeat is not None and (why := found.heartbeat.unread.get(namespace)):
            reports.append(f"{cluster}: {unread_sentence(namespace, why)}")
        if report := found.reports.get(f"service {name}"):
            reports += [f"{cluster}: {sentence}" for sentence in report.sentences]
    return lines, reports


def _show(terminal: Terminal, found: Explanation) -> None:
    def row(label: str, text: str, good: bool = True) -> None:
        shown = terminal.paint(f"{label:<12}", "dim")
        terminal.line(f"{shown}{text if good else terminal.paint(text, 'yellow')}")

    for text in found.stored:
        row("stored", text)
    if not found.stored:
        row("stored", f"nothing of {found.service}", good=False)
    for text in found.publishers:
        row("publisher", text)
    if not found.publishers:
        row("publisher", "none has ever written here", good=False)
    for text in found.reports:
        row("report", text, good=False)
    for text in found.neighbours:
        row("neighbour", text, good=False)
    for line in found.cluster:
        row(line.about, line.text, line.good)
    if found.unasked:
        row("Kubernetes", f"was not asked: {found.unasked}", good=False)
