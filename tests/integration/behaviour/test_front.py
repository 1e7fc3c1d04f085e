"""The side that faces the balancer in front: trust, PROXY protocol, health, log, statistics."""

import contextlib
import datetime
import json
import re
import socket
import struct
from collections.abc import Callable

import pytest

from harness.stack import with_new_settings
from harness.web import WebServer
from lbsync.agent.control import Control, Request
from tests.site import Site

Web = Callable[[str], WebServer]
FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Host": "forged.test",
    "Forwarded": "for=203.0.113.9",
    "X_Forwarded_For": "203.0.113.9",
    "X_FORWARDED-PROTO": "https",
    "X.Forwarded.Host": "forged.test",
    "X-Forwarded_Port": "443",
}
"""What a client may write; the last four are the first to servers that read CGI's variables."""


@pytest.fixture(scope="module")
def trusting(build: Callable[..., Site], web: Web) -> Site:
    """A site that believes a balancer at 127.0.0.7."""
    site = build(proxy='trusted_proxies = ["127.0.0.7/32", "fd00::/8"]')
    site.service("page", web("front"), redirect={"https": False})
    site.service("secure", web("front"), redirect={"https": True})
    site.service("office", web("front"), allow=["203.0.113.0/24"])
    site.start()
    return site


LOG_FIELDS = ["balancer", "query", "request_id", "tls", "user_agent"]


@pytest.fixture(scope="module")
def behind(build: Callable[..., Site], web: Web) -> Site:
    """A site to which 127.0.0.1 sends the PROXY protocol, and nobody else does."""
    site = build(
        proxy=f'accept_proxy = ["127.0.0.1", "fd00::/8"]\nlog_fields = {json.dumps(LOG_FIELDS)}'
    )
    site.service("page", web("front"))
    site.service("office", web("front"), allow=["203.0.113.0/24"])
    site.service("barred", web("front"), deny=["192.0.2.1"])
    site.start()
    return site


def test_nobody_is_believed_who_is_not_trusted(trusting: Site, web: Web) -> None:
    assert trusting.get("page.test", headers=FORGED).status == 200
    received = web("front").last_headers
    assert received["x-forwarded-for"] == "127.0.0.1"
    assert received["x-forwarded-proto"] == "http"
    assert not {"x-forwarded-port", "x-forwarded-host", "forwarded"} & received.keys()
    assert not [name for name in received if set("_.") & set(name)]
    assert trusting.get("secure.test", headers=FORGED).status == 302
    assert trusting.get("office.test", headers=FORGED).status == 403


def test_a_trusted_balancer_is_believed(trusting: Site, web: Web) -> None:
    assert trusting.get("page.test", headers=FORGED, client="127.0.0.7").status == 200
    received = web("front").last_headers
    assert received["x-forwarded-port"] == "443"
    assert received["x-forwarded-proto"] == "https"
    assert received["forwarded"] == "for=203.0.113.9"
    assert not [name for name in received if set("_.") & set(name)]
    assert trusting.get("secure.test", headers=FORGED, client="127.0.0.7").status == 200


def test_the_last_address_that_the_balancer_added_is_the_client(trusting: Site) -> None:
    def status(*forwarded: str) -> int:
        lines = "".join(f"X-Forwarded-For: {value}\r\n" for value in forwarded)
        request = f"GET / HTTP/1.1\r\nHost: office.test\r\nConnection: close\r\n{lines}\r\n"
        return trusting.send(request.encode(), client="127.0.0.7").status

    assert status("203.0.113.9") == 200
    assert status("198.51.100.1, 203.0.113.9") == 200
    assert status("198.51.100.1", "203.0.113.9") == 200
    assert status("203.0.113.9, 198.51.100.1") == 403
    assert status("203.0.113.9", "198.51.100.1") == 403
    assert status("203.0.113.9, nonsense") == 403
    assert status() == 403


def test_the_last_scheme_that_the_balancer_added_counts(trusting: Site) -> None:
    def status(*schemes: str) -> int:
        lines = "".join(f"X-Forwarded-Proto: {scheme}\r\n" for scheme in schemes)
        request = f"GET / HTTP/1.1\r\nHost: secure.test\r\nConnection: close\r\n{lines}\r\n"
        return trusting.send(request.encode(), client="127.0.0.7").status

    assert status("https") == status("http, HTTPS") == status("http", "https") == 200
    assert status("https, http") == status("https", "http") == status("https,") == status() == 302


