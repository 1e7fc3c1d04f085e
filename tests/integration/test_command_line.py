"""The command line as a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("argv", [["version"], ["--version"], ["--help"]])
def test_version_and_help_do_not_wait_for_heavy_libraries(argv: list[str]) -> None:
    code = (
        "import sys\n"
        "from lbsync.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'etcd3', 'jinja2', 'structlog', 'psutil', 'watchdog', 'yaml'}\n"
        "sys.exit(' '.join(heavy & sys.modules.keys()) or None)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False
    )

    assert ended.stderr == ""
    assert ended.returncode == 0


def test_a_reader_that_has_enough_is_no_fault() -> None:
    argv = [sys.executable, "-m", "lbsync", "render", "--dry-run", "--source", "file:examples/shop"]
    root = Path(__file__).parents[2]

    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, text=True
    ) as writer:
        assert writer.stdout and writer.stderr
        writer.stdout.close()
        complaints = writer.stderr.read()

    assert complaints == ""
    assert writer.returncode == 128 + signal.SIGPIPE
