"""A whole host with a running agent, for each version of HAProxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import etcd as etcd_harness
from harness.agent import AgentProcess, command
from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries, branches
from harness.stack import Stack, servers
from tests.conftest import demand


@pytest.fixture(params=branches())
def stack(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Stack]:
    """etcd with one service (`shop/web` on shop.example, a toy server), HAProxy started from what
    `lbsync prepare` made; no agent yet."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    binary = binaries()[request.param]
    stack = Stack(tmp_path, binary, etcd=hosts_etcd, templates=QUICK_START)
    try:
        stack.write_settings()
        stack.put(
            {
                "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                "endpoints/shop/web/default": servers(stack.web("one"), stack.web("two")),
            }
        )
        prepared = command(stack, "prepare")
        assert prepared.returncode == 0, prepared.stderr
        stack.haproxy.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def agent(stack: Stack) -> Iterator[AgentProcess]:
    """The agent, ready: its first pass is confirmed."""
    process = AgentProcess(stack)
    try:
        yield process.start()
    finally:
        process.stop()


Host = tuple[Stack, AgentProcess]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """Two hosts, lb-1 and lb-2, each with HAProxy and a running agent, in step; service `shop/web`.

    One for all tests: each leaves both at work, and uses names of its own.
    """
    demand(etcd_harness.installed(), "etcd")
    demand("2.6" in binaries(), "HAProxy 2.6")
    directory = tmp_path_factory.mktemp("fleet")
    etcd = Etcd(directory).start()
    stacks = [
        Stack(directory / n, binaries()["2.6"], host=n, etcd=etcd, templates=QUICK_START)
        for n in ("lb-1", "lb-2")
    ]
    agents = [AgentProcess(stack) for stack in stacks]
    patch = pytest.MonkeyPatch()
    patch.setenv("LBSYNC_AGENT_REPORT_TTL", "4s")  # the dead are gone quickly
    patch.setenv("LBSYNC_AGENT_VERIFY", "1h")  # passes are counted, and these have their own time
    try:
        stacks[0].put(
            {
                "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                "endpoints/shop/web/main": servers(stacks[0].web("one")),
            }
        )
        for stack, agent in zip(stacks, agents, strict=True):
            stack.start()
            prepared = command(stack, "prepare")
            assert prepared.returncode == 0, prepared.stderr
            stack.haproxy.start()
            agent.start(ready=False)
        reported = command(stacks[0], "wait", "--hosts", "lb-1,lb-2")
        assert reported.returncode == 0, reported.stdout + reported.stderr
        yield (stacks[0], agents[0]), (stacks[1], agents[1])
    finally:
        for agent in agents:
            agent.stop()
        for stack in stacks:
            stack.stop()
        etcd.stop()
        patch.undo()
