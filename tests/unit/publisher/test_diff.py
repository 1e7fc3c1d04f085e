"""The mirror: what is ours follows the wish, what is others' stays, whatever was there before."""

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.source import Delete, Put
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.store.diff import Identity, Records, arrange, changes, own_records
from lbsync.schema.decode import encode
from tests.fakes import FakeSource
from tests.publishing import ME, OTHER, commit, endpoints, service_record, stored_in

SERVICE = "services/shop/cart"
DEFAULT = "endpoints/shop/cart/default"
WANTED: Records = {
    DEFAULT: endpoints(["10.0.0.1", "10.0.0.2"]),
    SERVICE: service_record("cart.example"),
}


def bring(store: FakeSource, records: Records, me: Identity = ME) -> tuple[str, ...]:
    """Write what is wanted; return the conflicts."""
    keys = stored_in(store, me).of("shop/cart")
    arranged = arrange(me, records, keys)
    commit(store, changes(me, arranged.records, keys, store.snapshot().revision))
    return arranged.conflicts


def values(store: FakeSource) -> dict[str, bytes]:
    return {key: item.value for key, item in store.snapshot().items.items()}


def test_everything_of_a_new_service_is_written_and_then_nothing_more() -> None:
    store = FakeSource()
    assert bring(store, WANTED) == ()
    assert values(store) == {key: encode(record) for key, record in WANTED.items()}
    keys = stored_in(store).of("shop/cart")
    assert changes(ME, arrange(ME, WANTED, keys).records, keys, 0) == ()


def test_only_the_key_that_differs_is_written() -> None:
    store = FakeSource()
    bring(store, WANTED)
    keys = stored_in(store).of("shop/cart")
    found = changes(ME, {**WANTED, DEFAULT: endpoints(["10.0.0.9"])}, keys, 0)
    assert [change.key for change in found] == [DEFAULT]
    assert isinstance(found[0].op, Put)
    assert found[0].expect.mod_revision == keys[DEFAULT].item.mod_revision


def test_the_same_in_another_spelling_is_left_as_it_is() -> None:
    store = FakeSource()
    store.put(SERVICE, b'{ "source": "k8s/blue", "hosts": ["cart.example"], "mode": "http" }')
    store.put(DEFAULT, encode(WANTED[DEFAULT]))
    keys = stored_in(store).of("shop/cart")
    assert changes(ME, arrange(ME, WANTED, keys).records, keys, 0) == ()


def test_keys_of_ours_that_hold_nonsense_are_mended() -> None:
    store = FakeSource({SERVICE: b'{"source": "k8s/blue", "mode": "htpt"}'})
    bring(store, WANTED)
    assert values(store)[SERVICE] == encode(WANTED[SERVICE])


def test_a_service_that_is_gone_takes_its_keys_along() -> None:
    store = FakeSource()
    bring(store, {**WANTED, "services/shop/cart.2": service_record("other.example")})
    found = changes(ME, {}, stored_in(store).of("shop/cart"), store.snapshot().revision)
    assert all(isinstance(change.op, Delete) for change in found)
    assert [change.key for change in found] == ["services/shop/cart.2", SERVICE, DEFAULT]
    commit(store, found)
    assert values(store) == {}


def test_a_service_key_that_a_person_wrote_stays_and_keeps_our_servers_out() -> None:
    store = FakeSource({SERVICE: b'{"mode": "http", "hosts": ["by-hand.example"]}'})
    conflicts = bring(store, WANTED)
    assert list(values(store)) == [SERVICE]
    assert "written by a person" in conflicts[0]
    assert "lbsync service rm shop/cart" in conflicts[0]


def test_a_group_that_a_person_wrote_stays_and_the_rest_is_published() -> None:
    by_hand = b'{"servers": []}'
    store = FakeSource({DEFAULT: by_hand})
    conflicts = bring(store, WANTED)
    assert values(store) == {DEFAULT: by_hand, SERVICE: encode(WANTED[SERVICE])}
    assert "lbsync service rm shop/cart --group default" in conflicts[0]


def test_a_route_and_groups_by_hand_outlive_the_service() -> None:
    theirs = {"routes/shop/cart": b'{"groups":{"x":1}}', "endpoints/shop/cart/x": b'{"servers":[]}'}
    store = FakeSource(theirs)
    bring(store, WANTED)
    assert bring(store, {}) == ()
    assert values(store) == theirs


def test_a_second_cluster_adds_its_servers_under_a_name_of_its_own() -> None:
    store = FakeSource()
    bring(store, WANTED)
    theirs = {key: _signed(record, OTHER) for key, record in WANTED.items()}
    assert bring(store, theirs, OTHER) == ()
    assert values(store)[DEFAULT] == encode(WANTED[DEFAULT])
    assert values(store)[SERVICE] == encode(WANTED[SERVICE])
    assert values(store)[f"{DEFAULT}.green"] == encode(theirs[DEFAULT])


def test_a_second_cluster_with_other_routing_stays_out_and_is_told() -> None:
    store = FakeSource()
    bring(store, WANTED)
    before = values(store)
    theirs: Records = {
        SERVICE: service_record("other.example", source=OTHER.source),
        "endpoints/shop/cart/blue": endpoints(["10.9.0.1"], OTHER.source),
    }
    conflicts = bring(store, theirs, OTHER)
    assert values(store) == before
    assert "the publisher of cluster blue" in conflicts[0]


