"""Sets the stage: daemons, web servers and the agent, all real, and takes it down again."""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from demo.traffic import Answer, ask
from harness import haproxy
from harness.etcd import Etcd
from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from lbsync import status
from lbsync.clients.files.source import FileSource
from lbsync.errors import Unavailable
from lbsync.status import Status

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples/shop"
PREFIX = "/lbsync/"
#: Ports that the example names; the demo puts free ones in their places.
_WEB_PORTS = (8001, 8002, 8003)
_ORDERS_PORT = 7000

_SETTINGS = """\
# Written by the demo. `lbsync --config {file} status` and the like read it.
source = "etcd"
prefix = "{prefix}"
host = "demo"
state_dir = "{state}"

[etcd]
endpoints = ["{etcd}"]

[haproxy]
binary = "{binary}"
master_socket = "{master}"
stats_socket = "{stats}"
user = "{user}"
group = "{group}"
log_target = "stdout"

[claims]
listen = ["*={orders}"]
servers = ["*=127.0.0.0/8"]

[proxy]
http_bind = ["127.0.0.1:{http}"]
stats_bind = "127.0.0.1:{stats_port}"
tcp_bind_address = "127.0.0.1"
"""


class Stage:
    """One machine's worth of processes. Use it through `set_up`."""

    def __init__(self, directory: Path) -> None:
        """Everything is kept in `directory`; nothing is started yet."""
        binary = haproxy.debian()
        if binary is None:
            raise FileNotFoundError("no haproxy here; as root on Debian: apt-get install haproxy")
        self.directory = directory
        self.config = directory / "lbsync.toml"
        self.state = directory / "state"
        self.agent_log = directory / "agent.log"
        self.http_port, self.stats_port, self.orders_port = free_port(), free_port(), free_port()
        self.etcd = Etcd(directory / "etcd")
        self.haproxy = Haproxy(directory / "haproxy", self.state / "live/haproxy.cfg", binary)
        self.web = [WebServer(f"web-{number}") for number in (1, 2, 3)]
        self.agent: subprocess.Popen[bytes] | None = None

    def write_settings(self) -> None:
        """Write the settings file that the agent and every command read."""
        self.state.mkdir()
        self.config.write_text(
            _SETTINGS.format(
                file=self.config,
                prefix=PREFIX,
                state=self.state,
                etcd=self.etcd.node.url,
                binary=self.haproxy.binary,
                master=self.haproxy.master_socket,
                stats=self.haproxy.directory / "stats.sock",
                user=pwd.getpwuid(os.getuid()).pw_name,
                group=grp.getgrgid(os.getgid()).gr_name,
                http=self.http_port,
                stats_port=self.stats_port,
                orders=self.orders_port,
            )
        )

    def haproxy_version(self) -> str:
        """Return the version of the HAProxy that runs here, like 2.6."""
        found = {path: version for version, path in haproxy.binaries().items()}
        return found[self.haproxy.binary]

    def lbsync(self, *words: str, check: bool = True) -> str:
        """Run one `lbsync` command to its end and return what it printed."""
        return subprocess.run(
            self._command(*words),
            env=_environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        ).stdout

    def start_agent(self) -> None:
        """Start `lbsync agent`; its log goes to `agent_log`."""
        with self.agent_log.open("ab") as log:
            self.agent = subprocess.Popen(
                self._command("agent"), env=_environ(), stdout=log, stderr=log
            )

    def stop_agent(self) -> int:
        """End the agent as systemd would; return its exit code."""
        assert self.agent is not None, "start_agent() first"
        self.agent.send_signal(signal.SIGTERM)
        return self.agent.wait(30)

    def shop(self) -> dict[str, bytes]:
        """Return the example's keys and values, with servers and ports of this machine."""
        text = FileSource(SHOP).snapshot().items
        ports = dict(zip(_WEB_PORTS, (web.port for web in self.web), strict=True))
        ports[_ORDERS_PORT] = self.orders_port
        return {key: _with_ports(item.value, ports) for key, item in sorted(text.items())}

    def status(self) -> Status:
        """Return what `lbsync status` reads; raises OSError while there is nothing to read."""
        self.alive()
        try:
            return status.read(self.state)
        except Unavailable as error:
            raise OSError(str(error)) from error

    def put(self, key: str, value: object) -> None:
        """Write one key; anything but bytes is written as JSON."""
        data = value if isinstance(value, bytes) else msgspec.json.encode(value)
        self.etcd.put(PREFIX + key, data)

    def ask(self, host: str, path: str = "/") -> Answer:
        """Send one request through HAProxy."""
        return ask(self.http_port, host, path)

    def wait_for(self, what: str, host: str, path: str, bodies: Sequence[str]) -> Answer:
        """Ask until the answer is a 200 from one of `bodies`. Raises TimeoutError."""

        def probe() -> Answer | None:
            self.alive()
            answer = self.ask(host, path)
            return answer if answer.status == 200 and answer.body in bodies else None

        answer = wait_until(what, probe, timeout=15)
        assert answer is not None
        return answer

    def alive(self) -> None:
        """Raise RuntimeError when the agent has ended by itself."""
        if self.agent is not None and self.agent.poll() is not None:
            said = self.agent_log.read_text()[-2000:]
            raise RuntimeError(f"the agent ended with exit code {self.agent.returncode}:\n{said}")

    def close(self) -> None:
        """End every process; the agent first, so that it does not complain about the others."""
        if self.agent is not None and self.agent.poll() is None:
            self.agent.terminate()
            try:
                self.agent.wait(10)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
        self.haproxy.stop()
        self.etcd.stop()
        for web in self.web:
            web.stop()

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "lbsync", "--config", str(self.config), *words]


def _environ() -> dict[str, str]:
    """Return the environment without settings for an agent that may be at home here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LBSYNC_")}


def _with_ports(value: bytes, ports: dict[int, int]) -> bytes:
    def replaced(part: object) -> object:
        if isinstance(part, dict):
            here = {"address": "127.0.0.1"} if "address" in part else {}
            return here | {
                name: ports.get(inner, inner) if name in ("port", "listen") else replaced(inner)
                for name, inner in part.items()
                if name != "address"
            }
        return [replaced(inner) for inner in part] if isinstance(part, list) else part

    return msgspec.json.encode(replaced(msgspec.json.decode(value)))


@contextlib.contextmanager
def set_up() -> Iterator[Stage]:
    """Give a stage for the length of a `with` block, and leave nothing behind.

    When the block fails, the logs are kept and their place is printed.
    """
    # Short, because a Unix socket's path has at most 107 characters.
    directory = Path(tempfile.mkdtemp(prefix="lbsync-demo-"))
    try:
        stage = Stage(directory)
        try:
            yield stage
        finally:
            stage.close()
    except BaseException:
        print(f"the logs are kept in {directory}", file=sys.stderr)
        raise
    shutil.rmtree(directory)
