"""What a service may ask for on the way between client and server, through HAProxy."""

import concurrent.futures
import contextlib
import gzip
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from tests.raw_http import ACCEPTED
from tests.site import Site, servers

Web = Callable[[str], WebServer]

HOSTILE = {
    "x-percent": "100% %[env(HOME)] %% %ci",
    "x-quotes": "a \"b\" 'c' `d`",
    "x-comment": "a # b",
    "x-variable": "$HOME ${HOME} \\$",
    "x-backslash": "C:\\temp\\n \\",
    "x-condition": "x if { path / } unless TRUE",
    "x-unicode": "café ✓",
}
FAST = {"interval": "100ms", "fall": 1, "rise": 1}


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build()
    for change in ("set", "add"):
        site.service(
            f"{change}-headers",
            web("one"),
            headers={"request": {change: HOSTILE}, "response": {change: HOSTILE}},
        )
    gone = {"del": ["x-gone", "x-dropped"], "set": {"x-kept": "new"}, "add": {"x-gone": "again"}}
    large = {"set": {"X-Large": "a" * 4080}, "add": {"X-More": "b" * 4080}}
    site.service("large-headers", web("one"), headers={"request": large, "response": large})
    site.service("order", web("one"), headers={"request": gone, "response": gone})
    site.service("host", web("one"), headers={"request": {"set": {"Host": "inner.test"}}})
    ours = {"set": {"X-Team": "shop", "X_Old": "kept"}, "del": ["X-Internal-User"]}
    site.service("ours", web("one"), headers={"request": ours})
    site.service("gzip", web("one"), compression=True)
    site.service("json", web("one"), compression={"types": ["application/json"]})
    site.service("plain", web("one"))
    pair = (web("one"), web("two"))
    site.service("source", *pair, balance="source")
    site.service("first", *pair, balance="first")
    site.service("sticky", *pair, sticky={"cookie": "SRV"})
    site.service(
        "strict", web("one"), sticky={"cookie": "S", "secure": True, "same_site": "none",
                                      "max_idle": "30m", "max_life": "12h"},
    )  # fmt: skip
    shares: list[tuple[WebServer, dict[str, object]]] = [
        (web("one"), {"weight": 3}), (web("two"), {"weight": 1}),
        (web("drained"), {"state": "drain"}), (web("maint"), {"state": "maint"}),
    ]  # fmt: skip
    states = [
        {"name": web.name, "address": "127.0.0.1", "port": web.port, **more} for web, more in shares
    ]
    site.service("weights", sticky={"cookie": "SRV"})
    site.put({"endpoints/t/weights/main": {"servers": states}})
    site.service("slow", web("slow"), timeouts={"server": "300ms"})
    site.service("queue", web("slow"), maxconn=1, timeouts={"queue": "100ms"})
    site.service("http-check", web("checked"), check={**FAST, "path": "/health"})
    site.service("teapot", web("teapot"), check={**FAST, "path": "/tea?x=1", "status": "418"})
    site.service("kettle", web("kettle"), check={**FAST, "path": "/tea?x=1", "status": "418"})
    site.service(
        "check-port", web("one"), check={**FAST, "path": "/health", "port": web("checked").port}
    )
    nobody = {"servers": [{"name": "gone", "address": "127.0.0.1", "port": free_port()}]}
    site.service("tcp-check", check=FAST)
    site.service("no-check", check={"type": "none"})
    site.put({"endpoints/t/tcp-check/main": nobody, "endpoints/t/no-check/main": nobody})
    for name, redirect in {
        "https": {"https": True},
        "moved": {"https": True, "code": 308},
        "bare": {"www": "strip", "code": 301},
        "long": {"www": "add"},
        "both": {"www": "strip", "https": True},
        "no": {"https": False},
    }.items():
        site.service(name, web("one"), redirect=redirect)
    site.start()
    return site


@pytest.mark.parametrize("change", ["set", "add"])
def test_header_values_arrive_as_they_were_written(site: Site, web: Web, change: str) -> None:
    answer = site.get(f"{change}-headers.test", headers={"X-Percent": "mine"})
    wanted = {name: value.encode().decode("latin-1") for name, value in HOSTILE.items()}
    assert {name: answer.headers[name] for name in wanted} == wanted
    received = dict(web("one").last_headers)
    if change == "add":  # the client's own comes first, and http.server keeps the last one
        assert received["x-percent"] == wanted["x-percent"]
    assert {name: received[name] for name in wanted} == wanted


def test_the_largest_headers_that_are_taken_arrive(site: Site, web: Web) -> None:
    answer = site.get("large-headers.test", headers={"X-Own": "c" * 6000})
    assert answer.status == 200
    for headers in (web("one").last_headers, answer.headers):
        found = {name.lower(): value for name, value in dict(headers).items()}
        assert (len(found["x-large"]), len(found["x-more"])) == (4080, 4080)