def v1(source: str = "203.0.113.9") -> bytes:
    return f"PROXY TCP4 {source} 192.0.2.1 40000 80\r\n".encode()


def v2(source: str = "203.0.113.9") -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1")
    body = addresses + struct.pack("!HH", 40000, 80)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


@pytest.mark.parametrize("header", [v1, v2])
def test_the_proxy_protocol_tells_who_the_client_is(
    behind: Site, web: Web, header: Callable[..., bytes]
) -> None:
    assert behind.get("page.test", before=header()).status == 200
    assert web("front").last_headers["x-forwarded-for"] == "203.0.113.9"
    assert behind.get("office.test", before=header()).status == 200
    assert behind.get("office.test", before=header("198.51.100.1")).status == 403


def test_where_no_balancer_is_trusted_nobodys_word_counts(behind: Site, web: Web) -> None:
    assert behind.get("page.test", before=v1(), headers={**FORGED, "X-Mine": "kept"}).status == 200
    received = web("front").last_headers
    assert received["x-forwarded-for"] == "203.0.113.9"
    assert received["x-forwarded-proto"] == "http"
    assert received["x-mine"] == "kept"
    assert not {"x-forwarded-port", "x-forwarded-host", "forwarded"} & received.keys()
    assert not [name for name in received if set("_.") & set(name)]


def test_who_comes_without_the_proxy_protocol_is_not_served(behind: Site) -> None:
    with behind.connected() as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: page.test\r\n\r\n")
        with pytest.raises(ConnectionError):
            raise ConnectionResetError if not opened.recv(100) else AssertionError


@pytest.mark.parametrize("header", [v1, v2])
def test_who_may_not_send_the_proxy_protocol_says_nothing_about_himself(
    behind: Site, web: Web, header: Callable[..., bytes]
) -> None:
    web("front").last_headers = {}
    request = b"GET / HTTP/1.1\r\nHost: office.test\r\nConnection: close\r\n\r\n"
    with behind.connected(client="127.0.0.2", before=header()) as opened:
        opened.sendall(request)
        with contextlib.suppress(ConnectionError):
            assert opened.recv(100).split()[1:2] in ([b"400"], [])
    assert not web("front").last_headers
    assert behind.get("office.test", client="127.0.0.2").status == 403
    assert behind.get("page.test", client="127.0.0.2").status == 200
    assert web("front").last_headers["x-forwarded-for"] == "127.0.0.2"
    # A second header, within what the balancer passes on, is nothing but a bad request.
    assert behind.get("office.test", before=v1("198.51.100.1") + header()).status == 400


def test_a_balancer_that_tells_no_address_speaks_for_itself(behind: Site) -> None:
    local = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20, 0x00, 0)
    for before in (b"PROXY UNKNOWN\r\n", local):
        assert behind.get("page.test", before=before).status == 200
        assert behind.get("office.test", before=before).status == 403
    # A client on a unix socket has no address that a list could name: HAProxy takes none.
    pipe = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x31, 216) + b"/x".ljust(216, b"\0")
    for host in ("office.test", "barred.test"):
        with pytest.raises(ConnectionError):
            behind.get(host, before=pipe)


def test_the_balancers_health_check_is_answered_on_any_host(trusting: Site) -> None:
    for host in ("page.test", "nobody.test", None):
        assert trusting.get(host, "/lbsync-health").status == 200


def test_a_draining_host_fails_the_health_check_and_serves_on(trusting: Site) -> None:
    control = Control(trusting.state)
    control.set("drain", Request("update", "2026-01-01T00:00:00Z"))
    trusting.run_pass()
    assert trusting.get("page.test", "/lbsync-health").status == 503
    assert trusting.get("page.test").status == 200
    control.clear("drain")
    trusting.run_pass()
    assert trusting.get("page.test", "/lbsync-health").status == 200


