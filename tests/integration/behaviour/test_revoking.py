"""Whoever is shut out is out now, however many connections keep old workers."""

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterator

import pytest

from harness.stack import with_new_settings
from harness.wait import wait_until
from harness.web import WebServer
from tests.raw_http import ACCEPTED, ScriptedServer
from tests.site import Site

_WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: chat.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def site(build: Callable[..., Site], web: Callable[[str], WebServer]) -> Iterator[Site]:
    """A site with one old worker that a slow request keeps, which is as many as there may be."""
    site = build(more="[agent]\nmax_old_workers = 1")
    slow_one = web("slow")
    slow_one.is_holding = True
    site.service("slow", slow_one)
    site.service("web", web("web"))
    site.service("old", web("web"))
    site.start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port)) as slow:
        slow.request("GET", "/slow", headers={"Host": "slow.test"})
        wait_until("the request to arrive", lambda: slow_one.requests["/slow"])
        reloading(site, web, "first")
        assert not site.run_pass().waits
        yield site
        site.stop()
    slow_one.release()


def test_a_deny_list_and_a_deleted_service_wait_for_no_old_worker(
    site: Site, web: Callable[[str], WebServer]
) -> None:
    reloading(site, web, "new")
    outcome = site.run_pass()
    assert outcome.waits
    assert site.get("new.test").status == 404, "what is only more may wait"
    site.service("web", web("web"), hosts=["web.test", "twice.test"])
    site.agent.run_fast_path()
    assert site.get("twice.test").status == 200, "and holds up nobody who needs no reload"
    site.service("web", web("web"), hosts=["web.test", "twice.test"], deny=["127.0.0.0/8"])
    outcome = site.run_pass()
    assert not outcome.waits
    assert site.get("web.test").status == 403
    assert site.get("new.test").status == 200, "who waited comes along"
    reloading(site, web, "newer")
    assert site.run_pass().waits
    site.source.delete("services/t/old", "endpoints/t/old/main")
    assert not site.run_pass().waits
    assert site.get("old.test").status == 404


def test_an_old_worker_is_counted_for_as_long_as_it_lives(site: Site) -> None:
    for _ in range(2):
        site.run_pass()
        assert site.agent.result.applied is not None
        assert site.agent.result.applied.old_workers == 1
        site.agent.verify_all_next()


def test_a_websocket_before_each_of_eight_reloads_keeps_nobody_in(
    build: Callable[..., Site], web: Callable[[str], WebServer]
) -> None:
    """As anybody may open them, with the settings as they come: eight old workers are the most."""
    site = build()
    chat = ScriptedServer(ACCEPTED)
    site.put({"services/t/chat": {"mode": "http", "hosts": ["chat.test"]}})
    site.put({"endpoints/t/chat/main": chat.endpoints})
    for name in ("web", "old"):
        site.service(name, web("web"))
    site.start()
    with contextlib.ExitStack() as source_opened:
        source_opened.callback(chat.stop)
        idle = [
            source_opened.enter_context(idle_websocket(site, web, number)) for number in range(8)
        ]
        reloading(site, web, "ninth")
        assert site.run_pass().waits
        assert site.get("ninth.test").status == 404, "what is only more waits"
        site.service("web", web("web"), deny=["127.0.0.0/8"])
        assert not site.run_pass().waits
        assert site.get("web.test").status == 403
        site.source.delete("services/t/old", "endpoints/t/old/main")
        assert not site.run_pass().waits
        assert site.get("old.test").status == 404
        for each in idle:
            each.sendall(b"still there?")
            assert each.recv(65536) == ACCEPTED
        source_opened.callback(site.stop)


def reloading(site: Site, web: Callable[[str], WebServer], name: str) -> None:
    """Write a new service that takes a reload on every release."""
    site.service(name, web("web"), timeouts=with_new_settings(name)["timeouts"])


@contextlib.contextmanager
def idle_websocket(
    site: Site, web: Callable[[str], WebServer], number: int
) -> Iterator[socket.socket]:
    """Open a WebSocket, and let a new service bring a reload after it."""
    with site.connected() as client:
        client.sendall(_WEBSOCKET)
        assert b"101 Switching" in client.recv(65536)
        reloading(site, web, f"s{number}")
        assert not site.run_pass().waits
        yield client
