"""The doors for what others than writers of services hand us: deployers, Kubernetes, HAProxy, HTTP, the host's files.

Each is a function that may raise `LbsyncError` alone, as in `tests.doors`.
"""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.control import Control
from lbsync.agent.generations.store import Store
from lbsync.agent.runtime.journal import Journal
from lbsync.clients import x509
from lbsync.clients.etcd import usage
from lbsync.clients.files import input_documents
from lbsync.clients.haproxy import answers, capabilities, known_faults, startup_log, stat
from lbsync.clients.haproxy.binary import parse_alerts, parse_warnings
from lbsync.clients.haproxy.identity import parse_identity
from lbsync.clients.kube import kinds
from lbsync.clients.kube.auth.exec_plugin import Exec, ExecPlugin
from lbsync.clients.kube.auth.kubeconfig_file import read_all
from lbsync.clients.kube.errors import parse_status, refusal
from lbsync.clients.kube.workloads import kinds as workloads
from lbsync.clients.source import Put
from lbsync.console.facts.deployment import deployment_view
from lbsync.console.facts.deployments import Deployments
from lbsync.console.facts.lookup import lookup_view
from lbsync.console.facts.services import ServiceIndex
from lbsync.console.facts.state import StateBuilder
from lbsync.console.pages.deploying import read_order
from lbsync.console.payloads import pushed, repository
from lbsync.deployer.kubernetes import document
from lbsync.deployer.kubernetes.publication import with_coming
from lbsync.deployer.ledger import Ledger
from lbsync.errors import LbsyncError
from lbsync.migration.convert import convert
from lbsync.model.snapshot import Snapshot
from lbsync.publisher.config import options_of
from lbsync.publisher.translate import NodePool, translate
from lbsync.schema.keys import ServiceId
from lbsync.settings import Publisher, load
from lbsync.status import read as read_status
from lbsync.values.claims import Claims
from tests.fakes import FakeSource

APP = ServiceId("shop", "cart")
DEPLOYMENT = "20260102-100000-00000b"
KEPT = (
    "apps/shop/cart", "versions/shop/cart", f"deployments/shop/cart/{DEPLOYMENT}", "locks/shop/cart",
    f"events/shop/cart/{DEPLOYMENT}/000000", "servers/one", "repeats/shop/cart/ab",
)  # fmt: skip
ASTRAY = (
    "apps/x", "apps/", "versions/x", "versions/a/b/c", "versions/A B/c", "versions//", "deployments/shop/cart/a b",
    "deployments/shop/cart/", "deployments/x", f"events/shop/cart/{DEPLOYMENT}/x", "locks/x", "servers/", "repeats/x",
)  # fmt: skip
"""Where nobody of lbsync writes; others may."""
KINDS = (
    kinds.SERVICES, kinds.ENDPOINT_SLICES, kinds.NODES, kinds.INGRESSES, kinds.INGRESS_CLASSES, kinds.PODS,
    workloads.DEPLOYMENTS, workloads.POD_STATES, workloads.EVENTS,
)  # fmt: skip


def passing(*steps: Callable[[], object]) -> None:
    """Do all of it, whatever is refused on the way."""
    for step in steps:
        with contextlib.suppress(LbsyncError):
            step()


def deployments(value: bytes) -> None:
    """What deployers keep, read by all of them, and by the console."""
    store = FakeSource()
    store.commit([], [Put(key, value) for key in KEPT + ASTRAY])
    ledger = Ledger(store, "/lbsync/", "a test")
    passing(
        ledger.apps, ledger.coming, ledger.servers, lambda: ledger.deployments(APP),
        lambda: ledger.events(APP, DEPLOYMENT), lambda: ledger.page(APP), lambda: ledger.wanted(APP),
        lambda: ledger.lock(APP), lambda: with_coming(store.snapshot(), ledger.coming().documents),
    )  # fmt: skip
    known = Deployments(store.snapshot())
    known.history(known.names)
    deployment_view(known, str(APP), DEPLOYMENT)
    list(known.events(str(APP), DEPLOYMENT))


@functools.cache
def _nothing() -> ServiceIndex:
    return ServiceIndex(StateBuilder(frozenset()).build(Snapshot(1, 1, {})))


def console(value: bytes) -> None:
    """What is sent to the console, and a URL that somebody asks about."""
    passing(lambda: read_order(value), lambda: document.read(value))
    with contextlib.suppress(LbsyncError):
        if (found := pushed(value).image) is not None:
            repository(found)
    lookup_view(_nothing(), value.decode("latin-1"))


def kubernetes(value: bytes) -> None:
    """What an API server says, or something that stands in front of it."""
    for kind in KINDS:
        with contextlib.suppress(LbsyncError):
            kind.read(value)
        with contextlib.suppress(LbsyncError):
            kind.page(value, "list")
    refusal("list", 429, parse_status(value))
    with contextlib.suppress(LbsyncError):
        service = kinds.SERVICES.read(value).value
        if service is not None:
            translate(service, (), NodePool(), options=options_of(Publisher(), Claims()))
    plugin = ExecPlugin(Exec("true"), Path("/"), {}, None)
    passing(lambda: plugin._read(value.decode("utf-8", "replace")))


def haproxy(value: bytes) -> None:
    """What comes over HAProxy's sockets, and what its master logs."""
    text = value.decode(errors="replace")
    passing(
        lambda: answers.parse_proc(text), lambda: answers.parse_info(text), lambda: answers.parse_servers(text),
        lambda: answers.parse_connections(text), lambda: answers.parse_frontends(text),
        lambda: answers.parse_limits(text, {"be"}), lambda: answers.parse_backends(text),
        lambda: answers.parse_unpublished(text), lambda: answers.parse_maps(text),
        lambda: answers.split_replies(text, 2), lambda: stat.parse(text), lambda: parse_identity(text),
        lambda: capabilities.commands_in(text), lambda: capabilities.server_words_in(text),
        lambda: startup_log.said_by(7, text), lambda: parse_alerts(text), lambda: parse_warnings(text),
        lambda: known_faults.parsed(text),
    )  # fmt: skip


def host(value: bytes) -> None:
    """Files: of settings, of a kubeconfig, of confd, of the state directory, and what is given to commands."""
    usage.warnings("x", usage.parse(value.decode(errors="replace")))
    x509.certificates(value)
    folder = Path(_folder().name)
    (folder / "value").write_bytes(value)
    passing(
        lambda: load(folder / "lbsync.toml"), lambda: read_all([folder / "kubeconfig"]), lambda: convert(folder),
        lambda: input_documents.read(str(folder / "given.yaml")),
        lambda: input_documents.read(str(folder / "given.json")), lambda: Control(folder).get("drain"),
        lambda: read_status(folder), lambda: Journal(folder).read("7"), lambda: OccupiedPorts(folder),
        Store(folder, 5).list,
    )  # fmt: skip


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """A directory in which all files are one."""
    made = tempfile.TemporaryDirectory()
    folder = Path(made.name)
    for name in (
        "lbsync.toml", "kubeconfig", "conf.d/a.toml", "templates/a.tmpl", "confd.toml", "given.yaml", "given.json",
        "control/drain", "status.json", "touched", "occupied-ports.json", "generations/1-ab/meta.json",
    ):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(folder / "value")
    (folder / "conf.d/b.toml").write_text('[template]\nsrc = "a.tmpl"\ndest = "/x"\n')
    return made


OUTSIDE: Mapping[str, Callable[[bytes], None]] = {
    "deployments": deployments,
    "console": console,
    "kubernetes": kubernetes,
    "haproxy": haproxy,
    "host": host,
}
