"""Whoever is shut out is out now, however many connections keep old workers."""

import contextlib
import http.client
from collections.abc import Callable, Iterator

import pytest

from harness.wait import wait_until
from harness.web import WebServer
from tests.site import Site


@pytest.fixture
def site(build: Callable[..., Site], web: Callable[[str], WebServer]) -> Iterator[Site]:
    """A site with one old worker that a slow request keeps, which is as many as there may be."""
    site = build(more="[agent]\nmax_old_workers = 1")
    slow_one = web("slow")
    slow_one.delay_s = 20.0
    site.service("slow", slow_one)
    site.service("web", web("web"))
    site.service("old", web("web"))
    site.start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port)) as slow:
        slow.request("GET", "/slow", headers={"Host": "slow.test"})
        wait_until("the request to arrive", lambda: slow_one.requests["/slow"])
        site.service("first", web("web"))
        assert not site.run_pass().waits
        yield site
        site.stop()
    slow_one.delay_s = 0.0


def test_a_deny_list_and_a_deleted_service_wait_for_no_old_worker(
    site: Site, web: Callable[[str], WebServer]
) -> None:
    site.service("new", web("web"))
    outcome = site.run_pass()
    assert outcome.waits
    assert site.get("new.test").status == 404, "what is only more may wait"
    site.service("web", web("web"), hosts=["web.test", "twice.test"])
    site.agent.ahead()
    assert site.get("twice.test").status == 200, "and holds up nobody who needs no reload"
    site.service("web", web("web"), hosts=["web.test", "twice.test"], deny=["127.0.0.0/8"])
    outcome = site.run_pass()
    assert not outcome.waits
    assert site.get("web.test").status == 403
    assert site.get("new.test").status == 200, "who waited comes along"
    site.service("newer", web("web"))
    assert site.run_pass().waits
    site.source.delete("services/t/old", "endpoints/t/old/main")
    assert not site.run_pass().waits
    assert site.get("old.test").status == 404


def test_an_old_worker_is_counted_for_as_long_as_it_lives(site: Site) -> None:
    for _ in range(2):
        site.run_pass()
        assert site.agent.applied is not None
        assert site.agent.applied.old_workers.count == 1
        site.agent.look_again()
