"""What HAProxy has counted goes on over reloads, where the release can do that."""

import csv

from harness.stack import servers
from harness.wait import wait_until
from lbsync.clients.haproxy import binary
from lbsync.settings import load
from tests.pass_host import Host


def counted(host: Host) -> dict[str, int]:
    """The requests and sessions so far of those that `test_counters` asks."""
    names = ("fe_http,FRONTEND", "be_shop_web_default,BACKEND", "be_shop_web_default,two")
    head, *lines = host.stack.haproxy.ask("@1 show stat").removeprefix("# ").splitlines()
    rows = csv.DictReader([head, *filter(None, lines)])
    found = {f"{row['pxname']},{row['svname']}": row for row in rows}
    return {name: int(found[name]["hrsp_2xx"]) for name in names if name in found}


def reload(host: Host, server_timeout: str) -> None:
    web = {"mode": "http", "hosts": ["shop.example"], "timeouts": {"server": server_timeout}}
    host.stack.put({"services/shop/web": web})
    assert "reloaded" in host.agent.run_pass().sentence


def test_counters_go_on_over_reloads_also_of_a_server_that_came_without_one(host: Host) -> None:
    goes_on = binary.version(host.stack.haproxy.binary) >= (3, 0)
    two = host.stack.web("two")
    host.stack.put({"endpoints/shop/web/default": servers(host.stack._webs[0], two)})
    assert "without a reload" in host.agent.run_pass().sentence
    for number in range(1, 5):
        for _ in range(10):
            assert host.stack.get("shop.example").status == 200
        requests = 10 * number if goes_on else 10
        expected = [requests, requests, requests // 2]
        # HAProxy counts an answer when its session is done, which may be after the client has it.
        wait_until("all to be counted", lambda: list(counted(host).values()) == expected)  # noqa: B023
        reload(host, f"{number + 20}s")
    assert list(counted(host).values()) == ([40, 40, 20] if goes_on else [0, 0, 0])
    assert host.agent.run_pass().fields.get("healed", 0) == 0
    # A start is no reload: numbers of the last one would make a graph go back to them.
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    assert list(counted(host).values()) == [0, 0, 0]


def test_counters_are_not_kept_where_nobody_wants_them(host: Host) -> None:
    before = host.text()
    lines = host.stack.config_file.read_text().replace("user =", "keep_counters = false\nuser =", 1)
    host.stack.config_file.write_text(lines)
    host.agent.configure(load(host.stack.config_file))
    assert host.agent.run_pass().confirmed
    assert "guid" not in host.text()
    assert "stats-file" not in host.text()
    assert ("guid" in before) == (binary.version(host.stack.haproxy.binary) >= (3, 0))
