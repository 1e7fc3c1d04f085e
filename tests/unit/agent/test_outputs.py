"""The installed files' own thread: what it begins, and what it tells of."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.wait import wait_until
from lbsync.agent.install import InstallResult
from lbsync.agent.outputs import Outputs
from lbsync.settings import Output, Settings
from lbsync.settings.general import Agent
from lbsync.values.basic import Command, Duration

WAIT_S = 10.0


class Bench:
    """Outputs in one directory, and a wake that can be waited for."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "one.conf"
        self.settings = Settings(
            agent=Agent(retry_min=Duration(10), retry_max=Duration(20)),
            outputs=(Output("t", str(self.path)), Output("t", "inside.map")),
        )
        self.outputs = Outputs(self.settings)
        self.woken = threading.Event()

    def watch(self) -> "Bench":
        self.outputs.watch(self.woken.set)
        return self

    def bring(self, text: bytes) -> InstallResult:
        self.outputs.update({str(self.path): text})
        return self.outputs.result()

    def news(self, text: bytes) -> InstallResult:
        """Wait for the wake, and return what the pass after it hears."""
        assert self.woken.wait(WAIT_S)
        self.woken.clear()
        return self.bring(text)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.outputs.close()


def test_before_the_watch_it_is_done_at_once(bench: Bench) -> None:
    assert bench.bring(b"1") == InstallResult((str(bench.path),), ())
    assert bench.path.read_bytes() == b"1"
    assert bench.bring(b"1") == InstallResult((), ())


def test_afterwards_the_next_pass_hears_of_it_once(bench: Bench) -> None:
    bench.watch()
    assert bench.bring(b"1") == InstallResult((), ())
    assert bench.news(b"1") == InstallResult((str(bench.path),), ())
    assert bench.bring(b"1") == InstallResult((), ())
    assert bench.outputs.waits() == []


def test_what_somebody_changed_is_put_right_although_the_text_is_as_before(bench: Bench) -> None:
    bench.watch().bring(b"1")
    bench.news(b"1")
    bench.outputs.close()
    bench = Bench(bench.path.parent).watch()
    bench.path.write_bytes(b"by hand")
    bench.bring(b"1")
    assert bench.news(b"1").changed == (str(bench.path),)
    bench.outputs.close()


def test_a_failure_stands_until_a_try_succeeds_and_is_not_tried_with_every_pass(
    bench: Bench, tmp_path: Path
) -> None:
    bench.path.mkdir()
    bench.watch().bring(b"1")
    failed = bench.news(b"1").failed
    assert len(failed) == 1
    assert str(bench.path) in failed[0]
    assert 0 <= bench.outputs.waits()[0] <= 0.02
    bench.path.rmdir()
    tries: list[InstallResult] = []

    def is_done() -> bool:
        tries.append(bench.bring(b"1"))
        return bool(tries[-1].changed)

    wait_until("a try to succeed", is_done, every=0.005)
    assert {told.failed for told in tries[:-1]} <= {failed, ()}
    assert tries[-1] == InstallResult((str(bench.path),), ())
    assert bench.outputs.waits() == []


def test_an_end_leaves_nothing_behind_and_may_come_twice(bench: Bench) -> None:
    bench.watch().bring(b"1")
    bench.outputs.close()
    bench.outputs.close()
    assert bench.path.read_bytes() == b"1"
    assert [t for t in threading.enumerate() if t.name.startswith("outputs")] == []


def test_an_unforeseen_error_is_raised_in_the_pass_after(bench: Bench) -> None:
    """A path that no system call takes: nothing that `install` expects."""
    bad = Output("t", "/no\0path")
    bench.outputs.configure(Settings(agent=bench.settings.agent, outputs=(bad,)))
    bench.watch().outputs.update({bad.path: b"1"})
    assert bench.woken.wait(WAIT_S)
    bench.woken.clear()
    with pytest.raises(ValueError, match="null"):
        bench.outputs.result()
    bench.outputs.configure(bench.settings)
    bench.bring(b"1")
    assert bench.news(b"1").changed == (str(bench.path),)


def test_a_command_that_fails_puts_the_old_text_back(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_bytes(b"old")
    output = Output("t", str(path), reload=Command(("/bin/false",)))
    outputs = Outputs(Settings(outputs=(output,)))
    outputs.update({str(path): b"new"})
    told = outputs.result()
    assert "its reload command failed" in told.failed[0]
    assert path.read_bytes() == b"old"


def test_a_fault_is_told_although_another_round_ended_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a reload waits, or the source is away: such passes install, and ask for no result."""

    def burst(*_: object) -> InstallResult:
        raise ZeroDivisionError("unforeseen")

    bench.watch()
    monkeypatch.setattr("lbsync.agent.outputs.install", burst)
    bench.outputs.update({str(bench.path): b"1"})
    assert bench.woken.wait(WAIT_S)
    bench.woken.clear()
    monkeypatch.undo()
    bench.outputs.update({str(bench.path): b"2"})
    assert bench.woken.wait(WAIT_S)
    bench.outputs.update({str(bench.path): b"2"})
    with pytest.raises(ZeroDivisionError):
        bench.outputs.result()
    assert bench.outputs.result() == InstallResult((str(bench.path),), ())
