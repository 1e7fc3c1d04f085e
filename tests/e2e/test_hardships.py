"""What host and store may do to a running agent: HAProxy serves on, and changes go on where they can."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.haproxy import branches
from harness.load import Load
from harness.proxy import Proxy
from harness.stack import Stack, servers, with_new_settings
from harness.wait import wait_until
from tests.conftest import on_one_release

SERVERS = "endpoints/shop/web/default"


def worker(stack: Stack) -> str:
    """The process id of the worker that serves: another one after a reload."""
    return stack.haproxy.ask("@1 show info").split("Pid: ")[1].split()[0]


@contextlib.contextmanager
def read_only(agent: AgentProcess, directory: Path) -> Iterator[None]:
    """Let the agent write nothing below `directory`, as a file system does that met an error."""
    if os.geteuid() != 0:
        folders = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        try:
            yield
        finally:
            for folder in folders:
                folder.chmod(0o755)
        return
    # Root may write whatever the mode says; so it is mounted so, where only the agent sees it.
    inside = ["nsenter", "-t", str(agent.pid), "-m", "--"]
    subprocess.run([*inside, "mount", "--bind", directory, directory], check=True)
    subprocess.run([*inside, "mount", "-o", "remount,ro,bind", directory], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "umount", "--lazy", directory], check=True)


def own_mounts() -> tuple[str, ...]:
    """Return how to run a program whose mounts are its own; skip where that is not allowed."""
    if os.geteuid() != 0:
        return ()
    argv = ("unshare", "-m", "--propagation", "private", "--")
    tried = [*argv, "mount", "-t", "tmpfs", "none", "/mnt"]
    if shutil.which("nsenter") is None or subprocess.run(tried, check=False).returncode:
        pytest.skip("root that may not mount: nothing keeps it from writing")
    return argv


@on_one_release("stack")
def test_a_state_directory_that_became_read_only_is_said_and_costs_no_request(stack: Stack) -> None:
    agent = AgentProcess(stack, within=own_mounts())
    load = Load(stack.http_port, "shop.example", rate=100)
    with contextlib.ExitStack() as ends:
        ends.callback(agent.stop)
        agent.start()
        load.start()
        ends.callback(load.stop)
        before = worker(stack)
        new = {"services/shop/new": {"mode": "http", "hosts": ["new.example"]}}
        with read_only(agent, stack.state):
            revision = stack.put({**new, SERVERS: servers(stack.web("after"))})
            wait_until(
                "the reason",
                lambda: any("ead-only" in line or "denied" in line for line in agent.notified()),
            )
            said = [line for line in agent.notified() if line.startswith("STATUS=")][-1]
            assert str(stack.state) in said
            assert worker(stack) == before
        agent.wait_for_revision(revision)
        assert stack.get("shop.example").body == "after"
        assert agent.status()["state"] == "confirmed"
    assert load.failures == []
    assert load.requests


def test_a_stats_socket_whose_file_is_gone_is_done_without(
    stack: Stack, agent: AgentProcess
) -> None:
    before = worker(stack)
    (stack.run / "stats.sock").unlink()
    for name in ("three", "four"):
        agent.wait_for_revision(stack.put({SERVERS: servers(stack.web(name))}))
        assert stack.get("shop.example").body == name
    assert worker(stack) == before
    assert agent.status()["state"] == "confirmed"


def test_without_the_master_sockets_file_servers_change_and_a_reload_says_what_is_missing(
    stack: Stack, agent: AgentProcess
) -> None:
    before = worker(stack)
    stack.haproxy.master_socket.unlink()
    agent.wait_for_revision(stack.put({SERVERS: servers(stack.web("three"))}))
    assert stack.get("shop.example").body == "three"
    revision = stack.put({"services/shop/new": with_new_settings("new.example")})
    missing = str(stack.haproxy.master_socket)
    wait_until("the reason", lambda: missing in agent.status().get("error", ""))
    assert stack.get("shop.example").body == "three"
    stack.haproxy.stop()
    stack.haproxy.start()
    agent.wait_for_revision(revision)
    assert stack.get("new.example").status == 503
    assert worker(stack) != before
    assert "error" not in agent.status()


@pytest.mark.parametrize("stack", branches()[-1:], indirect=True)
def test_a_slow_etcd_delays_changes_and_nothing_else(stack: Stack) -> None:
    """Half a second each way is an ocean; the agent may not take it for an end of the world."""
    node = stack.etcd.nodes[0]
    proxy = Proxy(node.port)
    text = stack.config_file.read_text()
    stack.config_file.write_text(text.replace(node.url, proxy.url))
    agent = AgentProcess(stack)
    states = set()

    def arrived(revision: int) -> bool:
        states.add(agent.status()["state"])
        return bool(agent.status()["revision"] >= revision)

    try:
        agent.start()
        before = worker(stack)
        proxy.delay_s = 0.5
        end = time.monotonic() + 7.0  # longer than from one look whether etcd is there to the next
        webs = [stack.web("even"), stack.web("odd")]
        number = 0
        while time.monotonic() < end:
            number += 1
            revision = stack.put({SERVERS: servers(webs[number % 2])})
            wait_until("the change", lambda: arrived(revision))  # noqa: B023 - used at once
            assert stack.get("shop.example").body == webs[number % 2].name
        assert number <= 14, "each took half a second at least"
        assert states == {"confirmed"}
        assert worker(stack) == before
        proxy.delay_s = 0.0
        agent.wait_for_revision(stack.put({SERVERS: servers(webs[0], weight=7)}))
    finally:
        agent.stop()
        proxy.close()


def garbage(draw: random.Random, count: int) -> dict[str, object]:
    """Return keys that mean nothing, or not what they should."""
    places = [
        "services/{}/{}",
        "endpoints/{}/{}/default",
        "routes/{}/{}",
        "settings/{}{}",
        "{}/{}/x",
    ]
    names = ["shop", "web", "Not-A-Name", "a b", "..", "", "x" * 80, "ü", "a\nb", "-"]
    values = [
        b"", b"{", b"\x00\xff\xfe", b"null", b"[]", b'{"mode":"http","hosts":[1]}', b"[" * 5000,
        b'{"mode":"http","hosts":["*"]}', b'{"servers":[{"name":"a","address":"nowhere","port":1e9}]}',
        b'{"servers":"' + b"x" * 100_000 + b'"}', b'{"groups":{"nobody":1}}', b'{"mode":"tcp"}',
    ]  # fmt: skip
    found: dict[str, object] = {}
    while len(found) < count:
        key = draw.choice(places).format(draw.choice(names), draw.choice(names) + str(len(found)))
        found[key] = draw.choice(values)
    return found


@on_one_release("stack")
def test_a_store_full_of_garbage_costs_no_request_and_no_change(
    stack: Stack, agent: AgentProcess
) -> None:
    draw = random.Random(11)
    load = Load(stack.http_port, "shop.example", rate=200).start()
    written: list[str] = []
    try:
        before = worker(stack)
        for number in range(10):
            batch = garbage(draw, 60)
            written += batch
            stack.put(batch)
            node = stack.etcd.nodes[0]
            subprocess.run(
                ["etcdctl", f"--endpoints={node.url}", "put", b"/lbsync/services/a/\xff\xfe", b"x"],
                check=True,
                capture_output=True,
            )
            web = stack.web(f"w{number}")
            agent.wait_for_revision(stack.put({SERVERS: servers(web)}))
            assert stack.get("shop.example").body == web.name
        assert worker(stack) == before
        assert len(agent.status()["quarantined"]) > 100
        for at in range(0, len(written), 100):
            revision = stack.delete(*written[at : at + 100])
        agent.wait_for_revision(revision)
        wait_until(
            "only the key that is no text to be left",
            lambda: len(agent.status()["quarantined"]) == 1,
        )
    finally:
        load.stop()
    assert load.failures == []
    assert load.requests > 100


def test_a_haproxy_that_is_away_or_another_one_is_noticed_at_once(
    stack: Stack, agent: AgentProcess
) -> None:
    """Within the time that a socket may refuse in a reload, and not when somebody next asks."""
    stack.haproxy.kill()
    wait_until("the word", lambda: agent.status()["state"] == "unconfirmed", timeout=5.0)
    stack.haproxy.start()
    wait_until("the proof", lambda: agent.status()["state"] == "confirmed", timeout=5.0)
    assert agent.status()["replaced"] == 1
    stack.haproxy.ask("reload")
    wait_until("the other worker", lambda: agent.status()["replaced"] == 2, timeout=5.0)
    agent.wait_for_revision(stack.put({"services/shop/new": with_new_settings("new.example")}))
    assert agent.status()["replaced"] == 2, "a reload of the agent's is no news"
    assert agent.status()["services"] == 2
    command(stack, "rollback", "1", "--yes")
    wait_until("the rollback", lambda: agent.status()["state"] == "rolled-back")
    assert agent.status().get("services", 0) == 0, "what is served, not what is wanted"
