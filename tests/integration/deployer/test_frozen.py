"""Whoever was frozen while it worked on an app changes nothing in the cluster once another one has gone on."""

from collections.abc import Callable

import pytest

from harness.fake_kube import Controllers, FakeKube
from harness.wait import wait_until
from lbsync.clients.source import Delete, Put
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.provider import Fence
from lbsync.deployer.versions.expiry import end_old_versions
from lbsync.deployer.versions.leftovers import remove_leftovers
from lbsync.errors import Conflict, Unavailable
from lbsync.model.deploying import VersionRecord, VersionsRecord, WarmRecord
from lbsync.model.records import RouteRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from tests.integration.deployer.conftest import ALONE, CART, Versions

PAST = "2026-01-01T00:00:00Z"


class Follower:
    """Who goes on with the app."""

    token = "follower"

    def check(self) -> None:
        """Raise nothing."""


class Frozen:
    """The fence of somebody who is frozen right after it has asked, until another one has gone on."""

    token = "frozen"

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self.asked = 0

    def check(self) -> None:
        """Raise nothing: it was asked before the other one came."""
        self.asked += 1
        self._meanwhile()


class Late:
    """The fence of somebody who asks after another one has gone on."""

    token = "late"

    def check(self) -> None:
        """Raise what it is told."""
        raise Conflict("another process has gone on with it")


ACTS: dict[str, Callable[[Kubernetes, VersionRecord, Fence], object]] = {
    "remove": lambda provider, version, fence: provider.remove(CART, version, fence),
    "publish": lambda provider, version, fence: provider.publish(CART, version, fence),
    "remove app": lambda provider, _, fence: provider.remove_app(CART, fence),
}


def there(fake: FakeKube) -> list[object]:
    """What there is of apps, but for what changes by itself."""
    found = [*fake.objects("Service"), *fake.objects("Deployment")]
    return [(one["metadata"]["name"], one["metadata"]["annotations"], one["spec"]) for one in found]


@pytest.mark.parametrize("act", ACTS)
def test_who_was_frozen_between_reading_and_changing_changes_nothing(
    fake: FakeKube, provider: Kubernetes, version_of: Versions, act: str
) -> None:
    """As the etcd lock alone would let it: a version that has the traffic by now would be taken away."""
    one, two = version_of(1), version_of(2, more="env: {A: b}\n")
    provider.provision(CART, one, ALONE)
    seen: list[list[object]] = []

    def meanwhile() -> None:
        provider.provision(CART, two, Follower(), one)
        provider.publish(CART, two, Follower())
        seen.append(there(fake))

    with pytest.raises(Unavailable, match=r"as it was read|has been modified|Precondition failed"):
        ACTS[act](provider, one, Frozen(meanwhile))
    assert there(fake) == seen[0]


@pytest.mark.parametrize("act", ACTS)
def test_who_reads_after_another_one_has_gone_on_changes_nothing(
    fake: FakeKube, provider: Kubernetes, version_of: Versions, act: str
) -> None:
    provider.provision(CART, version_of(1), ALONE)
    before = fake.storage.version
    with pytest.raises(Conflict, match="another process has gone on"):
        ACTS[act](provider, version_of(1), Late())
    assert fake.storage.version == before


def deployments(fake: FakeKube) -> list[str]:
    return [found["metadata"]["name"] for found in fake.objects("Deployment")]


def test_an_old_version_that_was_brought_back_meanwhile_is_not_ended(
    ledger: Ledger, fake: FakeKube, provider: Kubernetes, version_of: Versions
) -> None:
    """Its time was up, and who was to end it was frozen until it had all the traffic again."""
    one, two = version_of(1), version_of(2)
    for version in (one, two):
        provider.provision(CART, version, ALONE)
    standing = VersionsRecord(3, live=two, warm=(WarmRecord(one, PAST),))
    ledger.commit([], [
        Put(deploying.versions_key(CART), encode(standing)),
        Put("/lbsync/routes/shop/cart", encode(RouteRecord({"v2": 1}))),
    ])  # fmt: skip

    def thawed() -> Kubernetes:
        ledger.commit([], [Delete(deploying.lock_key(CART))])  # as its time is up
        provider.provision(CART, one, Follower(), two)
        return provider

    assert end_old_versions(ledger, {"groups": thawed, "kubernetes": thawed}, CART, 60.0)
    assert deployments(fake) == ["cart-1", "cart-2"]


@pytest.mark.parametrize(
    ("standing", "route", "left"),
    [
        (VersionsRecord(3), None, []),
        (VersionsRecord(3, live=VersionRecord("v1", 1)), {"v1": 1}, ["cart-1"]),
        (VersionsRecord(3, live=VersionRecord("v2", 2)), {"v2": 1}, ["cart-1", "cart-2"]),
        (VersionsRecord(3), {"v2": 1}, ["cart-1", "cart-2"]),
        (
            VersionsRecord(3, warm=(WarmRecord(VersionRecord("v2", 2), PAST),)),
            {"v1": 1},
            ["cart-1", "cart-2"],
        ),
    ],
    ids=["nobody wants the app", "another one is live", "live", "routed by hand", "warm"],
)
def test_what_was_made_too_late_goes_and_what_somebody_wants_stays(
    ledger: Ledger,
    controllers: Controllers,
    fake: FakeKube,
    provider: Kubernetes,
    version_of: Versions,
    *,
    standing: VersionsRecord,
    route: dict[str, int] | None,
    left: list[str],
) -> None:
    for version in (version_of(1), version_of(2)):
        provider.provision(CART, version, ALONE)
    ledger.commit([], [
        Put(deploying.versions_key(CART), encode(standing)),
        *([Put("/lbsync/routes/shop/cart", encode(RouteRecord(route)))] if route else []),
    ])  # fmt: skip
    wait_until("the end", lambda: remove_leftovers(ledger, provider, CART, version_of(2), 60.0))
    assert deployments(fake) == left
    assert bool(fake.objects("Service")) == bool(left)
    assert ledger.page(CART).lock is None
