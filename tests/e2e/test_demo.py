"""`make demo` is the first thing people see: it must end by itself, prove each step, leave nothing."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.wait import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _daemons() -> None:
    missing = [name for name in ("haproxy", "etcd", "etcdctl") if shutil.which(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def start(tmp_path: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def leftovers(tmp_path: Path) -> list[str]:
    """Return the command lines of processes that were started with files in `tmp_path`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(tmp_path) in words:
            found.append(words)
    return found


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one: the demo puts Unix sockets below it."""
    return tmp_path_factory.mktemp("d")


def test_the_demo_proves_every_step_ends_by_itself_and_leaves_nothing(short_path: Path) -> None:
    demo = start(short_path)
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    assert "FAILED" not in said
    assert re.findall(r"^(\d)\. ", said, re.MULTILINE) == list("12345678")
    assert re.search(r"none failed", said)
    assert "\x1b" not in said, "colours are for terminals"
    # Locks of ports stay: another run may be about to take them.
    assert [path for path in short_path.iterdir() if "lbsync-ports-" not in path.name] == []
    assert leftovers(short_path) == []


def test_a_demo_that_is_kept_can_be_played_with_and_ends_with_an_interrupt(
    short_path: Path,
) -> None:
    demo = start(short_path, KEEP="1")
    assert demo.stdout
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line)
        if "get --prefix" in line:
            break
    commands = [line.split("$ ", 1)[1].strip() for line in lines if line.startswith("   $ ")]
    assert len(commands) >= 5, "".join(lines)

    def works(command: str) -> bool:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    for command in commands:
        wait_until(f"{command} to work", functools.partial(works, command), timeout=60, every=0.2)
    demo.send_signal(signal.SIGINT)
    try:
        rest, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 0, rest
    assert leftovers(short_path) == []


def test_a_demo_that_is_stopped_from_outside_takes_its_daemons_along(short_path: Path) -> None:
    demo = start(short_path)
    wait_until("the daemons to start", lambda: len(leftovers(short_path)) >= 2, timeout=60)
    demo.send_signal(signal.SIGTERM)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "interrupted" in said
    assert leftovers(short_path) == []


def test_a_step_that_fails_makes_the_demo_fail_and_keeps_the_logs(short_path: Path) -> None:
    """With an etcdctl that refuses to write."""
    bin_ = short_path / "bin"
    bin_.mkdir()
    real = shutil.which("etcdctl")
    shim = f'case "$*" in *" put "*) echo permission denied >&2; exit 1;; esac; exec {real} "$@"'
    (bin_ / "etcdctl").write_text(f"#!/bin/sh\n{shim}\n")
    (bin_ / "etcdctl").chmod(0o755)
    environ = {"PATH": f"{bin_}:{os.environ['PATH']}", "LBSYNC_PREFIX": "/of-another-agent/"}
    demo = start(short_path, **environ)
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 1
    assert "permission denied" in said
    (kept,) = re.findall(r"the logs are kept in (\S+)", said)
    assert (Path(kept) / "lb-1/agent.log").stat().st_size > 0
    assert leftovers(short_path) == []
