"""Who may say that a removal is meant, and for what that holds."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.schema.confirming import confirmation_key, confirmations
from tests.builders import an_item


def test_a_confirmation_names_the_removal_by_its_id() -> None:
    found = confirmations({"confirmations/3f2a": an_item("confirmations/3f2a", {}, revision=7)})
    assert found.names("3f2a", revision=7)
    assert not found.names("3f2b", revision=7)
    assert not found.names("3f2a", revision=8)


def test_a_service_may_be_left_with_so_many_servers_and_no_fewer() -> None:
    item = an_item(confirmation_key("x"), {"services": {"shop/cart": 2}}, revision=7)
    found = confirmations({item.key: item})
    assert found.covers("shop/cart", 2, revision=7)
    assert found.covers("shop/cart", 3, revision=0)
    assert not found.covers("shop/cart", 1, revision=7)
    assert not found.covers("shop/web", 5, revision=7)


def test_what_is_written_after_a_confirmation_is_not_covered_by_it() -> None:
    item = an_item(confirmation_key("x"), {"services": {"shop/cart": 0}}, revision=7)
    assert not confirmations({item.key: item}).covers("shop/cart", 0, revision=8)


@given(st.binary() | st.sampled_from([b"[" * 100_000, b"null", b'{"services":{"a/b":-1}}']))
def test_a_value_that_cannot_be_read_confirms_nothing_and_stops_nothing(value: bytes) -> None:
    item = an_item(confirmation_key("x"), value)
    found = confirmations({item.key: item})
    assert not found.covers("a/b", 0, revision=1)