def test_servers_that_joined_are_followed_while_the_routing_differs_for_a_moment() -> None:
    store = FakeSource()
    bring(store, WANTED)
    bring(store, {key: _signed(record, OTHER) for key, record in WANTED.items()}, OTHER)
    changed: Records = {
        SERVICE: service_record("new.example", source=OTHER.source),
        DEFAULT: endpoints(["10.9.0.9"], OTHER.source),
        "endpoints/shop/cart/more": endpoints(["10.9.0.10"], OTHER.source),
    }
    assert bring(store, changed, OTHER)
    assert values(store)[f"{DEFAULT}.green"] == encode(changed[DEFAULT])
    assert "endpoints/shop/cart/more" not in values(store)


def test_the_services_key_passes_to_the_cluster_that_still_has_servers() -> None:
    store = FakeSource()
    bring(store, WANTED)
    theirs = {key: _signed(record, OTHER) for key, record in WANTED.items()}
    bring(store, theirs, OTHER)
    bring(store, {})
    assert values(store) == {
        SERVICE: encode(theirs[SERVICE]),
        f"{DEFAULT}.green": encode(theirs[DEFAULT]),
    }
    assert bring(store, theirs, OTHER) == ()
    assert f"{DEFAULT}.green" in values(store), "a group keeps its name while it lives"


names = st.sampled_from(["default", "blue", "default.blue", "default.green", "x"])
sources = st.sampled_from(["k8s/blue", "k8s/green", "somebody", ""])
addresses = st.lists(st.sampled_from([f"10.0.0.{n}" for n in range(1, 6)]), max_size=4, unique=True)
hosts = st.sampled_from(["a.example", "b.example"])


def _signed(
    record: ServiceRecord | EndpointsRecord, me: Identity
) -> ServiceRecord | EndpointsRecord:
    return msgspec.structs.replace(record, source=me.source)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, bytes]:
    """Anything that may be stored of one service, and of a neighbour."""
    found: dict[str, bytes] = {}
    for id_ in ("shop/cart", "shop/cart.2", "shop/carts"):
        if draw(st.booleans()):
            record = service_record(draw(hosts))
            found[f"services/{id_}"] = _written(record, draw(sources))
        for group in draw(st.lists(names, max_size=3, unique=True)):
            record_ = endpoints(draw(addresses))
            found[f"endpoints/{id_}/{group}"] = _written(record_, draw(sources))
    return found


def _written(record: ServiceRecord | EndpointsRecord, source: str) -> bytes:
    plain = msgspec.json.decode(encode(record))
    del plain["source"]
    return msgspec.json.encode({**plain, "source": source} if source else plain)


@st.composite
def wishes(draw: st.DrawFn) -> Records:
    """What a translation may give: nothing, or one or two records with their groups."""
    found: dict[str, ServiceRecord | EndpointsRecord] = {}
    for id_ in draw(st.sampled_from([(), ("shop/cart",), ("shop/cart", "shop/cart.2")])):
        found[f"services/{id_}"] = service_record(draw(hosts))
        for group in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
            found[f"endpoints/{id_}/{group}"] = endpoints(draw(addresses))
    return found


def _others(found: dict[str, bytes], me: Identity) -> dict[str, bytes]:
    return {
        key: value
        for key, value in found.items()
        if msgspec.json.decode(value).get("source", "") != me.source
    }


@given(contents(), wishes())
def test_whatever_was_stored_ours_follows_and_others_stays(
    before: dict[str, bytes], wanted: Records
) -> None:
    store = FakeSource(before)
    bring(store, wanted)
    after = values(store)
    untouched = _others(before, ME)
    assert {key: after.get(key) for key in untouched} == untouched
    keys = stored_in(store).of("shop/cart")
    arranged = arrange(ME, wanted, keys)
    assert own_records(ME, keys) == arranged.records
    assert changes(ME, arranged.records, keys, 0) == (), "a second time there is nothing to do"


@given(contents(), wishes())
def test_neighbours_are_never_touched(before: dict[str, bytes], wanted: Records) -> None:
    store = FakeSource(before)
    bring(store, wanted)
    neighbours = {key: value for key, value in before.items() if "/carts" in key}
    assert {k: v for k, v in values(store).items() if "/carts" in k} == neighbours


@given(contents(), wishes())
def test_no_other_cluster_loses_its_way_to_servers_by_a_removal(
    before: dict[str, bytes], wanted: Records
) -> None:
    """Where another publisher had servers below a services key, there is a services key still."""
    store = FakeSource(before)
    bring(store, wanted)
    after = values(store)
    for key in _led(before):
        assert key in after


def _led(found: dict[str, bytes]) -> Iterable[str]:
    for key, value in _others(found, ME).items():
        kind, ns, name, *_ = key.split("/")
        is_green = msgspec.json.decode(value).get("source") == OTHER.source
        if kind == "endpoints" and is_green and f"services/{ns}/{name}" in found:
            yield f"services/{ns}/{name}"
