"""The state directory is taken away under a running agent: told, made anew, and never two agents."""

import shutil
import signal
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from harness.agent import AgentProcess, command
from harness.load import Load
from harness.stack import Stack, servers
from harness.wait import wait_until
from tests.conftest import on_one_release

# The state directory is the agent's.
pytestmark = on_one_release("stack")
KEY = "endpoints/shop/web/default"
MADE = ("accepted.db", "agent.lock", "live/haproxy.cfg", "status.json", "control", "touched")


def is_whole(stack: Stack) -> bool:
    return all((stack.state / name).exists() for name in MADE)


def stored(stack: Stack) -> set[str]:
    """The keys in `accepted.db`, as the next agent will find them."""
    with closing(sqlite3.connect(f"file:{stack.state / 'accepted.db'}?mode=ro", uri=True)) as db:
        return {key for (key,) in db.execute("SELECT key FROM accepted")}


def empty(state: Path) -> None:
    for entry in state.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def replace(state: Path) -> None:
    """Put an older directory in its place, as a mount would."""
    old = state.with_name("old")
    shutil.copytree(state, old, symlinks=True)
    with closing(sqlite3.connect(old / "accepted.db")) as db, db:
        db.execute("DELETE FROM accepted")
    state.rename(state.with_name("away"))
    old.rename(state)


def remove_lock(state: Path) -> None:
    (state / "agent.lock").unlink()


def remove_database(state: Path) -> None:
    (state / "accepted.db").unlink()


def stands_still(pid: int) -> bool:
    """Whether every thread has stopped: one in the middle of a write does so only after it."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def told(agent: AgentProcess) -> int:
    return agent.log.read_text().count("under the running agent")


def test_a_state_directory_that_was_harmed_is_told_and_made_anew(
    stack: Stack, agent: AgentProcess
) -> None:
    load = Load(stack.http_port, "shop.example", rate=50).start()
    drained = command(stack, "drain", "--reason", "a disk is exchanged")
    assert drained.returncode == 0, drained.stderr
    keys = stored(stack)
    try:
        for number, harm in enumerate((empty, remove_lock, remove_database, replace), 1):
            harm(stack.state)
            wait_until(
                harm.__name__, partial(lambda number: told(agent) == number, number), timeout=30
            )
            assert command(stack, "agent", "--once").returncode == 8
            # The directory that is put in place has all files from the start, but not what they held.
            wait_until(
                "everything to be there",
                lambda: is_whole(stack) and keys <= stored(stack),
            )
            wait_until("the proof", lambda: agent.status().get("state") == "confirmed")
            assert agent.status()["draining"] == "a disk is exchanged"
        undrained = command(stack, "undrain")  # heard at once: what is asked for is watched again
        assert undrained.returncode == 0, undrained.stderr
        agent.wait_for_revision(stack.put({KEY: servers(stack.web("after"))}))
        wait_until("the new server", lambda: stack.get("shop.example").body == "after")
    finally:
        load.stop()
    assert load.failures == []
    assert told(agent) == 4


def test_no_second_agent_runs_while_the_directory_is_emptied(
    stack: Stack, agent: AgentProcess
) -> None:
    agent.signal(signal.SIGSTOP)
    wait_until("the agent to stand still", lambda: stands_still(agent.pid))
    try:
        empty(stack.state)
        assert command(stack, "agent", "--once").returncode == 8
    finally:
        agent.signal(signal.SIGCONT)


def test_an_agent_whose_directory_another_one_has_by_now_ends_and_says_so(
    stack: Stack, agent: AgentProcess
) -> None:
    agent.signal(signal.SIGSTOP)
    wait_until("the agent to stand still", lambda: stands_still(agent.pid))
    other = AgentProcess(stack)
    try:
        replace(stack.state)
        other.log = stack.directory / "other.log"
        other.start()
        agent.signal(signal.SIGCONT)
        # It looks within ten seconds, and then says goodbye to etcd.
        assert agent.wait(30) == 8
        assert (
            "was removed or replaced, and another agent runs on this host" in agent.log.read_text()
        )
        status = other.status()
        assert status["pid"] == other.pid
    finally:
        other.stop()
