"""Few transactions, each of them whole; one that cannot be written keeps no other one waiting."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.source import Delete, Expect, ExpectBelow, Guard, Put
from lbsync.errors import Conflict, Rejected
from lbsync.model.snapshot import Item
from lbsync.publisher.commit import MAX_BYTES, MAX_OPS, RACE_S, Committer, LostLead, packs, parts
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Change
from lbsync.publisher.store.index import Held
from tests.fakes import FakeSource

LEADER = "publishers/blue/leader"


def unit(name: str, *keys: str, value: bytes = b"{}", before: Held | None = None) -> ServiceChanges:
    changes = tuple(Change(key, before, value) for key in keys or (f"services/{name}",))
    return ServiceChanges("service", name, changes)


class Recorder(FakeSource):
    """A store that keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__({LEADER: b"{}"})
        self.asked: list[tuple[Sequence[Guard], Sequence[Put | Delete]]] = []

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        if expect:
            self.asked.append((expect, ops))
        return super().commit(expect, ops)


def fence_of(store: FakeSource) -> Expect:
    item = store.get(LEADER)
    assert item is not None
    return Expect(LEADER, create_revision=item.create_revision)


def committer(store: FakeSource, *, fenced: bool = False) -> Committer:
    fence = fence_of(store)
    return Committer(store, lambda: fence, lambda: fenced, lambda *_: None)


def test_many_services_share_a_transaction_and_each_is_whole_in_one() -> None:
    store = Recorder()
    units = [unit(f"a/s{n}", f"services/a/s{n}", f"endpoints/a/s{n}/x") for n in range(120)]
    written = committer(store).write(units)
    assert written.transactions == 3
    assert [len(ops) for _, ops in store.asked] == [100, 100, 40]
    assert all(expect[0] == fence_of(store) for expect, _ in store.asked), (
        "the fence is on every one"
    )
    assert written.done == units


def test_a_key_that_somebody_else_changed_keeps_only_its_own_service_waiting() -> None:
    store = Recorder()
    store.put("services/a/taken", b"by hand")
    stale = Held(Item("services/a/taken", b"{}", 1, 1), "k8s/blue")
    units = [unit("a/one"), unit("a/taken", before=stale), unit("a/two")]
    written = committer(store).write(units)
    assert written.raced == ["a/taken"]
    assert written.failed == {}
    assert [done.name for done in written.done] == ["a/one", "a/two"]
    assert store.get("services/a/taken").value == b"by hand"  # type: ignore[union-attr]


def test_a_lost_lead_stops_everything() -> None:
    store = Recorder()
    found = committer(store, fenced=True)
    store.delete(LEADER)
    with pytest.raises(LostLead):
        found.write([unit("a/one"), unit("a/two")])
    assert store.get("services/a/one") is None


def test_without_a_lease_nothing_is_even_tried() -> None:
    store = Recorder()
    found = Committer(store, lambda: None, lambda: True, lambda *_: None)
    with pytest.raises(LostLead):
        found.write([unit("a/one")])
    assert store.asked == []


def test_the_fence_is_looked_at_before_every_transaction() -> None:
    store = Recorder()
    fences = itertools.chain([fence_of(store)], itertools.repeat(None))
    found = Committer(store, lambda: next(fences), lambda: True, lambda *_: None)
    with pytest.raises(LostLead):
        found.write([unit(f"a/s{n}") for n in range(150)])
    assert len(store.asked) == 1


def test_what_the_store_refuses_fails_alone() -> None:
    class Picky(Recorder):
        def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
            if any(isinstance(op, Put) and op.value == b"too large" for op in ops):
                raise Rejected("etcd refused the write: request is too large")
            return super().commit(expect, ops)

    units = [unit("a/one"), unit("a/big", value=b"too large"), unit("a/two")]
    written = committer(Picky()).write(units)
    assert list(written.failed) == ["a/big"]
    assert len(written.done) == 2


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (250, b"{}", [100, 100, 50]),
        (4, b"x" * 450_000, [2, 2]),
        (3, b"x" * 1_200_000, [1, 1, 1]),
        (101, b"x" * 20_000, [49, 49, 3]),
    ],
)
def test_a_service_that_one_transaction_does_not_hold_is_written_in_parts_and_in_order(
    keys: int, value: bytes, expected: list[int]
) -> None:
    store = Recorder()
    names = [f"endpoints/a/big/g{n:03}" for n in range(keys - 1)] + ["services/a/big"]
    written = committer(store).write([unit("a/big", *names, value=value)])
    assert [len(ops) for _, ops in store.asked] == expected
    assert [op.key for _, ops in store.asked for op in ops] == names
    assert not written.failed
    assert [one.name for one in written.done] == ["a/big"]


