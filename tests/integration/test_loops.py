"""A server that is HAProxy itself would let requests go round in circles."""

import pytest
from structlog.testing import capture_logs

from harness.stack import servers, with_new_settings
from lbsync.clients.haproxy import listeners
from tests.conftest import on_one_release
from tests.pass_host import Host

# What lbsync refuses, HAProxy never sees.
pytestmark = on_one_release("host")


def test_a_server_that_is_haproxy_itself_is_refused_and_the_last_good_one_stays(
    host: Host,
) -> None:
    itself = {"name": "web", "address": "127.0.0.1", "port": host.stack.http_port}
    host.stack.put({"endpoints/shop/web/default": {"servers": [itself]}})
    host.agent.run_fast_path()
    assert host.stack.get("shop.example").body == "web", "not for a moment"
    outcome = host.agent.run_pass()
    assert "shop/web" in outcome.error
    assert "HAProxy itself listens on this host" in outcome.error
    assert host.stack.get("shop.example").body == "web"
    assert sum(host.stack._webs[0].requests.values()) == 2


def test_an_address_that_comes_to_the_host_later_holds_up_nobody(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a pair of balancers does, which a service may lead to."""
    port = host.stack.http_port
    text = host.stack.config_file.read_text()
    host.stack.config_file.write_text(text.replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}"))
    host.restart_agent()
    pair = {"name": "pair", "address": "192.0.2.9", "port": port}
    leads = {"mode": "http", "hosts": ["pair.example"], "check": {"type": "none"}}
    host.stack.put({"services/a/pair": leads, "endpoints/a/pair/x": {"servers": [pair]}})
    assert host.agent.run_pass().error == ""
    monkeypatch.setattr(listeners, "own_addresses", lambda: frozenset({"192.0.2.9"}))
    for restart in (False, True):
        if restart:
            host.restart_agent()
        name = f"new{restart}".lower()
        host.stack.put(
            {
                f"services/shop/{name}": with_new_settings(f"{name}.example"),
                f"endpoints/shop/{name}/default": servers(host.stack.web(name)),
            }
        )
        with capture_logs() as logs:
            outcome = host.agent.run_pass()
        assert (outcome.confirmed, outcome.error) == (True, "")
        assert host.stack.get(f"{name}.example").body == name
        assert [log for log in logs if "a/pair is served on: server pair is at" in log["event"]]
    # What is written now is judged as always.
    host.stack.put({"services/a/pair": leads | with_new_settings("pair.example")})
    assert "HAProxy itself listens on this host" in host.agent.run_pass().error
