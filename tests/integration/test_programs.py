"""Running other programs: what comes back, and what never stays behind."""

import sys
import time

import psutil
import pytest

from harness.wait import wait_until
from lbsync.clients import programs
from lbsync.errors import Unavailable


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_both_outputs_and_the_exit_code_come_back() -> None:
    outcome = programs.run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10)
    assert (outcome.rc, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert outcome.said == "err\nout"


def test_input_reaches_the_program_however_long() -> None:
    outcome = programs.run(["wc", "-c"], 20, input=b"x" * 1_000_000)
    assert outcome.stdout.strip() == "1000000"


def test_a_program_that_reads_no_input_is_no_fault() -> None:
    assert programs.run(["true"], 10, input=b"x" * 1_000_000).rc == 0


def test_the_environment_is_added_to_and_the_directory_is_the_root() -> None:
    outcome = programs.run(["sh", "-c", "echo $X $PWD"], 10, env={"X": "there"})
    assert outcome.stdout == "there /\n"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(Unavailable, match=r"/no/haproxy: cannot be started: .*No such file"):
        programs.run(["/no/haproxy", "-c"], 10)


def test_a_program_past_its_time_is_ended_with_its_children_and_quoted() -> None:
    script = "echo started; sleep 987 & echo $! >&2; wait"
    with pytest.raises(Unavailable, match=r"did not end within 0\.3 s and was killed") as late:
        programs.run(["sh", "-c", script], 0.3)
    child = int(str(late.value).rsplit(" ", 1)[1])
    wait_until("the child to go", lambda: not _alive(child))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_program_that_ignores_the_polite_signal_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    with pytest.raises(Unavailable, match="was killed"):
        programs.run(python(code), 1.0)


def test_a_program_that_runs_beside_other_work_tells_its_outcome_when_it_is_asked() -> None:
    running = programs.start(["sh", "-c", "echo out; exit 3"])
    wait_until("its end", lambda: not _alive(running.pid), timeout=20)
    outcome = running.outcome(20)
    assert (outcome.rc, outcome.stdout) == (3, "out\n")
    running.end()  # too late to change anything


def test_a_program_whose_outcome_nobody_wants_any_more_is_ended() -> None:
    running = programs.start(["sleep", "987"])
    running.end()
    assert not psutil.pid_exists(running.pid)


def test_a_daemon_left_behind_on_purpose_holds_nobody_up() -> None:
    began = time.monotonic()
    outcome = programs.run(["sh", "-c", "sleep 60 & echo $!"], 60)
    assert time.monotonic() - began < 30
    child = psutil.Process(int(outcome.stdout))
    assert child.is_running(), "a command may start something that stays"
    child.kill()


def test_output_without_end_is_read_but_not_kept() -> None:
    outcome = programs.run(python("print('x' * 5_000_000)"), 30)
    assert len(outcome.stdout) == programs.OUTPUT_LIMIT


def test_the_program_has_a_session_of_its_own() -> None:
    outcome = programs.run(python("import os; print(os.getsid(0) == os.getpid())"), 10)
    assert outcome.stdout == "True\n"
