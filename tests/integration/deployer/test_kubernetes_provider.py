"""Versions of an app in a cluster: made once, proved well, failed early with the reason, and taken away."""

from collections.abc import Callable

import pytest

from harness.fake_kube import ADMIN, Controllers, FakeKube, Trouble
from harness.fake_kube.objects import deployment, service
from harness.fake_kube.place import User
from harness.fake_kube.web_pods import WebPods
from harness.wait import wait_until
from lbsync.deployer.kubernetes import gate as gating
from lbsync.deployer.kubernetes import pods as rules
from lbsync.deployer.kubernetes.document import App, to_plain
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.deployer.provider import GateView
from lbsync.errors import Rejected, Unavailable
from lbsync.model.deploying import VersionRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.keys import ServiceId
from tests.integration.deployer.conftest import ALONE, CART, Versions, again, opened

NOTHING = Snapshot(1, 0, {})


def names(fake: FakeKube, kind: str) -> list[str]:
    return [found["metadata"]["name"] for found in fake.objects(kind)]


def test_a_version_is_made_beside_the_other_ones_found_well_and_taken_away(
    fake: FakeKube,
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Versions,
    pods: WebPods,
) -> None:
    one, two = version_of(1), version_of(2, image="cart:2")
    for version in (one, two):
        provider.provision(CART, version, ALONE)
        view = opened(provider.gate(CART, version))
        assert view.is_done, view
        assert view.detail == "2 of 2 pods are ready, 2 by the probe of /health"
    assert names(fake, "Deployment") == ["cart-1", "cart-2"]
    assert names(fake, "Service") == ["cart"]
    assert [len(pods.of(image)) for image in ("cart:1", "cart:2")] == [2, 2]
    assert provider.image(CART, two).startswith("cart@sha256:")
    fake.patch("Deployment", "shop", "cart-1", {"spec": {"replicas": 0}})
    wait_until("cart-1 to end", lambda: not pods.of("cart:1"))
    wait_until("cart-1 to be held again", again(provider.provision, CART, one, ALONE))
    assert opened(provider.gate(CART, one)).is_done
    wait_until("cart-1 to go", again(provider.remove, CART, one, ALONE))
    assert names(fake, "Deployment") == ["cart-2"]
    wait_until("all to go", again(provider.remove_app, CART, ALONE))
    assert names(fake, "Deployment") + names(fake, "Service") + names(fake, "Pod") == []


def test_what_is_made_once_more_stays_as_it_is(
    fake: FakeKube, provider: Kubernetes, version_of: Versions
) -> None:
    """A deployer that takes over begins with the step that the other one was at."""
    provider.provision(CART, version_of(), ALONE)
    fake.patch("Deployment", "shop", "cart-1", {"spec": {"replicas": 5}})
    before = fake.storage.version
    provider.provision(CART, version_of(), ALONE)
    assert fake.storage.version == before


def test_the_service_says_what_the_version_says_once_it_is_published(
    fake: FakeKube, provider: Kubernetes, version_of: Versions
) -> None:
    provider.provision(CART, version_of(1), ALONE)
    plain = to_plain_with_service(version_of(2), hosts=["new.example"], maxconn=9)
    provider.publish(CART, plain, ALONE)
    annotations = fake.get("Service", "shop", "cart")["metadata"]["annotations"]  # type: ignore[index]
    assert annotations["lbsync.io/hosts"] == '["new.example"]'
    provider.publish(CART, version_of(1), ALONE)
    annotations = fake.get("Service", "shop", "cart")["metadata"]["annotations"]  # type: ignore[index]
    assert annotations["lbsync.io/hosts"] == '["cart.example"]'
    assert "lbsync.io/maxconn" not in annotations, "what the new version brought goes with it"


def to_plain_with_service(version: VersionRecord, **fields: object) -> VersionRecord:
    service = version.document["service"] | fields
    return VersionRecord(
        version.group, version.number, version.document | {"service": service}, version.deployment
    )


