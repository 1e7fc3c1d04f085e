"""Old versions whose time is up are ended, whole, by one deployer, and never where they have requests."""

from functools import partial

import msgspec
import pytest

from harness.fake_kube import Controllers, FakeKube
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Put
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.versions.expiry import end_old_versions, is_due
from lbsync.model.deploying import AppRecord, VersionRecord, VersionsRecord, WarmRecord
from lbsync.model.records import EndpointsRecord, RouteRecord, SeenRecord, ServerRecord
from lbsync.schema import deploying
from lbsync.schema.confirming import confirmations
from lbsync.schema.decode import encode
from lbsync.values.names import Address, ServerName
from tests.integration.deployer.conftest import ALONE, CART, Versions

PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def put(store: EtcdSource, **values: object) -> None:
    store.commit([], [Put(key, encode(value)) for key, value in values.items()])  # type: ignore[arg-type]


def servers(*names: str) -> EndpointsRecord:
    return EndpointsRecord(
        tuple(ServerRecord(ServerName(name), Address("10.0.0.1"), 80) for name in names)
    )


@pytest.fixture
def standing(
    store: EtcdSource, provider: Kubernetes, controllers: Controllers, version_of: Versions
) -> VersionsRecord:
    """Version 3 is live, 2 is kept, and the time of 1 is up; all have pods."""
    one, two, three = (version_of(number, image=f"cart:{number}") for number in (1, 2, 3))
    for version in (one, two, three):
        provider.provision(CART, version, ALONE)
    warm = (WarmRecord(one, PAST), WarmRecord(two, FUTURE))
    found = VersionsRecord(4, live=three, warm=warm)
    put(store, **{
        "versions/shop/cart": found,
        "apps/shop/cart": AppRecord("kubernetes", three.document),
        "/lbsync/routes/shop/cart": RouteRecord({"v3": 100}),
        **{f"/lbsync/endpoints/shop/cart/v{n}": servers("a", "b") for n in (1, 2, 3)},
    })  # fmt: skip
    return found


def versions(ledger: Ledger) -> VersionsRecord:
    return ledger.page(CART).versions()


def deployments(fake: FakeKube) -> list[str]:
    return [found["metadata"]["name"] for found in fake.objects("Deployment")]


def test_what_is_over_ends_and_what_is_kept_stays(
    ledger: Ledger,
    store: EtcdSource,
    provider: Kubernetes,
    fake: FakeKube,
    standing: VersionsRecord,
) -> None:
    end = partial(end_old_versions, ledger, {"kubernetes": lambda: provider}, CART, 10.0)
    wait_until("an end", lambda: not end())
    assert deployments(fake) == ["cart-2", "cart-3"]
    assert [one.version.number for one in versions(ledger).warm] == [2]
    assert versions(ledger).next == 4
    assert ledger.page(CART).lock is None
    items = store.read([], ["/lbsync/confirmations/"]).items
    said = confirmations({key.removeprefix("/lbsync/"): item for key, item in items.items()})
    assert said.covers("shop/cart", 4, 1)
    assert not said.covers("shop/cart", 3, 1)


@pytest.mark.parametrize("case", ["deployment", "lock", "route", "host"])
def test_nothing_ends_while_somebody_works_on_the_app_or_it_has_requests(
    ledger: Ledger,
    store: EtcdSource,
    provider: Kubernetes,
    fake: FakeKube,
    *,
    standing: VersionsRecord,
    case: str,
) -> None:
    hold = None
    if case == "deployment":
        put(store, **{"versions/shop/cart": VersionsRecord(4, "some-id", warm=standing.warm)})
    elif case == "lock":
        hold, guards, ops = ledger.hold(CART, "", 10)
        ledger.commit(guards, ops)
    elif case == "host":
        kept = msgspec.structs.replace(standing.warm[0], unconfirmed=("lb-3",))
        put(store, **{
            "versions/shop/cart": VersionsRecord(4, live=standing.live, warm=(kept,)),
            "/lbsync/agents/lb-3/seen": SeenRecord("2026-01-01T00:00:00Z"),
        })  # fmt: skip
    else:
        put(store, **{"/lbsync/routes/shop/cart": RouteRecord({"v1": 1, "v3": 99})})
    assert not end_old_versions(ledger, {"kubernetes": lambda: provider}, CART, 10.0)
    assert deployments(fake) == ["cart-1", "cart-2", "cart-3"]
    if hold is not None:
        hold.lease.end()
    if case == "host":
        store.commit([], [Delete("/lbsync/agents/lb-3/seen")])
        end = partial(end_old_versions, ledger, {"kubernetes": lambda: provider}, CART, 10.0)
        wait_until("an end, now that nobody waits for that host", lambda: not end())
        assert deployments(fake) == ["cart-2", "cart-3"]


def test_one_that_begins_a_deployment_meanwhile_is_not_in_its_way(
    ledger: Ledger, store: EtcdSource, provider: Kubernetes, standing: VersionsRecord
) -> None:
    """What it has read is not true any more by the time it would write."""

    def begun() -> Kubernetes:
        put(store, **{"versions/shop/cart": VersionsRecord(5, "some-id", warm=standing.warm)})
        return provider

    assert end_old_versions(ledger, {"kubernetes": begun}, CART, 10.0)
    assert versions(ledger).active == "some-id"
    assert len(versions(ledger).warm) == 2
    assert deploying.lock_key(CART) not in store.snapshot().items


def test_only_what_is_over_is_due() -> None:
    version = VersionRecord("v1", 1)
    assert is_due(VersionsRecord(warm=(WarmRecord(version, PAST),)), 2e9)
    assert not is_due(VersionsRecord(warm=(WarmRecord(version, FUTURE),)), 2e9)
    assert not is_due(VersionsRecord(active="x", warm=(WarmRecord(version, PAST),)), 2e9)
