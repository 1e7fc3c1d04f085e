"""A port that HAProxy may not have costs its own service alone, and nobody a request."""

from collections.abc import Callable, Iterator

import pytest

from harness.load import Load
from harness.web import WebServer
from tests.site import Site

#: As in a pod: nothing below 1024.
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")


@pytest.fixture
def site(build: Callable[..., Site], web: Callable[[str], WebServer]) -> Iterator[Site]:
    site = build()
    site.haproxy.under = UNPRIVILEGED
    site.service("web", web("web"))
    site.start()
    yield site
    site.stop()


def test_a_port_below_1024_that_haproxy_has_no_right_to_is_never_tried(
    site: Site, web: Callable[[str], WebServer]
) -> None:
    load = Load(site.port, "web.test").start()
    site.service("low", web("low"), mode="tcp", listen=700)
    site.service("other", web("other"))
    outcome = site.run_pass()
    assert "services/t/low" in outcome.error
    assert "CAP_NET_BIND_SERVICE" in outcome.error
    assert site.get("other.test").body == "other"
    assert load.stop().failures == []
    assert "failed: 0" in site.haproxy.ask("show proc")
