"""Each namespace for itself: one that may not be read stops no other, and loses nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.fake_kube import ADMIN, FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, service
from harness.fake_kube.place import User
from harness.publisher import Store
from lbsync.errors import Exit
from lbsync.publisher.cluster.informers import Informers
from tests.driven import Driven
from tests.kube import FAST, config_for

Drive = Callable[..., Driven]
BEAT = "publishers/default/heartbeat"
BOTH = ("shop", "bank")


def put(fake: FakeKube, namespace: str, *addresses: str) -> None:
    """Put the Service cart of a namespace with ready pods at these addresses."""
    if fake.get("Service", namespace, "cart") is None:
        hosts = {"lbsync.io/hosts": f"{namespace}.example"}
        fake.put(service("cart", namespace, labels=PUBLISH, annotations=hosts))
    pods = [endpoint(address, pod=f"cart-{address[-1]}") for address in addresses]
    fake.put(endpoint_slice("cart-1", "cart", pods, namespace, labels=PUBLISH))


def bar(fake: FakeKube, *resources: str, namespace: str = "bank") -> None:
    """Take the right to read these resources of one namespace away, as without its RoleBinding."""
    rights = {(namespace, verb, name) for verb in ("list", "watch") for name in resources}
    fake.users[ADMIN] = User("weak", barred=rights)


def follow(driven: Driven, store: Store, namespace: str, *addresses: str) -> None:
    driven.until(
        f"{addresses} of {namespace}",
        lambda: store.addresses(f"{namespace}/cart") == list(addresses),
    )


def unread(driven: Driven, store: Store) -> str:
    """Wait until the heartbeat tells of the namespace; return what it says."""
    driven.now += 5
    return str(
        driven.until("the word", lambda: (store.value(BEAT) or {}).get("unread", {}).get("bank"))
    )


@pytest.fixture
def published(fake: FakeKube, store: Store, driven: Drive) -> None:
    """Both namespaces were published by a publisher that is gone."""
    put(fake, "shop", "10.0.0.1")
    put(fake, "bank", "10.0.1.1")
    made = driven(namespaces=BOTH)
    follow(made, store, "shop", "10.0.0.1")
    follow(made, store, "bank", "10.0.1.1")
    made.close()


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (("services", "endpointslices", "ingresses"), "list services in namespace bank"),
        (("endpointslices",), "list endpointslices.discovery.k8s.io in namespace bank"),
        (("ingresses",), "list ingresses.networking.k8s.io in namespace bank"),
    ],
)
def test_a_namespace_that_may_not_be_read_stops_no_other_and_loses_nothing(
    fake: FakeKube, store: Store, driven: Drive, resources: tuple[str, ...], said: str
) -> None:
    bar(fake, *resources)
    fake.delete("Service", "bank", "cart")
    fake.delete("EndpointSlice", "bank", "cart-1")
    put(fake, "shop", "10.0.0.2")
    before = store.revisions("services", "endpoints")
    made = driven(namespaces=BOTH, ingress=True, events=True)
    follow(made, store, "shop", "10.0.0.2")
    made.now += 3600  # full comparisons included
    assert said in unread(made, store)
    assert "403" in unread(made, store)
    outcome = made.run_pass()
    assert outcome.exit_code is Exit.REJECTED
    assert "namespace bank cannot be read" in outcome.error
    assert made.publisher.healthy == ""
    after = store.revisions("services", "endpoints")
    assert {key for key in before if before[key] != after.get(key)} == {
        "endpoints/shop/cart/default"
    }
    made.until("an event", lambda: fake.objects("Event"))
    (event,) = fake.objects("Event")
    assert event["involvedObject"]["kind"] == "Namespace"
    assert event["metadata"]["namespace"] == "bank"
    assert said in event["message"]
    fake.users[ADMIN] = User("admin")
    made.until("the Service to go", lambda: store.value("services/bank/cart") is None)
    made.now += 5
    made.until("the word to go", lambda: "unread" not in store.value(BEAT))


def test_a_right_that_is_taken_away_later_freezes_its_namespace_only(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    put(fake, "shop", "10.0.0.1")
    put(fake, "bank", "10.0.1.1")
    made = driven(namespaces=BOTH)
    follow(made, store, "shop", "10.0.0.1")
    follow(made, store, "bank", "10.0.1.1")
    bar(fake, "services", "endpointslices")
    fake.drop()
    assert "watch services" in unread(made, store) or "list services" in unread(made, store)
    put(fake, "bank", "10.0.1.2")
    put(fake, "shop", "10.0.0.2")
    follow(made, store, "shop", "10.0.0.2")
    assert store.addresses("bank/cart") == ["10.0.1.1"]
    assert made.publisher.healthy == ""
    fake.users[ADMIN] = User("admin")
    follow(made, store, "bank", "10.0.1.2")


def test_a_namespace_that_is_deleted_goes_and_its_rights_with_it(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    put(fake, "shop", "10.0.0.1")
    put(fake, "bank", "10.0.1.1")
    made = driven(namespaces=BOTH)
    follow(made, store, "bank", "10.0.1.1")
    bar(fake, "*")
    fake.delete("Service", "bank", "cart")
    fake.delete("EndpointSlice", "bank", "cart-1")
    made.until("the Service to go", lambda: store.value("services/bank/cart") is None)
    fake.drop()
    put(fake, "shop", "10.0.0.2")
    follow(made, store, "shop", "10.0.0.2")


def test_where_no_namespace_may_be_read_nothing_is_published_or_removed(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    fake.users[ADMIN] = User("nobody", set())
    made = driven(namespaces=BOTH)
    made.until("the refusals", lambda: len(made.publisher.unread) == 2)
    outcome = made.run_pass()
    assert outcome.exit_code is Exit.UNAVAILABLE
    assert "services in shop" in outcome.sentence
    assert store.present() == []


def test_a_namespace_that_does_not_answer_is_waited_for_only_for_a_while(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    put(fake, "shop", "10.0.0.1")
    fake.faults.refuse(10_000, code=429, part="/namespaces/bank/services")
    made = driven(namespaces=BOTH)
    made.until("the refusal", lambda: "429" in made.publisher.unread[0])
    assert made.publisher.missing
    made.now += 31
    follow(made, store, "shop", "10.0.0.1")
    assert "429" in unread(made, store)


def test_a_right_that_only_some_services_need_concerns_those_of_its_namespace(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    bar(fake, "pods")
    for namespace in BOTH:
        notes = {"lbsync.io/hosts": f"{namespace}.example", "lbsync.io/group-label": "color"}
        fake.put(service("cart", namespace, labels=PUBLISH, annotations=notes))
    made = driven(namespaces=BOTH)
    made.until("shop", lambda: store.value("services/shop/cart"))
    made.now += 16
    report = "publishers/default/reports/service/bank/cart"
    made.until("the report", lambda: store.value(report))
    assert "list pods in namespace bank" in store.value(report)["refused"]
    assert store.value("publishers/default/reports/service/shop/cart") is None


def handmade(namespace: str, **fields: Any) -> dict[str, Any]:
    notes = {"lbsync.io/hosts": f"{namespace}.example"}
    return service("cart", namespace, labels=PUBLISH, annotations=notes, selector={}, **fields)


def test_a_service_without_a_selector_has_the_slices_of_its_namespace_watched_alone(
    fake: FakeKube, store: Store, driven: Drive
) -> None:
    fake.put(handmade("shop"))
    fake.put(endpoint_slice("cart-1", "cart", [endpoint("10.0.0.1")], "shop"))
    made = driven()
    follow(made, store, "shop", "10.0.0.1")
    listed = {seen.target.partition("?")[0] for seen in fake.requests
              if "endpointslices" in seen.target and "labelSelector" not in seen.target}  # fmt: skip
    assert listed == {"/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"}


@pytest.mark.parametrize(("namespaces", "single", "whole"), [((), 16, 1), (("a",), 20, 0)])
def test_where_many_namespaces_need_it_slices_are_watched_everywhere_at_once(
    fake: FakeKube, tmp_path: Path, namespaces: tuple[str, ...], single: int, whole: int
) -> None:
    made = Informers(
        config_for(fake, tmp_path),
        namespaces=namespaces,
        ingress=False,
        on_change=lambda _: None,
        on_state=lambda: None,
        timing=FAST,
    )
    usual = len(made.cluster.reflectors)
    for number in (*range(20), *range(20)):
        assert "not listed yet" in made.demand("slices", f"ns{number}")
    added = made.cluster.reflectors[usual:]
    made.close()
    assert sum(found.namespace is not None for found in added) == single
    assert sum(found.namespace is None for found in added) == whole
