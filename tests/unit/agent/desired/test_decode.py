"""A bad key costs nothing but its own change: its last good version stays."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.decode import Decoder, differing, with_accepted
from lbsync.agent.desired.last_good import restore_routes
from lbsync.clients.etcd.mirror import Change, Mirror
from lbsync.model.records import RouteRecord, ServiceRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId
from tests.builders import a_shop, a_snapshot, an_item, entries_of, servers


def test_a_key_that_goes_bad_keeps_its_last_good_version() -> None:
    accepted = entries_of(a_shop())
    broken = {**a_shop(), "services/shop/cart": b"{not json"}
    resolved = Decoder().resolve(a_snapshot(broken, revision=9), accepted)
    assert resolved.entries["services/shop/cart"] is accepted["services/shop/cart"]
    assert [(p.key, p.service) for p in resolved.problems] == [("services/shop/cart", "shop/cart")]


def test_a_key_that_was_never_good_is_left_out_and_named() -> None:
    resolved = Decoder().resolve(a_snapshot({**a_shop(), "services/shop/new": b"\xff"}), {})
    assert "services/shop/new" not in resolved.entries
    assert "services/shop/web" in resolved.entries
    assert resolved.problems[0].service == "shop/new"


def test_a_key_of_nearly_the_right_form_is_named_with_the_service_it_meant() -> None:
    resolved = Decoder().resolve(a_snapshot({"services/shop/web/extra": {}}), {})
    assert resolved.problems[0].service == "shop/web"


def test_keys_of_others_are_passed_over_in_silence() -> None:
    resolved = Decoder().resolve(a_snapshot({"agents/lb1": b"x", "proxy/frontends/1": b"y"}), {})
    assert not resolved.entries
    assert not resolved.problems


def test_an_unchanged_key_is_the_same_entry_again() -> None:
    decoder = Decoder()
    first = decoder.resolve(a_snapshot(a_shop()), {}).entries
    changed = dict(a_snapshot(a_shop()).items)
    changed["services/shop/web"] = an_item("services/shop/web", {"mode": "http"}, 99)
    second = decoder.resolve(Snapshot(99, 1, changed), {}).entries
    assert second["services/shop/cart"] is first["services/shop/cart"]
    assert second["services/shop/web"] is not first["services/shop/web"]


def test_a_restored_store_with_old_revisions_is_read_anew() -> None:
    decoder = Decoder()
    decoder.resolve(a_snapshot({"services/a/b": {"mode": "http", "hosts": ["new.example"]}}), {})
    again = a_snapshot({"services/a/b": {"mode": "http", "hosts": ["old.example"]}})
    record = decoder.resolve(again, {}).entries["services/a/b"].record
    assert isinstance(record, ServiceRecord)
    assert record.hosts == ("old.example",)


def test_a_route_to_a_group_that_is_not_there_leaves_the_old_route() -> None:
    values = {**a_shop(), "routes/shop/web": {"groups": {"default": 1}}}
    accepted = entries_of(values)
    entries = dict(entries_of({**values, "routes/shop/web": {"groups": {"gren": 1}}}))
    problems = restore_routes(entries, accepted, {"routes/shop/web"})
    assert entries["routes/shop/web"].record == RouteRecord({"default": 1})
    assert "gren has no endpoints key" in problems[0].reason


def test_a_first_route_to_a_group_that_is_not_there_leads_to_no_other() -> None:
    values = {**a_shop(), "routes/shop/web": {"groups": {"gren": 1, "default": 0}}}
    entries = dict(entries_of(values))
    (problem,) = restore_routes(entries, {}, {"routes/shop/web"})
    assert entries["routes/shop/web"].record == RouteRecord({"gren": 1, "default": 0})
    assert "until then the service answers 503" in problem.reason


def test_a_new_service_waits_for_a_route_that_can_be_read() -> None:
    """Without it a group would get traffic that the route may have given nothing."""
    bad = {**a_shop(), "routes/shop/web": {"groups": {"default": 0}}}
    resolved = Decoder().resolve(a_snapshot(bad), {})
    assert "services/shop/web" not in resolved.entries
    assert "services/shop/cart" in resolved.entries
    assert [p.key for p in resolved.problems] == ["routes/shop/web"]
    served_before = entries_of(a_shop())
    assert "services/shop/web" in Decoder().resolve(a_snapshot(bad), served_before).entries


def test_holding_back_a_service_takes_all_its_keys_from_what_was_accepted() -> None:
    accepted = entries_of(a_shop())
    wanted = entries_of(
        {
            **a_shop(),
            "endpoints/shop/web/green": {"servers": []},
            "services/shop/web": {"mode": "http"},
        }
    )
    mixed = with_accepted(wanted, accepted, {ServiceId("shop", "web")})
    assert mixed["services/shop/web"] is accepted["services/shop/web"]
    assert "endpoints/shop/web/green" not in mixed
    assert mixed["services/shop/cart"] is wanted["services/shop/cart"]


def test_a_mistyped_kind_of_key_is_told() -> None:
    resolved = Decoder().resolve(a_snapshot({"service/shop/web": {"mode": "http"}}), {})
    assert "did you mean services/?" in resolved.problems[0].reason


def test_a_key_cannot_speak_to_a_terminal() -> None:
    resolved = Decoder().resolve(a_snapshot({"services/a/\x1b[31mred\n": {}}), {})
    assert resolved.problems[0].key == "services/a/\\x1b[31mred\\n"


def test_without_the_contract_no_key_is_an_entry_or_a_problem() -> None:
    decoder = Decoder(contract=False)
    values = {**a_shop(), "services/x": b"\xff", "endpoints/1": b"", "settings/y": b""}
    resolved = decoder.resolve(a_snapshot(values), {})
    assert (resolved.entries, resolved.problems) == ({}, ())
    found = decoder.diff(a_snapshot({**values, "services/shop/web": b"{"}, revision=2))
    assert found is not None and (found.changed, found.gone) == ((), ())


KEYS = st.sampled_from(
    ["services/a/b", "services/c/d", "endpoints/a/b/default", "agents/x", "bad/"]
)
VALUES = st.none() | st.sampled_from(
    [b'{"mode": "http"}', b'{"mode": "http", "hosts": ["a.example"]}', b'{"servers": []}', b"{"]
)


@given(st.lists(st.tuples(st.lists(st.tuples(KEYS, VALUES), max_size=3), st.booleans())))
def test_following_a_watch_finds_what_reading_everything_finds(
    rounds: list[tuple[list[tuple[str, bytes | None]], bool]],
) -> None:
    mirror, follower, quick = Mirror(), Decoder(), Decoder()
    mirror.replace(Snapshot(1, 1, {}))
    for revision, (writes, is_listed) in enumerate(rounds, 2):
        mirror.apply(Change(k.encode(), v, revision, revision) for k, v in dict(writes).items())
        now = mirror.snapshot()
        assert now is not None
        if is_listed:
            mirror.replace(now)
            now = mirror.snapshot()
            assert now is not None
        if (changed := quick.diff(now)) is not None:
            quick.apply(now, changed)
        else:
            quick.resolve(now, {})
        plain = Decoder().resolve(Snapshot(now.revision, 1, now.items), {})
        followed = follower.resolve(now, {})
        assert followed.problems == plain.problems
        assert {name: entry.item for name, entry in followed.entries.items()} == {
            name: entry.item for name, entry in plain.entries.items()
        }
        assert quick.resolve(now, {}).entries.keys() == plain.entries.keys()


def test_entries_that_differ_are_named_and_so_are_those_that_are_gone() -> None:
    accepted = dict(entries_of(a_shop()))
    changed = entries_of(a_shop())["services/shop/web"]
    new = entries_of({"services/shop/new": {"mode": "http"}})
    left = {**accepted, "services/shop/web": changed, **new}
    gone = left.pop("services/shop/cart")
    assert sorted(differing(left, accepted)) == [gone.item.key, *sorted([*new, changed.item.key])]
    assert differing(accepted, accepted) == []


def test_keys_that_come_and_go_are_told_unless_another_of_their_service_is_bad() -> None:
    decoder = Decoder()
    bad: dict[str, object] = {"services/bad/one": b"{", "endpoints/bad/one/default": servers(1)}
    values = {**bad, **a_shop()}
    decoder.resolve(a_snapshot(values), {})
    last = {key: value for key, value in values.items() if "shop/db" not in key}
    found = decoder.diff(a_snapshot({**last, "services/new/one": {"mode": "http"}}))
    assert found is not None
    assert [entry.item.key for entry in found.changed] == ["services/new/one"]
    assert {entry.item.key for entry in found.gone} == values.keys() - last.keys()
    route = {"groups": {"default": 1}}
    assert decoder.diff(a_snapshot({**values, "routes/shop/web": route})) is not None
    assert decoder.diff(a_snapshot({**values, "routes/bad/one": route})) is None
    decoder.resolve(a_snapshot({**a_shop(), **bad}), {})
    assert decoder.diff(a_snapshot({**a_shop(), "services/bad/one": b"{"})) is None
