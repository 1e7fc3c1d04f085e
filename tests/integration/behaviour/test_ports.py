"""A port that HAProxy may not have costs its own service alone, and nobody a request."""

import os
from collections.abc import Callable, Iterator

import pytest

from harness.load import Load
from harness.ports import free_port
from harness.stack import with_new_settings
from harness.web import WebServer
from lbsync.errors import LbsyncError
from tests.conftest import demand
from tests.site import Site

#: As in a pod: nothing below 1024.
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
#: As in another container, too: nobody sees from here what HAProxy may do.
UNSEEN = ("unshare", "--pid", "--fork", "--kill-child")


@pytest.fixture(params=["seen", "unseen"])
def site(
    request: pytest.FixtureRequest, build: Callable[..., Site], web: Callable[[str], WebServer]
) -> Iterator[Site]:
    demand(os.geteuid() == 0, "root, to take rights away")
    site = build()
    site.haproxy.under = (*(UNSEEN if request.param == "unseen" else ()), *UNPRIVILEGED)
    site.service("web", web("web"))
    site.start()
    yield site
    site.haproxy.kill()  # unshare lets nothing gentler through


def test_a_port_that_haproxy_has_no_right_to_costs_its_own_service_alone(
    request: pytest.FixtureRequest, site: Site, web: Callable[[str], WebServer]
) -> None:
    unseen = "unseen" in request.node.name
    load = Load(site.port, "web.test").start()
    site.service("low", web("low"), mode="tcp", listen=700)
    site.service("other", web("other"))
    outcome = site.run_pass()
    assert "services/t/low" in outcome.error
    assert ("cannot bind" if unseen else "CAP_NET_BIND_SERVICE") in outcome.error
    assert site.get("other.test").body == "other", "in the same pass"
    for number in range(3):
        # Each takes a reload on every release, which counts failures anew.
        timeouts = with_new_settings(f"more{number}")["timeouts"]
        site.service(f"more{number}", web("other"), timeouts=timeouts)
        assert "services/t/low" in site.run_pass().error
        assert site.get(f"more{number}.test").body == "other"
    assert "failed: 0" in site.haproxy.ask("show proc")
    load.stop()
    if not unseen:
        assert load.failures == []


def test_who_was_held_back_for_its_port_is_served_with_another_one(
    site: Site, web: Callable[[str], WebServer]
) -> None:
    site.service("low", web("low"), mode="tcp", listen=700)
    assert "services/t/low" in site.run_pass().error
    site.service("low", web("low"), mode="tcp", listen=free_port())
    assert not site.run_pass().error


def test_what_failed_through_nobodys_fault_is_not_tried_over_and_over(site: Site) -> None:
    text = site.settings.read_text()
    site.settings.write_text(text.replace("http_bind = [", 'http_bind = ["127.0.0.1:700", '))
    site.reconfigure()
    with pytest.raises(LbsyncError, match=r"cannot bind|CAP_NET_BIND_SERVICE|did not take"):
        site.agent.run_pass()
    before = site.haproxy.ask("show proc").split("\n")[1].split()[2]
    for _ in range(3):
        with pytest.raises(LbsyncError):
            site.agent.run_pass()
    assert site.haproxy.ask("show proc").split("\n")[1].split()[2] == before, "no reload"
    assert site.get("web.test").status == 200
    site.settings.write_text(text)
    site.reconfigure()
    assert not site.run_pass().error
