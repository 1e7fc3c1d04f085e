"""What the client and the reflectors rely on, asked of the fake and of a real API server alike.

The real one is the cluster of the kubeconfig named by the environment variable KUBECONFIG_REALAPI;
the account needs create, delete and patch on Services in namespaces that it may create.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.fake_kube import FakeKube
from harness.wait import wait_until
from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    NODES,
    SERVICES,
    Client,
    ClusterConfig,
    ObjectReference,
)
from lbsync.clients.kube.auth import kubeconfig
from lbsync.clients.kube.errors import Expired, NotFound
from lbsync.clients.kube.transport import Request, Transport
from lbsync.errors import Rejected
from tests.kube import FAST, Watching, config_for

REAL = os.environ.get("KUBECONFIG_REALAPI")


@pytest.fixture
def made() -> list[FakeKube]:
    """The fakes of this test: one, or none."""
    return []


@pytest.fixture(params=["fake", "real"])
def cluster(
    request: pytest.FixtureRequest,
    fakes: Callable[..., FakeKube],
    made: list[FakeKube],
    tmp_path: Path,
) -> ClusterConfig:
    if request.param == "fake":
        made.append(fakes())
        return config_for(made[0], tmp_path)
    if not REAL:
        pytest.skip("KUBECONFIG_REALAPI names no kubeconfig of a real API server")
    return kubeconfig.load([Path(REAL)])


class Writer:
    """Writes into one namespace of its own."""

    def __init__(self, config: ClusterConfig) -> None:
        self.namespace = f"lbsync-test-{secrets.token_hex(4)}"
        self._transport = Transport(config, FAST)
        self.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})

    def send(self, method: str, path: str, body: Any = None, kind: str = "") -> Any:
        data = None if body is None else msgspec.json.encode(body)
        request = Request(what=f"{method} {path}", path=path, method=method, body=data)
        if kind:
            request = msgspec.structs.replace(request, content_type=kind)
        return msgspec.json.decode(self._transport.fetch(request))

    def services(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/services" + (f"/{name}" if name else "")

    def create(self, name: str, **labels: str) -> Any:
        spec = {"ports": [{"name": "http", "port": 80}], "type": "ClusterIP"}
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        return self.send("POST", self.services(), body)

    def label(self, name: str, **labels: str | None) -> Any:
        patch = {"metadata": {"labels": labels}}
        return self.send("PATCH", self.services(name), patch, "application/merge-patch+json")

    def delete(self, name: str) -> None:
        self.send("DELETE", self.services(name))

    def close(self) -> None:
        self.send("DELETE", f"/api/v1/namespaces/{self.namespace}")
        self._transport.close()


@pytest.fixture
def writer(cluster: ClusterConfig) -> Iterator[Writer]:
    made = Writer(cluster)
    yield made
    made.close()


@pytest.fixture
def reader(cluster: ClusterConfig) -> Iterator[Client]:
    made = Client(cluster, FAST)
    yield made
    made.close()


def test_a_list_in_pages_is_the_list_in_one(writer: Writer, reader: Client) -> None:
    for number in range(5):
        writer.create(f"s{number}")
    paged = reader.list_all(SERVICES, writer.namespace, limit=2)
    whole = reader.list_all(SERVICES, writer.namespace, limit=500)
    assert [entry.key for entry in paged.entries] == [
        (writer.namespace, f"s{number}") for number in range(5)
    ]
    assert [entry.value for entry in paged.entries] == [entry.value for entry in whole.entries]


def test_a_service_is_given_an_address_and_defaults(writer: Writer, reader: Client) -> None:
    writer.create("web", a="b")
    found = reader.get(SERVICES, writer.namespace, "web")
    assert found.cluster_ips[0].count(".") == 3 or ":" in found.cluster_ips[0]
    assert (found.type, found.session_affinity, found.labels["a"]) == ("ClusterIP", "None", "b")
    assert found.ports[0].protocol == "TCP"
    assert found.created.endswith("Z")
    assert found.uid


def test_what_is_not_there_is_named(writer: Writer, reader: Client) -> None:
    with pytest.raises(NotFound, match=r'get services nope in namespace lbsync.*"nope" not found'):
        reader.get(SERVICES, writer.namespace, "nope")


def test_a_selector_that_cannot_be_read_is_refused(writer: Writer, reader: Client) -> None:
    with pytest.raises(Rejected, match="unable to parse"):
        reader.list_all(SERVICES, writer.namespace, "a===b")


def test_a_watch_tells_what_came_after_a_version_in_order(writer: Writer, reader: Client) -> None:
    version = reader.list_all(SERVICES, writer.namespace).version
    writer.create("web", a="1")
    writer.label("web", a="2")
    writer.delete("web")
    stream = reader.watch(SERVICES, version, writer.namespace, seconds=1)
    events = [event for event in stream if event.entry is not None]
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event.version) for event in events]
    assert int(version) < versions[0] < versions[1] < versions[2]


def test_leaving_a_selection_is_told_as_deletion(writer: Writer, reader: Client) -> None:
    writer.create("web", a="1")
    version = reader.list_all(SERVICES, writer.namespace, "a=1").version
    changed = writer.label("web", a="2")
    stream = reader.watch(SERVICES, version, writer.namespace, "a=1", seconds=1)
    (event,) = [event for event in stream if event.entry is not None]
    assert event.type == "DELETED"
    assert event.version == changed["metadata"]["resourceVersion"]
    assert event.entry is not None
    assert event.entry.value is not None
    assert event.entry.value.labels["a"] == "1"


def test_a_version_that_is_too_old_ends_a_watch_within_the_stream(
    made: list[FakeKube], writer: Writer, reader: Client
) -> None:
    writer.create("web")
    for fake in made:
        fake.storage.compact()
    try:
        told = list(reader.watch(SERVICES, "1", writer.namespace, seconds=1))
    except Expired as error:
        assert "too old resource version" in str(error)
        return
    # A young server still knows everything, and nothing is lost by its telling all of it again.
    assert not made
    assert "web" in {event.entry.key[1] for event in told if event.entry is not None}


def test_a_version_that_is_yet_to_come_is_answered_with_silence_or_refused(
    writer: Writer, reader: Client
) -> None:
    """Old servers are silent, which is why a reflector looks at the version before it watches."""
    version = int(reader.version(SERVICES, writer.namespace))
    stream = reader.watch(SERVICES, str(version + 10_000_000), writer.namespace, seconds=1)
    try:
        assert list(stream) == []
    except Expired:
        return


def test_the_version_of_a_list_is_not_behind_any_event(writer: Writer, reader: Client) -> None:
    made = writer.create("web")
    assert int(reader.version(SERVICES, writer.namespace)) >= int(
        made["metadata"]["resourceVersion"]
    )


def test_nodes_and_slices_can_be_listed(reader: Client) -> None:
    assert reader.list_all(NODES).version
    assert reader.list_all(ENDPOINT_SLICES).version


def test_an_event_can_be_posted(writer: Writer, reader: Client) -> None:
    made = writer.create("web")
    about = ObjectReference(
        api_version="v1",
        kind="Service",
        namespace=writer.namespace,
        name="web",
        uid=made["metadata"]["uid"],
    )
    reader.post_event(about, reason="PortMissing", message="no port named x", kind="Warning")
    listed = writer.send("GET", f"/api/v1/namespaces/{writer.namespace}/events")
    (event,) = [e for e in listed["items"] if e["reason"] == "PortMissing"]
    assert event["message"] == "no port named x"
    assert event["involvedObject"]["uid"] == made["metadata"]["uid"]
    assert (event["type"], event["source"]["component"]) == ("Warning", "lbsync")


def test_a_reflector_follows(writer: Writer, cluster: ClusterConfig, watching: Watching) -> None:
    writer.create("web", a="1")
    heard = watching(SERVICES, config=cluster, namespace=writer.namespace)
    wait_until("the watch", lambda: heard.health().ok)
    writer.create("api")
    writer.label("web", a="2")
    writer.delete("api")
    wait_until("the changes", lambda: len(heard.changes) == 4)
    assert heard.store[writer.namespace, "web"].labels["a"] == "2"
    assert heard.names() == {"web"}


def test_a_reflector_goes_on_with_a_short_watch(
    writer: Writer, cluster: ClusterConfig, watching: Watching
) -> None:
    heard = watching(
        SERVICES, config=cluster, namespace=writer.namespace, watch=(1.0, 1.0), ended_early=0.5
    )
    wait_until("two streams", lambda: heard.stats.watches == 2)
    writer.create("web")
    wait_until("the new one", lambda: heard.names() == {"web"})
    assert (heard.stats.lists, heard.stats.expired) == (1, 0)
