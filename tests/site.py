"""One balancer for tests of behaviour: keys in memory, a real agent, a real HAProxy, toy servers."""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.haproxy import QUICK_START, Haproxy
from harness.ports import free_port
from harness.stack import CLAIMS, templates_section
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.agent.agent import Agent
from lbsync.agent.generations.store import Store
from lbsync.cli.configuration.prepare import prepare
from lbsync.loop.outcome import Outcome
from lbsync.settings import load
from tests.fakes import FakeSource


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.getheaders():
            known = self.headers.get(name.lower())
            self.headers[name.lower()] = value if known is None else f"{known}, {value}"
        self.data = response.read()

    @property
    def body(self) -> str:
        return self.data.decode("latin-1")

    @property
    def location(self) -> str:
        return self.headers["location"]


class Site:
    """The whole, below one directory; `start` it once its keys are put."""

    def __init__(
        self, directory: Path, binary: str, *, proxy: str = "", haproxy: str = "", more: str = ""
    ) -> None:
        """`proxy`, `haproxy`: lines for these sections of the settings; `more`: further sections."""
        self.directory = directory
        self.port, self.tls_port, self.stats_port = free_port(), free_port(), free_port()
        self.state, run = directory / "state", directory / "run"
        for path in (self.state, run):
            path.mkdir(parents=True)
        self._log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._log.bind(("127.0.0.1", 0))
        self._log.settimeout(30)
        self.haproxy = Haproxy(run, self.state / "live" / "haproxy.cfg", binary)
        self.settings = directory / "lbsync.toml"
        self.settings.write_text(f"""\
host = "lb-test"
state_dir = "{self.state}"
[haproxy]
binary = "{binary}"
master_socket = "{self.haproxy.master_socket}"
stats_socket = "{run / "stats.sock"}"
pid_file = "{self.haproxy.pid_file}"
user = ""
group = ""
log_target = "127.0.0.1:{self._log.getsockname()[1]}"
{haproxy}
{templates_section(QUICK_START, more)}{CLAIMS}[proxy]
http_bind = ["127.0.0.1:{self.port}"]
https_bind = ["127.0.0.1:{self.tls_port}"]
public_https_port = {self.tls_port}
stats_bind = "127.0.0.1:{self.stats_port}"
tcp_bind_address = "127.0.0.1"
{proxy}
{more}
""")
        self.source = FakeSource()
        self.reconfigure()

    def reconfigure(self) -> None:
        """Begin anew with the settings as they are on disk."""
        self.agent = Agent(load(self.settings), self.source)

    def put(self, values: Mapping[str, object]) -> None:
        """Write keys, JSON or bytes as they are."""
        for key, value in values.items():
            self.source.put(key, value if isinstance(value, bytes) else json.dumps(value).encode())

    def service(self, name: str, *webs: WebServer, **fields: object) -> None:
        """Write `services/t/NAME` and its servers; host `NAME.test` where none is given."""
        fields = {"mode": "http", **fields}
        if fields["mode"] == "http":
            fields.setdefault("hosts", [f"{name}.test"])
        self.put({f"services/t/{name}": fields, f"endpoints/t/{name}/main": servers(*webs)})

    def start(self) -> None:
        """Make the keys live, start HAProxy, and see that it serves exactly that."""
        prepare(load(self.settings), Store(self.state, 5))
        self.haproxy.start()
        outcome = self.agent.run_pass()
        assert outcome.confirmed, outcome
        assert not outcome.error, outcome.error

    def run_pass(self) -> Outcome:
        """Bring what was put since to HAProxy."""
        outcome = self.agent.run_pass()
        assert outcome.confirmed, outcome
        return outcome

    def stop(self) -> None:
        self.haproxy.stop()
        self._log.close()

    @contextlib.contextmanager
    def connected(
        self,
        *,
        port: int = 0,
        client: str = "127.0.0.1",
        tls: str | None = None,
        before: bytes = b"",
    ) -> Iterator[socket.socket]:
        """Open a connection: from address `client`, with TLS for the name `tls`, and with `before`
        sent ahead of everything (a PROXY header)."""
        port = port or (self.tls_port if tls else self.port)
        plain = socket.create_connection(("127.0.0.1", port), 30, (client, 0))
        with plain:
            plain.sendall(before)
            if tls is None:
                yield plain
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(plain, server_hostname=tls) as wrapped:
                yield wrapped

    def get(
        self,
        host: str | None,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        **connection: Any,
    ) -> Answer:
        """Ask for a page; host None sends an HTTP/1.0 request without a Host header."""
        version = "HTTP/1.0" if host is None else "HTTP/1.1"
        lines = [f"{method} {path} {version}"]
        lines += [] if host is None else [f"Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1"), **connection)

    def send(self, request: bytes, **connection: Any) -> Answer:
        """Send bytes; return the one answer."""
        with self.connected(**connection) as opened:
            opened.sendall(request)
            with contextlib.closing(http.client.HTTPResponse(opened)) as response:
                response.begin()
                return Answer(response)

    def forget_log(self) -> None:
        """Drop what was logged so far: the socket keeps only so much."""
        self._log.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._log.recv(65536):
                pass
        self._log.settimeout(30)

    def logged(self, marker: bytes) -> dict[str, Any]:
        """Return the next line of the access log that holds `marker`, taken apart."""
        while marker not in (line := self._log.recv(65536)):
            pass
        found: dict[str, Any] = json.loads(line)
        return found

    def text(self) -> str:
        """The live configuration."""
        return (self.state / "live" / "haproxy.cfg").read_text()

    def wait_for(self, host: str, *status: int, **request: Any) -> None:
        """Wait until a host answers with one of these, health checks having had their time."""
        wait_until(f"{host} to answer {status}", lambda: self.get(host, **request).status in status)


def servers(*webs: WebServer, **more: object) -> dict[str, object]:
    """An `endpoints` value with one server for each toy web server."""
    return {
        "servers": [
            {"name": web.name, "address": "127.0.0.1", "port": web.port, **more} for web in webs
        ]
    }


def crypt(password: str) -> str:
    """Hash a password as a user would."""
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return made.stdout.strip()


def basic(user: str, password: str) -> dict[str, str]:
    """The header of somebody who logs in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
