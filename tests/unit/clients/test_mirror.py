"""The mirror against a plain account of the same events."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.etcd.mirror import Change, Mirror, differences
from lbsync.model.snapshot import Item, Snapshot

keys = st.sampled_from([b"a", b"b", b"services/x/y", b"\xff", b"\xfe\xff", "ü".encode()])
values = st.none() | st.binary(max_size=3)
batches = st.lists(st.lists(st.tuples(keys, values), min_size=1, max_size=4), max_size=12)


def changes_of(batches: list[list[tuple[bytes, bytes | None]]]) -> list[list[Change]]:
    """Number them as etcd does: one revision per batch, each key at most once in it."""
    created: dict[bytes, int] = {}
    numbered = []
    for revision, batch in enumerate(batches, 2):
        changes = []
        for key, value in dict(batch).items():
            if value is None:
                created.pop(key, None)
                changes.append(Change(key, None, 0, revision))
            else:
                changes.append(Change(key, value, created.setdefault(key, revision), revision))
        numbered.append(changes)
    return numbered


def account(numbered: list[list[Change]]) -> tuple[dict[str, Item], set[str]]:
    stored = {change.key: change for batch in numbered for change in batch}
    items, unreadable = {}, set()
    for key, change in stored.items():
        if change.value is None:
            continue
        try:
            name = key.decode()
        except UnicodeDecodeError:
            unreadable.add(key.decode(errors="backslashreplace"))
        else:
            items[name] = Item(name, change.value, change.create_revision, change.mod_revision)
    return items, unreadable


def empty() -> Mirror:
    mirror = Mirror()
    mirror.replace(Snapshot(1, 9, {}))
    return mirror


def taken(mirror: Mirror) -> Snapshot:
    snapshot = mirror.snapshot()
    assert snapshot is not None
    return snapshot


@given(batches, st.data())
def test_it_holds_what_the_events_add_up_to_however_they_arrive(
    batches: list[list[tuple[bytes, bytes | None]]], data: st.DataObject
) -> None:
    """Responses hold one revision or many; a resumed watch may repeat what was seen."""
    numbered = changes_of(batches)
    mirror = empty()
    at = 0
    while at < len(numbered):
        again = data.draw(st.integers(0, at), label="repeat from")
        to = data.draw(st.integers(at + 1, len(numbered)), label="up to")
        mirror.apply([change for batch in numbered[again:to] for change in batch])
        items, unreadable = account(numbered[:to])
        assert taken(mirror).items == items
        assert set(taken(mirror).unreadable) == unreadable
        assert mirror.revision == to + 1
        at = to


@given(batches)
def test_old_events_change_nothing(batches: list[list[tuple[bytes, bytes | None]]]) -> None:
    flat = [change for batch in changes_of(batches) for change in batch]
    mirror = empty()
    mirror.apply(flat)
    before = mirror.snapshot()
    assert not mirror.apply(flat)
    assert mirror.snapshot() is before


def test_nothing_is_handed_out_before_the_first_listing() -> None:
    assert Mirror().snapshot() is None


def test_a_listing_tells_whether_anything_differs() -> None:
    mirror = Mirror()
    listing = Snapshot(5, 1, {"a": Item("a", b"1", 2, 2)})
    assert mirror.replace(listing)
    assert not mirror.replace(Snapshot(6, 1, dict(listing.items)))
    assert mirror.replace(Snapshot(7, 1, {"a": Item("a", b"1", 7, 7)}))
    assert mirror.replace(Snapshot(8, 2, {"a": Item("a", b"1", 7, 7)}))


@given(batches)
def test_it_knows_the_last_change_that_is_followed_and_how_many_keys_are(
    batches: list[list[tuple[bytes, bytes | None]]],
) -> None:
    mirror = Mirror(quiet={"services"})
    mirror.replace(Snapshot(1, 9, {}))
    last = 1
    for batch in changes_of(batches):
        news = [change for change in batch if not change.key.startswith(b"services/")]
        assert mirror.apply(batch) == bool(news)
        last = news[-1].mod_revision if news else last
        there = taken(mirror)
        assert there.followed_revision == last
        assert there.followed_keys == len(there.items.keys() - {"services/x/y"})
    again = Mirror(quiet={"services"})
    again.replace(taken(mirror))
    assert taken(again).followed_keys == taken(mirror).followed_keys


def test_an_empty_listing_is_a_listing() -> None:
    mirror = Mirror()
    assert mirror.replace(Snapshot(1, 1, {}))
    assert taken(mirror).items == {}


def test_a_snapshot_is_the_same_object_until_something_changes() -> None:
    mirror = empty()
    assert mirror.snapshot() is mirror.snapshot()


def test_differences_name_both_sides() -> None:
    old, new = Item("a", b"1", 1, 1), Item("a", b"2", 1, 2)
    only = Item("b", b"", 1, 1)
    assert differences({"a": old, "b": only}, {"a": new, "c": only}) == {
        "a": (old, new),
        "b": (only, None),
        "c": (None, only),
    }
    assert differences({"a": old}, {"a": old}) == {}


def test_a_change_of_quiet_keys_is_held_but_no_news() -> None:
    mirror = Mirror(quiet=("agents", "quarantine"))
    mirror.replace(Snapshot(1, 7, {}))
    assert not mirror.apply([Change(b"agents/lb-1", b"{}", 2, 2)])
    assert not mirror.apply([Change(b"quarantine/s/a", None, 0, 3)])
    assert mirror.apply([Change(b"agents2/x", b"", 4, 4)])
    assert mirror.apply([Change(b"agents/x", b"", 5, 5), Change(b"services/s/a", b"", 5, 5)])
    held = mirror.snapshot()
    assert held is not None
    assert (held.revision, "agents/lb-1" in held.items) == (5, True)


@given(batches, st.data())
def test_a_snapshot_names_all_that_changed_since_an_earlier_one(
    batches: list[list[tuple[bytes, bytes | None]]], data: st.DataObject
) -> None:
    """Else what changed would not be served until the next full comparison."""
    mirror = empty()
    taken_so_far = [taken(mirror)]
    for batch in changes_of(batches):
        mirror.apply(batch)
        if data.draw(st.booleans(), label="look"):
            taken_so_far.append(taken(mirror))
    last = taken(mirror)
    for before in taken_so_far:
        named = last.changed_since(before)
        assert named is not None
        assert differences(before.items, last.items).keys() <= set(named)
    mirror.replace(last)
    assert taken(mirror).changed_since(last) is None


def test_an_account_of_changes_does_not_grow_for_ever() -> None:
    mirror = empty()
    first = taken(mirror)
    for revision in range(2, 20_003):
        mirror.apply([Change(b"a", b"", 2, revision)])
    late = taken(mirror)
    assert late.changed_since(first) is None
    mirror.apply([Change(b"a", None, 2, 30_000)])
    assert taken(mirror).changed_since(late) == ["a"]


def test_snapshots_without_an_account_are_compared_whole() -> None:
    assert Snapshot(2, 1, {}).changed_since(Snapshot(1, 1, {})) is None


@given(batches, st.integers(0, 3))
def test_what_was_handed_out_never_changes(
    batches: list[list[tuple[bytes, bytes | None]]], apart: int
) -> None:
    numbered = changes_of(batches)
    mirror = empty()
    handed = []
    for number, batch in enumerate(numbered, 1):
        mirror.apply(batch)
        handed.append((taken(mirror).items, account(numbered[:number])[0]))
        if number == apart:
            mirror.apply(
                Change(f"more/{each}".encode(), b"", number + 2, number + 2) for each in range(600)
            )
            taken(mirror)
            break
    for items, wanted in handed:
        for key in (*wanted, "a", "b", "none"):
            assert items.get(key) == wanted.get(key)
            assert (key in items) == (key in wanted)
        assert (items, len(items), set(items)) == (wanted, len(wanted), set(wanted))
        assert dict(items.items()) == wanted
        assert list(items.keys()) == list(items)
