"""A server that is HAProxy itself would let requests go round in circles."""

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
