"""What agents wrote is read whatever their version, and garbage is told from absence."""

from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.errors import BadKey
from lbsync.model.records import AgentRecord, HoldRecord, QuarantineRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import fleet


def items(**values: bytes) -> dict[str, Item]:
    """Keys with `/` written as `__`."""
    names = ((name.replace("__", "/"), value) for name, value in values.items())
    return {name: Item(name, value, 1, 1) for name, value in names}


GOOD = msgspec.json.encode(AgentRecord(5, 1, "ab", "", "", "2.6.12"))
REASON = b'{"reason":"no","revision":1,"host":"a","since":""}'


def test_a_field_of_a_later_version_is_passed_over() -> None:
    later = GOOD[:-1] + b',"colour":"blue"}'
    assert fleet.read(AgentRecord, Item("agents/a", later, 1, 1)).revision == 5


def census(leased: set[str], **values: bytes) -> fleet.Census:
    return fleet.census(Snapshot(1, 1, items(**values), (), frozenset(leased)))


def test_a_host_that_cannot_be_read_is_there_all_the_same() -> None:
    both = {"agents/a", "agents/b"}
    found = census(both, agents__b=GOOD, agents__a=b"{", services__x__y=b"{}")
    assert list(found.live) == ["a", "b"]
    assert found.live["a"] is None


def test_what_no_agent_keeps_counts_for_nothing() -> None:
    found = census(
        {"agents/a", "agents/a/x", "agents/A b", "agents/"},
        agents__a=GOOD,
        agents__zz=GOOD,  # without a lease
        agents__a__x=GOOD,
        agents__a__rival=b"{}",  # without a lease
        agents__b__seen=b"[]",
        agents__=GOOD,
        **{"agents/A b": GOOD, "agents/\x1b[5m": GOOD},
    )
    assert (list(found.live), found.gone, found.rivals) == (["a"], {}, {})
    assert found.junk == (
        "agents/", "agents/\x1b[5m", "agents/A b", "agents/a/rival", "agents/a/x", "agents/b/seen",
        "agents/zz",
    )  # fmt: skip


def test_what_a_host_told_who_waits_counts_until_its_next_report() -> None:
    def at(revision: int, mod: int, key: str) -> Item:
        return Item(key, msgspec.json.encode(AgentRecord(revision, 1, "", "", "", "")), 1, mod)

    reports = Snapshot(9, 1, {k: at(1, 5, k) for k in ("agents/a", "agents/b", "agents/c")}, (),
                       frozenset({"agents/a", "agents/b"}))  # fmt: skip
    told = {"a/report": at(2, 6, "a/report"), "b/report": at(2, 4, "b/report"),
            "c/report": at(2, 6, "c/report"), "d/report": at(2, 6, "d/report"),
            "a": at(7, 9, "a")}  # fmt: skip
    beside = Snapshot(9, 1, told, (), frozenset(told))
    live = fleet.census(fleet.with_acknowledgements(reports, beside)).live
    assert {host: record and record.revision for host, record in live.items()} == {"a": 2, "b": 1}
    unleased = Snapshot(9, 1, told)
    assert fleet.with_acknowledgements(reports, unleased) == reports


def test_a_host_that_reported_once_is_gone_and_a_second_agent_is_a_rival() -> None:
    seen = b'{"at":"2026-01-01T00:00:00Z","later":1}'
    found = census(
        {"agents/a", "agents/a/rival"},
        agents__a=GOOD,
        agents__a__seen=seen,
        agents__a__rival=b'{"instance":"x"}',
        agents__b__seen=seen,
    )
    assert list(found.gone) == ["b"]
    assert list(found.rivals) == ["a"]
    assert found.junk == ()


def test_a_reason_that_cannot_be_read_is_none() -> None:
    found = fleet.quarantines(items(quarantine__s__a=REASON, quarantine__s__b=b""))
    assert list(found) == ["s/a"]


HUGE = "\x1b[2J\n" + "x" * 1_000_000


def longest(found: object) -> int:
    """The longest text in a record, names of fields and entries included."""
    if isinstance(found, dict):
        return max((longest(each) for pair in found.items() for each in pair), default=0)
    if isinstance(found, list):
        return max(map(longest, found), default=0)
    return len(found) if isinstance(found, str) else 0


@pytest.mark.parametrize("field", ["error", "state", "waits", "draining", "digest", "haproxy"])
def test_a_forged_record_of_a_megabyte_is_no_more_than_a_screen(field: str) -> None:
    value = msgspec.json.encode(msgspec.json.decode(GOOD) | {field: HUGE})
    live = census({"agents/a"}, agents__a=value).live["a"]
    assert live is not None
    assert getattr(live, field).startswith("\\x1b[2J\\n")
    assert longest(msgspec.to_builtins(live)) < 3000


def test_forged_lists_and_names_are_bounded_too() -> None:
    odd = {"held": {HUGE: HUGE, "x": "y"}, "quarantined": [f"a/s{n}" for n in range(9000)],
           "hold": {"id": HUGE, "services": {f"a/s{n}": 1 for n in range(9000)}}}  # fmt: skip
    value = msgspec.json.encode(msgspec.json.decode(GOOD) | odd)
    live = census({"agents/a"}, agents__a=value).live["a"]
    assert live is not None
    assert longest(msgspec.to_builtins(live)) < 3000
    assert len(live.quarantined) == 5000
    assert isinstance(live.hold, HoldRecord)
    assert len(live.hold.services) == 5000
    told = {f"quarantine/{name}": Item("", REASON, 1, 1) for name in ("s/a", HUGE)}
    assert list(fleet.quarantines(told)) == ["s/a"]


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=3),
       lambda inner: st.dictionaries(st.sampled_from(["revision", "host", "reason"]), inner)
       ).map(msgspec.json.encode))  # fmt: skip
def test_no_bytes_break_the_reader(data: bytes) -> None:
    item = Item("agents/a", data, 1, 1)
    for reading in (partial(fleet.read, AgentRecord), partial(fleet.read, QuarantineRecord)):
        try:
            reading(item)
        except BadKey as error:
            assert "was not written by an agent" in str(error)


def test_the_sentence_names_the_key_and_the_cure() -> None:
    with pytest.raises(BadKey, match=r"^quarantine/s/b: .*; remove it$"):
        fleet.read(QuarantineRecord, Item("quarantine/s/b", b"[]", 1, 1))
