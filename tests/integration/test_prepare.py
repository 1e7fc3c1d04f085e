"""`lbsync prepare` as the drop-in of haproxy.service runs it: HAProxy never waits for it in vain."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness import launch
from harness.haproxy import debian
from tests.conftest import demand


class Prepared:
    """A host where nothing runs; settings are written as a test wants them."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.file = directory / "lbsync.toml"
        binary = debian()
        demand(binary is not None, "HAProxy")
        self.good = (
            f'state_dir = "{self.state}"\n[haproxy]\nbinary = "{binary}"\nuser = ""\ngroup = ""\n'
            f'stats_socket = "{directory / "stats.sock"}"\nreload_timeout = "1s"\nlog_target = ""\n'
        )
        self.file.write_text(self.good)

    def run(
        self, *words: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = ["--config", str(self.file), "prepare", *words]
        return launch.run(argv, environ={**os.environ, **(environ or {})}, timeout=60)


@pytest.fixture
def host(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path)


@pytest.fixture
def live(host: Prepared) -> Prepared:
    """One with a live generation."""
    made = host.run()
    assert made.returncode == 0, made.stderr
    return host


@pytest.fixture
def locked(host: Prepared) -> Iterator[None]:
    """Somebody else reloads for a long time."""
    host.state.mkdir(exist_ok=True)
    with (host.state / "reload.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


WRONG = {
    "an unknown key": lambda host: host.good + "nonsense = 1\n",
    "a wrong value": lambda host: host.good.replace('"1s"', '"1"'),
    "a contradiction": lambda host: host.good + 'reload = "command"\n',
    "a directory of templates that is gone": lambda host: (
        host.good + '[templates]\ndirectory = "/nowhere/at/all"\n'
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_do_not_matter_where_a_generation_is_live(live: Prepared, name: str) -> None:
    live.file.write_text(WRONG[name](live))

    ended = live.run()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "is live" in ended.stdout


@pytest.mark.parametrize("name", WRONG)
def test_at_a_first_start_wrong_settings_are_told(host: Prepared, name: str) -> None:
    host.file.write_text(WRONG[name](host))

    ended = host.run()

    assert ended.returncode == 4
    assert ended.stderr.startswith("lbsync: ")
    assert not (host.state / "live").exists()


def test_a_file_that_is_no_toml_leaves_the_place_to_the_variable(live: Prepared) -> None:
    live.file.write_text("[haproxy\n")
    assert live.run(environ={"LBSYNC_STATE_DIR": str(live.state)}).returncode == 0
    assert live.run("--state-dir", str(live.state)).returncode == 0
    elsewhere = live.run("--state-dir", str(live.state / "other"))
    assert elsewhere.returncode == 4
    assert "this is no TOML" in elsewhere.stderr


def test_a_lock_that_somebody_holds_is_not_waited_for_where_a_generation_is_live(
    live: Prepared, locked: None
) -> None:
    assert live.run().returncode == 0


def test_at_a_first_start_the_lock_is_waited_for_and_named(host: Prepared, locked: None) -> None:
    ended = host.run()

    assert ended.returncode == 8
    assert "reload.lock: another process has held the reload lock for 1 s" in ended.stderr


def test_a_state_directory_that_cannot_be_made_is_named(host: Prepared) -> None:
    host.state.write_text("in the way")

    ended = host.run()

    assert ended.returncode == 1
    assert f"lbsync: {host.state}: cannot be made (File exists)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_live_link_without_its_file_is_no_live_generation(live: Prepared) -> None:
    (live.state / "live" / "haproxy.cfg").unlink()
    live.file.write_text(live.good + "nonsense = 1\n")

    assert live.run().returncode == 4
