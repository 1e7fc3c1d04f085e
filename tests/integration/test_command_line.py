"""The command line as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import launch
from harness.wait import wait_until
from lbsync.errors import Exit

#: What takes long to load, and is not needed by everybody.
HEAVY = {
    "asyncio", "cryptography", "etcd3", "grpc", "jinja2", "psutil", "re2", "structlog", "watchdog", "yaml",
}  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "needed"),
    [
        ("version", set()),
        ("--version", set()),
        ("--help", set()),
        ("status", set()),
        ("render --dry-run", {"jinja2"}),
        ("service ls", set()),
    ],
)
def test_a_command_waits_for_no_library_that_it_does_not_need(
    argv: str, needed: set[str], tmp_path: Path
) -> None:
    (tmp_path / "services" / "shop").mkdir(parents=True)
    service = '{"mode": "http", "hosts": ["cart.example.com"]}'
    (tmp_path / "services" / "shop" / "cart.json").write_text(service)
    code = (
        "import sys\n"
        "from lbsync.cli import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit: pass\n"
        "print('loaded:', *set(sys.argv[1].split()) & sys.modules.keys())\n"
    )
    avoided = HEAVY - needed | ({"msgspec"} if argv == "--help" else set())
    flags = ["--state-dir", str(tmp_path), "--source", f"file:{tmp_path}"]

    ended = subprocess.run(
        [sys.executable, "-c", code, " ".join(avoided), *flags, *argv.split()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ended.stdout.splitlines()[-1] == "loaded:"


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


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_the_output_is_a_sentence(unbuffered: str) -> None:
    argv = [sys.executable, "-m", "lbsync", "version"]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            argv,
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert ended.returncode == Exit.FAILED
    assert ended.stderr == "lbsync: the output cannot be written (No space left on device)\n"


def test_a_watch_tells_what_is_new_and_ends_with_its_reader(tmp_path: Path) -> None:
    """Also while there is nothing to write: it would stay for ever behind a `| head` that has gone."""
    words = ["status", "--watch", "--state-dir", str(tmp_path)]
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        process = launch.start(words, stdout=end, stderr=end, environ=os.environ)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        said = b""
        while not said.endswith(b"\n"):
            said += pipe.read(1)
    assert b" unknown: " in said
    assert b"no agent has run with this state_dir yet" in said
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_services_and_servers_are_listed_as_they_change(tmp_path: Path) -> None:
    """Of files, whose hosts nobody can ask how they do."""

    def write(name: str, value: object) -> None:
        path = tmp_path / "source" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(value))
        new.rename(path)

    def put(*names: str, state: str = "up") -> None:
        told = [{"name": n, "address": "10.0.0.1", "port": 1, "state": state} for n in names]
        write("endpoints/a/b/main", {"servers": told})

    write("services/a/b", {"mode": "http", "hosts": ["b.example"]})
    put("one")
    lists = {"service": ["service", "ls", "a"], "server": ["server", "ls", "a/b"]}
    said = {name: tmp_path / name for name in lists}
    running = []
    for name, words in lists.items():
        with said[name].open("wb") as out:
            words += ["--watch", "--source", f"file:{tmp_path / 'source'}"]
            running.append(launch.start(words, stdout=out, stderr=out, environ=os.environ))
    try:
        wait_until("both", lambda: all(file.read_text() for file in said.values()), timeout=30)
        put("one", "two", state="drain")
        wait_until(
            "the change",
            lambda: "a/b: mode http, servers main:2" in said["service"].read_text(),
            timeout=30,
        )
        wait_until("the other", lambda: "main/two" in said["server"].read_text(), timeout=30)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert "Z a/b: mode http, servers main:1, reached by b.example\n" in said["service"].read_text()
    assert (
        "main/one: group main, address 10.0.0.1:1, state drain, weight 1\n"
        in said["server"].read_text()
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(closed: str, tmp_path: Path) -> None:
    """Nor does what is said go into a file that happens to be opened next."""
    file = tmp_path / "services" / "a" / "b.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"mode": "http", "hosts": ["b.example"]}')
    words = f"{sys.executable} -m lbsync service put a/b --host c.example --source file:{tmp_path}"

    ended = subprocess.run(
        ["sh", "-c", f"{words} {closed}"], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert json.loads(file.read_text()) == {"mode": "http", "hosts": ["c.example"]}