@pytest.mark.parametrize(
    ("trouble", "reason", "log"),
    [
        (
            Trouble(waiting="ErrImagePull", message='failed to pull "cart:1": not found'),
            "the image of container cart cannot be pulled (ErrImagePull): failed to pull",
            [],
        ),
        (
            Trouble(waiting="ImagePullBackOff", message="Back-off pulling image"),
            "cannot be pulled (ImagePullBackOff): Back-off",
            [],
        ),
        (
            Trouble(waiting="CrashLoopBackOff", ended="Error", code=3, restarts=2),
            "ends again and again (CrashLoopBackOff): the last time with code 3 (Error)",
            ["cart: no database"],
        ),
        (
            Trouble(waiting="CrashLoopBackOff", ended="OOMKilled", code=137, restarts=2),
            "it was killed for taking more memory than its limit (OOMKilled)",
            ["cart: no database"],
        ),
        (
            Trouble(waiting="CreateContainerConfigError", message='secret "db" not found'),
            'container cart cannot be started (CreateContainerConfigError): secret "db" not found',
            [],
        ),
        (
            Trouble(unschedulable="0/3 nodes are available: 3 Insufficient memory."),
            "no node takes it: 0/3 nodes are available: 3 Insufficient memory.",
            [],
        ),
    ],
    ids=lambda found: found.waiting or found.unschedulable if isinstance(found, Trouble) else "",
)  # fmt: skip
def test_a_version_that_will_never_be_well_fails_at_once_with_the_reason(
    fake: FakeKube,
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Versions,
    monkeypatch: pytest.MonkeyPatch,
    *,
    trouble: Trouble,
    reason: str,
    log: list[str],
) -> None:
    impatient(monkeypatch)
    fake.logs["cart:1"] = "\n".join([*(f"old {n}" for n in range(50)), "no database"])
    controllers.trouble("cart:1", trouble)
    provider.provision(CART, version_of(), ALONE)
    gate = provider.gate(CART, version_of())
    wait_until("the pods", lambda: len(fake.objects("Pod")) == 2)
    for pod in fake.objects("Pod"):
        fake.put(event(pod["metadata"]["name"], "Failed", "what happened"))
    view = opened(gate)
    assert reason in view.failed
    assert view.failed.startswith("pod cart-1-")
    assert [line for line in view.log if "event" not in line][-1:] == log
    assert view.log[-1] == "event Failed: what happened"
    assert len(view.log) <= 25


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have troubles that may be over at the second try count at once."""
    monkeypatch.setattr(rules, "PATIENCE_S", 0.05)
    monkeypatch.setattr(rules, "UNSCHEDULABLE_S", 0.05)


def event(pod: str, reason: str, message: str) -> dict[str, object]:
    return {
        "kind": "Event",
        "metadata": {"name": f"{pod}.{reason.lower()}", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "name": pod, "namespace": "shop"},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


def test_a_trouble_that_passes_is_waited_out(
    fake: FakeKube, controllers: Controllers, provider: Kubernetes, version_of: Versions
) -> None:
    """A registry that stumbles, a Secret that comes a moment later."""
    controllers.trouble("cart:1", Trouble(waiting="ErrImagePull", message="i/o timeout"))
    provider.provision(CART, version_of(), ALONE)
    gate = provider.gate(CART, version_of())
    wait_until("the pods", lambda: gate.look().detail.startswith("0 of 2"))
    controllers.trouble("cart:1", None)
    assert opened(gate).is_done


def test_a_node_that_is_being_made_is_waited_for(
    fake: FakeKube,
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Versions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    controllers.trouble("cart:1", Trouble(unschedulable="0/1 nodes are available"))
    provider.provision(CART, version_of(), ALONE)
    wait_until("the pods", lambda: len(fake.objects("Pod")) == 2)
    for pod in fake.objects("Pod"):
        fake.put(event(pod["metadata"]["name"], "TriggeredScaleUp", "pod triggered scale-up"))
    gate = provider.gate(CART, version_of())
    wait_until("some looks", lambda: [gate.look().failed for _ in range(20)] == [""] * 20)
    controllers.trouble("cart:1", None)
    assert opened(gate).is_done


def test_pods_that_a_quota_refuses_end_it_with_what_the_api_server_said(
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Versions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    controllers.refuse_pods('pods "cart-1-x" is forbidden: exceeded quota: compute')
    provider.provision(CART, version_of(), ALONE)
    view = opened(provider.gate(CART, version_of()))
    assert view.failed == (
        'Kubernetes makes no pods for cart-1: pods "cart-1-x" is forbidden: exceeded quota: compute'
    )


def test_the_apps_own_probe_decides_and_says_what_it_was_answered(
    controllers: Controllers, provider: Kubernetes, version_of: Versions, pods: WebPods
) -> None:
    """Kubernetes calls the pods ready all the while."""
    pods.prepare = lambda web: setattr(web, "health", 503)
    provider.provision(CART, version_of(), ALONE)
    gate = provider.gate(CART, version_of())
    wait_until("an answer", lambda: "answers 503" in gate.look().detail)
    assert "2 of 2 pods are ready, 0 by the probe of /health; pod cart-1-" in gate.look().detail
    one, two = pods.of("cart:1")
    one.health = 200
    assert not any(gate.look().is_done for _ in range(5)), "every one of them has to be well"
    two.health = 200
    assert opened(gate).is_done


def test_a_probe_that_is_not_answered_in_time_is_bad(
    controllers: Controllers, provider: Kubernetes, version_of: Versions, pods: WebPods
) -> None:
    more = version_of()
    slow = more.document | {"probe": {"path": "/slow", "timeout": "50ms", "interval": "1ms"}}
    version = VersionRecord("v1", 1, slow, "deployment-1")
    pods.prepare = lambda web: setattr(web, "is_holding", True)
    provider.provision(CART, version, ALONE)
    gate = provider.gate(CART, version)
    wait_until("no answer", lambda: "no answer in 0.05 s" in gate.look().detail)


def test_without_a_probe_pods_have_to_be_ready_for_more_than_a_moment(
    controllers: Controllers, provider: Kubernetes, version_of: Versions, fake: FakeKube
) -> None:
    plain = {name: value for name, value in version_of().document.items() if name != "probe"}
    version = VersionRecord("v1", 1, plain, "deployment-1")
    provider.provision(CART, version, ALONE)
    gate = provider.gate(CART, version)
    views: list[GateView] = []

    def look() -> bool:
        views.append(gate.look())
        return views[-1].is_done

    wait_until("the gate to open", look)
    ready = [view for view in views if view.detail == "2 of 2 pods are ready"]
    assert len(ready) == gating._WITHOUT_PROBE


def test_what_somebody_else_made_is_neither_changed_nor_removed(
    fake: FakeKube, provider: Kubernetes, version_of: Versions, app_of: Callable[[str], App]
) -> None:
    fake.put(service("cart", "shop"))
    before = fake.get("Service", "shop", "cart")
    with pytest.raises(
        Rejected, match="Service shop/cart is there, and the deployer has not made it"
    ):
        provider.provision(CART, version_of(), ALONE)
    with pytest.raises(Rejected, match="has not made it"):
        provider.check(CART, to_plain(app_of("")), NOTHING)
    assert provider.remove_app(CART, ALONE)
    assert fake.get("Service", "shop", "cart") == before
    fake.delete("Service", "shop", "cart")
    fake.put(deployment("cart-1", "shop"))
    before = fake.get("Deployment", "shop", "cart-1")
    with pytest.raises(Rejected, match="Deployment shop/cart-1 is there, and the deployer has not"):
        provider.provision(CART, version_of(), ALONE)
    assert provider.remove(CART, version_of(), ALONE)
    assert fake.get("Deployment", "shop", "cart-1") == before


def test_a_version_of_another_deployment_is_left_alone(
    fake: FakeKube, provider: Kubernetes, version_of: Versions
) -> None:
    """Another lbsync, with another etcd, counts versions from one as well."""
    provider.provision(CART, version_of(), ALONE)
    other = VersionRecord("v1", 1, version_of().document, "of-somebody-else")
    with pytest.raises(Rejected, match="is there already, made by deployment deployment-1"):
        provider.provision(CART, other, ALONE)
    assert provider.remove(CART, other, ALONE)
    assert names(fake, "Deployment") == ["cart-1"]


def test_an_api_server_that_is_away_is_waited_for(
    fake: FakeKube, controllers: Controllers, provider: Kubernetes, version_of: Versions
) -> None:
    """Also one that has just been started, and forbids everything until it knows who may do what."""
    provider.provision(CART, version_of(), ALONE)
    gate = provider.gate(CART, version_of())
    fake.stop()
    with pytest.raises(Unavailable):
        gate.look()
    fake.start()
    fake.users[ADMIN] = User("nobody", set())
    with pytest.raises(Unavailable, match="allow it in a Role"):
        provider.remove(CART, version_of(), ALONE)
    fake.users[ADMIN] = User("admin")
    assert opened(gate).is_done


def test_a_document_that_the_api_server_refuses_is_refused_before_anything_is_made(
    fake: FakeKube, provider: Kubernetes, app_of: Callable[[str], App]
) -> None:
    plain = to_plain(app_of(""))
    for field in ("image", "replicas"):
        plain.pop(field)
    container = {"name": "a", "image": "a:1", "imagePullPolice": "Always", "port": 3}
    version = fake.storage.version
    with pytest.raises(Rejected) as refused:
        provider.check(CART, plain | {"pod": {"spec": {"containers": [container]}}}, NOTHING)
    for field in ("imagePullPolice", "port"):
        assert f'unknown field "spec.template.spec.containers[0].{field}"' in str(refused.value)
    assert fake.storage.version == version
    with pytest.raises(Rejected, match='namespaces "nowhere" not found'):
        provider.check(
            ServiceId("nowhere", "cart"), to_plain(app_of("")) | {"namespace": "nowhere"}, NOTHING
        )
    assert provider.check(CART, to_plain(app_of("")), NOTHING)
    assert fake.objects("Deployment") == fake.objects("Service") == []


def stored(key: str, value: bytes) -> Snapshot:
    return Snapshot(1, 0, {key: Item(key, value, 1, 1)})


def test_a_host_that_another_app_has_is_told_before_anything_starts(
    fake: FakeKube, provider: Kubernetes, app_of: Callable[[str], App]
) -> None:
    taken = stored("services/shop/other", b'{"mode":"http","hosts":["cart.example"]}')
    with pytest.raises(Rejected, match=r"cart\.example.*shop/other"):
        provider.check(CART, to_plain(app_of("")), taken)
    written = stored("services/shop/cart", b'{"mode":"http","hosts":["cart.example"]}')
    with pytest.raises(Rejected, match="services/shop/cart is there, and no publisher wrote it"):
        provider.check(CART, to_plain(app_of("")), written)
    own = stored(
        "services/shop/cart", b'{"mode":"http","hosts":["a.example"],"source":"k8s/default"}'
    )
    provider.check(CART, to_plain(app_of("")), own)


@pytest.mark.parametrize("group", ["v2", "default.green"])
def test_an_app_whose_service_another_cluster_shares_is_refused(
    provider: Kubernetes, app_of: Callable[[str], App], group: str
) -> None:
    """That cluster's pods may bear the number of the next version, and would count as it."""
    values = {
        "services/shop/cart": b'{"mode":"http","hosts":["a.example"],"source":"k8s/default"}',
        "endpoints/shop/cart/none": b'{"servers":[]}',
        "endpoints/shop/cart/v1": b'{"servers":[],"source":"k8s/default"}',
        "endpoints/shop/other/v2": b'{"servers":[],"source":"k8s/green"}',
    }
    theirs = {f"endpoints/shop/cart/{group}": b'{"servers":[],"source":"k8s/green"}'}

    def snapshot(found: dict[str, bytes]) -> Snapshot:
        return Snapshot(7, 0, {key: Item(key, value, 5, 5) for key, value in found.items()})

    provider.check(CART, to_plain(app_of("")), snapshot(values))
    with pytest.raises(Rejected, match=rf"{group} is written by .* another cluster \(k8s/green\)"):
        provider.check(CART, to_plain(app_of("")), snapshot(values | theirs))


