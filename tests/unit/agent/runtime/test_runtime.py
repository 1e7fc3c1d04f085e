"""When a difference is one."""

from lbsync.agent.runtime.changes.steps import SetAddress
from lbsync.agent.runtime.commands import commands
from lbsync.agent.runtime.drift import Drift
from lbsync.agent.runtime.readback import Mismatch
from lbsync.agent.runtime.settling import in_effect

LATE = [Drift(Mismatch("be/s", "address", "10.0.0.2", "10.0.0.1"))]
OTHER = [Drift(Mismatch("be/s", "weight", "1", "2"))]


def test_an_address_that_takes_effect_late_is_no_difference() -> None:
    answers = iter([LATE, LATE, [], LATE])
    assert in_effect(lambda: next(answers)) == []


def test_what_stays_different_is_told_and_anything_but_an_address_at_once() -> None:
    assert in_effect(lambda: LATE) == LATE
    answers = iter([OTHER, []])
    assert in_effect(lambda: next(answers)) == OTHER


def test_an_address_that_is_in_force_already_is_a_success() -> None:
    (command,) = commands(SetAddress("be", "s", "10.0.0.2", 80))
    for reply in (
        "nothing changed",  # 3.0 and later
        "no need to change the addr, no need to change the port by 'stats socket command'",
        "IP changed from '10.0.0.1' to '10.0.0.2' by 'stats socket command'",
    ):
        assert command.expected.fullmatch(reply)
    assert not command.expected.fullmatch("No such server.")
