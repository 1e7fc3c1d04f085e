"""A HAProxy and everything that applies generations to it, wired as the agent wires them."""

import hashlib
import http.client
from pathlib import Path

import msgspec

from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.agent.apply.switch import ApplyResult, Switcher
from lbsync.agent.candidate.validate import Refused, validate
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.clients.haproxy.options import from_settings
from lbsync.model.rendered import Rendered, RenderedFile
from lbsync.settings import load

CONFIG = """\
global
    default-path config
    httpclient.ssl.verify none
    description test {digest}
    stats socket {stats} mode 600 level {level}
    maxconn {maxconn}
    hard-stop-after 30s
    server-state-file {state}/live/servers.state

defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    load-server-state-from-file global
    errorfile 503 errors/503.http

frontend fe_http
    bind 127.0.0.1:{port}
{binds}
    http-request deny if {{ src -f maps/denied.lst }}
    http-request set-var(txn.backend) req.hdr(host),host_only,lower,map(maps/backends.map,be_shop)
    use_backend %[var(txn.backend)]

backend be_shop
    server web {web}
{servers}
"""


class Bench:
    """One state directory, one HAProxy, one web server behind it."""

    def __init__(self, directory: Path, binary: str) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.port = free_port()
        self.web = WebServer("web")
        self.haproxy = Haproxy(directory / "run", self.state / "live" / "haproxy.cfg", binary)
        self.stats = directory / "run" / "stats.sock"
        self.options = from_settings(
            load(
                flags={
                    "state_dir": str(self.state),
                    "haproxy.binary": binary,
                    "haproxy.master_socket": str(self.haproxy.master_socket),
                    "haproxy.pid_file": str(self.haproxy.pid_file),
                    "haproxy.stats_socket": "",
                    "haproxy.reload_timeout": "10s",
                },
                environ={},
            )
        )
        self.store = Store(self.state, 5, MasterDirectory(self.options))
        self.parser = Parser()

    def close(self) -> None:
        self.haproxy.stop()
        self.web.stop()

    def with_options(self, **changes: object) -> None:
        self.options = msgspec.structs.replace(self.options, **changes)

    def rendered(
        self,
        tag: str,
        *,
        binds: str = "",
        servers: str = "",
        maxconn: int = 100,
        maps: str = "shop.test be_shop\n",
        extra: dict[str, bytes] | None = None,
        level: str = "admin",
    ) -> Rendered:
        """Return a set whose digest depends on `tag` and everything in it."""
        digest = hashlib.sha256(repr((tag, binds, servers, maxconn, maps)).encode()).hexdigest()[
            :16
        ]
        config = CONFIG.format(
            digest=digest,
            stats=self.stats,
            state=self.state,
            port=self.port,
            web=self.web.address,
            binds=binds,
            servers=servers,
            maxconn=maxconn,
            level=level,
        )
        files = {
            "haproxy.cfg": config.encode(),
            "maps/backends.map": maps.encode(),
            "maps/denied.lst": b"192.0.2.0/24\n",
            "errors/503.http": b"HTTP/1.0 503 None\r\nContent-Length: 4\r\n\r\nnone",
            **(extra or {}),
        }
        return Rendered(
            digest,
            tuple(
                RenderedFile(path, files[path], 0o640 if path.startswith("certs/") else 0o644)
                for path in sorted(files)
            ),
        )

    def stage(self, rendered: Rendered) -> tuple[Generation, Config]:
        """Stage and validate, as the agent does before each apply."""
        staged = self.store.stage(rendered)
        live = self.store.live()
        running = Parser().parse(live.main_file.read_text() if live else "")
        known = [bind for _, bind in running.binds()]
        try:
            accepted = validate(staged, rendered, self.parser, self.options, known_binds=known)
        except Refused:
            self.store.discard(staged)
            raise
        return staged, accepted.config

    def apply(self, rendered: Rendered, *, checked: bool = True) -> ApplyResult:
        """The straight path; `checked=False` plays a fault that no check foresees."""
        if checked:
            staged, config = self.stage(rendered)
        else:
            staged, config = self.store.stage(rendered), self.parsed(rendered)
        return self.applier().apply(staged, rendered, config)

    def applier(self) -> Switcher:
        return Switcher(self.options, self.store)

    def parsed(self, rendered: Rendered) -> Config:
        return Parser().parse(main_text(rendered))

    def start_with(self, rendered: Rendered) -> None:
        """Make a set live while HAProxy is down, start it, confirm."""
        staged, config = self.stage(rendered)
        live = self.store.make_live(staged)
        self.haproxy.start()
        applied = self.applier().confirm(live, rendered, config)
        assert applied is not None
        assert applied.outcome == "confirmed"

    def get(self, host: str = "shop.test") -> str:
        """Ask through HAProxy; return the body, with the status where it is not 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/", headers={"Host": host})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        return body if response.status == 200 else f"{response.status} {body}"

    def description(self) -> str:
        # Right after a reload the master's socket may still refuse for a moment.
        info = wait_until("the master's socket", lambda: self.haproxy.ask("@1 show info"))
        lines = [line for line in info.splitlines() if line.startswith("description: ")]
        return lines[0] if lines else ""

    def live_text(self) -> str:
        return (self.state / "live" / "haproxy.cfg").read_text()


def main_text(rendered: Rendered) -> str:
    return next(file.data for file in rendered.files if file.path == "haproxy.cfg").decode()