def test_a_reload_does_not_fail_the_health_check_of_a_kept_connection(
    build: Callable[..., Site], web: Web
) -> None:
    """It would take the host out; an ELB asks on the connection it has, which the old process holds."""
    site = build()
    site.service("page", web("front"))
    site.start()
    ask = b"GET %s HTTP/1.1\r\nHost: page.test\r\n\r\n"
    with site.connected() as opened, contextlib.closing(opened.makefile("rb")) as stream:
        opened.sendall(ask % b"/")
        assert stream.readline().startswith(b"HTTP/1.1 200")
        while stream.readline().strip():
            pass
        assert stream.read(len("front")) == b"front"
        site.service("new", web("front"), timeouts=with_new_settings("new")["timeouts"])
        assert "reloaded" in site.run_pass().sentence
        opened.sendall(ask % b"/lbsync-health")
        assert b" 200 " in stream.readline()


def test_clients_of_a_trusted_balancer_are_spread_by_their_own_addresses(
    build: Callable[..., Site], web: Web
) -> None:
    site = build(proxy='trusted_proxies = ["127.0.0.7/32"]')
    site.service("page", web("one"), web("two"), balance="source")
    site.start()

    def server(client: int) -> str:
        headers = {"x-forwarded-for": f"203.0.113.{client}"}
        return site.get("page.test", headers=headers, client="127.0.0.7").body

    found = {client: server(client) for client in range(40)}
    assert set(found.values()) == {"one", "two"}
    assert all(server(client) == known for client, known in found.items())

    site.service("page", web("one"), web("two"), web("three"), balance="source")
    assert "without a reload" in site.run_pass().sentence
    moved = {server(client) for client, known in found.items() if server(client) != known}
    assert moved == {"three"}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/plain", "/plain"),
        ("/a?secret=1", "/a"),
        ('/"quoted"', '/"quoted"'),
        ("/back\\slash\\", "/back\\slash\\"),
        ("/%41%22%0a", "/%41%22%0a"),
        ("/{a:[b]}%[src]", "/{a:[b]}%[src]"),
        ("/" + "x" * 5000, "/" + "x" * 899),
    ],
)
def test_each_line_of_the_access_log_is_json(trusting: Site, path: str, shown: str) -> None:
    marker = f"m{abs(hash(path))}.test"
    assert trusting.get(marker, path).status == (400 if "%[" in path else 404)
    line = trusting.logged(marker.encode())
    assert line["path"] == shown
    assert line["host"] == marker


@pytest.mark.parametrize(
    "host",
    ['quote"s', "back\\slash", "x" * 2000, "a:b:c", "${HOME}", "%[src]", "\x80\xff", "é\x01", "[::1]"],
)  # fmt: skip
def test_no_host_breaks_the_log(trusting: Site, host: str) -> None:
    """Some of these HAProxy refuses (400); each line must be JSON all the same."""
    trusting.get("page.test", "/before")
    trusting.logged(b"/before")
    status = trusting.get(host, "/hostile").status
    assert trusting.logged(b'"status"')["status"] == status


def test_the_log_tells_who_came_when_to_which_service(trusting: Site) -> None:
    trusting.get("page.test", "/who", client="127.0.0.7", headers=FORGED)
    line = trusting.logged(b"/who")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    told = datetime.datetime.fromisoformat(line["time"])
    assert abs(datetime.datetime.now(datetime.UTC) - told) < datetime.timedelta(minutes=1)
    assert (line["client"], line["peer"]) == ("203.0.113.9", "127.0.0.7")
    assert (line["service"], line["backend"], line["server"]) == (
        "t/page", "be_t_page_main", "front",
    )  # fmt: skip
    assert (line["method"], line["status"], line["http"]) == ("GET", 200, "HTTP/1.1")
    assert line["ms"].keys() == {"request", "queue", "connect", "response", "active"}


def test_a_request_has_one_id_for_servers_and_log_and_only_a_balancers_is_kept(
    trusting: Site, web: Web
) -> None:
    forged = {"X-Request-ID": "mine", "X_Request_ID": "mine", "x-request_id": "mine"}
    trusting.get("page.test", "/id", headers=forged)
    seen = web("front").last_headers
    told = [value for name, value in seen.items() if "request" in name]
    assert re.fullmatch(r"[0-9a-f-]{36}", told[0])
    assert told == [trusting.logged(b"/id")["request_id"]]
    for given, kept in (("abc-1.2:3", True), ("x" * 129, False), ('"quoted"', False)):
        trusting.get("page.test", "/given", client="127.0.0.7", headers={"X-Request-ID": given})
        assert (trusting.logged(b"/given")["request_id"] == given) is kept
    # Of two the last one counts, of which the balancer may have passed on both.
    twice = b"GET /twice HTTP/1.1\r\nHost: page.test\r\nConnection: close\r\n"
    twice += b'X-Request-ID: plain\r\nX-Request-ID: x","client":"203.0.113.9\r\n\r\n'
    trusting.send(twice, client="127.0.0.7")
    line = trusting.logged(b"/twice")
    assert re.fullmatch(r"[0-9a-f-]{36}", line["request_id"])
    assert line["client"] == "127.0.0.7"


