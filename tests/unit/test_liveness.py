"""A status is not believed when its agent is gone, stopped, silent or unable to write."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.wait import wait_until
from lbsync.liveness import doubt, is_running, pid_namespace
from lbsync.status import Status


def a_status(**changes: object) -> Status:
    base = Status(
        state="confirmed",
        host="lb-1",
        pid=os.getpid(),
        pid_namespace=pid_namespace(),
        written_at=1000.0,
        every=300.0,
    )
    return msgspec.structs.replace(base, **changes)


@pytest.fixture
def agent() -> Iterator[int]:
    """A process that looks like an agent."""
    child = os.posix_spawn("/bin/sleep", ["lbsync agent", "60"], os.environ)
    try:
        wait_until("sleep", lambda: b"lbsync" in Path(f"/proc/{child}/cmdline").read_bytes())
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_status_is_believed_while_its_agent_lives_and_writes() -> None:
    alive = a_status(pid_namespace="another container")

    assert doubt(alive, 1001.0) == ""
    assert "is silent; the status was written 17 min ago" in doubt(alive, 2000.0)


def test_a_status_whose_process_is_gone_is_not_believed() -> None:
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    os.waitpid(child, 0)

    assert "is not running" in doubt(a_status(pid=child), 1001.0)


def test_a_process_number_that_another_program_got_is_not_the_agent() -> None:
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)
    try:
        wait_until("sleep", lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes())

        assert "is not running" in doubt(a_status(pid=child), 1001.0)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_an_agent_that_lives_is_recognised_by_its_command_line(agent: int) -> None:
    assert doubt(a_status(pid=agent), 1001.0) == ""


def test_an_agent_that_is_stopped_is_doubted_at_once_until_it_goes_on(agent: int) -> None:
    found = a_status(pid=agent)
    os.kill(agent, signal.SIGSTOP)
    wait_until("it is stopped", lambda: doubt(found, 1001.0) != "")

    assert doubt(found, 1001.0) == (
        f"the agent (process {agent}) is stopped (SIGSTOP): 'kill -CONT {agent}' lets it go on, or "
        "'systemctl restart lbsync-agent'; the status was written 1 s ago"
    )
    assert is_running(found), "what is asked of it waits until it goes on"
    assert doubt(a_status(pid=agent, pid_namespace="another container"), 1001.0) == ""
    os.kill(agent, signal.SIGCONT)
    wait_until("it goes on", lambda: doubt(found, 1001.0) == "")


def test_an_agent_that_ended_and_nobody_has_waited_for_is_not_running(agent: int) -> None:
    os.kill(agent, signal.SIGKILL)
    wait_until("it has ended", lambda: not is_running(a_status(pid=agent)))

    assert "is not running" in doubt(a_status(pid=agent), 1001.0)


def test_a_status_that_the_agent_cannot_renew_is_doubted_at_once() -> None:
    found = a_status(pid_namespace="another container", outdated=True)

    assert "cannot write its status, as on a full disk or a read-only" in doubt(found, 1000.0)
