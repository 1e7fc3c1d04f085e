"""Releases that crash are spared what crashes them."""

import pytest

from lbsync.agent.runtime.changes.change_set import Phase, Plan, Stage
from lbsync.agent.runtime.changes.release_limits import within_release_limits
from lbsync.agent.runtime.changes.steps import RetireServer, SetEntry, SetWeight, Step
from lbsync.clients.haproxy.capabilities import of_release

SERVER = RetireServer("be", "s")
WEIGHT = SetWeight("be", "s", 3)
ENTRY = SetEntry("maps/x.map", "k", "v")


@pytest.mark.parametrize(
    ("step", "version", "reload"),
    [
        (SERVER, (3, 3, 0), True),
        (SERVER, (3, 2, 18), True),
        (SERVER, (3, 2, 19), False),
        (SERVER, (2, 8, 25), False),
        (WEIGHT, (3, 3, 0), False),
        (ENTRY, (3, 2, 4), True),
        (ENTRY, (3, 2, 18), False),
    ],
)
def test_a_step_that_a_release_cannot_bear_takes_a_reload(
    step: Step, version: tuple[int, int, int], reload: bool
) -> None:
    todo = within_release_limits(Plan((Stage(next(iter(Phase)), (step,)),)), of_release(version))
    assert todo.reload is reload
    assert bool(todo.steps) is not reload
    if reload:
        assert "HAProxy 3" in todo.reasons[0]
