"""Who waits for a change that needs no reload is told before its file is checked and written."""

import json
from pathlib import Path

import pytest

from harness.agent import AgentProcess
from harness.etcd import open_etcd
from harness.haproxy import one_branch
from harness.stack import Stack, servers
from harness.wait import wait_until
from lbsync.clients.source import Put
from lbsync.model.health import WatcherRecord
from lbsync.schema.decode import encode
from lbsync.schema.health import health_prefix, watcher_key


def slow_to_check(binary: str, directory: Path) -> tuple[Path, Path]:
    """Return a program that is HAProxy but checks no configuration as long as a file is there, and the file."""
    program, block = directory / "haproxy-that-waits", directory / "block"
    program.write_text(
        f"""#!/bin/sh
case " $* " in *" -c "*) while [ -e '{block}' ]; do sleep 0.05; done;; esac
exec '{binary}' "$@"
"""
    )
    program.chmod(0o755)
    return program, block


def told(stack: Stack) -> int:
    """Return which revision the host says it serves, to who waits or to all."""
    agents = stack.client.below("agents/")
    beside = open_etcd([node.url for node in stack.etcd.nodes], health_prefix("/lbsync/"))
    try:
        said = [*agents.values(), *beside.snapshot().items.values()]
    finally:
        beside.close()
    records = [json.loads(item.value) for item in said if not item.key.endswith("/seen")]
    return max((int(record.get("revision", 0)) for record in records), default=0)


@pytest.mark.parametrize("stack", one_branch(), indirect=True)
def test_a_switch_is_verified_while_its_file_is_still_being_checked(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, block = slow_to_check(stack.haproxy.binary, tmp_path)
    monkeypatch.setenv("LBSYNC_HAPROXY_BINARY", str(program))
    monkeypatch.setenv("LBSYNC_HAPROXY_CHECK_TIMEOUT", "60s")
    agent = AgentProcess(stack)
    try:
        agent.start()
        agent.wait_for_revision(
            stack.put(
                {
                    "routes/shop/web": {"groups": {"default": 100}},
                    "endpoints/shop/web/green": servers(stack.web("green")),
                }
            )
        )
        lease = stack.client.lease(30)
        asked = Put(watcher_key("me"), encode(WatcherRecord(here=True)), lease.id)
        block.touch()
        route = Put("routes/shop/web", b'{"groups": {"green": 100}}')
        revision = stack.client.commit([], [route, asked])
        wait_until("the host to say so", lambda: told(stack) >= revision, timeout=30)
        assert stack.get("shop.example").body == "green"
        later = stack.put({"endpoints/shop/web/green": servers(stack.web("newer"))})
        wait_until("the next change", lambda: stack.get("shop.example").body == "newer", timeout=30)
        assert agent.status()["revision"] < revision
        block.unlink()
        agent.wait_for_revision(later)
    finally:
        block.unlink(missing_ok=True)
        agent.stop()
