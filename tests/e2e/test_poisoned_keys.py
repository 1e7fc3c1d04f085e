"""Whatever others write into a shared store, hosts and commands go on, and name the key."""

from harness.agent import AgentProcess, command
from harness.stack import Stack
from harness.wait import wait_until
from lbsync.errors import Exit
from tests.conftest import on_one_release

DEEP = b'{"zz":' + b"[" * 3000 + b"]" * 3000 + b"}"
TWICE = b'{"groups":{"a":-1},"groups":5}'
POISON = {
    "services/evil/x": DEEP,
    "endpoints/evil/x/blue": DEEP,
    "routes/evil/x": TWICE,
    "settings/global": DEEP,
    "quarantine/a/p": DEEP,
    "agents/zz": DEEP,
    "publishers/k/heartbeat": DEEP,
    "publishers/k/reports/service/a/b": DEEP,
}
COMMANDS = (
    ("service", "ls"),
    ("service", "get", "shop/web"),
    ("service", "get", "evil/x"),
    ("service", "put", "shop/other", "--host", "other.example", "--server", "a=10.0.0.1:80"),
    ("check",),
    ("diff",),
    ("render", "--dry-run"),
    ("status",),
    ("status", "--fleet"),
    ("status", "--publishers"),
    ("wait", "--timeout", "1s"),
    ("explain", "service", "evil/x", "--offline"),
)


@on_one_release("stack")
def test_poisoned_keys_are_named_and_stop_nobody(stack: Stack, agent: AgentProcess) -> None:
    stack.put(POISON)
    stack.delete("agents/zz")  # a host that is there and says nothing is waited for
    revision = stack.put({"services/shop/web": {"mode": "http", "hosts": ["new.example"]}})
    agent.wait_for_revision(revision)
    wait_until("the change to be served", lambda: stack.get("new.example").status == 200)
    for key in ("services/evil/x", "endpoints/evil/x/blue", "routes/evil/x", "settings/global"):
        assert key in str(agent.status()["quarantined"])
    assert command(stack, "wait", "--revision", str(revision)).returncode == Exit.OK
    stack.put({"agents/zz": DEEP})
    said = [command(stack, *words) for words in COMMANDS]
    assert [one.stderr for one in said if "Traceback" in one.stderr] == []
    assert [one.args for one in said if one.returncode == Exit.USAGE] == []
    assert "services/evil/x" in said[0].stdout
    assert "nested" in said[0].stdout
    agent.stop()
    agent.start()
    agent.wait_for_revision(stack.put({"routes/shop/web": {"groups": {"default": 1}}}))
