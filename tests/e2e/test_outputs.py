"""Files beside HAProxy's, whose commands may be slow, fail or hang: HAProxy never waits for them."""

import signal
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.stack import Stack, servers
from harness.wait import wait_until
from tests.conftest import on_one_release

# These files are other programs'.
pytestmark = on_one_release("stack")

TEMPLATE = """\
{% for s in services %}
{{ s.id }}{% for b in s.backends %}{% for x in b.servers %} {{ x.port }}{% endfor %}{% endfor %}

{% endfor %}
"""


class Output:
    """A file with the ports of all servers, and a command for its reader that waits for a gate."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.path = directory / "ports.txt"
        self.told = directory / "told"
        self._gate = directory / "gate"
        templates = directory / "templates"
        templates.mkdir()
        (templates / "ports.j2").write_text(TEMPLATE)
        self.script = directory / "tell"
        self.tell("n=0; while [ ! -e {gate} ] && [ $n -lt 400 ]; do sleep 0.05; n=$((n+1)); done")
        stack.write_settings(
            f'[templates]\ndirectory = "{templates}"\n[[outputs]]\ntemplate = "ports.j2"\n'
            f'path = "{self.path}"\nquote = "strict"\nreload = ["{self.script}", "{{dest}}"]\n'
        )

    def tell(self, action: str) -> None:
        """Make the command do this, once it has noted what it was to tell its reader of."""
        action = action.format(gate=self._gate)
        new = self.script.with_suffix(".new")
        new.write_text(f'#!/bin/sh\ncat "$1" >> {self.told}\n{action}\n')
        new.chmod(0o755)
        new.replace(self.script)

    def open(self) -> None:
        """Let the command end."""
        self._gate.touch()

    def tellings(self) -> list[str]:
        """What the reader was told of, in order."""
        return self.told.read_text().splitlines() if self.told.exists() else []


@pytest.fixture
def output(stack: Stack, tmp_path: Path) -> Output:
    return Output(stack, tmp_path)


def test_haproxy_does_not_wait_for_a_slow_command_and_the_last_text_is_installed(
    stack: Stack, output: Output
) -> None:
    agent = AgentProcess(stack)
    try:
        agent.start()
        wait_until("the command to run", output.tellings)
        webs = [stack.web(f"w{number}") for number in range(4)]
        for web in webs:
            revision = stack.put({"endpoints/shop/web/default": servers(web)})
            agent.wait_for_revision(revision)
            assert stack.get("shop.example").body == web.name
        assert len(output.tellings()) == 1, "one at a time"
        output.open()
        wait_until("the last text", lambda: str(webs[-1].port) in output.path.read_text())
        wait_until("its reader to be told", lambda: len(output.tellings()) == 2)
        assert str(webs[-1].port) in output.tellings()[-1], "only the newest text counts"
        installed = f"{output.path} installed"
        wait_until("the report", lambda: installed in agent.log.read_text())
        assert "error" not in agent.status()
    finally:
        output.open()
        assert agent.stop() == 0


def test_a_command_that_fails_is_reported_and_tried_again_at_growing_intervals(
    stack: Stack, output: Output
) -> None:
    output.tell("echo no such reader; exit 7")
    agent = AgentProcess(stack)
    try:
        agent.start()
        wait_until("the report", lambda: "no such reader" in agent.status().get("error", ""))
        assert agent.status()["state"] == "confirmed"
        assert f"{output.path}: its reload command failed" in agent.status()["error"]
        wait_until("further tries", lambda: len(output.tellings()) >= 3)
        passes, tries = agent.status()["passes"], len(output.tellings())
        for _ in range(5):
            web = stack.web("another")
            agent.wait_for_revision(stack.put({"endpoints/shop/web/default": servers(web)}))
            assert "no such reader" in agent.status()["error"], "it still is as it was"
        # A new text is tried at once, but each only once: not with every pass.
        assert len(output.tellings()) - tries <= agent.status()["passes"] - passes
        output.tell("exit 0")
        wait_until("the cure", lambda: "error" not in agent.status())
        assert str(web.port) in output.path.read_text()
    finally:
        agent.stop()


def test_the_end_waits_for_the_command_that_runs(stack: Stack, output: Output) -> None:
    agent = AgentProcess(stack)
    try:
        agent.start()
        wait_until("the command to run", output.tellings)
        output.tell("exit 0")
        agent.signal(signal.SIGTERM)
        wait_until("the agent to be ending", lambda: "STOPPING=1" in agent.notified())
        assert agent.status()["state"] == "confirmed"
        output.open()
        assert agent.wait() == 0
    finally:
        agent.stop()
    assert output.path.exists(), "neither put back nor left half done"
    assert AgentProcess(stack).start().stop() == 0
    assert len(output.tellings()) == 1, "the next one finds it done"


def test_a_single_pass_waits_and_tells_by_its_code(stack: Stack, output: Output) -> None:
    output.tell("echo no such reader; exit 7")
    once = command(stack, "agent", "--once")
    assert once.returncode == 5
    assert "its reload command failed" in once.stderr
    assert not output.path.exists()
    output.tell("exit 0")
    once = command(stack, "agent", "--once")
    assert once.returncode == 3, once.stderr
    assert output.path.exists()