def test_the_log_has_the_fields_that_are_asked_for(behind: Site) -> None:
    agent = 'odd "agent" \\ ' + "x" * 3000
    path = "/asked" + "p" * 2000
    behind.get(
        "page.test", f"{path}?a=1&b=%22{'q' * 2000}", before=v2(), headers={"User-Agent": agent}
    )
    line = behind.logged(b"/asked")
    assert line["path"] == path[:400]
    assert line["query"] == f"a=1&b=%22{'q' * 2000}"[:300]
    assert line["user_agent"] == agent[:200]
    assert f'"balancer":"{line["balancer"]}"' in behind.text()
    assert line["balancer"]
    assert (line["tls"], line["cipher"]) == ("-", "-")
    assert re.fullmatch(r"[0-9a-f-]{36}", line["request_id"])


def test_a_bad_request_is_logged_as_json(trusting: Site) -> None:
    trusting.get("page.test", "/before-bad")
    trusting.logged(b"/before-bad")
    assert trusting.send(b'G"T / HTTP/1.1\r\nHost: x\r\n\r\n').status == 400
    line = trusting.logged(b'"status":400')
    assert (line["method"], line["peer"]) == ("<BADREQ>", "127.0.0.1")


def test_a_socket_gets_syslogs_header_before_the_json(build: Callable[..., Site], web: Web) -> None:
    site = build()
    path = site.directory / "log.sock"
    settings = site.directory / "lbsync.toml"
    text = re.sub(r"(?m)^log_target = .*$", f'log_target = "{path}"', settings.read_text())
    settings.write_text(text)
    site.reconfigure()
    site.service("page", web("front"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(30)
        site.start()
        site.get("page.test", "/marked")
        while b"/marked" not in (line := log.recv(65536)):
            pass
    header, _, body = line.partition(b"{")
    assert re.fullmatch(rb"<134>\w{3} [ \d]\d \d\d:\d\d:\d\d haproxy\[\d+\]: ", header)
    assert json.loads(b"{" + body)["path"] == "/marked"


def test_statistics_and_metrics_are_told_on_their_own_address(trusting: Site) -> None:
    page = trusting.get("x", port=trusting.stats_port)
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert "be_t_page_main" in page.body
    metrics = trusting.get("x", "/metrics", port=trusting.stats_port)
    assert metrics.status == 200
    assert re.search(
        r'haproxy_server_status\{proxy="be_t_page_main",server="front",state="UP"\} 1', metrics.body
    )
    assert trusting.get("page.test", "/metrics").body == "front"


def test_a_head_must_fit_into_a_buffer_whose_size_is_a_setting(
    build: Callable[..., Site], web: Web, trusting: Site
) -> None:
    site = build(haproxy="buffer_size = 65536")
    site.service("page", web("front"))
    site.start()
    FITS, TOO_LARGE = (200,), (400, 431)  # 431 since 3.4
    for size, in_small, in_large in (
        (14_000, FITS, FITS),
        (20_000, TOO_LARGE, FITS),
        (80_000, TOO_LARGE, TOO_LARGE),
    ):
        cookie = {"Cookie": "x" * size}
        assert trusting.get("page.test", headers=cookie).status in in_small
        assert site.get("page.test", headers=cookie).status in in_large


def test_a_request_without_a_host_is_led_nowhere(build: Callable[..., Site], web: Web) -> None:
    site = build()
    site.service("any", web("front"), hosts=[], redirect={"https": True, "www": "add"})
    site.start()
    assert site.get(None).status == 400
    assert site.get("some.test").location == f"https://www.some.test:{site.tls_port}/"
