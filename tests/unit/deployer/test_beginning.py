"""What keeps a deployment from beginning is told with the key that is in the way, and with the cure."""

import pytest

from lbsync.deployer.beginning import Begun, refuse_second, switch
from lbsync.deployer.page import Keys, Page
from lbsync.errors import BadKey, Conflict, Rejected
from lbsync.model.deploying import LockRecord, Strategy
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId


def page(key: str, value: bytes) -> Page:
    return Page(
        Keys("/lbsync/", ServiceId("shop", "cart")), Snapshot(9, 0, {key: Item(key, value, 1, 7)})
    )


@pytest.mark.parametrize("lock", [b"junk", b"", encode(LockRecord("ann on ops-1", ""))])
def test_a_lock_without_a_deployment_is_named_with_what_to_do(lock: bytes) -> None:
    with pytest.raises(
        Conflict, match=r"/lbsync-deploy/locks/shop/cart is held by .*remove the key"
    ):
        refuse_second(page("locks/shop/cart", lock))


@pytest.mark.parametrize("value", [b"{bad", b"[]", b'{"next": "two"}', b'{"of_a_newer_one": 1}'])
def test_a_record_that_cannot_be_read_is_named_by_its_whole_key(value: bytes) -> None:
    with pytest.raises(BadKey, match=r"^/lbsync-deploy/versions/shop/cart: .*remove the key"):
        refuse_second(page("versions/shop/cart", value))


@pytest.mark.parametrize("preview", [b"", b', "preview": {"networks": ["10.0.0.0/8"]}'])
def test_a_version_that_nobody_could_see_does_not_wait_to_be_seen(preview: bytes) -> None:
    values = {
        "/lbsync/services/shop/cart": b'{"mode": "http"%b}' % preview,
        "/lbsync/endpoints/shop/cart/blue": b'{"servers": []}',
        "/lbsync/endpoints/shop/cart/green": b'{"servers": []}',
        "/lbsync/routes/shop/cart": b'{"groups": {"blue": 1}}',
    }
    items = {key: Item(key, value, 1, 7) for key, value in values.items()}
    found = Page(Keys("/lbsync/", ServiceId("shop", "cart")), Snapshot(9, 0, items))
    begun = Begun("20260131-120000-abc123", "ann", 0.0)
    if preview:
        assert switch(found, "green", Strategy(preview=True), begun) is not None
        return
    with pytest.raises(
        Rejected, match="services/shop/cart has no preview, so nobody could see green"
    ):
        switch(found, "green", Strategy(preview=True), begun)
