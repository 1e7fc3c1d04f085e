"""From a cluster to a request: API server, publisher, etcd, agent, HAProxy."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.fake_kube import Controllers, FakeKube
from harness.fake_kube.objects import PUBLISH, deployment, service
from harness.fake_kube.web_pods import WebPods
from harness.load import Load
from harness.publisher import PublisherProcess, Store
from harness.stack import Stack
from harness.wait import wait_until

HOST = "cart.example"


@pytest.fixture
def pods() -> Iterator[WebPods]:
    made = WebPods()
    yield made
    made.stop_all()


@pytest.fixture
def fake(pods: WebPods) -> Iterator[FakeKube]:
    """A cluster with controllers, a node, and the Deployment cart behind a Service."""
    made = FakeKube().start()
    # As with a preStop hook: a pod serves on for a moment after it was told to go.
    controllers = Controllers(made, start_pod=pods.start, stop_pod=pods.stop, grace=3.0).start()
    try:
        made.put(
            service(
                "cart",
                "shop",
                labels=PUBLISH,
                annotations={"lbsync.io/hosts": HOST, "lbsync.io/address-mode": "pod"},
                ports=[{"name": "http", "port": 80, "targetPort": "http"}],
            )
        )
        made.put(deployment("cart", "shop", replicas=3, port=pods.port))
        yield made
    finally:
        controllers.stop()
        made.stop()


@pytest.fixture
def publisher(
    stack: Stack, agent: AgentProcess, fake: FakeKube, tmp_path: Path
) -> Iterator[PublisherProcess]:
    # Of so few servers the agent would hold a removal back, and rightly.
    many = {"servers": [{"name": f"s{n}", "address": "127.9.0.1", "port": n} for n in range(1, 9)]}
    stack.put({"services/shop/many": {"mode": "http", "hosts": ["many.example"]},
               "endpoints/shop/many/default": many})  # fmt: skip
    store = Store([node.url for node in stack.etcd.nodes])
    process = PublisherProcess(store, fake, tmp_path)
    try:
        yield process.start()
    finally:
        process.stop()
        store.close()


def answer(stack: Stack) -> str:
    """Return who answers; the status where nobody does."""
    got = stack.get(HOST)
    return got.body if got.status == 200 else str(got.status)


def test_a_service_is_served_follows_the_cluster_and_goes_when_it_is_deleted(
    stack: Stack, publisher: PublisherProcess, fake: FakeKube
) -> None:
    wait_until("the Service to be served", lambda: answer(stack) == "cart:1", timeout=60)
    assert stack.get("shop.example").status == 200, "what people wrote is served beside it"
    fake.patch(
        "Service", "shop", "cart", {"metadata": {"annotations": {"lbsync.io/hosts": "b.example"}}}
    )
    wait_until("the new host", lambda: stack.get("b.example").body == "cart:1", timeout=60)
    wait_until("the old host to go", lambda: stack.get(HOST).status == 404)
    told = command(stack, "status").stdout
    assert "default: 1 published, in step" in told
    publisher.kill()
    fake.stop()
    fake.delete("Service", "shop", "cart")
    publisher.start()
    publisher.wait_until_said("API server is away")
    assert stack.get("b.example").body == "cart:1", "nothing is lost while nobody knows"
    fake.start()
    wait_until("the Service to go", lambda: stack.get("b.example").status == 404, timeout=60)
    assert stack.get("shop.example").status == 200


def test_a_rolling_update_loses_no_request(
    stack: Stack, publisher: PublisherProcess, fake: FakeKube, pods: WebPods
) -> None:
    wait_until("the Service to be served", lambda: answer(stack) == "cart:1", timeout=60)
    load = Load(stack.http_port, HOST, rate=200.0).start()
    try:
        for version in (2, 3):
            fake.put(deployment("cart", "shop", replicas=3, port=pods.port, version=version))
            name = f"cart:{version}"
            wait_until(
                f"only {name} to be left",
                partial(lambda name: {answer(stack) for _ in range(12)} == {name}, name),
                timeout=60,
            )
        fake.patch("Deployment", "shop", "cart", {"spec": {"replicas": 1}})
        wait_until("the pods to end", lambda: len(fake.objects("Pod")) == 1, timeout=60)
    finally:
        load.stop()
    assert load.failures == []
    assert load.requests > 200
    assert {"cart:1", "cart:2", "cart:3"} <= set(load.answers)
