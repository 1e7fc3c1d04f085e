"""A host whose agent is run pass by pass, within the test's own process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import etcd as etcd_harness
from harness.etcd import Etcd
from harness.haproxy import binaries, branches
from harness.stack import Stack, servers
from tests.conftest import demand
from tests.pass_host import Host


@pytest.fixture(scope="session")
def hosts_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One etcd for the hosts below, one after the other: starting it takes longer than most tests."""
    demand(etcd_harness.installed(), "etcd")
    cluster = Etcd(tmp_path_factory.mktemp("hosts-etcd"))
    yield cluster
    cluster.stop()


@pytest.fixture(params=branches())
def host(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Host]:
    """A host that serves one service, `shop/web` on shop.example, confirmed."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    if not hosts_etcd.node.running():
        hosts_etcd.start()  # the first time, and where the test before has stopped it
    hosts_etcd.delete("/", "--prefix")
    stack = Stack(tmp_path, binaries()[request.param], etcd=hosts_etcd)
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