def test_headers_are_removed_then_set_then_added(site: Site, web: Web) -> None:
    web("one").headers = {"x-gone": "theirs", "x-kept": "theirs", "x-dropped": "theirs"}
    mine = {"X-Gone": "mine", "X-Kept": "mine", "X-Dropped": "mine"}
    answer = site.get("order.test", headers=mine)
    web("one").headers = {}
    assert (answer.headers["x-gone"], answer.headers["x-kept"]) == ("again", "new")
    assert "x-dropped" not in {*answer.headers, *web("one").last_headers}
    assert web("one").last_headers["x-gone"] == "again"
    assert web("one").last_headers["x-kept"] == "new"


def test_the_host_that_a_server_sees_can_be_set(site: Site, web: Web) -> None:
    assert site.get("host.test").status == 200
    assert web("one").last_headers["host"] == "inner.test"
    site.get("plain.test:8080")
    assert web("one").last_headers["host"] == "plain.test:8080"


def test_answers_are_compressed_where_it_was_asked_for(site: Site) -> None:
    accepts = {"Accept-Encoding": "gzip"}
    packed = site.get("gzip.test", headers=accepts)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.data) == b"one"
    assert "content-encoding" not in site.get("gzip.test").headers
    assert "content-encoding" not in site.get("json.test", headers=accepts).headers
    assert "content-encoding" not in site.get("plain.test", headers=accepts).headers


def test_requests_are_spread_in_the_way_that_was_asked_for(site: Site) -> None:
    assert {site.get("plain.test").body for _ in range(3)} == {"one"}
    by_client = [
        {site.get("source.test", client=f"127.0.0.{last}").body for _ in range(4)}
        for last in range(1, 17)
    ]
    assert {len(found) for found in by_client} == {1}, "a client stays on its server"
    assert set.union(*by_client) == {"one", "two"}, "and not all on the same"
    assert {site.get("first.test").body for _ in range(4)} == {"one"}
    assert {site.get("sticky.test").body for _ in range(4)} == {"one", "two"}


def test_a_cookie_keeps_a_client_on_its_server(site: Site) -> None:
    first = site.get("sticky.test")
    cookie = first.headers["set-cookie"]
    assert cookie == f"SRV=main/{first.body}; path=/; HttpOnly"
    for name in ("one", "two"):
        again = {
            site.get("sticky.test", headers={"Cookie": f"SRV=main/{name}"}).body for _ in range(4)
        }
        assert again == {name}
    stray = site.get("sticky.test", headers={"Cookie": "SRV=main/gone"})
    assert stray.status == 200
    assert "set-cookie" in stray.headers


def test_a_cookie_has_the_attributes_that_were_asked_for(site: Site) -> None:
    cookie = site.get("strict.test").headers["set-cookie"]
    assert cookie.startswith("S=main/one|")
    for part in ("path=/", "HttpOnly", "Secure", "SameSite=None"):
        assert f"; {part}" in cookie


def test_traffic_follows_weights_and_states(site: Site) -> None:
    assert Counter(site.get("weights.test").body for _ in range(40)) == {"one": 30, "two": 10}


def test_a_drained_server_keeps_its_own_clients_and_one_in_maintenance_none(site: Site) -> None:
    assert site.get("weights.test", headers={"Cookie": "SRV=main/drained"}).body == "drained"
    assert site.get("weights.test", headers={"Cookie": "SRV=main/maint"}).body in ("one", "two")


def test_a_service_has_its_own_timeout(site: Site, web: Web) -> None:
    web("slow").is_holding = True
    assert site.get("slow.test").status == 504
    web("slow").release()
    assert site.get("slow.test").status == 200


def test_more_than_maxconn_wait_in_the_queue_and_no_longer_than_allowed(
    site: Site, web: Web
) -> None:
    web("slow").is_holding = True
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(site.get, "queue.test") for _ in range(3)]
        wait_until("two to be refused", lambda: sum(one.done() for one in asked) == 2)
        web("slow").release()
    assert Counter(one.result().status for one in asked) == {200: 1, 503: 2}


def test_a_failed_http_check_takes_a_server_out_until_it_succeeds(site: Site, web: Web) -> None:
    site.wait_for("http-check.test", 200)
    web("checked").health = 500
    site.wait_for("http-check.test", 503)
    site.wait_for("check-port.test", 503)
    web("checked").health = 200
    site.wait_for("http-check.test", 200)
    site.wait_for("check-port.test", 200)


def test_a_check_demands_the_status_it_names(site: Site, web: Web) -> None:
    site.wait_for("teapot.test", 503)
    web("teapot").status = 418
    site.wait_for("teapot.test", 418)
    web("teapot").status = 200
    assert web("teapot").requests["/tea?x=1"]
    assert web("teapot").last_headers["host"] == "teapot.test"


