"""A whole host with a running agent, for each version of HAProxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.etcd import Etcd
from harness.haproxy import binaries, branches
from harness.stack import Stack, servers
from tests.conftest import demand


@pytest.fixture(params=branches())
def stack(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Stack]:
    """etcd with one service (`shop/web` on shop.example, a toy server), HAProxy started from what
    `lbsync prepare` made; no agent yet."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    stack = Stack(tmp_path, binaries()[request.param], etcd=hosts_etcd)
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
