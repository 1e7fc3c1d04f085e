"""The fake's controllers behave as those of a cluster do, as far as balancing sees them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.fake_kube import Controllers, FakeKube
from harness.fake_kube.objects import deployment, node, service
from harness.wait import wait_until
from lbsync.clients.kube import ENDPOINT_SLICES, SERVICES, Cluster, ClusterConfig, Watch
from lbsync.kube_objects import Endpoint
from tests.kube import FAST, Watching

Control = Callable[..., Controllers]


@pytest.fixture
def control(fake: FakeKube) -> Iterator[Control]:
    made: list[Controllers] = []

    def start(**options: Any) -> Controllers:
        made.append(Controllers(fake, **options).start())
        return made[-1]

    yield start
    for controllers in made:
        controllers.stop()


def test_a_deployment_and_a_service_make_ready_endpoints(
    fake: FakeKube, control: Control, watching: Watching
) -> None:
    fake.put(node("n1", "192.0.2.1", labels={"topology.kubernetes.io/zone": "z1"}))
    fake.put(service("web", labels={"lbsync.io/publish": "true"}))
    fake.put(deployment("web", replicas=3))
    heard = watching(ENDPOINT_SLICES, selector="lbsync.io/publish=true")
    control()

    def endpoints() -> list[Endpoint]:
        return [e for s in heard.store.group("default", "web").values() for e in s.endpoints]

    wait_until("three", lambda: [e.ready for e in endpoints()] == [True] * 3)
    assert {(e.node, e.zone) for e in endpoints()} == {("n1", "z1")}
    assert all(e.target.startswith("web-") for e in endpoints())
    (found,) = heard.store.values()
    owner = fake.get("Service", "default", "web")
    assert owner is not None
    assert found.owner_uid == owner["metadata"]["uid"]
    assert [(p.name, p.port) for p in found.ports] == [("http", 80)]


def test_the_kubelet_s_switch_decides_what_is_ready(
    fake: FakeKube, control: Control, watching: Watching
) -> None:
    fake.put(service("web"))
    fake.put(deployment("web"))
    heard = watching(ENDPOINT_SLICES)
    kubelet = control(ready=False)

    def states() -> list[bool]:
        return [e.ready for s in heard.store.values() for e in s.endpoints]

    wait_until("the pod", lambda: states() == [False])
    (pod,) = fake.objects("Pod")
    kubelet.switch(pod["metadata"]["name"], True)
    wait_until("ready", lambda: states() == [True])
    kubelet.switch(pod["metadata"]["name"], False)
    wait_until("unready", lambda: states() == [False])


def test_in_a_rolling_update_there_is_always_a_ready_pod_and_old_ones_terminate(
    fake: FakeKube, config: ClusterConfig, control: Control
) -> None:
    fake.put(service("web"))
    fake.put(deployment("web", replicas=2))
    ready: list[int] = []
    terminating: list[bool] = []

    def look(change: Any) -> None:
        endpoints = change.after.endpoints if change.after else ()
        ready.append(sum(e.ready for e in endpoints))
        terminating.extend(e.serving for e in endpoints if e.terminating)

    cluster = Cluster(config, [Watch(ENDPOINT_SLICES)], look, timing=FAST)
    cluster.start()
    try:
        control(grace=0.05)
        wait_until("two ready pods", lambda: ready[-1:] == [2])
        del ready[:]
        fake.put(deployment("web", replicas=2, version=2))

        def rolled() -> bool:
            found = fake.get("Deployment", "default", "web")
            status = (found or {}).get("status", {})
            return (
                status.get("observedGeneration") == 2
                and status.get("updatedReplicas") == status.get("replicas") == 2
                and len(fake.objects("Pod")) == 2
            )

        wait_until("the update", rolled)
        wait_until("its end", lambda: ready[-1:] == [2])
        assert min(ready) >= 2
        assert any(terminating)
    finally:
        cluster.close()


def test_many_pods_are_spread_over_slices_and_each_stays_in_its_own(
    fake: FakeKube, control: Control, watching: Watching
) -> None:
    fake.put(service("web"))
    fake.put(deployment("web", replicas=5))
    heard = watching(ENDPOINT_SLICES)
    control(slice_size=2)

    def sizes() -> list[int]:
        return sorted(len(s.endpoints) for s in heard.store.values())

    wait_until("three slices", lambda: sizes() == [1, 2, 2])
    before = {s.name: {e.target for e in s.endpoints} for s in heard.store.values()}
    fake.patch("Deployment", "default", "web", {"spec": {"replicas": 4}})
    wait_until("one less", lambda: sum(sizes()) == 4)
    for found in heard.store.values():
        assert {e.target for e in found.endpoints} <= before[found.name]


def test_slices_go_with_their_service_and_a_service_made_anew_gets_new_ones(
    fake: FakeKube, control: Control, watching: Watching
) -> None:
    fake.put(service("web"))
    fake.put(deployment("web"))
    heard = watching(ENDPOINT_SLICES)
    control()
    wait_until("a slice", lambda: any(s.endpoints for s in heard.store.values()))
    (old,) = heard.store.values()
    fake.delete("Service", "default", "web")
    fake.put(service("web"))
    wait_until("a new one", lambda: {s.owner_uid for s in heard.store.values()} == {
        (fake.get("Service", "default", "web") or {})["metadata"]["uid"]
    })  # fmt: skip
    assert old.name not in heard.names()


def test_a_service_without_pods_has_an_empty_slice_and_a_portless_one_null_ports(
    fake: FakeKube, control: Control, watching: Watching
) -> None:
    fake.put(service("web"))
    fake.put(service("portless", clusterIP="None", ports=[]))
    fake.put(deployment("portless"))
    heard = watching(ENDPOINT_SLICES)
    control()
    wait_until("both", lambda: any(
        s.service == "portless" and s.endpoints for s in heard.store.values()
    ))  # fmt: skip
    by_service = {s.service: s for s in heard.store.values()}
    assert by_service["web"].endpoints == ()
    assert by_service["portless"].ports == ()
    assert by_service["portless"].labels["service.kubernetes.io/headless"] == ""


def test_pods_can_be_real_processes(fake: FakeKube, control: Control) -> None:
    running: list[str] = []

    def start(pod: Any) -> str:
        running.append(pod["metadata"]["name"])
        return "127.0.0.1"

    fake.put(service("web"))
    fake.put(deployment("web", replicas=2))
    control(start_pod=start, stop_pod=lambda pod: running.remove(pod["metadata"]["name"]))
    wait_until("both", lambda: len(running) == 2)
    fake.patch("Deployment", "default", "web", {"spec": {"replicas": 0}})
    wait_until("none", lambda: not running)


def test_finalizers_hold_an_object_until_they_are_gone(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("web"))
    fake.patch("Service", "default", "web", {"metadata": {"finalizers": ["example.org/hold"]}})
    heard = watching(SERVICES)
    wait_until("the watch", lambda: heard.health().ok)
    fake.delete("Service", "default", "web")
    wait_until("the mark", lambda: heard.store["default", "web"].deleting)
    fake.patch("Service", "default", "web", {"metadata": {"finalizers": None}})
    wait_until("the end", lambda: not heard.store)