def test_services_with_the_same_check_are_asked_by_their_own_names(site: Site, web: Web) -> None:
    wait_until("a check", lambda: web("kettle").requests["/tea?x=1"])
    assert web("kettle").last_headers["host"] == "kettle.test"
    config = (site.state / "live" / "haproxy.cfg").read_text()
    stands = [line.split()[3] for line in config.splitlines()
              if line.startswith(("backend be_t_teapot_main ", "backend be_t_kettle_main "))]  # fmt: skip
    assert len(stands) == 2 and len(set(stands)) == 1


def test_the_state_of_each_server_is_what_its_check_says(site: Site) -> None:
    site.wait_for("tcp-check.test", 503)
    lines = site.haproxy.ask("@1 show stat").splitlines()
    rows = {tuple(line.split(",")[:2]): line.split(",")[17] for line in lines[1:] if line}
    assert rows["be_t_tcp-check_main", "gone"] == "DOWN"
    assert rows["be_t_no-check_main", "gone"] == "no check"
    assert rows["be_t_weights_main", "maint"] == "MAINT"


@pytest.mark.parametrize(
    ("host", "status", "location"),
    [
        ("https.test", 302, "https://https.test:{tls}/a/b?c=d%20e"),
        ("https.test:8080", 302, "https://https.test:{tls}/a/b?c=d%20e"),
        ("moved.test", 308, "https://moved.test:{tls}/a/b?c=d%20e"),
        ("www.bare.test", 301, "http://bare.test/a/b?c=d%20e"),
        ("www.bare.test:8080", 301, "http://bare.test:8080/a/b?c=d%20e"),
        ("WWW.Bare.test", 301, "http://Bare.test/a/b?c=d%20e"),
        ("long.test", 302, "http://www.long.test/a/b?c=d%20e"),
        ("www.both.test", 302, "https://both.test:{tls}/a/b?c=d%20e"),
        ("both.test", 302, "https://both.test:{tls}/a/b?c=d%20e"),
    ],
)
def test_redirects_lead_to_the_same_page(site: Site, host: str, status: int, location: str) -> None:
    answer = site.get(host, "/a/b?c=d%20e")
    assert (answer.status, answer.location) == (status, location.format(tls=site.tls_port))


@pytest.mark.parametrize("host", ["bare.test", "www.long.test", "no.test"])
def test_who_is_right_already_is_not_redirected(site: Site, host: str) -> None:
    assert site.get(host, "/a").status == 200


@pytest.fixture
def upgrading() -> Iterator[int]:
    """A server that turns every connection into a tunnel, and then says nothing."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.settimeout(30)
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(ACCEPTED)
                    while data := connection.recv(65536):
                        connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_no_other_spelling_of_a_header_that_is_set_or_deleted_comes_through(
    site: Site, web: Web
) -> None:
    """To servers that take headers from CGI's variables `X_Team` is `X-Team`."""
    forged = ("X-Team", "X_Team", "x_TEAM", "X.Team", "x-old", "X-Internal_User", "X_INTERNAL_USER")
    kept = {"X-Teams": "a", "My-X_Team": "b", "X_Other": "c", "XTeam": "d"}
    headers = dict.fromkeys(forged, "forged") | kept
    assert site.get("ours.test", headers=headers).status == 200
    received = web("one").last_headers
    assert "forged" not in received.values()
    assert (received["x-team"], received["x_old"]) == ("shop", "kept")
    assert all(received[name.lower()] == value for name, value in kept.items())


def test_a_tunnel_passes_bytes_and_ends_when_it_was_silent_too_long(
    site: Site, upgrading: int
) -> None:
    site.service("tunnel", timeouts={"tunnel": "300ms"}, check={"type": "none"})
    server = {"name": "u", "address": "127.0.0.1", "port": upgrading}
    site.put({"endpoints/t/tunnel/main": {"servers": [server]}})
    site.run_pass()
    with site.connected() as opened:
        opened.sendall(
            b"GET / HTTP/1.1\r\nHost: tunnel.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101 Switching" in opened.recv(65536)
        opened.sendall(b"hello")
        assert opened.recv(65536) == b"hello"
        assert opened.recv(65536) == b""


def test_a_server_that_refuses_costs_no_request_while_another_is_there(
    site: Site, web: Web
) -> None:
    site.service("half", check={"type": "none"})
    found = servers(web("one"))["servers"]
    dead = {"name": "dead", "address": "127.0.0.1", "port": free_port()}
    assert isinstance(found, list)
    site.put({"endpoints/t/half/main": {"servers": [*found, dead]}})
    site.run_pass()
    assert {site.get("half.test").status for _ in range(6)} == {200}
