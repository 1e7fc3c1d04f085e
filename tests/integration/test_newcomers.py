"""No request for a server that no check has found good, while another one of its service is up."""

import time
from collections.abc import Iterator

import pytest

from harness.load import Load
from harness.stack import servers
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.haproxy import answers
from tests.pass_host import Host

GOOD = "endpoints/shop/web/default"
CHECKED = {
    "mode": "http",
    "hosts": ["shop.example"],
    "check": {"path": "/health", "interval": "300ms"},
}
BACKEND = "be_shop_web_default"


@pytest.fixture
def load(host: Host) -> Iterator[Load]:
    """Steady requests for a service whose one server is known to be good."""
    host.stack.put({"services/shop/web": CHECKED, GOOD: servers(host.stack.web("good"))})
    assert host.agent.run_pass().confirmed
    good = host.stack._webs[-1]
    wait_until("the first check", lambda: good.requests["/health"])
    made = Load(host.stack.http_port, "shop.example", rate=200.0).start()
    yield made
    made.stop()
    assert made.failures == []


def cold(host: Host, name: str) -> WebServer:
    """A server that is not ready: its health is bad, and so is every page."""
    web = host.stack.web(name)
    web.health, web.status = 503, 500
    return web


def known_bad(web: WebServer) -> None:
    """Wait until checks have looked twice."""
    seen = web.requests["/health"]
    wait_until("two checks", lambda: web.requests["/health"] >= seen + 2)


def put(host: Host, *webs: WebServer, **more: object) -> None:
    """Write the servers and do as the agent's loop does."""
    good = host.stack._webs[1]
    host.stack.put(
        {GOOD: {"servers": [*servers(good)["servers"], *servers(*webs, **more)["servers"]]}}
    )
    host.agent.run_fast_path()
    assert host.agent.run_pass().confirmed


def test_a_server_added_moved_or_back_waits_for_its_first_good_check(
    host: Host, load: Load
) -> None:
    new = cold(host, "new")
    put(host, new)
    known_bad(new)
    new.health = new.status = 200
    wait_until("its turn", lambda: load.answers["new"])
    there = cold(host, "there")
    there.name = "new"
    put(host, there)
    known_bad(there)
    put(host, there, state="maint")
    seen = there.requests["/health"]
    put(host, there, state="up")
    wait_until("a check", lambda: there.requests["/health"] > seen)
    known_bad(there)
    assert there.requests["/"] == 0
    assert host.agent.run_pass().fields.get("healed", 0) == 0


def test_a_server_that_comes_with_a_reload_waits_for_its_first_good_check(
    host: Host, load: Load
) -> None:
    new = cold(host, "new")
    good = host.stack._webs[1]
    host.stack.put(
        {
            "services/shop/web": {**CHECKED, "timeouts": {"server": "7s"}},
            GOOD: servers(good, new),
        }
    )
    assert "reloaded" in host.agent.run_pass().sentence
    known_bad(new)
    host.stack.put({"services/shop/web": CHECKED})
    assert "reloaded" in host.agent.run_pass().sentence
    known_bad(new)
    assert new.requests["/"] == 0
    new.health = new.status = 200
    wait_until("its turn", lambda: load.answers["new"])
    moved = cold(host, "moved")
    moved.name = "new"
    host.stack.put(
        {
            "services/shop/web": {**CHECKED, "timeouts": {"server": "7s"}},
            GOOD: servers(good, moved),
        }
    )
    assert "reloaded" in host.agent.run_pass().sentence
    known_bad(moved)
    assert moved.requests["/"] == 0


def test_where_all_servers_are_new_the_good_ones_serve_at_once(host: Host) -> None:
    host.stack.put({"services/shop/web": CHECKED})
    assert host.agent.run_pass().confirmed
    host.stack.put({GOOD: servers(host.stack.web("one"), host.stack.web("two"))})
    assert host.agent.run_fast_path()
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"one", "two"}


def test_the_first_good_check_is_enough(host: Host) -> None:
    """`rise` is for one that was down; the second check would be an hour later."""
    slow = {**CHECKED, "check": {"path": "/health", "interval": "1h", "rise": 3}}
    good = host.stack._webs[0]
    host.stack.put({"services/shop/web": slow})
    assert host.agent.run_pass().confirmed
    new = host.stack.web("new")
    host.stack.put({GOOD: servers(good, new)})
    host.agent.run_fast_path()
    wait_until("its turn", lambda: host.stack.get("shop.example").body == "new")
    assert new.requests["/health"] == 1
    assert host.agent.run_pass().fields.get("healed", 0) == 0


def test_without_a_declared_check_a_new_server_serves_at_once(host: Host) -> None:
    host.stack.put({GOOD: servers(host.stack._webs[0], host.stack.web("two"))})
    assert host.agent.run_fast_path()
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"web", "two"}


def test_a_server_in_service_falls_at_the_declared_pace(host: Host, load: Load) -> None:
    """`interval` times `fall`: one that falters for a moment stays."""
    two = host.stack.web("two")
    put(host, two)
    wait_until("its turn", lambda: load.answers["two"])
    seen = two.requests["/health"]
    wait_until("another check", lambda: two.requests["/health"] > seen)
    began = time.monotonic()
    two.health = 503
    wait_until("its end", lambda: is_down(host, "two"))
    assert time.monotonic() - began > 1.5 * 0.3, "three checks, 300 ms apart"


def is_down(host: Host, name: str) -> bool:
    found = answers.parse_servers(host.stack.haproxy.ask(f"@1 show servers state {BACKEND}"))
    return any(state.op_state == answers.OP_STOPPED for state in found if state.name == name)
