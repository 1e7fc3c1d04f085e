"""A thread that dies must not leave an agent that looks well and does nothing."""

import contextlib
import json
import socket
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from harness.agent import AgentProcess
from harness.stack import Stack, servers
from harness.wait import wait_until
from tests.conftest import on_one_release

KILLER = Path(__file__).with_name("thread_killer.py")
#: Within this many seconds it works again, or says that it does not.
WITHIN_S = 30.0


def tell(door: Path, name: str = "") -> set[str]:
    """End the threads of this name in the agent; return the names of all it has then."""
    with socket.socket(socket.AF_UNIX) as peer, peer.makefile("rw") as lines:
        peer.settimeout(25)
        peer.connect(str(door))
        lines.write(f"{name}\n")
        lines.flush()
        return set(lines.read().split("\n"))


def told(stack: Stack) -> int:
    """Return the revision that the agent's record in etcd speaks of; 0 without one."""
    item = stack.client.snapshot().items.get("agents/lb-test")
    return int(json.loads(item.value)["revision"]) if item else 0


@on_one_release("stack")
def test_each_thread_that_ends_is_begun_anew_and_changes_are_served_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBSYNC_AGENT_REPORT_INTERVAL", "500ms")
    door = stack.run / "killer.sock"
    agent = AgentProcess(stack, within=(sys.executable, str(KILLER), str(door)))
    with contextlib.ExitStack() as ends:
        ends.callback(agent.stop)
        agent.start()
        wait_until("the fleet to hear of it", lambda: told(stack) > 0)
        ours = {name for name in tell(door) if name.startswith(("etcd-", "fleet"))}
        assert ours == {"etcd-watch", "etcd-probe", "etcd-lease", "fleet"}
        for number, name in enumerate(sorted(ours)):
            tell(door, name)
            began = time.monotonic()
            after = servers(stack.web(f"after-{number}"))
            revision = stack.put({"endpoints/shop/web/default": after})
            agent.wait_for_revision(revision, timeout=WITHIN_S)
            assert stack.get("shop.example").body == f"after-{number}"
            wait_until(f"{name} to be there again", partial(lambda name: name in tell(door), name))
            wait_until(
                "the fleet to hear of it",
                partial(lambda revision: told(stack) >= revision, revision),
                timeout=WITHIN_S - (time.monotonic() - began),
            )
            assert f"thread {name} fails" in agent.log.read_text()
