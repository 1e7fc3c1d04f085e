"""A reflector follows the cluster through everything that goes well."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import endpoint, endpoint_slice, node, service
from harness.wait import wait_until
from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    NODES,
    PODS,
    SERVICES,
    Cluster,
    ClusterConfig,
    Watch,
)
from tests.kube import FAST, Watching, config_for


def test_what_there_is_is_listed_in_pages_and_then_followed(
    fake: FakeKube, watching: Watching
) -> None:
    for number in range(1203):
        fake.put(service(f"s{number:04}"))
    heard = watching(SERVICES)
    wait_until("the list", lambda: heard.synced)
    assert len(heard.store) == 1203
    assert [r.target.count("continue=") for r in fake.requests][:3] == [0, 1, 1]
    fake.put(service("new"))
    fake.patch("Service", "default", "s0000", {"spec": {"type": "NodePort"}})
    fake.delete("Service", "default", "s0001")
    wait_until("three changes", lambda: len(heard.changes) == 1206)
    assert heard.store["default", "new"].ports[0].port == 80
    assert heard.store["default", "s0000"].type == "NodePort"
    assert ("default", "s0001") not in heard.store
    assert (heard.stats.lists, heard.stats.watches, heard.stats.events) == (1, 1, 3)


def test_an_empty_list_is_synced_too(watching: Watching) -> None:
    heard = watching(INGRESSES)
    wait_until("the watch", lambda: heard.health().ok)
    assert heard.synced
    assert dict(heard.store) == {}


def test_a_change_tells_what_was_and_what_is(fake: FakeKube, watching: Watching) -> None:
    fake.put(endpoint_slice("web-1", "web", [endpoint("10.0.0.1")]))
    heard = watching(ENDPOINT_SLICES)
    wait_until("the watch", lambda: heard.health().ok)
    fake.delete("EndpointSlice", "default", "web-1")
    wait_until("the deletion", lambda: len(heard.changes) == 2)
    first, last = heard.changes
    assert first.after is not None
    assert (first.before, first.after.service) == (None, "web")
    assert (last.kind, last.namespace, last.name) == ("EndpointSlice", "default", "web-1")
    assert last.before is not None
    assert (last.before.service, last.after) == ("web", None)


def test_slices_are_found_by_their_service(fake: FakeKube, watching: Watching) -> None:
    for name in ("web-1", "web-2", "api-1"):
        fake.put(endpoint_slice(name, name[:-2], [endpoint("10.0.0.1")]))
    fake.put(endpoint_slice("web-9", "web", [endpoint("10.0.0.1")], namespace="other"))
    heard = watching(ENDPOINT_SLICES)
    wait_until("the watch", lambda: heard.health().ok)
    found = heard.store.group("default", "web")
    assert {name for _, name in found} == {"web-1", "web-2"}
    labels = {"metadata": {"labels": {"kubernetes.io/service-name": "api"}}}
    fake.patch("EndpointSlice", "default", "web-2", labels)
    wait_until("the move", lambda: len(heard.store.group("default", "api")) == 2)
    assert set(heard.store.group("default", "web")) == {("default", "web-1")}


def test_one_namespace_alone_can_be_watched(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("here", "shop"))
    fake.put(service("elsewhere", "bank"))
    heard = watching(SERVICES, namespace="shop")
    wait_until("the watch", lambda: heard.health().ok)
    fake.put(service("new", "bank"))
    fake.put(service("new", "shop"))
    wait_until("the new one", lambda: len(heard.store) == 2)
    assert set(heard.store) == {("shop", "here"), ("shop", "new")}


def test_what_leaves_the_selection_is_gone_and_what_enters_is_there(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("web", labels={"lbsync.io/publish": "true"}))
    fake.put(service("db"))
    heard = watching(SERVICES, selector="lbsync.io/publish=true")
    wait_until("the watch", lambda: heard.health().ok)
    assert heard.names() == {"web"}
    fake.patch("Service", "default", "db", {"metadata": {"labels": {"lbsync.io/publish": "true"}}})
    fake.patch("Service", "default", "web", {"metadata": {"labels": {"lbsync.io/publish": None}}})
    wait_until("the exchange", lambda: heard.names() == {"db"})


def test_a_node_s_heartbeat_is_no_change(fake: FakeKube, watching: Watching) -> None:
    fake.put(node("n1", "192.0.2.1"))
    heard = watching(NODES)
    wait_until("the watch", lambda: heard.health().ok)
    for beat in range(3):
        beats = [{"type": "Ready", "status": "True", "lastHeartbeatTime": str(beat)}]
        fake.put_status(node("n1", "192.0.2.1") | {"status": {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}], "conditions": beats,
        }})  # fmt: skip
    fake.patch("Node", "", "n1", {"metadata": {"labels": {"zone": "a"}}})
    wait_until("the label", lambda: len(heard.changes) == 2)
    assert heard.stats.events == 4
    last = heard.changes[1].after
    assert last is not None
    assert last.labels == {"zone": "a"}


def test_versions_and_bookkeeping_fields_are_no_change(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("web"))
    heard = watching(SERVICES)
    wait_until("the watch", lambda: heard.health().ok)
    note = {"kubectl.kubernetes.io/last-applied-configuration": "{…}"}
    fake.patch("Service", "default", "web", {"metadata": {"annotations": note}})
    fake.patch("Service", "default", "web", {"spec": {"internalTrafficPolicy": "Local"}})
    wait_until("the events", lambda: heard.stats.events == 2)
    assert len(heard.changes) == 1


def test_a_hundred_quick_updates_end_in_the_last(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("web"))
    heard = watching(SERVICES)
    wait_until("the watch", lambda: heard.health().ok)
    for number in range(100):
        fake.patch("Service", "default", "web", {"metadata": {"labels": {"n": str(number)}}})
    wait_until("the last", lambda: heard.store["default", "web"].labels.get("n") == "99")
    assert heard.stats.events == 100


def test_of_pods_only_the_metadata_is_sent(fake: FakeKube, watching: Watching) -> None:
    pod = {"kind": "Pod", "metadata": {"name": "p", "labels": {"colour": "blue"}}}
    fake.put(pod | {"spec": {"containers": ["this must not be sent"]}})
    heard = watching(PODS)
    wait_until("the watch", lambda: heard.health().ok)
    assert heard.store["default", "p"].labels == {"colour": "blue"}
    fake.patch("Pod", "default", "p", {"metadata": {"labels": {"colour": "green"}}})
    wait_until("the change", lambda: heard.store["default", "p"].labels == {"colour": "green"})


@pytest.mark.parametrize(("minor", "served"), [(20, "v1beta1"), (24, "v1"), (25, "v1"), (34, "v1")])
def test_slices_are_read_from_old_and_new_servers_alike(
    minor: int,
    served: str,
    fakes: Callable[..., FakeKube],
    tmp_path: Path,
    watching: Watching,
) -> None:
    fake = fakes(minor=minor)
    fake.put(endpoint_slice("a", "web", [endpoint("10.0.0.1", nodeName="n1", zone="z1")]))
    heard = watching(ENDPOINT_SLICES, config=config_for(fake, tmp_path))
    wait_until("the watch", lambda: heard.health().ok)
    fake.put(endpoint_slice("b", "web", [endpoint("10.0.0.2", nodeName="n2", zone="z2")]))
    wait_until("the new one", lambda: len(heard.store) == 2)
    found = sorted((e.address, e.node, e.zone) for s in heard.store.values() for e in s.endpoints)
    assert found == [("10.0.0.1", "n1", "z1"), ("10.0.0.2", "n2", "z2")]
    assert f"/apis/discovery.k8s.io/{served}/endpointslices?watch" in fake.requests[-1].target


def test_a_cluster_is_synced_when_all_its_watches_are(
    fake: FakeKube, config: ClusterConfig
) -> None:
    fake.put(service("web", "shop"))
    fake.put(service("web", "bank"))
    states: list[bool] = []
    cluster = Cluster(
        config,
        [Watch(SERVICES, "shop"), Watch(SERVICES, "bank"), Watch(INGRESS_CLASSES)],
        lambda change: None,
        on_state=lambda: states.append(True),
    )
    assert not cluster.synced
    assert not cluster.health().ok
    cluster.start()
    try:
        wait_until("all watches", lambda: cluster.synced and cluster.health().ok)
        assert set(cluster.objects(SERVICES)) == {("shop", "web"), ("bank", "web")}
        found = cluster.get(SERVICES, "bank", "web")
        assert found is not None
        assert found.namespace == "bank"
        assert cluster.get(SERVICES, "bank", "nope") is None
        assert "3 watches on http://127.0.0.1" in cluster.health().detail
        assert set(cluster.stats()) == {"services in shop", "services in bank", "ingressclasses"}
        assert states
    finally:
        cluster.close()
        cluster.close()


def test_two_watches_of_one_kind_may_overlap(fake: FakeKube, config: ClusterConfig) -> None:
    label = {"lbsync.io/publish": "true"}
    fake.put(endpoint_slice("labelled", "web", [endpoint("10.0.0.1")], labels=label))
    cluster = Cluster(
        config,
        [Watch(ENDPOINT_SLICES, selector="lbsync.io/publish=true")],
        lambda change: None,
        timing=FAST,
    )
    cluster.start()
    try:
        wait_until("the first", lambda: cluster.health().ok)
        cluster.add(Watch(ENDPOINT_SLICES))
        fake.put(endpoint_slice("bare", "web", [endpoint("10.0.0.2")]))
        wait_until("both", lambda: len(cluster.group(ENDPOINT_SLICES, "default", "web")) == 2)
        assert cluster.get(ENDPOINT_SLICES, "default", "bare") is not None
        assert len(cluster.stats()) == 2
        wait_until("both watches", lambda: cluster.health().ok)
    finally:
        cluster.close()
