"""Who counts as having verified a revision."""

import threading
from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import fleet
from lbsync.clients.source import Delete, Put
from lbsync.errors import Unavailable
from lbsync.fleet import TargetRevision, judge
from lbsync.model.records import AgentRecord, RivalRecord, SeenRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.fleet import Census
from tests.fakes import FakeSource


class Remembering(FakeSource):
    """A source in memory that keeps every revision it had."""

    def __init__(self) -> None:
        self.past: dict[int, Snapshot] = {}
        super().__init__()

    def remember(self) -> int:
        held = self.snapshot()
        self.past[held.revision] = held
        return held.revision

    def at(self, revision: int) -> Snapshot | None:
        return self.past.get(revision)

    def count_at(self, revision: int, without: Collection[str]) -> int | None:
        if revision not in self.past:
            return None
        return sum(key.partition("/")[0] not in without for key in self.past[revision].items)


def a_record(revision: int = 5, state: str = "confirmed", **changes: object) -> AgentRecord:
    base = AgentRecord(revision, 1, "ab", "", "", "2.6.12", state=state)
    return msgspec.structs.replace(base, **changes)


def a_census(live: dict[str, AgentRecord | None], **more: Any) -> Census:
    return Census(live, more.get("gone", {}), more.get("rivals", {}), ())


def test_a_later_revision_is_enough_and_an_earlier_one_is_not() -> None:
    def behind(revision: int, _keys: int = 0) -> int:
        return max(0, 10 - revision)

    verdicts = judge(a_census({"a": a_record(10), "b": a_record(9), "c": a_record(11)}), (), behind)
    assert [(verdict.host, verdict.verified) for verdict in verdicts] == [
        ("a", True), ("b", False), ("c", True),
    ]  # fmt: skip
    assert verdicts[1].why == "at revision 9, confirmed"


def test_a_reload_that_waits_is_in_the_way_and_what_is_held_by_hand_is_not() -> None:
    by_hand = {"be_a/s": "state is maint, wanted up, set by hand"}
    (late,) = judge(a_census({"a": a_record(5, held=by_hand)}), (), lambda *_: 1)
    assert late.why == "at revision 5, confirmed"
    record = a_record(9, "waiting", waits="splay; it is for backend be_b", held=by_hand)
    (waiting,) = judge(a_census({"a": record}), (), lambda *_: 0)
    assert not waiting.verified
    assert waiting.why == "at revision 9, waiting: splay; it is for backend be_b"


def test_a_host_that_holds_a_removal_serves_all_else_that_was_wanted() -> None:
    record = a_record(5, "held", held={"removal": "waits"})
    (there,) = judge(a_census({"a": record}), (), lambda *_: 0)
    (behind,) = judge(a_census({"a": record}), (), lambda *_: 1)
    assert (there.verified, behind.verified) == (True, False)


@pytest.mark.parametrize("state", ["failing", "rolled-back", "unconfirmed", "starting", ""])
def test_a_host_that_may_serve_something_else_has_not_verified(state: str) -> None:
    record = a_record(99, state, error="because", held={"removal": "waits"})
    (verdict,) = judge(a_census({"a": record}), (), lambda *_: 0)
    assert not verdict.verified
    assert verdict.why == f"at revision 99, {state}: because"


def test_hosts_that_are_named_are_judged_whether_they_live_or_not() -> None:
    verdicts = judge(a_census({"a": None, "b": a_record()}), ("a", "gone"), lambda *_: 0)
    assert [verdict.host for verdict in verdicts] == ["a", "gone"]
    assert not any(verdict.verified for verdict in verdicts)
    assert "cannot be read" in verdicts[0].why
    assert "no agent reports" in verdicts[1].why


def test_a_host_that_is_gone_is_waited_for_until_it_is_forgotten() -> None:
    gone = {"b": SeenRecord("2026-01-01T00:00:00Z", left="2026-01-02T00:00:00Z")}
    verdicts = judge(a_census({"a": a_record()}, gone=gone), (), lambda *_: 0)
    assert [(v.host, v.verified) for v in verdicts] == [("a", True), ("b", False)]
    assert "gone since 2026-01-02T00:00:00Z" in verdicts[1].why
    assert "lbsync fleet forget b" in verdicts[1].why


def test_two_agents_of_one_name_have_verified_nothing() -> None:
    rivals = {"a": RivalRecord("x")}
    (verdict,) = judge(a_census({"a": a_record()}, rivals=rivals), (), lambda *_: 0)
    assert not verdict.verified
    assert "second agent" in verdict.why


