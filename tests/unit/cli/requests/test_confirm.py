"""When a confirmation has come to an end, and what of it still waits."""

import os

import msgspec
import pytest

from lbsync import status
from lbsync.cli.fleet.confirm import waiting
from lbsync.cli.requests.confirm import is_settled
from lbsync.model.records import AgentRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.status import State, Status

DEADLINE = 1030.0
HELD = Status(
    state="held", host="lb-1", pid=os.getpid(), pid_namespace="", written_at=1000.0, hold_id="3f2a"
)


@pytest.mark.parametrize(
    ("state", "hold_id", "waits_until", "settled"),
    [
        ("held", "3f2a", 0.0, False),
        ("confirmed", "", 0.0, True),
        ("stale", "", 0.0, True),
        ("failing", "", 0.0, False),
        ("unconfirmed", "", 0.0, False),
        ("rolled-back", "", 0.0, False),
        ("held", "77aa", 0.0, True),
        ("waiting", "3f2a", 4600.0, False),
        ("waiting", "", 4600.0, True),
        ("waiting", "", 0.0, True),
        ("waiting", "", DEADLINE - 20, False),
    ],
)
def test_a_confirmation_ends_when_nothing_more_comes_of_it_in_time(
    state: State, hold_id: str, waits_until: float, settled: bool
) -> None:
    now = msgspec.structs.replace(HELD, state=state, hold_id=hold_id, waits_until=waits_until)
    assert is_settled(now, HELD, DEADLINE) is settled


def test_a_wait_is_told_with_its_length_where_that_is_known() -> None:
    now = msgspec.structs.replace(HELD, waits="splay", waits_until=4600.0)
    assert status.wait_of(now, 1000.0) == "splay; not before 60 min from now"
    assert status.wait_of(now, 5000.0) == "splay"
    assert status.wait_of(HELD, 1000.0) == ""


def test_of_the_hosts_that_held_a_removal_those_whose_reload_waits_are_named() -> None:
    late = AgentRecord(5, 1, "ab", "", "", "2.6.12", state="waiting", waits="spl\nay")
    well = AgentRecord(9, 1, "ab", "", "", "2.6.12", state="confirmed")
    items = {
        f"agents/{host}": Item(f"agents/{host}", msgspec.json.encode(record), 1, 3)
        for host, record in {"a": late, "b": well, "c": late}.items()
    }
    there = Snapshot(9, 1, items, leased=frozenset(items))
    held_by = ["a", "b", "publisher prod", "gone"]
    assert waiting(there, held_by) == {"a": "spl\\nay"}
