"""How the deployment of an app begins: counted, beside what is live, and never twice the same."""

import msgspec
import pytest
from msgspec import UNSET

from lbsync.deployer.beginning import Begun
from lbsync.deployer.kubernetes import document
from lbsync.deployer.page import Keys, Page
from lbsync.deployer.versions.next_version import deploy
from lbsync.errors import BadKey, Conflict, Rejected
from lbsync.model.deploying import VersionRecord, VersionsRecord
from lbsync.model.record import Record
from lbsync.model.records import RouteRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId

APP = document.read(b"""
namespace: shop
name: cart
image: cart:1
port: 8080
service: {hosts: [cart.example]}
strategy: {steps: [5, 100]}
""")
BEGUN = Begun("20260101-000000-abcdef", "ann", 1_767_225_600.0)


def page(**values: Record | bytes) -> Page:
    items = {
        key: Item(key, value if isinstance(value, bytes) else encode(value), 1, 7)
        for key, value in values.items()
    }
    return Page(Keys("/lbsync/", ServiceId("shop", "cart")), Snapshot(9, 0, items))


def versions(**fields: object) -> dict[str, Record]:
    return {"versions/shop/cart": VersionsRecord(**fields)}  # type: ignore[arg-type]


def test_the_first_version_begins_with_nothing_before_it() -> None:
    begun = deploy(page(), APP, BEGUN)
    assert (begun.record.version.number, begun.record.version.group) == (1, "v1")
    assert begun.record.version.deployment == BEGUN.id
    assert begun.record.old is begun.record.previous is UNSET
    assert begun.record.strategy.shares == (5, 100)
    assert begun.versions.next == 2
    assert begun.app.document == begun.record.version.document


def test_versions_are_counted_on_whatever_became_of_the_last_one() -> None:
    live = VersionRecord("v3", 3, {**document.to_plain(APP), "image": "cart:0"}, "x")
    found = page(
        **versions(next=9, live=live), **{"/lbsync/routes/shop/cart": RouteRecord({"v3": 100})}
    )
    begun = deploy(found, APP, BEGUN)
    assert (begun.record.version.number, begun.versions.next) == (9, 10)
    assert begun.record.old == live
    assert begun.record.previous == RouteRecord({"v3": 100})
    assert begun.versions.live == live, "until it is deployed"


def test_the_live_version_once_more_is_refused() -> None:
    live = VersionRecord("v3", 3, document.to_plain(APP), "x")
    with pytest.raises(Rejected, match="shop/cart runs just this, as version 3"):
        deploy(page(**versions(next=4, live=live)), APP, BEGUN)
    other = msgspec.structs.replace(APP, replicas=2)
    assert deploy(page(**versions(next=4, live=live)), other, BEGUN).record.version.number == 4


def test_a_second_one_and_a_route_that_cannot_be_put_back_are_refused() -> None:
    other = msgspec.structs.replace(deploy(page(), APP, BEGUN).record, id="20260101-000000-aaaaaa")
    stored = {f"deployments/shop/cart/{other.id}": other}
    with pytest.raises(Conflict, match=r"to v1\) is under way"):
        deploy(page(**versions(active=other.id), **stored), APP, BEGUN)
    begun = deploy(page(**versions(active=other.id)), APP, BEGUN)
    assert begun.versions.next == 2, "nobody can end what is not there"
    with pytest.raises(BadKey, match="correct it"):
        deploy(page(**{"/lbsync/routes/shop/cart": b"{"}), APP, BEGUN)
