"""The heartbeat is written when it is due or says something new, and only behind the fence."""

from typing import Any

import msgspec
import pytest

from lbsync.clients.source import Expect
from lbsync.model.publishing import HeartbeatRecord
from lbsync.publisher.store.heartbeat import Heartbeat
from tests.fakes import FakeSource

KEY = "publishers/blue/heartbeat"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FakeSource:
    return FakeSource({"leader": b"{}"})


def fence(store: FakeSource) -> Expect:
    item = store.get("leader")
    assert item is not None
    return Expect("leader", create_revision=item.create_revision)


def record(services: int = 1, synced_at: str = "2026-01-01T00:00:00Z") -> HeartbeatRecord:
    return HeartbeatRecord("one", synced_at, services)


def stored(store: FakeSource) -> Any:
    item = store.get(KEY)
    return msgspec.json.decode(item.value) if item else None


def test_the_same_is_written_again_only_when_it_is_due(store: FakeSource) -> None:
    clock = Clock()
    heart = Heartbeat(store, "blue", 30.0, clock=clock)
    heart.beat(record(), fence(store))
    clock.now += 10
    assert heart.due() == 20
    heart.beat(record(synced_at="2026-01-01T00:00:10Z"), fence(store))
    assert stored(store)["synced_at"] == "2026-01-01T00:00:00Z"
    clock.now += 20
    heart.beat(record(synced_at="2026-01-01T00:00:30Z"), fence(store))
    assert stored(store)["synced_at"] == "2026-01-01T00:00:30Z"


def test_news_are_written_within_a_second_even_if_nothing_else_happens(store: FakeSource) -> None:
    clock = Clock()
    heart = Heartbeat(store, "blue", 30.0, clock=clock)
    heart.beat(record(1), fence(store))
    clock.now += 0.25
    heart.beat(record(2), fence(store))
    assert stored(store)["services"] == 1
    assert heart.due() == 0.75
    clock.now += 0.75
    heart.beat(record(2), fence(store))
    assert stored(store)["services"] == 2
    assert heart.due() == 30


def test_one_who_lost_the_lead_writes_none(store: FakeSource) -> None:
    heart = Heartbeat(store, "blue", 30.0)
    old = fence(store)
    store.delete("leader")
    heart.beat(record(), old)
    assert stored(store) is None
    assert heart.due() == 0.0


def test_it_goes_with_the_publisher_unless_another_one_has_written_it(store: FakeSource) -> None:
    one, two = Heartbeat(store, "blue", 30.0), Heartbeat(store, "blue", 30.0)
    one.beat(record(), fence(store))
    two.beat(HeartbeatRecord("two", "", 1), fence(store))
    one.stop()
    assert stored(store)["identity"] == "two"
    two.stop()
    assert stored(store) is None


def test_a_lease_that_ran_out_is_replaced(store: FakeSource) -> None:
    clock = Clock()
    heart = Heartbeat(store, "blue", 30.0, clock=clock)
    heart.beat(record(), fence(store))
    ended = store.snapshot().items[KEY]
    heart._lease.end()  # type: ignore[union-attr]
    assert stored(store) is None
    clock.now += 30
    heart.beat(record(), fence(store))
    hanging = store._hanging[KEY]
    assert hanging == heart._lease.id  # type: ignore[union-attr]
    assert heart._lease.remaining()  # type: ignore[union-attr]
    assert ended.key == KEY