def test_what_goes_into_each_transaction_counts_for_what_it_holds() -> None:
    store = Recorder()
    beside = [Put("confirmations/x", b"y" * 600_000)]
    big = unit("a/big", *(f"endpoints/a/big/g{n}" for n in range(3)), value=b"x" * 300_000)
    committer(store).write([unit("a/one"), big], beside)
    assert [len(ops) for _, ops in store.asked] == [2, 2, 2, 2]
    for _, ops in store.asked:
        assert sum(len(op.value) for op in ops if isinstance(op, Put)) <= MAX_BYTES


def test_a_service_of_which_only_the_first_part_could_be_written_is_not_done() -> None:
    store = Recorder()
    store.put("endpoints/a/big/g200", b"by hand")
    names = [f"endpoints/a/big/g{n:03}" for n in range(250)]
    written = committer(store).write([unit("a/big", *names), unit("a/one")])
    assert written.raced == ["a/big"]
    assert [one.name for one in written.done] == ["a/one"]
    assert store.get("endpoints/a/big/g150") is not None
    assert store.get("endpoints/a/big/g200").value == b"by hand"  # type: ignore[union-attr]


def test_a_conflict_is_told_with_its_reason_when_it_does_not_pass() -> None:
    store = Recorder()
    store.put("services/a/one", b"by hand")
    times = iter([0.0, RACE_S])
    found = Committer(
        store, lambda: fence_of(store), lambda: False, lambda *_: None, lambda: next(times)
    )
    assert found.write([unit("a/one")]).raced == ["a/one"]
    assert "services/a/one" in found.write([unit("a/one")]).failed["a/one"]
    assert issubclass(LostLead, Conflict)


def test_what_changes_rest_on_counts_for_what_a_transaction_takes() -> None:
    store = Recorder()
    units = []
    for n in range(100):
        folder = ExpectBelow(f"endpoints/a/s{n}/", 1000)
        keys = (f"services/a/s{n}", f"publishers/blue/reports/service/a/s{n}")
        changes = tuple(Change(key, None, b"{}", (folder,)) for key in keys)
        units.append(ServiceChanges("service", f"a/s{n}", changes))
    written = committer(store).write(units)
    assert written.transactions == 3
    assert [len(expect) for expect, _ in store.asked] == [127, 127, 49]
    assert [len(ops) for _, ops in store.asked] == [84, 84, 32]


@given(st.lists(st.tuples(st.integers(1, 150), st.integers(1, 5000)), max_size=60))
def test_packs_keep_the_order_and_the_limits(sizes: list[tuple[int, int]]) -> None:
    units = [
        unit(f"a/s{n}", *(f"k{n}/{i}" for i in range(keys)), value=b"x" * bytes_)
        for n, (keys, bytes_) in enumerate(sizes)
    ]
    found = list(packs(units))
    assert [one for pack in found for one in pack] == units
    for pack in found:
        changes = [change for one in pack for change in one.all]
        assert len(pack) == 1 or len(changes) <= MAX_OPS
        assert len(pack) == 1 or sum(len(c.after or b"") for c in changes) <= MAX_BYTES
    divided = [list(parts(change for one in pack for change in one.all)) for pack in found]
    assert [c for some in divided for part in some for c in part] == [
        c for u in units for c in u.all
    ]
    for part in (part for some in divided for part in some):
        assert len(part) <= MAX_OPS
        assert len(part) == 1 or sum(len(c.after or b"") for c in part) <= MAX_BYTES
