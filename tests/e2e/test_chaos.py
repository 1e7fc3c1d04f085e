"""Several writers and random faults, judged by the contract alone. `make chaos` does it for longer."""

import os
import time

import pytest

from harness.agent import AgentProcess
from harness.stack import Stack
from tests.chaos.world import World

#: Seconds the run takes; and which one it is.
SECONDS = float(os.environ.get("CHAOS_S", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
VERSIONS = os.environ.get("CHAOS_HAPROXY", "2.6").split(",")


@pytest.mark.parametrize("stack", VERSIONS, indirect=True)
def test_faults_and_writers_at_random_end_in_what_the_contract_says(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Random removals would be held by the guard, which has tests of its own.
    monkeypatch.setenv("LBSYNC_AGENT_GUARD_PERCENT", "100")
    agent = AgentProcess(stack).start()
    world = World(stack, agent, SEED)
    ends_at = time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends_at:
            try:
                world.round(min(6.0, SECONDS / 3))
            except TimeoutError as error:
                log = agent.log.read_text().splitlines()[-20:]
                pytest.fail("\n".join([str(error), str(world.last_wrong), *log]))
    finally:
        world.close()
        agent.stop()
    print(
        f"{world.writes} writes, {world.checks} answers right, {world.requests} requests of the load, "
        f"slowest {world.slowest_s:.1f} s"
    )
    assert world.failures == []
    assert world.requests > 50
