"""A process from the fork server is to its test what a new Python is."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import launch

#: Tells all that a process can see of how it was started.
TELL = """
import json, os, signal, sys, threading
print(json.dumps([
    sys.argv[1:], os.getcwd(), dict(os.environ), sys.stdin.read(), __name__,
    str(signal.getsignal(signal.SIGINT)), sorted(os.listdir("/proc/self/fd"))[:3],
    len(os.listdir("/proc/self/fd")), len(threading.enumerate()), os.getppid() != os.getpid(),
]))
"""


@pytest.fixture(params=["forked", "new"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "new":
        monkeypatch.setattr(launch, "_servers", [])


def test_it_sees_what_a_new_one_would_see(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_TEST", "é 1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    forked = launch.run(["a", "b c"], code=TELL)
    assert forked.stdout, forked.stderr
    monkeypatch.setattr(launch, "_servers", [])
    assert forked.stdout == launch.run(["a", "b c"], code=TELL).stdout


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("code", "ended", "out", "err"),
    [
        ("import sys; print(1); sys.exit(7)", 7, "1\n", ""),
        ("raise SystemExit('why')", 1, "", "why\n"),
        ("import atexit; atexit.register(print, 'end')", 0, "end\n", ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "", ""),
    ],
)
def test_its_end_is_told_as_it_was(code: str, ended: int, out: str, err: str) -> None:
    done = launch.run([], code=code)
    assert (done.returncode, done.stdout, done.stderr) == (ended, out, err)


@pytest.mark.usefixtures("way")
def test_one_that_runs_for_too_long_is_killed(tmp_path: Path) -> None:
    code = "import os, sys, time\nopen(sys.argv[1], 'w').write(str(os.getpid()))\ntime.sleep(60)"
    told = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        launch.run([str(told)], code=code, timeout=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


@pytest.mark.usefixtures("way")
def test_several_run_at_once_and_are_signalled_apart(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        code = "import signal; signal.pause()"
        first, second = (launch.start([], stdout=out, stderr=out, code=code) for _ in range(2))
        assert first.poll() is None
        second.send_signal(signal.SIGKILL)
        assert second.wait(30) == -signal.SIGKILL
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == -signal.SIGTERM
        first.send_signal(signal.SIGTERM)


def test_variables_that_python_reads_when_it_begins_have_their_effect() -> None:
    done = launch.run([], code="print(__debug__)", environ={**os.environ, "PYTHONOPTIMIZE": "1"})
    assert done.stdout == "False\n"
