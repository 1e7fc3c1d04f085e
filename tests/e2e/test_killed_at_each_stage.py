"""kill -9 at each stage of a pass: the live path starts, and the next agent converges."""

import subprocess
from pathlib import Path

import pytest

from harness import launch
from harness.agent import command
from harness.stack import Stack, servers

#: Where the agent dies, as `module:Class.method`: right before the method does its work, and right
#: after it. In the order of a pass.
STAGES = [
    "lbsync.agent.generations.store:Store.stage",
    "lbsync.clients.haproxy.binary:RunningCheck.verdict",
    "lbsync.agent.runtime.execute:Executor.run",
    "lbsync.agent.generations.store:Store.make_live",
    "lbsync.agent.apply.reload:Reloader._request",
    "lbsync.agent.generations.store:Store.mark_confirmed",
    "lbsync.agent.desired.accepted:AcceptedStore.replace",
]
_DIES = """
import importlib, os, signal, sys
place, when = sys.argv[1], sys.argv[2]
module, _, path = place.partition(":")
*owners, name = path.split(".")
owner = importlib.import_module(module)
for each in owners:
    owner = getattr(owner, each)
real = getattr(owner, name)
def dying(*args, **kwargs):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dying)
from lbsync.cli import main
sys.argv = ["lbsync", "--config", sys.argv[3], "agent", "--once"]
sys.exit(main())
"""


def die(stack: Stack, place: str, when: str) -> int:
    """Run one pass of an agent that kills itself at `place`; return how it ended."""
    return launch.run([place, when, str(stack.config_file)], code=_DIES).returncode


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_next_start_converges_wherever_the_last_one_died(stack: Stack, when: str) -> None:
    first = command(stack, "agent", "--once")
    assert first.returncode == 3, first.stderr
    web = [stack.web("even"), stack.web("odd")]
    for number, place in enumerate(STAGES):
        for change in ("servers", "service"):
            expected = "even" if number % 2 == 0 else "odd"
            key, host = "endpoints/shop/web/default", "shop.example"
            values: dict[str, object] = {key: servers(web[number % 2], weight=number + 1)}
            if change == "service":
                host = f"{when}{number}.example"
                name = f"{when}/n{number}"
                values = {
                    f"services/{name}": {"mode": "http", "hosts": [host]},
                    f"endpoints/{name}/default": servers(web[number % 2]),
                }
            stack.put(values)
            ended = die(stack, place, when)
            assert ended in (-9, 3), f"{place} {change}: {ended}"
            live = Path(stack.state) / "live" / "haproxy.cfg"
            checked = subprocess.run(
                [stack.haproxy.binary, "-c", "-f", str(live)], capture_output=True, check=False
            )
            assert checked.returncode == 0, f"{place} {change}: {checked.stderr.decode()}"
            again = command(stack, "agent", "--once")
            assert again.returncode in (0, 3), f"{place} {change}: {again.stderr}"
            assert {stack.get(host).body for _ in range(3)} == {expected}, f"{place} {change}"


def test_what_a_killed_agent_had_changed_is_no_persons_doing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else draining the only server of all is held.
    monkeypatch.setenv("LBSYNC_AGENT_GUARD_PERCENT", "100")
    web = stack.web("w")
    key = "endpoints/shop/web/default"
    before = {key: servers(web, weight=10)}
    stack.put(before)
    assert command(stack, "agent", "--once").returncode == 3
    for changed in ({"weight": 20}, {"weight": 10, "state": "drain"}):
        stack.put({key: servers(web, **changed)})
        assert die(stack, "lbsync.agent.runtime.execute:Executor.run", "after") == -9
        assert _running(stack) != ("10", "0")
        stack.put(before)
        again = command(stack, "agent", "--once")
        assert again.returncode in (0, 3), again.stderr
        assert _running(stack) == ("10", "0"), again.stderr
    stack.haproxy.ask("@1 set server be_shop_web_default/w weight 30")
    assert command(stack, "agent", "--once").returncode == 0
    assert _running(stack) == ("30", "0"), "a person's doing is kept"


def _running(stack: Stack) -> tuple[str, str]:
    """Return weight and administrative state of the one server of shop/web, as HAProxy runs it."""
    rows = stack.haproxy.ask("@1 show servers state be_shop_web_default").split("\n")
    row = rows[2].split(" ")
    return row[7], row[6]
