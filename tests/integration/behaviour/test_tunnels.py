"""Where HAProxy would stop to read what goes through it, and so to judge it: only for WebSockets."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import Authority
from tests.raw_http import (
    ACCEPTED,
    EchoingServer,
    ScriptedServer,
    ask_http2,
    echoed_over_http2,
)
from tests.site import Site

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
H2C = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
BARE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
BEHIND = b"GET /admin/secret HTTP/1.1\r\nHost: page.test\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    made = ScriptedServer(OK)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chat() -> Iterator[EchoingServer]:
    made = EchoingServer()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(
    build: Callable[..., Site],
    server: ScriptedServer,
    chat: EchoingServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    folder: Path = tmp_path_factory.mktemp("tunnels")
    chain, key = Authority(folder / "authority").sign("page", names=["page.test"])
    (folder / "certs").mkdir()
    (folder / "certs" / "page.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    site = build(proxy=f'certificates = "{folder / "certs"}"')
    fields = {"mode": "http", "hosts": ["page.test"], "check": {"type": "none"}}
    site.put(
        {
            "services/t/page": fields,
            "endpoints/t/page/main": server.endpoints,
            "services/t/chat": {**fields, "paths": ["/chat"]},
            "endpoints/t/chat/main": chat.endpoints,
            "services/t/admin": {**fields, "paths": ["/admin"], "deny": ["0.0.0.0/0"]},
            "endpoints/t/admin/main": server.endpoints,
        }
    )
    site.start()
    return site


def answers(opened: socket.socket, server: ScriptedServer, first: bytes) -> list[int]:
    """Send a request, and behind its answer the one that must not come through; both statuses."""
    server.received = b""
    opened.settimeout(3)
    opened.sendall(first)
    found = [_status(opened)]
    try:
        opened.sendall(BEHIND)
        found.append(_status(opened))
    except (OSError, EOFError):
        found.append(0)
    return found


def _status(opened: socket.socket) -> int:
    data = opened.recv(65536)
    if not data:
        raise EOFError
    return int(data.split()[1])


def request(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: page.test", *lines, "", ""]).encode()


@pytest.fixture(params=[None, "page.test"], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> str | None:
    name: str | None = request.param
    return name


@pytest.mark.parametrize("target", ["page.test:80", "page.test", "/", "10.0.0.1:22"])
def test_connect_is_refused_and_what_follows_is_judged(
    site: Site, server: ScriptedServer, tls: str | None, target: str
) -> None:
    server.reply = OK
    with site.connected(tls=tls) as opened:
        first, second = answers(opened, server, request("CONNECT", target))
    assert first in (400, 405)
    assert second in (0, 403)
    assert not server.received


@pytest.mark.parametrize(
    "offer",
    [
        ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"],
        ["Upgrade: H2C", "Connection: upgrade"],
        ["Upgrade: h2c", "Connection: Upgrade", "Content-Length: 3"],
        ["Upgrade: TLS/1.2, HTTP/2.0", "Connection: Upgrade"],
        ["Upgrade: h2c", "Upgrade: x", "Connection: Upgrade"],
        ["Upgrade: xwebsocket", "Connection: Upgrade"],
        ["Upgrade: websocket/13, h2c", "Connection: Upgrade"],
        ["Upgrade: h2c"],
        [],
    ],
)
@pytest.mark.parametrize("reply", [H2C, ACCEPTED, BARE])
def test_no_other_protocol_is_switched_to_and_the_offer_is_not_passed_on(
    site: Site, server: ScriptedServer, tls: str | None, offer: list[str], reply: bytes
) -> None:
    server.reply = reply
    first = request("GET", "/", *offer) + (b"abc" if "Content-Length: 3" in offer else b"")
    with site.connected(tls=tls) as opened:
        assert answers(opened, server, first) in ([502, 403], [502, 0])
    assert not re.search(
        rb"(?im)^(upgrade|connection|http2-settings):.*h2c|^http2", server.received
    )
    assert b"/admin" not in server.received


@pytest.mark.parametrize(
    ("offer", "reply"),
    [
        (["Upgrade: websocket", "Connection: Upgrade"], H2C),
        (["Upgrade: websocket, h2c", "Connection: Upgrade"], H2C),
        (["Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"], H2C),
        (["Upgrade: websocket"], ACCEPTED),
    ],
)
def test_an_offer_of_websockets_lets_no_other_protocol_through(
    site: Site, server: ScriptedServer, tls: str | None, offer: list[str], reply: bytes
) -> None:
    server.reply = reply
    with site.connected(tls=tls) as opened:
        first = request("GET", "/", *offer, *KEY.split("\r\n")[:2])
        assert answers(opened, server, first) in ([502, 403], [502, 0])
    assert b"h2c" not in server.received
    assert b"/admin" not in server.received


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "websocket, h2c", "h2c, websocket"])
def test_a_websocket_comes_through(
    site: Site, server: ScriptedServer, tls: str | None, upgrade: str
) -> None:
    server.reply = ACCEPTED
    lines = [f"Upgrade: {upgrade}", "Connection: keep-alive, Upgrade", *KEY.split("\r\n")[:2]]
    with site.connected(tls=tls) as opened:
        assert answers(opened, server, request("GET", "/", *lines)) == [101, 101]
        assert b"h2c" not in server.received
        server.received = b""
        opened.sendall(request("GET", "/admin/ws", *lines))
    with site.connected(tls=tls) as opened:
        assert answers(opened, server, request("GET", "/admin/ws", *lines))[0] == 403


def headers(method: str, **pseudo: str) -> list[tuple[str, str]]:
    found = {"method": method, "scheme": "http", "path": "/", "authority": "page.test", **pseudo}
    return [(f":{name}", value) for name, value in found.items() if value]


def test_http_2_knows_no_way_around(site: Site, server: ScriptedServer, tls: str | None) -> None:
    def status(sent: list[tuple[str, str]], reply: bytes, body: bytes = b"") -> int:
        server.reply, server.received = reply, b""
        with site.connected(tls=tls) as opened:
            return ask_http2(opened, sent, body=body)

    assert status(headers("GET"), OK) == 200
    bare = [(":method", "CONNECT"), (":authority", "page.test:80")]
    assert status(bare, OK, BEHIND) == 405
    assert not server.received
    assert status(headers("CONNECT"), OK, BEHIND) in (0, 400, 405)
    assert status(headers("CONNECT", protocol="connect-udp"), OK, BEHIND) == 501
    # HAProxy 2.8 resets this one by itself.
    assert status(headers("CONNECT", protocol="h2c"), H2C, BEHIND) in (0, 501)
    assert not server.received
    assert status([*headers("GET"), ("upgrade", "h2c"), ("connection", "upgrade")], H2C) == 0
    assert not server.received
    # WebSockets over HTTP/2 (RFC 8441); their 101 is a 200 here.
    websocket = headers("CONNECT", protocol="websocket")
    assert status(websocket, OK) == 200
    assert status(headers("CONNECT", protocol="websocket", path="/admin/ws"), ACCEPTED) == 403


def test_a_websocket_comes_through_over_http_2(site: Site, tls: str | None) -> None:
    asked = headers(
        "CONNECT", protocol="websocket", path="/chat", scheme="https" if tls else "http"
    )
    asked += [("sec-websocket-version", "13"), ("origin", "https://page.test")]
    with site.connected(tls=tls) as opened:
        assert echoed_over_http2(opened, asked, b"hello") == b"hello"


def test_a_client_cannot_have_the_next_proxy_drop_what_is_said_of_it(
    site: Site, server: ScriptedServer
) -> None:
    server.reply, server.received = OK, b""
    named = "Connection: keep-alive, X-Forwarded-For, X-Forwarded-Proto, Authorization"
    assert site.send(request("GET", "/", named, "Keep-Alive: timeout=9")).status == 200
    assert b"x-forwarded-for: 127.0.0.1" in server.received
    assert b"X-Forwarded" not in server.received
    server.reply, server.received = ACCEPTED, b""
    named = "Connection: Upgrade, X-Forwarded-For"
    with site.connected() as opened:
        answers(opened, server, request("GET", "/", named, "Upgrade: websocket", KEY.strip()))
    assert re.findall(rb"(?im)^connection: (.*)\r$", server.received) == [b"upgrade"]
