"""What the agent answers to probes."""

import pytest

from lbsync.agent.report.pages import alive, ready
from lbsync.status import State, Status


def status(state: State, *, verified_at: float = 1.0, error: str = "") -> Status:
    return Status(state, "lb-1", 1, "", 1.0, digest="abc", generation=3, verified_at=verified_at,
                  error=error)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "is_ready"),
    [
        ("starting", False), ("confirmed", True), ("waiting", True), ("held", True),
        ("stale", True), ("failing", True), ("rolled-back", True), ("unconfirmed", False),
    ],
)  # fmt: skip
def test_a_host_is_ready_with_its_last_good_generation(state: State, is_ready: bool) -> None:
    """A bad template makes passes fail on all hosts at once: none of them may be taken out for it."""
    assert ready(status(state)).is_well is is_ready


def test_a_host_that_never_proved_anything_is_not_ready() -> None:
    answer = ready(status("failing", verified_at=0.0, error="no template"))
    assert not answer.is_well
    assert answer.body == "failing: no template; nothing proved yet\n"


def test_the_answer_names_what_was_proved() -> None:
    assert (
        "failing: no; generation 3-abc proved 1970-01-01"
        in ready(status("failing", error="no")).body
    )


def test_a_loop_that_stands_still_is_not_alive() -> None:
    assert alive(5.0, 180.0).is_well
    answer = alive(181.0, 180.0)
    assert not answer.is_well
    assert answer.body == "the loop has not turned for 3 min\n"
