"""One load balancer: HAProxy and the agent beside it, with settings and a state of their own."""

import grp
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from demo.traffic import Answer, ask
from harness import haproxy
from harness.etcd import Etcd
from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.wait import wait_until
from lbsync import status
from lbsync.errors import Unavailable
from lbsync.status import Status

PREFIX = "/lbsync/"

_SETTINGS = """\
# Written by the demo. `lbsync --config {file} status` and the like read it.
source = "etcd"
prefix = "{prefix}"
host = "{host}"
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
listen = ["*={listen}"]
servers = ["*=127.0.0.0/8"]

[proxy]
http_bind = ["127.0.0.1:{http}"]
stats_bind = "127.0.0.1:{stats_port}"
tcp_bind_address = "{address}"

[console]
bind = "127.0.0.1:{console}"
"""


class Balancer:
    """Its processes, and what one asks of them. Nothing is started before it is told to."""

    def __init__(
        self, directory: Path, host: str, etcd: Etcd, *, listen: int, address: str
    ) -> None:
        """`listen`: the port that services of type tcp may have, on the loopback `address`."""
        binary = haproxy.debian()
        if binary is None:
            raise FileNotFoundError("no haproxy here; as root on Debian: apt-get install haproxy")
        self.host = host
        self.directory = directory
        self.config = directory / "lbsync.toml"
        self.state = directory / "state"
        self.agent_log = directory / "agent.log"
        self.http_port, self.stats_port, self.console_port = free_port(), free_port(), free_port()
        self.haproxy = Haproxy(directory / "haproxy", self.state / "live/haproxy.cfg", binary)
        self.agent: subprocess.Popen[bytes] | None = None
        self._console: subprocess.Popen[bytes] | None = None
        self._etcd, self._listen, self._address = etcd, listen, address

    def write_settings(self) -> None:
        """Write the settings file that the agent and every command read."""
        self.state.mkdir(parents=True)
        self.config.write_text(
            _SETTINGS.format(
                file=self.config,
                prefix=PREFIX,
                host=self.host,
                state=self.state,
                etcd=self._etcd.node.url,
                binary=self.haproxy.binary,
                master=self.haproxy.master_socket,
                stats=self.haproxy.directory / "stats.sock",
                user=pwd.getpwuid(os.getuid()).pw_name,
                group=grp.getgrgid(os.getgid()).gr_name,
                http=self.http_port,
                stats_port=self.stats_port,
                console=self.console_port,
                listen=self._listen,
                address=self._address,
            )
        )

    def haproxy_version(self) -> str:
        """Return the version of the HAProxy that runs here, like 2.6."""
        found = {path: version for version, path in haproxy.binaries().items()}
        return found[self.haproxy.binary]

    def lbsync(self, *words: str, check: bool = True) -> str:
        """Run one `lbsync` command to its end and return what it printed."""
        return subprocess.run(
            self.command(*words),
            env=_environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        ).stdout

    def lbsync_begun(self, *words: str) -> subprocess.Popen[str]:
        """Start one `lbsync` command; what it says is read line by line."""
        return subprocess.Popen(
            self.command(*words),
            env=_environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_agent(self) -> None:
        """Start `lbsync agent`; its log goes to `agent_log`."""
        with self.agent_log.open("ab") as log:
            self.agent = subprocess.Popen(
                self.command("agent"), env=_environ(), stdout=log, stderr=log
            )

    def start_console(self) -> str:
        """Start `lbsync console`; return its address once it answers. Raises TimeoutError."""
        with (self.directory / "console.log").open("ab") as log:
            self._console = subprocess.Popen(
                self.command("console"), env=_environ(), stdout=log, stderr=log
            )
        wait_until("the console to answer", lambda: ask(self.console_port, "localhost"), timeout=30)
        return f"http://127.0.0.1:{self.console_port}/"

    def status(self) -> Status:
        """Return what `lbsync status` reads; raises OSError while there is nothing to read."""
        self.alive()
        try:
            return status.read(self.state)
        except Unavailable as error:
            raise OSError(str(error)) from error

    def ask(self, host: str, path: str = "/") -> Answer:
        """Send one request through HAProxy."""
        return ask(self.http_port, host, path)

    def wait_for(self, what: str, host: str, path: str, bodies: Sequence[str]) -> Answer:
        """Ask until the answer is a 200 from one of `bodies`. Raises TimeoutError."""

        def probe() -> Answer | None:
            self.alive()
            answer = self.ask(host, path)
            return answer if answer.status == 200 and answer.body in bodies else None

        answer = wait_until(what, probe, timeout=60)
        assert answer is not None
        return answer

    def alive(self) -> None:
        """Raise RuntimeError when the agent has ended by itself."""
        if self.agent is not None and self.agent.poll() is not None:
            said = self.agent_log.read_text()[-2000:]
            raise RuntimeError(f"the agent ended with exit code {self.agent.returncode}:\n{said}")

    def close(self) -> None:
        """End every process; the agent first, so that it does not complain about HAProxy."""
        for process in (self._console, self.agent):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.haproxy.stop()

    def command(self, *words: str) -> list[str]:
        """Return how a command of this balancer is called."""
        return [sys.executable, "-m", "lbsync", "--config", str(self.config), *words]


def _environ() -> dict[str, str]:
    """Return the environment without settings for an agent that may be at home here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LBSYNC_")}
