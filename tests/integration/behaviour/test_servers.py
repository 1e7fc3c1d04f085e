"""Towards the servers: TLS, and addresses given by name."""

import http.server
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.host_files import SystemAuthorities
from tests.conftest import demand
from tests.raw_http import Http2Server
from tests.site import Site

Web = Callable[[str], WebServer]


class Secure:
    """A server that speaks TLS; remembers the names it was asked for."""

    def __init__(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.names: list[str | None] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), _Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"secure")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("inner"))


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Secure]:
    server = Secure(*authority.sign("inner", names=["inner.test"]))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def inner(
    build: Callable[..., Site], authority: Authority, web: Web, tmp_path_factory: pytest.TempPathFactory
) -> Site:  # fmt: skip
    """Another balancer, in the place of a server that can do HTTP/2."""
    certificates = tmp_path_factory.mktemp("certificates")
    chain, key = authority.sign("front", names=["h2.test"])
    (certificates / "front.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    site = build(proxy=f'certificates = "{certificates}"')
    site.service("page", web("page"))
    site.start()
    return site


@pytest.fixture(scope="module")
def tls(
    build: Callable[..., Site],
    authority: Authority,
    secure: Secure,
    inner: Site,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    site = build()
    ca = authority.ca.read_text()
    other = Authority(tmp_path_factory.mktemp("other")).ca.read_text()
    for name, port, wanted in [
        ("none", secure.port, {"verify": "none"}),
        ("named", secure.port, {"verify": "none", "sni": "asked.test"}),
        ("verified", secure.port, {"sni": "inner.test", "ca": ca}),
        ("wrong-name", secure.port, {"sni": "other.test", "ca": ca}),
        ("wrong-ca", secure.port, {"sni": "inner.test", "ca": other}),
        ("h2", inner.tls_port, {"sni": "h2.test", "ca": ca, "h2": True}),
    ]:
        check = {"interval": "100ms", "fall": 1, "rise": 1}
        headers = {"request": {"set": {"Host": "page.test"}}} if name == "h2" else {}
        site.service(name, backend_tls=wanted, check=check, headers=headers)
        server = {"name": "s", "address": "127.0.0.1", "port": port}
        site.put({f"endpoints/t/{name}/main": {"servers": [server]}})
    site.service(
        "other-port", backend_tls={"verify": "none"},
        check={"interval": "100ms", "fall": 1, "path": "/", "port": secure.port},
    )  # fmt: skip
    server = {"name": "s", "address": "127.0.0.1", "port": secure.port}
    site.put({"endpoints/t/other-port/main": {"servers": [server]}})
    port = free_port()
    site.put(
        {
            "services/t/raw": {"mode": "tcp", "listen": port, "backend_tls": {"verify": "none"}},
            "endpoints/t/raw/main": {"servers": [server]},
        }
    )
    site.start()
    return site


def test_servers_are_spoken_to_in_tls(tls: Site, secure: Secure) -> None:
    assert tls.get("none.test").body == "secure"
    assert tls.get("other-port.test").body == "secure"
    secure.names.clear()
    assert tls.get("named.test").body == "secure"
    assert "asked.test" in secure.names


def test_a_tcp_service_speaks_tls_to_its_servers(tls: Site) -> None:
    listen = next(
        line for line in tls.text().split("frontend fe_t_raw")[1].splitlines() if "bind" in line
    )
    port = int(listen.rsplit(":", 1)[1])
    assert tls.get("any", port=port).body == "secure"


def test_a_certificate_is_believed_for_its_authority_and_name_alone(tls: Site) -> None:
    tls.wait_for("verified.test", 200)
    tls.wait_for("wrong-name.test", 503)
    tls.wait_for("wrong-ca.test", 503)


def test_servers_that_can_are_spoken_to_in_http_2(tls: Site, inner: Site) -> None:
    tls.wait_for("h2.test", 200)
    assert tls.get("h2.test", "/inner").body == "page"
    assert tls.logged(b"/inner")["http"] == "HTTP/1.1"
    assert inner.logged(b"/inner")["http"] == "HTTP/2.0"


def test_new_authorities_take_effect(tls: Site, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").ca.read_text()
    wanted = {"sni": "inner.test", "ca": other}
    tls.service("verified", backend_tls=wanted, check={"interval": "100ms", "fall": 1})
    tls.run_pass()
    tls.wait_for("verified.test", 404, 503)


def test_without_authorities_of_its_own_the_systems_count(tls: Site) -> None:
    """Where there are none on the system, HAProxy says so of this service alone."""
    tls.service("system", backend_tls={"sni": "inner.test"}, check={"interval": "100ms", "fall": 1})
    server = {"name": "s", "address": "127.0.0.1", "port": free_port()}
    tls.put({"endpoints/t/system/main": {"servers": [server]}})
    outcome = tls.run_pass()
    if outcome.error:
        assert "services/t/system: haproxy.cfg" in outcome.error
        assert "ca/system.pem" in outcome.error
    else:
        tls.wait_for("system.test", 503)
    tls.wait_for("none.test", 200)


class NameServer:
    """Answers every question for an A record with one address, or says nothing."""

    def __init__(self, address: str) -> None:
        self.address: str | None = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            question, client = self._socket.recvfrom(4096)
            if question == b"stop":
                return
            if self.address is not None:
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        end = question.index(b"\0", 12) + 5
        asked = question[12:end]
        is_a = asked[-4:-2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(self.address or "0.0.0.0")
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_a), 0, 0)
        return head + asked + (record if is_a else b"")

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.sendto(b"stop", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer("127.0.0.1")
    yield server
    server.stop()


NOBODY = 'name_servers = ["127.0.0.1:9"]'


def named(name: str, port: int) -> dict[str, object]:
    return {"servers": [{"name": "s", "address": name, "port": port}]}


def test_a_server_is_found_by_its_name_after_it_moved_and_after_a_reload(
    build: Callable[..., Site], web: Web, names: NameServer, tmp_path: Path
) -> None:
    """The section of name servers is replaced as a user would, for its short times."""
    (tmp_path / "resolvers.cfg.j2").write_text(
        f"resolvers lbsync\n    nameserver test 127.0.0.1:{names.port}\n    hold valid 100ms\n"
    )
    site = build(proxy=NOBODY, more=f'[templates]\ndirectory = "{tmp_path}"')
    port = web("page").port
    site.service("named", check={"type": "none"})
    site.put({"endpoints/t/named/main": named("db.example.com", port)})
    site.start()
    site.wait_for("named.test", 200)
    moved = WebServer("moved", port, "127.0.0.9")
    names.address = "127.0.0.9"
    wait_until("the new address", lambda: site.get("named.test").body == "moved")
    names.address = None
    site.service("other", web("page"))
    assert site.run_pass().changed
    assert site.get("named.test").body == "moved", "a reload needs no name server"
    moved.stop()


def test_a_name_that_does_not_resolve_harms_nobody(build: Callable[..., Site], web: Web) -> None:
    site = build(proxy=NOBODY)
    site.service("lost", check={"type": "none"})
    site.put({"endpoints/t/lost/main": named("nowhere.invalid", 80)})
    site.service("page", web("page"))
    site.start()
    assert site.get("page.test").status == 200
    assert site.get("lost.test").status == 503


def test_name_servers_are_asked_only_where_a_server_has_a_name(
    build: Callable[..., Site], web: Web
) -> None:
    site = build()
    site.service("page", web("page"))
    site.start()
    assert "resolvers" not in site.text()


def test_haproxy_starts_whatever_has_become_of_the_hosts_own_files(
    build: Callable[..., Site], binary: str
) -> None:
    """Its name servers and authorities stand in the generation, as they were when they could be read."""
    demand(shutil.which("unshare") is not None and os.geteuid() == 0, "root's unshare")
    demand(bool(SystemAuthorities().read()), "authorities of the system")
    site = build(proxy=NOBODY)
    site.service("named", check={"type": "none"}, backend_tls={"sni": "inner.test"})
    site.put({"endpoints/t/named/main": named("db.example.com", 443)})
    site.start()
    bare = "mount -t tmpfs none /etc/ssl && mount --bind /dev/null /etc/resolv.conf"
    config = site.state / "live" / "haproxy.cfg"
    said = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{bare} && exec {binary} -c -f {config}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr


def test_servers_that_speak_http_2_without_tls_are_asked_and_checked_in_it(
    build: Callable[..., Site],
) -> None:
    site, first, second = build(), Http2Server(), Http2Server()
    check = {"path": "/up", "interval": "100ms"}
    site.put(
        {
            "services/t/grpc": {
                "mode": "http", "hosts": ["grpc.test"], "backend_protocol": "h2c", "check": check,
            },
            "endpoints/t/grpc/main": first.endpoints,
            "services/t/plain": {"mode": "http", "hosts": ["plain.test"], "check": {"type": "none"}},
            "endpoints/t/plain/main": first.endpoints,
        }
    )  # fmt: skip
    site.start()
    assert site.get("grpc.test").status == 200
    assert site.get("plain.test").status == 502
    checked = first.requests
    wait_until("checks", lambda: first.requests > checked + 2)
    assert site.get("grpc.test").status == 200
    two = [{"name": str(s.port), "address": "127.0.0.1", "port": s.port} for s in (first, second)]
    site.put({"endpoints/t/grpc/main": {"servers": two}})
    assert "without a reload" in site.run_pass().sentence
    wait_until("checks of the new one", lambda: second.requests > 3)
    assert {site.get("grpc.test").status for _ in range(6)} == {200}
    first.stop()
    second.stop()
