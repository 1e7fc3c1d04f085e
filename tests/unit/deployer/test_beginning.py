"""What keeps a deployment from beginning is told with the key that is in the way, and with the cure."""

import pytest

from lbsync.deployer.beginning import refuse_second
from lbsync.deployer.page import Keys, Page
from lbsync.errors import BadKey, Conflict
from lbsync.model.deploying import LockRecord
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
