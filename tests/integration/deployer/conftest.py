"""A fake cluster with controllers, pods that answer, and the provider for Kubernetes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec

import pytest

from harness.etcd import Etcd, open_etcd
from harness.fake_kube import Controllers, FakeKube
from harness.fake_kube.web_pods import WebPods
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.kube import Client
from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.provider import Gate, GateView
from lbsync.errors import Unavailable
from lbsync.model.deploying import VersionRecord
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings
from tests.kube import FAST, config_for

P = ParamSpec("P")


def again(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Callable[[], bool]:
    """Return a probe that does it, as an engine does: once more where a controller has written to the object
    between the look and the change. True once it is done."""

    def probe() -> bool:
        try:
            return act(*args, **kwargs) is not False
        except Unavailable:
            return False

    return probe


DOCUMENT = """
namespace: shop
name: cart
image: cart:1
port: {port}
replicas: 2
service: {{hosts: [cart.example]}}
probe: {{path: /health, interval: 1ms, timeout: 500ms, good: 2}}
"""

CART = ServiceId("shop", "cart")


class Alone:
    """The fence of somebody whom nobody else follows."""

    token = "alone"

    def check(self) -> None:
        """Raise nothing."""


ALONE = Alone()
Versions = Callable[..., VersionRecord]


def opened(gate: Gate) -> GateView:
    """Look until the gate says that it is done, or never will be."""
    views: list[GateView] = []

    def look() -> bool:
        views.append(gate.look())
        return bool(views[-1].is_done or views[-1].failed)

    wait_until("the gate to say something", look)
    return views[-1]


@pytest.fixture
def pods() -> Iterator[WebPods]:
    made = WebPods()
    yield made
    made.stop_all()


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    made = FakeKube().start()
    made.namespace("shop")
    yield made
    made.stop()


@pytest.fixture
def controllers(fake: FakeKube, pods: WebPods) -> Iterator[Controllers]:
    made = Controllers(fake, start_pod=pods.start, stop_pod=pods.stop).start()
    yield made
    made.stop()


@pytest.fixture
def provider(fake: FakeKube, tmp_path: Path) -> Iterator[Kubernetes]:
    client = Client(config_for(fake, tmp_path), FAST)
    yield Kubernetes(client, Settings())
    client.close()


@pytest.fixture
def app_of(pods: WebPods) -> Callable[[str], App]:
    """Return the app with some lines more."""

    def read(more: str = "") -> App:
        return document.read((DOCUMENT.format(port=pods.port) + more).encode())

    return read


@pytest.fixture
def version_of(app_of: Callable[[str], App]) -> Versions:
    def make(number: int = 1, more: str = "", image: str = "") -> VersionRecord:
        app = app_of(more)
        plain = document.to_plain(app) | ({"image": image} if image else {})
        return VersionRecord(manifests.group_of(number), number, plain, f"deployment-{number}")

    return make


@pytest.fixture
def store(hosts_etcd: Etcd) -> Iterator[EtcdSource]:
    source = open_etcd(hosts_etcd.urls, "/lbsync-deploy/")
    yield source
    source.close()


@pytest.fixture
def ledger(store: EtcdSource) -> Ledger:
    return Ledger(store, "/lbsync/", "a test")
