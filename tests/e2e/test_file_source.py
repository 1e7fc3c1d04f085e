"""Without etcd: keys are files."""

import json
from pathlib import Path

from harness.agent import AgentProcess, command
from harness.stack import Stack, servers
from harness.wait import wait_until
from harness.web import WebServer
from tests.conftest import on_one_release

# Where keys come from is nothing to HAProxy.
pytestmark = on_one_release("stack")


class Keys:
    """A directory of keys in place of the stack's etcd."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._directory = directory / "keys"
        self._directory.mkdir()
        written = stack.config_file.read_text()
        stack.config_file.write_text(f'source = "file:{self._directory}"\n{written}')

    def put(self, key: str, value: object) -> None:
        """Write one key; its file appears whole."""
        path = self._directory / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}")
        new.write_text(json.dumps(value))
        new.replace(path)

    def claim(self, name: str, web: WebServer) -> None:
        """Write a service that wants contested.example, and one host of its own."""
        self.put(f"endpoints/s/{name}/default", servers(web))
        hosts = ["contested.example", f"{name}.example"]
        self.put(f"services/s/{name}", {"mode": "http", "hosts": hosts})


def test_who_claimed_a_host_first_keeps_it_over_restarts_and_for_other_commands(
    stack: Stack, tmp_path: Path
) -> None:
    keys = Keys(stack, tmp_path)
    first, second = stack.web("first"), stack.web("second")
    keys.claim("zzz", first)
    agent = AgentProcess(stack)
    try:
        agent.start()
        wait_until("the first", lambda: stack.get("zzz.example").body == "first")
        keys.claim("aaa", second)  # by name it would be the older one
        wait_until("the second", lambda: stack.get("aaa.example").body == "second")
        revision = 5  # each key has one of its own
        agent.wait_for_revision(revision)
        for _ in range(2):
            agent.stop()
            agent.start()
            assert stack.get("contested.example").body == "first"
            assert agent.status()["revision"] == revision
            rendered = command(stack, "render", "--dry-run", "--file", "maps/routes.map").stdout
            assert "contested.example/ s/zzz" in rendered
            assert "services/s/aaa" in command(stack, "check").stdout
        record = {"mode": "http", "hosts": ["contested.example", "edited.example"]}
        keys.put("services/s/zzz", record)
        wait_until("the edit", lambda: stack.get("edited.example").body == "first")
        assert stack.get("contested.example").body == "first"
    finally:
        agent.stop()
