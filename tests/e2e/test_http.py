"""What an agent answers over HTTP: to probes, to Prometheus, and to whoever asks how it does."""

import contextlib
import http.client
import json
import signal
import socket

import pytest

from harness.agent import AgentProcess, command
from harness.ports import free_port
from harness.stack import Stack, servers
from harness.wait import wait_until


class Answered:
    """One answer over a port or a socket."""

    def __init__(self, place: str | int, path: str) -> None:
        asked = http.client.HTTPConnection("127.0.0.1", 0, timeout=60)
        with contextlib.closing(asked):
            if isinstance(place, int):
                asked.sock = socket.create_connection(("127.0.0.1", place), timeout=60)
            else:
                asked.sock = socket.socket(socket.AF_UNIX)
                asked.sock.settimeout(30)
                asked.sock.connect(place)
            asked.request("GET", path)
            answer = asked.getresponse()
            self.status, self.body = answer.status, answer.read().decode()

    @property
    def samples(self) -> dict[str, float]:
        lines = (line for line in self.body.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def is_well(place: str | int, path: str) -> bool:
    return Answered(place, path).status == 200


@pytest.mark.parametrize("stack", ["2.6"], indirect=True)
def test_an_agent_answers_probes_prometheus_and_people(stack: Stack) -> None:
    port = free_port()
    settings = f"[agent]\nhttp_bind = '127.0.0.1:{port}'\n"
    text = stack.config_file.read_text()
    stack.config_file.write_text(text.replace("[agent]\n", settings))
    agent = AgentProcess(stack).start()
    try:
        assert is_well(port, "/healthz")
        assert is_well(port, "/readyz")

        before = Answered(port, "/metrics").samples
        agent.wait_for_revision(
            stack.put({"endpoints/shop/web/default": servers(stack.web("three"))})
        )
        new = {"mode": "http", "hosts": ["new.example"]}
        agent.wait_for_revision(stack.put({"services/shop/new": new}))
        found = Answered(port, "/metrics").samples
        assert found['lbsync_state{state="confirmed"}'] == 1
        for name in (
            'lbsync_reloads_total{cause="change"}',
            'lbsync_change_served_seconds_count{by="runtime"}',
            'lbsync_change_served_seconds_count{by="reload"}',
        ):
            assert found[name] == before[name] + 1, name
        assert 0 < found['lbsync_change_served_seconds_sum{by="reload"}'] < 10
        for stage in ("pass", "render", "haproxy_check", "runtime_change", "reload", "read_back"):
            assert found[f'lbsync_{stage}_seconds_count{{outcome="ok"}}'] > 0, stage

        over_http = json.loads(Answered(port, "/status").body)
        printed = json.loads(command(stack, "status", "--output", "json").stdout)
        assert over_http.keys() == printed.keys()
        assert over_http["findings"] == printed["findings"] == []
        assert over_http["agent"]["digest"] == printed["agent"]["digest"]
        assert over_http["haproxy"]["agrees"]

        stack.haproxy.stop()
        wait_until("it to be noticed", lambda: not is_well(port, "/readyz"), timeout=60)
        assert is_well(port, "/healthz"), "a restart of the agent would cure nothing"
        stack.haproxy.start()
        wait_until("it to be ready again", lambda: is_well(port, "/readyz"), timeout=60)

        # Another address: one that is taken first, then a socket.
        with socket.create_server(("127.0.0.1", free_port())) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            stack.config_file.write_text(
                text.replace("[agent]\n", f"[agent]\nhttp_bind = '{taken}'\n")
            )
            agent.signal(signal.SIGHUP)
            wait_until(
                "it to be told", lambda: taken in agent.status().get("unanswered", ""), timeout=20
            )
            agent.wait_for_revision(
                stack.put({"endpoints/shop/web/default": servers(stack.web("four"))})
            )
            answer = command(stack, "status")
            assert answer.returncode == 5
            assert (
                f"nobody is answered: {taken} cannot be listened on: Address already in use"
                in answer.stdout
            )
        path = stack.run / "http.sock"
        stack.config_file.write_text(text.replace("[agent]\n", f"[agent]\nhttp_bind = '{path}'\n"))
        agent.signal(signal.SIGHUP)
        wait_until(
            "the socket", lambda: path.exists() and is_well(str(path), "/healthz"), timeout=20
        )
        with pytest.raises(ConnectionRefusedError):
            Answered(port, "/healthz")
    finally:
        assert agent.stop() == 0
    assert not path.exists()