keys = st.sampled_from(["services/s/a", "endpoints/s/a/g", "own/x", "agents/a", "quarantine/s/a"])
writes = st.one_of(st.builds(Put, keys, st.binary(max_size=1)), st.builds(Delete, keys))


@given(st.lists(writes, min_size=1, max_size=20))
def test_a_revision_is_behind_exactly_when_what_agents_follow_has_changed_since(
    done: list[Put | Delete],
) -> None:
    source = Remembering()
    source.remember()
    for op in done:
        source.commit([], [op])
        source.remember()

    def followed(revision: int) -> dict[str, Item]:
        items = source.past[revision].items
        return {key: item for key, item in items.items() if fleet.is_followed(key)}

    for wanted in source.past:
        target = TargetRevision(source, wanted)
        for revision in source.past:
            behind = target.behind(revision)
            assert (behind == 0) == (revision >= wanted or followed(revision) == followed(wanted))
            assert behind <= max(0, wanted - revision)
            # By the number of keys, where etcd has forgotten the earlier revision.
            forgetful = TargetRevision(Remembering(), wanted, source.past[wanted])
            known = forgetful.behind(revision, len(followed(revision)))
            assert known == behind or not followed(revision)


def test_what_is_forgotten_or_still_to_come_is_taken_for_different() -> None:
    source = Remembering()
    assert TargetRevision(source, 50).behind(40) == 10
    assert TargetRevision(source, 50).behind(50) == 0


def test_the_services_that_a_revision_wrote_are_known() -> None:
    source = Remembering()
    source.put("services/s/old", b"{}")
    source.commit([], [Put("services/s/a", b"{}"), Put("routes/s/b", b"{}"), Put("x", b"")])
    assert TargetRevision(source, source.remember()).written() == {"s/a", "s/b"}


class Agents(Remembering):
    """What lies below `agents/`; says a record when somebody begins to listen."""

    def say(self, host: str, revision: int) -> None:
        self.commit([], [Put(host, msgspec.json.encode(a_record(revision)), lease=1)])


def test_waiting_ends_with_the_news_that_makes_it_true() -> None:
    history, agents = Remembering(), Agents()
    history.put("services/s/a", b"1")
    history.remember()
    wanted = history.put("services/s/a", b"2")
    history.remember()
    agents.say("a", wanted - 1)
    said = threading.Timer(0.05, agents.say, ("a", wanted))
    said.start()
    verdicts = fleet.wait(agents, TargetRevision(history, wanted), (), 20.0)
    said.join()
    assert [verdict.verified for verdict in verdicts] == [True]


def test_waiting_for_a_fleet_without_agents_is_in_vain() -> None:
    source = Remembering()
    assert fleet.wait(Agents(), TargetRevision(source, source.remember()), (), 0.02) == []


def test_waiting_fails_in_the_end_when_the_store_stays_away() -> None:
    class Away(Remembering):
        def at(self, revision: int) -> Snapshot | None:
            raise Unavailable("etcd does not answer")

    with pytest.raises(Unavailable):
        fleet.wait(Agents(), TargetRevision(Away(), 1), (), 0.1)


def test_what_a_host_said_before_it_was_asked_proves_nothing() -> None:
    """A service was written and removed again since: no key tells, and the host may serve it yet."""
    history, agents, beside = Remembering(), Agents(), Agents()
    history.put("services/s/a", b"1")
    before = history.remember()
    history.put("services/s/b", b"1")
    wanted = history.delete("services/s/b")
    history.remember()
    agents.say("a", before)
    target = TargetRevision(history, wanted)
    assert target.behind(before) == 0

    late = fleet.wait(agents, target, (), 0.1, beside=beside, keep=lambda: None)

    assert [verdict.verified for verdict in late] == [False]
    asked = threading.Event()

    def answer() -> None:
        if not asked.is_set():
            asked.set()
            told = a_record(before, up_to=wanted)
            for _ in range(3):  # later than the report
                beside.put("other", b"")
            beside.commit([], [Put("a/report", msgspec.json.encode(told), lease=1)])

    verdicts = fleet.wait(agents, target, (), 20.0, beside=beside, keep=answer)
    assert [verdict.verified for verdict in verdicts] == [True]
    assert [verdict.verified for verdict in fleet.wait(agents, target, (), 20.0)] == [True]
