"""Failures of the voice are spoken of once, and tried again ever more rarely."""

import time
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from lbsync.agent.report.fleet_reporter import FleetReporter
from lbsync.agent.report.lease_writes import WriteRetry
from lbsync.clients.source import Put
from lbsync.errors import Unavailable
from lbsync.model.health import WatcherRecord
from lbsync.schema.decode import encode
from lbsync.schema.health import watcher_key
from lbsync.settings import load
from lbsync.status import Status
from tests.fakes import FakeSource

DENIED = Unavailable("permission denied")


def test_a_lasting_failure_is_said_once_and_its_end_too() -> None:
    retry = WriteRetry("tell the fleet")
    with capture_logs() as logs:
        for _ in range(100):
            retry.failed(DENIED, is_logged=True)
        assert [entry["log_level"] for entry in logs] == ["warning"]
        assert "cannot tell the fleet: permission denied" in logs[0]["event"]
        assert 25 < retry.until - time.monotonic() <= 30

        retry.succeeded()
        retry.succeeded()
        assert [entry["event"] for entry in logs[1:]] == ["can tell the fleet again"]
        assert retry.until == 0.0


def test_a_single_failure_and_those_of_a_store_that_is_away_are_not_said() -> None:
    retry = WriteRetry("tell the fleet")
    with capture_logs() as logs:
        retry.failed(DENIED, is_logged=True)
        retry.succeeded()
        for _ in range(10):
            retry.failed(DENIED, is_logged=False)
        retry.succeeded()
    assert logs == []


def test_an_agent_whose_passes_do_not_end_is_failing_to_the_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = msgspec.structs.replace(load(None, environ={}), state_dir=str(tmp_path))
    fleet = FleetReporter(settings, FakeSource())
    well = Status(state="confirmed", host="a", pid=1, pid_namespace="", written_at=1000.0)
    fleet.note(well)
    assert fleet.current.record(well).state == "confirmed"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 121.0)
    record = fleet.current.record(well)
    assert (record.state, record.error) == (
        "failing", "no pass has ended since 1970-01-01T00:16:40Z",
    )  # fmt: skip


def test_what_was_proved_ahead_of_the_pass_is_told_until_that_pass_has_ended(
    tmp_path: Path,
) -> None:
    settings = msgspec.structs.replace(load(None, environ={}), state_dir=str(tmp_path))
    fleet = FleetReporter(settings, FakeSource())
    well = Status(
        state="confirmed",
        host="a",
        pid=1,
        pid_namespace="",
        written_at=1.0,
        revision=5,
        generation=3,
    )
    fleet.note(well)
    fleet.note_ahead(0)
    assert fleet.current.record(well).revision == 5
    fleet.note_ahead(8)
    record = fleet.current.record(well)
    assert (record.revision, record.seen, record.generation) == (8, 8, 3)
    failing = msgspec.structs.replace(well, state="failing", error="the disk is full")
    fleet.note(failing)
    assert fleet.current.record(failing).revision == 5
    fleet.note_ahead(9)
    assert fleet.current.record(failing).revision == 5


def test_nobody_waits_for_what_is_proved_already(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(load(None, environ={}), state_dir=str(tmp_path))
    source = FakeSource()
    fleet = FleetReporter(settings, source)
    status = Status(state="confirmed", host="a", pid=1, pid_namespace="", written_at=1.0)
    changed = source.put("routes/shop/cart", b"{}")
    asked = encode(WatcherRecord(revision=changed))
    source.commit([], [Put(watcher_key("one"), asked, source.lease(60).id)])
    assert not fleet.current.is_awaited()  # no pass has ended
    fleet.note(msgspec.structs.replace(status, revision=changed - 1))
    assert fleet.current.is_awaited()
    fleet.note_ahead(changed)
    assert not fleet.current.is_awaited()
    fleet.note(msgspec.structs.replace(status, revision=changed - 1))
    assert fleet.current.is_awaited()
    fleet.note(msgspec.structs.replace(status, revision=changed))
    assert not fleet.current.is_awaited()