@pytest.mark.parametrize(
    "service",
    [
        {"hosts": ["cart.example"]},
        {"hosts": ["a.example", "cart.example"]},
        {"hosts": ["cart.example"], "paths": ["/"]},
    ],
)
def test_a_host_that_an_app_claims_that_is_just_being_deployed_is_told_as_well(
    provider: Kubernetes, app_of: Callable[[str], App], service: dict[str, object]
) -> None:
    """It is not published yet: two deployments begun one after the other would both have found the host free."""
    plain = to_plain(app_of(""))
    other = plain | {"name": "other", "service": {"mode": "http", **service}}
    coming = {CART: plain, ServiceId("shop", "other"): other}
    with pytest.raises(Rejected, match=r"cart\.example.*shop/other"):
        provider.check(CART, plain, NOTHING, coming)
    provider.check(CART, plain, NOTHING, {CART: plain})


def test_a_port_that_an_app_claims_that_is_just_being_deployed_is_told_as_well(
    provider: Kubernetes, app_of: Callable[[str], App]
) -> None:
    tcp = to_plain(app_of("")) | {"service": {"mode": "tcp", "listen": 7777}}
    tcp.pop("probe")
    other = tcp | {"name": "other"}
    with pytest.raises(Rejected, match=r"7777.*shop/other"):
        provider.check(CART, tcp, NOTHING, {ServiceId("shop", "other"): other})


def test_a_new_check_that_the_live_version_would_fail_is_refused(
    controllers: Controllers,
    provider: Kubernetes,
    version_of: Versions,
    pods: WebPods,
    fake: FakeKube,
) -> None:
    """The check is the service's: the live version's servers would be down before the switch."""
    one = version_of()
    provider.provision(CART, one, ALONE)
    assert opened(provider.gate(CART, one)).is_done
    provider.publish(CART, one, ALONE)
    asked = to_plain_with_service(version_of(2), check={"path": "/health"})
    for web in pods.of("cart:1"):
        web.health = 404
    with pytest.raises(Rejected, match=r"which serves now, would fail it \(it answers 404"):
        provider.publish(CART, asked, ALONE, one)
    annotations = fake.get("Service", "shop", "cart")["metadata"]["annotations"]  # type: ignore[index]
    assert "lbsync.io/check" not in annotations
    for web in pods.of("cart:1"):
        web.health = 200
    provider.publish(CART, asked, ALONE, one)
    for web in pods.of("cart:1"):
        web.health = 404
    provider.publish(CART, asked, ALONE, one)
