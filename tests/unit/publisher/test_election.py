"""One leader at a time, and no write of one that lost the lead without noticing."""

from typing import Any

import msgspec
import pytest

from lbsync.clients.source import Expect, Put
from lbsync.errors import Conflict, Unavailable
from lbsync.publisher.store.election import Election
from tests.fakes import FakeLease, FakeSource

KEY = "publishers/blue/leader"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Leases(FakeSource):
    """A store that shows its leases."""

    def __init__(self) -> None:
        super().__init__()
        self.leases: list[FakeLease] = []

    def lease(self, ttl: int) -> FakeLease:
        self.leases.append(super().lease(ttl))
        return self.leases[-1]


@pytest.fixture
def store() -> Leases:
    return Leases()


def candidate(store: FakeSource, name: str, clock: Clock | None = None) -> Election:
    return Election(store, "blue", name, 5, clock=clock or Clock())


def step(election: Election, store: FakeSource) -> Expect | None:
    return election.step(store.snapshot())


def leader(store: FakeSource) -> Any:
    item = store.get(KEY)
    return msgspec.json.decode(item.value)["identity"] if item else None


def test_the_first_one_leads_and_the_second_waits(store: Leases) -> None:
    one, two = candidate(store, "one"), candidate(store, "two")
    assert step(one, store) == Expect(KEY, create_revision=store.get(KEY).create_revision)  # type: ignore[union-attr]
    assert step(two, store) is None
    assert two.leader == "one"
    assert step(one, store) is not None
    assert leader(store) == "one"


def test_one_who_resigns_hands_over_at_once(store: Leases) -> None:
    one, two = candidate(store, "one"), candidate(store, "two")
    step(one, store)
    one.resign()
    assert step(two, store) is not None
    assert leader(store) == "two"
    assert one.fence is None
    one.resign()


def test_each_cluster_has_a_leader_of_its_own(store: Leases) -> None:
    blue, green = candidate(store, "one"), Election(store, "green", "two", 5)
    assert step(blue, store) is not None
    assert step(green, store) is not None


def test_a_lease_that_ran_out_ends_the_lead_before_another_write(store: Leases) -> None:
    one = candidate(store, "one")
    step(one, store)
    store.leases[-1].end()
    assert one.fence is None
    assert step(one, store) is not None, "nobody else was there: it leads anew"
    assert len(store.leases) == 2


def test_a_leader_that_slept_is_stopped_by_the_fence(store: Leases) -> None:
    one, two = candidate(store, "one"), candidate(store, "two")
    fence = step(one, store)
    assert fence is not None
    store.delete(KEY)  # its lease ran out while the process was frozen
    step(two, store)
    with pytest.raises(Conflict):
        store.commit([fence], [Put("services/shop/cart", b"{}")])
    assert one.fenced()
    assert one.fence is None
    assert step(one, store) is None
    assert one.leader == "two"


def test_a_race_lost_to_somebody_else_does_not_end_the_lead(store: Leases) -> None:
    one = candidate(store, "one")
    step(one, store)
    assert not one.fenced()
    assert one.fence is not None


def test_a_leader_key_removed_by_hand_is_noticed(store: Leases) -> None:
    one = candidate(store, "one")
    step(one, store)
    store.delete(KEY)
    assert one.fenced()
    assert step(one, store) is not None


def test_a_snapshot_that_is_behind_does_not_make_two_leaders(store: Leases) -> None:
    one, two = candidate(store, "one"), candidate(store, "two")
    old = store.snapshot()
    step(one, store)
    assert two.step(old) is None
    assert leader(store) == "one"
    assert two.leader == "one"
    assert store.leases[-1].remaining() == 0.0, "the lease of the loser is given back"


def test_a_watch_that_is_behind_is_checked_against_the_key_now_and_then(store: Leases) -> None:
    clock = Clock()
    one, two = candidate(store, "one"), candidate(store, "two", clock)
    step(one, store)
    old = store.snapshot()
    assert two.step(old) is None
    one.resign()
    assert two.step(old) is None
    clock.now = 5.0
    assert two.step(old) is not None


def test_a_candidate_gives_its_lease_back_when_the_store_goes_away(store: Leases) -> None:
    one = candidate(store, "one")
    snapshot = store.snapshot()
    commit = store.commit

    def broken(*_: object) -> int:
        raise Unavailable("gone")

    store.commit = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        one.step(snapshot)
    store.commit = commit  # type: ignore[method-assign]
    assert store.leases[-1].remaining() == 0.0
    assert step(one, store) is not None


def test_a_leader_key_that_cannot_be_read_still_means_that_somebody_leads(store: Leases) -> None:
    store.put(KEY, b"not json")
    one = candidate(store, "one")
    assert step(one, store) is None
    assert one.leader == "somebody"
