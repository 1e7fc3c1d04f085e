"""Requests of operators: what they ask is logged as what it is, and by whom."""

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from lbsync import log
from lbsync.agent.control import Control, Request
from lbsync.cli.context import invoker

NOW = "2026-01-01T00:00:00Z"
ANN, BOB = "ann (uid 1000)", "bob (uid 1001)"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    log.setup(style="json", stream=stream)
    yield stream
    structlog.reset_defaults()


def told(stream: io.StringIO) -> list[str]:
    found = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    stream.truncate(0)
    stream.seek(0)
    return found


def test_a_drain_and_its_end_are_logged_once_and_by_whom(
    tmp_path: Path, lines: io.StringIO
) -> None:
    control = Control(tmp_path)
    for _ in range(2):
        control.asked()
    assert told(lines) == []
    control.set("drain", Request("kernel update", NOW, ANN))
    for _ in range(2):
        assert control.asked().draining == "kernel update"
    assert told(lines) == [f"drained: kernel update, asked by {ANN}"]
    assert control.withdraw("drain", BOB)
    for _ in range(2):
        assert control.asked().draining == ""
    assert told(lines) == [f"no longer drained, asked by {BOB}"]
    assert not control.withdraw("drain", BOB)
    assert [path.name for path in (tmp_path / "control").iterdir()] == []


def test_another_reason_is_another_drain(tmp_path: Path, lines: io.StringIO) -> None:
    control = Control(tmp_path)
    control.set("drain", Request("kernel", NOW, ANN))
    control.asked()
    control.set("drain", Request("disk", NOW, BOB))
    control.asked()
    assert told(lines)[1] == f"drained: disk, asked by {BOB}"


def test_a_rollback_and_a_release_are_logged_by_whom(tmp_path: Path, lines: io.StringIO) -> None:
    control = Control(tmp_path)
    control.set("rollback", Request("abc123", NOW, ANN))
    control.asked()
    control.withdraw("rollback", BOB)
    control.asked()
    control.set("release", Request("all", NOW, BOB))
    control.carried_out("release")
    control.carried_out("release")
    assert told(lines) == [
        f"rolled back to generation abc123, asked by {ANN}",
        f"follows the source again, asked by {BOB}",
        f"what was set by hand is released, asked by {BOB}",
    ]


def test_a_request_without_a_name_is_that_of_its_file(tmp_path: Path, lines: io.StringIO) -> None:
    control = Control(tmp_path)
    control.set("drain", Request("x", NOW))
    control.asked()
    uid = (tmp_path / "control" / "drain").stat().st_uid
    (tmp_path / "control" / "drain").unlink()
    control.asked()
    assert told(lines) == [f"drained: x, asked by uid {uid}", "no longer drained"]


def test_who_asks_is_known_by_login_or_by_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "0")
    login = Path("/proc/self/loginuid").read_text().strip()
    if login != str(2**32 - 1):
        assert invoker().endswith(f"uid {login})") or invoker() == f"uid {login}"
        return
    assert invoker() == "root (uid 0)"
    monkeypatch.setenv("SUDO_UID", "54321")
    assert invoker() == "uid 54321"
    monkeypatch.setenv("SUDO_UID", "nonsense")
    assert invoker() == "uid nonsense"


@pytest.mark.parametrize("way", ["the agent", "a command"])
def test_nobody_else_may_ask_this_host_for_anything_whatever_the_umask(
    tmp_path: Path, way: str
) -> None:
    before = os.umask(0)
    try:
        control = Control(tmp_path)
        if way == "the agent":
            control.recreate()
        else:
            control.set("drain", Request("kernel", "2026-01-01T00:00:00Z"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(control.path.stat().st_mode) & stat.S_IRWXO == 0
