"""A host whose agent is run pass by pass, within the test's own process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries, branches
from harness.stack import Stack, servers
from tests.conftest import demand
from tests.pass_host import Host


@pytest.fixture(params=branches())
def host(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Host]:
    """A host that serves one service, `shop/web` on shop.example, confirmed."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    binary = binaries()[request.param]
    stack = Stack(tmp_path, binary, etcd=hosts_etcd, templates=QUICK_START)
    made: Host | None = None
    try:
        stack.write_settings()
        stack.put(
            {
                "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                "endpoints/shop/web/default": servers(stack.web("web")),
            }
        )
        made = Host(stack)
        made.prepare()
        stack.haproxy.start()
        assert made.agent.run_pass().confirmed
        yield made
    finally:
        if made is not None:
            made.source.close()
        stack.stop()
