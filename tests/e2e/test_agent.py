"""The agent as it runs in production: a process that watches, and must not drop a request."""

import shutil
import signal
from pathlib import Path

from harness.agent import AgentProcess, command
from harness.load import Load
from harness.stack import Stack, servers, with_new_settings
from harness.wait import wait_until
from tests.conftest import on_one_release

RELOADS = 20


def test_twenty_reloads_under_load_lose_no_request(stack: Stack, agent: AgentProcess) -> None:
    load = Load(stack.http_port, "shop.example").start()
    try:
        before = agent.status()["reloads"]
        for number in range(RELOADS):
            new = with_new_settings(f"new{number}.example")
            agent.wait_for_revision(stack.put({f"services/shop/new{number}": new}))
    finally:
        load.stop()
    assert load.failures == []
    assert agent.status()["reloads"] - before == RELOADS
    assert set(load.answers) == {"one", "two"}
    assert load.requests > RELOADS


@on_one_release("stack")
def test_writes_that_come_together_are_applied_together(stack: Stack, agent: AgentProcess) -> None:
    before = agent.status()["reloads"]
    for number in range(30):
        revision = stack.put(
            {f"services/shop/n{number}": {"mode": "http", "hosts": [f"{number}.x"]}}
        )
    agent.wait_for_revision(revision)
    assert agent.status()["reloads"] - before < 10


def test_a_killed_agent_converges_when_it_comes_back(stack: Stack, agent: AgentProcess) -> None:
    agent.kill()
    revision = stack.put({"endpoints/shop/web/default": servers(stack.web("three"))})
    assert stack.get("shop.example").body in ("one", "two")
    agent.start()
    agent.wait_for_revision(revision)
    assert stack.get("shop.example").body == "three"


@on_one_release("stack")
def test_a_polite_end_leaves_haproxy_serving(stack: Stack, agent: AgentProcess) -> None:
    assert agent.stop() == 0
    assert stack.get("shop.example").body in ("one", "two")


@on_one_release("stack")
def test_a_second_agent_on_the_same_host_is_refused(stack: Stack, agent: AgentProcess) -> None:
    second = command(stack, "agent")
    assert second.returncode == 8
    assert "another agent runs on this host" in second.stderr


@on_one_release("stack")
def test_etcd_may_go_and_come_back(stack: Stack, agent: AgentProcess) -> None:
    stack.etcd.stop()
    wait_until("the agent to notice", lambda: agent.status().get("state") == "stale", timeout=60)
    assert stack.get("shop.example").body in ("one", "two")
    stack.etcd.start()
    revision = stack.put({"endpoints/shop/web/default": servers(stack.web("back"))})
    agent.wait_for_revision(revision, timeout=60)
    assert stack.get("shop.example").body == "back"


@on_one_release("stack")
def test_wrong_settings_are_refused_on_hangup_and_the_old_ones_hold(
    stack: Stack, agent: AgentProcess
) -> None:
    stack.write_settings("no_such_field = 1\n")
    agent.signal(signal.SIGHUP)
    wait_until("the refusal in the log", lambda: "no_such_field" in agent.log.read_text())
    revision = stack.put({"endpoints/shop/web/default": servers(stack.web("later"))})
    agent.wait_for_revision(revision)
    assert stack.get("shop.example").body == "later"


def test_a_worker_that_is_killed_is_served_again_from_the_live_path(
    stack: Stack, agent: AgentProcess
) -> None:
    revision = stack.put({"endpoints/shop/web/default": servers(stack.web("new"))})
    agent.wait_for_revision(revision)
    stack.haproxy.stop()
    stack.haproxy.start()
    assert stack.get("shop.example").body == "new"


@on_one_release("stack")
def test_templates_that_are_replaced_with_their_directory_are_noticed(
    stack: Stack, agent: AgentProcess, tmp_path: Path
) -> None:
    mine = tmp_path / "templates"
    mine.mkdir()
    packaged = Path(__file__).parents[2] / "templates" / "haproxy" / "errors" / "503.http.j2"
    stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    agent.signal(signal.SIGHUP)
    shutil.rmtree(mine)
    (mine / "errors").mkdir(parents=True)
    (mine / "errors" / "503.http.j2").write_text(packaged.read_text().replace("moment", "minute"))
    stack.put({"services/shop/idle": {"mode": "http", "hosts": ["idle.example"]}})
    wait_until("the new page", lambda: "in a minute" in stack.get("idle.example").body, timeout=40)
