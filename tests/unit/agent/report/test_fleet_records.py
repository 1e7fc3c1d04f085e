"""What a host tells the fleet, and whose word about a service stands."""

import json
from collections.abc import Callable, Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.report.fleet_records import (
    GuardedWrite,
    Refusal,
    answers_waiter,
    is_pressing,
    news,
    pending_writes,
    record_of,
    refusals,
)
from lbsync.clients.source import Put
from lbsync.model.snapshot import Item
from lbsync.status import Quarantined, Status
from tests.fakes import FakeSource

WHY = Refusal("mode: required, but missing", 0, 5.0)


def a_status(**changes: object) -> Status:
    base = Status(
        "confirmed", "lb-1", 7, "", 1000.0, revision=41, revision_seen=42, digest="ab",
        generation=3, verified_at=999.5, started_at=1.0,
        quarantined=(
            Quarantined("services/shop/a", "mode: wrong", "shop/a", 20.0, 12),
            Quarantined("endpoints/shop/a/main", "servers: wrong", "shop/a", 10.0),
            Quarantined("x", "the key is no UTF-8; remove it"),
        ),
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def stored(**records: object) -> dict[str, Item]:
    """Keys with `/` written as `__`."""
    return {
        name.replace("__", "/").replace("_", "-"): Item(
            name.replace("__", "/").replace("_", "-"), json.dumps(value).encode(), 1, 9
        )
        for name, value in records.items()
    }


def told(host: str, reason: str = WHY.reason) -> dict[str, object]:
    return {"reason": reason, "revision": 3, "host": host, "since": "long ago"}


def one(found: Iterable[object]) -> GuardedWrite:
    (only,) = found
    assert isinstance(only, GuardedWrite)
    return only


def test_a_record_says_what_was_verified_and_what_was_only_seen() -> None:
    record = record_of(a_status(error="x" * 5000, held="3 of 4 would go", hold_id="f00"))
    assert (record.revision, record.seen, record.state) == (41, 42, "confirmed")
    assert record.verified_at == "1970-01-01T00:16:39.500Z"
    assert record.quarantined == ("shop/a",)
    assert record.held == {"removal": "3 of 4 would go (id f00)"}
    assert len(record.error or "") == 2000
    by_hand = ("be_a/s: state is maint, wanted up, set by hand", "be_a/t: weight is 3, wanted 1")
    assert record_of(a_status(by_hand=by_hand)).held == {
        "be_a/s": "state is maint, wanted up, set by hand",
        "be_a/t": "weight is 3, wanted 1",
    }
    assert record_of(a_status(state="waiting", waits="splay")).waits == "splay"
    assert "error" not in json.loads(msgspec.json.encode(record_of(a_status())))


def test_only_what_is_said_is_news_not_when() -> None:
    before = record_of(a_status())
    assert news(None, before) == "content"
    assert news(before, record_of(a_status())) == "none"
    assert news(before, record_of(a_status(verified_at=1005.0, revision_seen=50))) == "times"
    assert news(before, record_of(a_status(revision=42))) == "content"
    assert news(before, record_of(a_status(error="no"))) == "content"


def test_a_revision_that_others_moved_is_no_news() -> None:
    before, moved = record_of(a_status()), record_of(a_status(revision=50))
    assert news(before, moved, followed=before.revision) == "times"
    assert news(before, moved, followed=before.revision + 1) == "content"
    assert news(moved, before, followed=before.revision) == "content", "etcd was restored"


def test_a_record_is_awaited_if_it_lets_somebody_stop_waiting() -> None:
    old, new = record_of(a_status(revision=40)), record_of(a_status(revision=43))
    failing = record_of(a_status(revision=43, state="failing"))
    assert answers_waiter(old, new, [43])
    assert answers_waiter(old, new, [1, 42])
    assert not answers_waiter(old, new, [])
    assert not answers_waiter(old, new, [40]), "the old one says so already"
    assert not answers_waiter(old, new, [44]), "it does not serve that yet"
    heard = msgspec.structs.replace(new, up_to=44)
    assert answers_waiter(old, heard, [44]), "only others wrote since"
    assert answers_waiter(new, heard, [44]), "what it said before did not tell so"
    assert not answers_waiter(heard, heard, [44])
    assert not answers_waiter(old, failing, [43])
    assert answers_waiter(failing, new, [43])
    assert not answers_waiter(new, failing, [43])


def test_what_somebody_has_to_act_on_or_waits_for_is_pressing() -> None:
    old, new = record_of(a_status(revision=40)), record_of(a_status(revision=43))
    failing = record_of(a_status(revision=40, state="failing", error="no"))
    assert not is_pressing(old, new, [])
    assert is_pressing(old, failing, []), "somebody has to look"
    assert is_pressing(failing, new, [])
    assert is_pressing(old, msgspec.structs.replace(old, quarantined=("shop/bad",)), [])
    waiting = record_of(a_status(revision=40, state="waiting", waits="x"))
    assert not is_pressing(old, waiting, [40]), "nobody waits for what it lacks"
    assert is_pressing(old, waiting, [41])
    assert is_pressing(old, record_of(a_status(revision=43, draining="kernel")), [])
    held = record_of(a_status(held="3 of 4 would go", hold_id="f00"))
    assert is_pressing(old, held, [])
    assert not is_pressing(held, msgspec.structs.replace(held, error="x"), [])


def test_the_reasons_for_one_service_are_one_and_name_the_other_keys() -> None:
    assert refusals(a_status()) == {
        "shop/a": Refusal("mode: wrong; endpoints/shop/a/main: servers: wrong", 12, 10.0)
    }


def test_who_finds_no_word_writes_one() -> None:
    write = one(pending_writes({"shop/a": WHY}, {}, "lb-1", 8))
    assert [(g.key, g.mod_revision) for g in write.guards] == [("quarantine/shop/a", 0)]
    assert isinstance(write.op, Put)
    assert json.loads(write.op.value) == {
        "reason": WHY.reason, "revision": 8, "host": "lb-1", "since": "1970-01-01T00:00:05.000Z",
    }  # fmt: skip


def test_the_own_word_is_left_corrected_or_taken_back() -> None:
    mine = stored(quarantine__shop__a=told("lb-1"))
    assert list(pending_writes({"shop/a": WHY}, mine, "lb-1", 8)) == []
    changed = one(pending_writes({"shop/a": Refusal("other", 4, 5.0)}, mine, "lb-1", 8))
    assert isinstance(changed.op, Put)
    record = json.loads(changed.op.value)
    assert (record["reason"], record["line"], record["since"]) == ("other", 4, "long ago")
    cured = one(pending_writes({}, mine, "lb-1", 8))
    assert not isinstance(cured.op, Put)
    assert [guard.mod_revision for guard in cured.guards] == [9]


def test_the_word_of_a_live_host_is_let_alone() -> None:
    live = stored(quarantine__shop__a=told("lb-2"), agents__lb_2={})
    assert list(pending_writes({"shop/a": WHY}, live, "lb-1", 8)) == []
    assert list(pending_writes({}, live, "lb-1", 8)) == []


def test_the_word_of_a_dead_host_is_taken_over_or_back_while_it_stays_dead() -> None:
    dead = stored(quarantine__shop__a=told("lb-2"))
    for refused in ({"shop/a": WHY}, {}):
        write = one(pending_writes(refused, dead, "lb-1", 8))
        assert isinstance(write.op, Put) == bool(refused)
        assert [(g.key, g.mod_revision, g.create_revision) for g in write.guards] == [
            ("quarantine/shop/a", 9, None),
            ("agents/lb-2", None, 0),
        ]


def test_a_word_that_cannot_be_read_is_overwritten_only_by_who_has_one() -> None:
    odd = {"quarantine/shop/a": Item("quarantine/shop/a", b"\xff{", 1, 9)}
    assert list(pending_writes({}, odd, "lb-1", 8)) == []
    assert isinstance(one(pending_writes({"shop/a": WHY}, odd, "lb-1", 8)).op, Put)


class Fleet:
    """Hosts that do their pending_writes on one store."""

    def __init__(self) -> None:
        self.source = FakeSource()
        self.refused: dict[str, dict[str, Refusal]] = {host: {} for host in HOSTS}
        self.live: set[str] = set()

    def refuse(self, host: str, service: str) -> None:
        self.refused[host][service] = WHY

    def cure(self, host: str, service: str) -> None:
        self.refused[host].pop(service, None)

    def die(self, host: str, _service: str) -> None:
        self.source.delete(f"agents/{host}")
        self.live.discard(host)

    def work(self, host: str, _service: str = "") -> None:
        if host not in self.live:
            self.source.put(f"agents/{host}", b"{}")
            self.live.add(host)
        for write in list(
            pending_writes(self.refused[host], self.source.snapshot().items, host, 1)
        ):
            self.source.commit(write.guards, [write.op])

    def all_work(self) -> int:
        for host in sorted(self.live):
            self.work(host)
        return self.source.snapshot().revision


HOSTS = ("lb-1", "lb-2", "lb-3")
events = st.tuples(
    st.sampled_from([Fleet.refuse, Fleet.cure, Fleet.die, Fleet.work]),
    st.sampled_from(HOSTS),
    st.sampled_from(["s/a", "s/b"]),
)


@given(st.lists(events, max_size=30))
def test_in_the_end_each_service_is_explained_exactly_while_a_live_host_refuses_it(
    happened: list[tuple[Callable[[Fleet, str, str], None], str, str]],
) -> None:
    fleet = Fleet()
    for do, host, service in happened:
        do(fleet, host, service)
    fleet.work("lb-1")
    for _ in HOSTS:
        settled = fleet.all_work()

    wanted = {f"quarantine/{service}" for host in fleet.live for service in fleet.refused[host]}
    stored = fleet.source.snapshot().items
    assert {key for key in stored if key.startswith("quarantine/")} == wanted
    assert fleet.all_work() == settled
