"""How long a held removal has waited, over everything that may happen meanwhile."""

from pathlib import Path

import msgspec
import pytest

from lbsync.agent import boot
from lbsync.agent.control import Control, Request
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.guard.guard import Hold
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.removal_hold import RemovalHold, receiving_servers
from lbsync.model.records import ConfirmationRecord
from lbsync.schema.confirming import Confirmations
from lbsync.settings import Duration, Settings

HOLD = Hold("3f2a", {"shop/cart": (3, 0)}, 5, left={"shop/cart": 0})
AGENT = msgspec.structs.replace(Settings().agent, guard_release=Duration(3_600_000))
SETTINGS = msgspec.structs.replace(Settings(), agent=AGENT)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path)


def holding_of(control: Control) -> RemovalHold:
    return RemovalHold(control, SETTINGS, AcceptedStore(control.path.parent / "accepted.db"))


def aged(control: Control, seconds: float, boot_id: str | None = None) -> None:
    """Let the hold that was noted be older."""
    noted = control.get("held")
    assert noted is not None
    value = msgspec.json.decode(noted.value)
    value["since"] -= seconds
    value["boot"] = boot_id or value["boot"]
    control.set("held", Request(msgspec.json.encode(value).decode(), ""))


def test_a_failed_apply_does_not_begin_the_wait_anew(control: Control) -> None:
    holding_of(control).note(HOLD)
    aged(control, 3601.0)
    holding = holding_of(control)
    for _ in range(3):
        assert holding.is_approved(HOLD)
        holding.note(None, approved=HOLD)  # and then HAProxy does not take it
    assert holding_of(control).is_approved(HOLD)
    holding.done(HOLD)
    assert not holding.is_approved(HOLD)
    assert holding_of(control).guard.baseline is None


def test_the_wait_goes_on_over_a_restart_of_the_agent(control: Control) -> None:
    holding_of(control).note(HOLD)
    aged(control, 3000.0)
    later = holding_of(control)
    later.note(HOLD)
    assert later.waits()[0] == pytest.approx(600.0, abs=60.0)
    baseline = later.guard.baseline
    assert baseline is not None
    assert (baseline.total, baseline.services) == (5, frozenset({"shop/cart"}))


def test_after_a_restart_of_the_machine_the_wait_begins_anew(control: Control) -> None:
    holding_of(control).note(HOLD)
    aged(control, 3601.0, boot_id="another")
    later = holding_of(control)
    assert not later.is_approved(HOLD)
    later.note(HOLD)
    assert later.waits()[0] > 3500.0


def test_a_removal_that_is_taken_back_leaves_no_wait_behind(control: Control) -> None:
    holding = holding_of(control)
    holding.note(HOLD)
    holding.note(None)
    assert control.get("held") is None
    assert holding.guard.baseline is None


def test_a_confirmation_of_the_fleet_lets_the_same_removal_go_once(control: Control) -> None:
    holding = holding_of(control)
    holding.note(HOLD)
    assert holding.is_approved(HOLD, confirmed=7)
    assert holding.is_approved(HOLD, confirmed=7)
    holding.done(HOLD)
    assert not holding.is_approved(HOLD, confirmed=7)
    assert holding.is_approved(HOLD, confirmed=8)


def test_a_confirmation_by_id_is_used_up_once_nothing_is_held_also_by_an_agent_that_begins_anew(
    control: Control,
) -> None:
    holding = holding_of(control)
    holding.over(Confirmations({"3f2a": (7, ConfirmationRecord())}))
    assert not holding.is_approved(HOLD, confirmed=7)
    assert holding.is_approved(HOLD, confirmed=8)


def test_a_damaged_note_is_no_hold(control: Control) -> None:
    control.set("held", Request("5", ""))
    assert holding_of(control).guard.baseline is None
    assert boot.now() > 0.0


def test_in_files_a_server_without_requests_counts_as_gone() -> None:
    def text(words: str) -> str:
        lines = [f"    server s{number} 10.0.0.{number}:80 {words}" for number in range(1, 4)]
        return "\n".join(["backend a", *lines, "    server last 10.0.0.9:80", ""])

    found = [
        receiving_servers(Parser().parse(text(words))) for words in ("", "weight 0", "disabled")
    ]
    assert found == [4, 1, 1]
    default = "backend a\n    default-server disabled\n    server s 10.0.0.1:80\n"
    assert receiving_servers(Parser().parse(default)) == 0
