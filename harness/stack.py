"""A whole balancer host on loopback: etcd, HAProxy and the settings of an agent between them."""

import json
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.etcd import Etcd, open_etcd
from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.web import WebServer
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Put

#: All that a test claims is on loopback, and on whatever port is free.
CLAIMS = """\
[claims]
hosts = ["*=*"]
listen = ["*=1-65535"]
servers = ["*=127.0.0.0/8", "*=::1/128"]
"""


class Answer:
    """What came back through HAProxy."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def templates_section(directory: Path | None, settings: str) -> str:
    """Return the section that names templates of one's own; empty where `settings` have one."""
    if directory is None or "[templates]" in settings:
        return ""
    return f'[templates]\ndirectory = "{directory}"\n'


class Stack:
    """The parts, on free ports, with everything they write below one directory."""

    def __init__(
        self,
        directory: Path,
        binary: str,
        *,
        extra: str = "",
        host: str = "lb-test",
        etcd: Etcd | None = None,
        templates: Path | None = None,
    ) -> None:
        """`binary`: HAProxy's path. `extra`: TOML appended to the settings file. `etcd`: one that
        several hosts share; whoever made it stops it. `templates`: a directory of one's own, where
        `extra` names none."""
        self.directory = directory
        self.http_port, self.stats_port = free_port(), free_port()
        self.state = directory / "state"
        self.run = directory / "run"
        for path in (self.state, self.run):
            path.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.etcd = etcd or Etcd(directory / "etcd")
        self._owns_etcd = etcd is None
        self.haproxy = Haproxy(self.run, self.state / "live" / "haproxy.cfg", binary)
        self.config_file = directory / "lbsync.toml"
        self._extra = extra
        self._templates = templates
        self._client: EtcdSource | None = None
        self._webs: list[WebServer] = []

    def start(self) -> None:
        """Start etcd and write the settings; HAProxy waits for a live generation."""
        self.etcd.start()
        self.write_settings()

    def write_settings(self, extra: str | None = None) -> None:
        """Write the settings file; `extra` replaces what was appended before."""
        if extra is not None:
            self._extra = extra
        endpoints = json.dumps([node.url for node in self.etcd.nodes])
        more = templates_section(self._templates, self._extra)
        self.config_file.write_text(f"""\
host = "{self.host}"
state_dir = "{self.state}"
[etcd]
endpoints = {endpoints}
timeout = "2s"
[agent]
retry_min = "200ms"
retry_max = "2s"
[haproxy]
binary = "{self.haproxy.binary}"
master_socket = "{self.haproxy.master_socket}"
stats_socket = "{self.run / "stats.sock"}"
pid_file = "{self.haproxy.pid_file}"
reload_timeout = "10s"
user = ""
group = ""
log_target = ""
{more}{CLAIMS}[proxy]
http_bind = ["127.0.0.1:{self.http_port}"]
stats_bind = "127.0.0.1:{self.stats_port}"
tcp_bind_address = "127.0.0.1"
{self._extra}""")

    def web(self, name: str) -> WebServer:
        """Start a toy web server that answers its name."""
        server = WebServer(name)
        self._webs.append(server)
        return server

    @property
    def client(self) -> EtcdSource:
        """A client for writing keys."""
        if self._client is None:
            urls = tuple(node.url for node in self.etcd.nodes)
            self._client = open_etcd(urls)
        return self._client

    def put(self, values: Mapping[str, object]) -> int:
        """Write keys in one transaction (JSON, or bytes as they are); return the revision."""
        ops = [
            Put(key, value if isinstance(value, bytes) else json.dumps(value).encode())
            for key, value in values.items()
        ]
        return self.client.commit([], ops)

    def delete(self, *keys: str) -> int:
        """Remove keys in one transaction."""
        return self.client.commit([], [Delete(key) for key in keys])

    def get(
        self, host: str, path: str = "/", *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask HAProxy for a page; redirects are not followed. Raises OSError when it refuses."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        request = urllib.request.Request(url, headers={"Host": host, **(headers or {})})
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=30) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())

    def stop(self) -> None:
        """Stop everything that was started."""
        self.haproxy.stop()
        for web in self._webs:
            web.stop()
        if self._client is not None:
            self._client.close()
        if self._owns_etcd:
            self.etcd.stop()


def with_new_settings(host: str) -> dict[str, Any]:
    """A `services` value with settings that no other service has: it takes a reload on every release.

    HAProxy 3.4 serves one with known settings without.
    """
    milliseconds = 1000 + zlib.crc32(host.encode()) % 100_000
    return {"mode": "http", "hosts": [host], "timeouts": {"server": f"{milliseconds}ms"}}


def servers(*webs: WebServer, **more: object) -> dict[str, Any]:
    """An `endpoints` value with one server for each toy web server."""
    return {
        "servers": [
            {"name": web.name, "address": "127.0.0.1", "port": web.port, **more} for web in webs
        ]
    }
