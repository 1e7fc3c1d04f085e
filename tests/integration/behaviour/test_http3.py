"""HTTP/3 beside the other two, where HAProxy has QUIC; refused in one sentence where it has not."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.quic import http3
from harness.web import WebServer
from lbsync.agent.candidate.validate import Refused
from lbsync.clients.haproxy import binary as program
from lbsync.errors import SettingsError
from tests.site import Site

NAME = "page.test"


@pytest.fixture(scope="module")
def site(
    build: Callable[..., Site],
    binary: str,
    web: Callable[[str], WebServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Site | None:
    """None: this HAProxy has no QUIC, and the settings were refused for it."""
    folder: Path = tmp_path_factory.mktemp("http3")
    chain, key = Authority(folder / "authority").sign("page", names=[NAME])
    (folder / "certs").mkdir()
    (folder / "certs" / "page.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    proxy = f'certificates = "{folder / "certs"}"\nhttp3 = true'
    if not program.has_quic(binary):
        refused = build()
        refused.settings.write_text(refused.settings.read_text() + "http3 = true\n")
        with pytest.raises(SettingsError, match=r"proxy\.http3: .* was built without QUIC"):
            refused.reconfigure()
        return None
    site = build(proxy=proxy)
    if (
        os.geteuid() == 0
    ):  # as it is on a host: with a right to give away, in a directory of its own
        text = site.settings.read_text().replace('\nuser = ""', '\nuser = "nobody"')
        site.settings.write_text(text)
        site.reconfigure()
    site.service("page", web("page"))
    site.start()
    return site


def test_requests_by_http3_fail_in_no_reload_on_old_and_new_connections(
    site: Site | None, web: Callable[[str], WebServer]
) -> None:
    if site is None:
        return
    told = site.get(NAME, tls=NAME).headers
    assert told["alt-svc"] == f'h3=":{site.tls_port}"; ma=3600'
    assert "alt-svc" not in site.get(NAME).headers

    done, seen = asyncio.Event(), web("page").requests
    seen.clear()

    async def ask(name: str) -> int:
        """Ask again and again, on one connection for as long as HAProxy keeps it; return how often.

        The old worker ends it without an error (RFC 9114, 8.1), and clients then ask on another one.
        """
        count = 0
        while not done.is_set():
            async with http3(site.tls_port, NAME) as client:
                while not client.closed and not done.is_set():
                    try:
                        answer = await client.get(NAME, f"/{name}")
                    except ConnectionError as error:
                        assert str(error) == "code 256", "H3_NO_ERROR"
                        continue
                    assert (answer.status, answer.body) == (200, b"page")
                    count += 1
        return count

    async def ask_over_reloads() -> None:
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(ask(name)) for name in ("one", "two")]
            for number in range(4):
                site.service("page", web("page"), timeouts={"server": f"1{number}s"})
                outcome = await asyncio.to_thread(site.run_pass)
                assert "reloaded" in outcome.sentence
                async with http3(site.tls_port, NAME) as client:
                    assert (await client.get("nobody.test")).status == 404
            done.set()
        answered = {
            f"/{name}": task.result() for name, task in zip(("one", "two"), asking, strict=True)
        }
        assert min(answered.values()) > 20
        # What got no answer has reached no server, so that asking again does nothing twice.
        assert {path: seen[path] for path in answered} == answered

    asyncio.run(ask_over_reloads())


def test_what_is_logged_and_passed_on_is_as_with_the_others(
    site: Site | None, web: Callable[[str], WebServer]
) -> None:
    if site is None:
        return
    site.forget_log()

    async def ask() -> None:
        async with http3(site.tls_port, NAME) as client:
            assert (await client.get(NAME, "/seen")).status == 200
            assert (await client.get(NAME, "/a/../b")).status == 400

    asyncio.run(ask())
    line = site.logged(b"seen")
    assert (line["http"], line["client"], line["host"]) == ("HTTP/3.0", "127.0.0.1", NAME)


def test_a_port_that_another_program_has_by_udp_is_refused_before_the_reload(
    site: Site | None,
) -> None:
    if site is None:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        before = site.settings.read_text()
        site.settings.write_text(before.replace(f":{site.tls_port}", f":{port}"))
        site.reconfigure()
        with pytest.raises(Refused, match=rf"127\.0\.0\.1:{port} \(UDP\) is taken .*ss -lunp"):
            site.agent.run_pass()
        site.settings.write_text(before)
        site.reconfigure()
    assert site.run_pass().confirmed
