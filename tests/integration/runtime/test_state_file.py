"""What HAProxy makes of the state file, after a start as after a reload."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.wait import wait_until
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.steps import SetState, SetWeight
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.state_file import rows
from lbsync.clients.haproxy.answers import ServerState
from lbsync.clients.haproxy.sockets import WorkerSocket
from lbsync.errors import Unavailable

CONFIG = """\
global
    default-path config
    stats socket {stats} mode 600 level admin
    server-state-file {state}
    httpclient.ssl.verify none

defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    load-server-state-from-file global

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
{servers}
"""


class Balancer:
    """A HAProxy whose state file lies outside of the directory of its configuration."""

    def __init__(self, directory: Path, program: str) -> None:
        self.state = directory / "elsewhere" / "servers.state"
        self.state.parent.mkdir(parents=True)
        self._config = directory / "cfg" / "haproxy.cfg"
        self._config.parent.mkdir()
        self._stats = directory / "stats.sock"
        self._port = free_port()
        self.haproxy = Haproxy(directory / "run", self._config, program)
        self.worker = WorkerSocket(str(self._stats), 2.0)
        self.running: RuntimeConfig | None = None

    def _text(self, servers: str) -> str:
        return CONFIG.format(stats=self._stats, state=self.state, port=self._port, servers=servers)

    def start(self, servers: str) -> None:
        self._config.write_text(self._text(servers))
        self.haproxy.start()
        self.running = RuntimeConfig(Parser().parse(self._text(servers)), {})

    def reload(self, servers: str) -> None:
        """Write the state file for the new configuration, then reload."""
        text = self._text(servers)
        config = Parser().parse(text)
        self.state.write_text(rows(self.worker.servers_state(), self.running, config))
        self._config.write_text(text)
        before = self.worker.show_info()["Pid"]
        wait_until("the master's socket", lambda: self.haproxy.ask("reload") or True)
        wait_until("the new worker", lambda: self._pid() not in ("", before))
        self.running = RuntimeConfig(config, {})

    def _pid(self) -> str:
        try:
            return self.worker.show_info()["Pid"]
        except Unavailable:
            return ""

    def servers(self) -> dict[str, ServerState]:
        return {state.name: state for state in self.worker.show_servers()}


@pytest.fixture
def balancer(program: str, tmp_path: Path) -> Iterator[Balancer]:
    made = Balancer(tmp_path, program)
    yield made
    made.haproxy.stop()


def test_a_missing_state_file_is_no_obstacle(balancer: Balancer) -> None:
    balancer.start("    server s 127.0.0.1:9")
    assert "Can't open global server state file" in balancer.haproxy.log.read_text()
    assert balancer.servers()["s"].op_state == 2


def test_health_survives_and_what_moved_begins_anew(balancer: Balancer) -> None:
    dead, other = free_port(), free_port()
    down = f"    server down 127.0.0.1:{dead} check inter 50ms fall 1\n"
    moved = f"    server moved 127.0.0.1:{dead} check inter 50ms fall 1\n"
    balancer.start(down + moved)
    for name in ("down", "moved"):
        wait_until("the checks", partial(lambda name: balancer.servers()[name].op_state == 0, name))
    balancer.reload(
        down.replace("50ms", "60s") + moved.replace("50ms", "60s").replace(str(dead), str(other))
    )
    after = balancer.servers()
    assert after["down"].op_state == 0
    assert (after["moved"].port, after["moved"].op_state) in ((other, 2), (other, 0))
    balancer.reload(f"    server down 127.0.0.1:{dead}\n")
    assert balancer.servers()["down"].op_state == 2, "nothing would ever find out that it is up"


def test_the_configuration_rules_but_for_what_a_person_set(balancer: Balancer) -> None:
    def servers(one: str, other: str) -> str:
        return "".join(
            f"    server {name} 127.0.0.1:9 {said}\n"
            for name, said in {
                "out": other,
                "back": one,
                "up": "weight 5",
                "heavy": "weight 5",
                "light": "weight 5",
                "held": "",
                "drained": "",
                "both": "",
            }.items()
        )

    balancer.start(servers("", ""))
    assert balancer.running is not None
    # Done over the runtime API: one server into maintenance, one out of it again, a weight.
    for command in (
        "set server be/back state maint",
        "set server be/up weight 5",
        "set server be/heavy weight 50",
        "set server be/held state maint",
        "set server be/drained state drain",
        "set server be/both state drain",
        "set server be/both state maint",
        "set server be/light weight 2",
    ):
        balancer.worker.run([command])
    text = balancer._text(servers("disabled", "")).replace(
        "heavy 127.0.0.1:9 weight 5", "heavy 127.0.0.1:9 weight 50"
    )
    balancer.running.adopt(
        Parser().parse(text), {}, [SetState("be", "back", "maint"), SetWeight("be", "heavy", 50)]
    )
    balancer.running.verified()
    balancer.reload(servers("", "disabled"))
    after = balancer.servers()
    states = {name: state.admin_state & ~4 for name, state in after.items()}
    assert states == {
        "out": 1, "back": 0, "up": 0, "heavy": 0, "light": 0, "held": 1, "drained": 8, "both": 1,
    }  # fmt: skip
    assert after["back"].op_state == 2
    weights = {name: after[name].weight for name in ("up", "heavy", "light")}
    assert weights == {"up": 5, "heavy": 5, "light": 2}
    balancer.worker.run(["set server be/held state ready"])
    assert balancer.servers()["held"].op_state == 2
