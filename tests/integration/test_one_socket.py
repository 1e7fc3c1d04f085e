"""A HAProxy that has only one of its two sockets is served as well as any other."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries, branches
from harness.stack import Stack, servers
from harness.wait import wait_until
from lbsync.errors import Exit
from tests.conftest import demand

Make = Callable[[str], Stack]


@pytest.fixture(params=branches())
def stacks(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Make]:
    """Make a stack whose settings get lines under [haproxy], and start its HAProxy."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    binary = binaries()[request.param]
    stack = Stack(tmp_path, binary, etcd=hosts_etcd, templates=QUICK_START)

    def make(changes: str) -> Stack:
        stack.write_settings()
        names = [line.partition(" =")[0] for line in changes.splitlines()]
        kept = [
            line
            for line in stack.config_file.read_text().splitlines()
            if line.partition(" =")[0] not in names
        ]
        at = kept.index("[haproxy]") + 1
        stack.config_file.write_text("\n".join([*kept[:at], changes, *kept[at:]]))
        stack.put(
            {
                "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                "endpoints/shop/web/default": servers(stack.web("web")),
            }
        )
        prepared = command(stack, "prepare")
        assert prepared.returncode == 0, prepared.stderr
        stack.haproxy.start(wait=stack.haproxy.has_master_socket)
        return stack

    yield make
    stack.stop()


def reload_command(directory: Path) -> str:
    pid_file = directory / "run" / "haproxy.pid"
    return json.dumps(["sh", "-c", f"kill -USR2 $(cat {pid_file})"])


WAYS: dict[str, Callable[[Path], str]] = {
    "signal": lambda folder: 'reload = "signal"\nmaster_socket = ""',
    "command": lambda folder: (
        f'reload = "command"\nmaster_socket = ""\nreload_command = {reload_command(folder)}'
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_without_a_master_socket_reloads_are_proved(
    stacks: Make, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.haproxy.Haproxy.has_master_socket", False)
    stack = stacks(WAYS[way](tmp_path))
    wait_until("the stats socket", (stack.run / "stats.sock").exists)

    first = command(stack, "agent", "--once")
    assert first.returncode == Exit.CHANGED, first.stdout + first.stderr
    assert "reloaded in" in first.stdout
    assert stack.get("shop.example").body == "web"

    stack.put({"services/shop/web": {"mode": "http", "hosts": ["shop.example", "new.example"]}})
    stack.put({"services/shop/more": {"mode": "http", "hosts": ["more.example"]}})
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    assert stack.get("new.example").body == "web"
    assert command(stack, "agent", "--once").returncode == Exit.OK
    checked = command(stack, "check")
    assert checked.returncode == Exit.OK, checked.stdout
    assert not stack.haproxy.master_socket.exists()


def test_without_a_master_socket_a_daemon_follows_etcd(
    stacks: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.haproxy.Haproxy.has_master_socket", False)
    stack = stacks(WAYS["signal"](tmp_path))
    wait_until("the stats socket", (stack.run / "stats.sock").exists)
    agent = AgentProcess(stack).start()
    try:
        agent.wait_for_revision(
            stack.put({"services/shop/new": {"mode": "http", "hosts": ["new.example"]}})
        )
        other = stack.web("other")
        agent.wait_for_revision(stack.put({"endpoints/shop/new/default": servers(other)}))
        assert stack.get("new.example").body == "other"
        assert agent.status()["state"] == "confirmed"
    finally:
        agent.stop()


def test_without_a_stats_socket_the_master_answers_for_its_worker(stacks: Make) -> None:
    stack = stacks('stats_socket = ""')
    assert "stats socket" not in (stack.state / "live" / "haproxy.cfg").read_text()

    first = command(stack, "agent", "--once")
    assert first.returncode == Exit.CHANGED, first.stdout + first.stderr
    assert stack.get("shop.example").body == "web"
    stack.put({"endpoints/shop/web/default": servers(stack.web("two"))})
    second = command(stack, "agent", "--once")
    assert "without a reload" in second.stdout, second.stdout + second.stderr
    assert stack.get("shop.example").body == "two"
    for words in (["check"], ["agent", "--once"]):
        ended = command(stack, *words)
        assert ended.returncode == Exit.OK, ended.stdout + ended.stderr
    assert not (stack.run / "stats.sock").exists()
