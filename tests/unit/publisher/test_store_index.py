"""What the store holds by Service; what we wrote is known before the mirror knows it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.clients.source import Put
from lbsync.model.snapshot import Item, Snapshot
from lbsync.publisher.store.index import StoreIndex, base_of
from tests.fakes import FakeSource

CART = b'{"mode": "http", "source": "k8s/blue"}'


def snapshot(revision: int, *items: Item, cluster: int = 1) -> Snapshot:
    return Snapshot(revision, cluster, {item.key: item for item in items})


def test_further_records_of_a_service_belong_to_it_and_neighbours_do_not() -> None:
    store = FakeSource(
        {
            "services/shop/cart": CART,
            "services/shop/cart.2": CART,
            "endpoints/shop/cart.p81/default": CART,
            "services/shop/carts": CART,
            "services/other/cart": CART,
            "agents/lb1": b"{}",
            "services/shop/cart/x/y": b"no such key",
        }
    )
    stored = StoreIndex("blue")
    assert stored.update(store.snapshot()) == {"shop/cart", "shop/carts", "other/cart"}
    assert sorted(stored.of("shop/cart")) == [
        "endpoints/shop/cart.p81/default",
        "services/shop/cart",
        "services/shop/cart.2",
    ]
    assert base_of("shop", "cart.p81.2") == "shop/cart"


def test_values_that_are_no_json_belong_to_nobody() -> None:
    stored = StoreIndex("blue")
    values = {
        f"services/shop/s{n}": v for n, v in enumerate([b"", b"\xff", b"[]", b'{"source":1}'])
    }
    stored.update(FakeSource(values).snapshot())
    assert [held.source for key in values for held in [stored.get(key)] if held] == [""] * 4
    assert stored.services_of("k8s/blue") == set()


def test_our_own_write_counts_before_the_mirror_shows_it() -> None:
    stored = StoreIndex("blue")
    old = Item("services/shop/cart", b"{}", 5, 5)
    stored.update(snapshot(5, old))
    stored.wrote(9, [("services/shop/cart", CART), ("services/shop/new", CART)])
    assert stored.update(snapshot(7, old)) == set()
    held, new = stored.get("services/shop/cart"), stored.get("services/shop/new")
    assert held is not None
    assert new is not None
    assert held.item == Item("services/shop/cart", CART, 5, 9)
    assert new.item.create_revision == 9
    assert stored.update(snapshot(9, held.item, new.item)) == set()


def test_our_own_removal_counts_before_the_mirror_shows_it() -> None:
    stored = StoreIndex("blue")
    old = Item("services/shop/cart", CART, 5, 5)
    stored.update(snapshot(5, old))
    stored.wrote(9, [("services/shop/cart", None)])
    assert stored.update(snapshot(7, old)) == set()
    assert stored.of("shop/cart") == {}
    assert stored.update(snapshot(9)) == set()


def test_a_change_by_somebody_else_right_after_ours_is_seen() -> None:
    stored = StoreIndex("blue")
    stored.update(snapshot(5))
    stored.wrote(9, [("services/shop/cart", CART)])
    theirs = Item("services/shop/cart", b"{}", 9, 10)
    assert stored.update(snapshot(10, theirs)) == {"shop/cart"}


def test_what_we_wrote_may_be_gone_before_the_mirror_ever_showed_it() -> None:
    stored = StoreIndex("blue")
    stored.update(snapshot(5))
    stored.wrote(9, [("services/shop/cart", CART)])
    assert stored.update(snapshot(10)) == {"shop/cart"}
    assert stored.of("shop/cart") == {}


def test_a_store_that_was_set_back_is_read_anew() -> None:
    stored = StoreIndex("blue")
    stored.update(snapshot(50, Item("services/shop/cart", CART, 5, 50)))
    stored.wrote(60, [("services/shop/cart", None), ("services/shop/web", CART)])
    old = Item("services/shop/cart", CART, 5, 5)
    assert stored.update(snapshot(40, old)) == {"shop/cart", "shop/web"}
    assert stored.get("services/shop/web") is None
    assert stored.update(snapshot(40, cluster=2)) == {"shop/cart"}


def test_reports_are_found_by_kind() -> None:
    store = FakeSource(
        {
            "publishers/blue/reports/service/shop/cart": b"{}",
            "publishers/blue/reports/ingress/shop/web": b"{}",
            "publishers/green/reports/service/shop/x": b"{}",
        }
    )
    stored = StoreIndex("blue")
    assert stored.update(store.snapshot()) == set()
    assert stored.reported("service") == ["shop/cart"]
    assert stored.reported("ingress") == ["shop/web"]
    assert stored.services_of("k8s/blue") == {"shop/cart"}


steps = st.lists(
    st.tuples(
        st.sampled_from(["services/a/b", "services/a/c", "endpoints/a/b/g", "agents/x"]),
        st.sampled_from([CART, b"{}", None]),
        st.booleans(),
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=300)
@given(steps)
def test_after_any_history_it_holds_what_the_store_holds(
    found: list[tuple[str, bytes | None, bool]],
) -> None:
    """Writes of our own and of others, with the mirror behind by any number of steps."""
    store, stored = FakeSource(), StoreIndex("blue")
    for key, value, is_ours in found:
        behind = store.snapshot()
        revision = store.delete(key) if value is None else store.commit([], [Put(key, value)])
        if is_ours:
            stored.update(behind)
            stored.wrote(revision, [(key, value)])
            stored.update(behind)
    stored.update(store.snapshot())
    items = {k: i for k, i in store.snapshot().items.items() if not k.startswith("agents")}
    keys = {key: held.item for name in ("a/b", "a/c") for key, held in stored.of(name).items()}
    assert keys == items
