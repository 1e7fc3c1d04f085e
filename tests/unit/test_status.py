"""The status file: whole at any time, and not believed when its writer is gone."""

import os
import resource
import signal
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wait import wait_until
from lbsync import log, status
from lbsync.errors import LbsyncError, Unavailable
from lbsync.status import LastPass, Quarantined, SourceStatus, Status
from lbsync.timestamps import ago


def a_status(**changes: object) -> Status:
    base = Status(
        state="confirmed",
        host="lb-1",
        pid=os.getpid(),
        pid_namespace=status.pid_namespace(),
        written_at=1000.0,
        every=300.0,
        revision=7,
        digest="abc",
        source=SourceStatus(True, "watching", 900.0),
        quarantined=(Quarantined("services/a/b", "mode: required, but missing", "a/b"),),
        last_pass=LastPass("revision 7 is served", 1000.0, 0.1, {"render": 0.01}),
    )
    return msgspec.structs.replace(base, **changes)


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    status.write(tmp_path, a_status())

    assert status.read(tmp_path) == a_status()
    assert stat.S_IMODE((tmp_path / status.FILE).stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [status.FILE]


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no agent has run"):
        status.read(tmp_path)
    (tmp_path / status.FILE).write_text('{"state": "fine"}')
    with pytest.raises(Unavailable, match="restart the agent"):
        status.read(tmp_path)
    with pytest.raises(LbsyncError, match="cannot be written"):
        status.write(tmp_path / "absent", a_status())


def test_a_status_that_a_full_disk_keeps_from_being_renewed_is_doubted_at_once(
    tmp_path: Path,
) -> None:
    well = a_status(pid_namespace="of another container")
    status.write(tmp_path, well)
    assert status.doubt(status.read(tmp_path), 1000.0) == ""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # EFBIG stands in for ENOSPC
    try:
        with pytest.raises(LbsyncError, match="cannot be written: File too large"):
            status.write(tmp_path, msgspec.structs.replace(well, state="failing"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    found = status.read(tmp_path)
    assert found.state == "confirmed"
    assert "cannot write its status, as on a full disk" in status.doubt(found, 1000.0)
    status.write(tmp_path, msgspec.structs.replace(well, state="failing"))
    assert status.doubt(status.read(tmp_path), 1000.0) == ""


@given(st.binary(max_size=200))
def test_no_bytes_in_the_file_break_the_reader(tmp_path_factory: object, data: bytes) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    folder = tmp_path_factory.getbasetemp()
    (folder / status.FILE).write_bytes(data)

    with pytest.raises(Unavailable):
        status.read(folder)


def test_a_status_is_believed_while_its_agent_lives_and_writes() -> None:
    alive = a_status(pid_namespace="another container")

    assert status.doubt(alive, 1001.0) == ""
    assert "is silent; the status was written 17 min ago" in status.doubt(alive, 2000.0)


def test_a_status_whose_process_is_gone_is_not_believed() -> None:
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    os.waitpid(child, 0)

    assert "is not running" in status.doubt(a_status(pid=child), 1001.0)


def test_a_process_number_that_another_program_got_is_not_the_agent() -> None:
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)
    try:
        wait_until("sleep", lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes())

        assert "is not running" in status.doubt(a_status(pid=child), 1001.0)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_an_agent_that_lives_is_recognised_by_its_command_line() -> None:
    child = os.posix_spawn("/bin/sleep", ["lbsync agent", "60"], os.environ)
    try:
        wait_until("sleep", lambda: b"lbsync" in Path(f"/proc/{child}/cmdline").read_bytes())

        assert status.doubt(a_status(pid=child), 1001.0) == ""
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_times_are_shown_with_their_age() -> None:
    assert ago(0.0) == "never"
    assert ago(1000.0, 1004.0) == "1970-01-01 00:16:40 UTC (4 s ago)"
    assert ago(1000.0, 8200.0).endswith("(2 h ago)")


def test_the_end_of_a_certificate_is_told_thirty_days_ahead() -> None:
    day, now = 86400.0, 1_700_000_000.0
    ends = {"late": now + 31 * day, "soon": now + 29.5 * day, "old": now - day}
    assert status.ending(ends, now) == [
        "old expired on 2023-11-13 22:13 UTC: renew it",
        f"soon expires on 2023-12-14 10:13 UTC, in {log.span(29.5 * day)}: renew it",
    ]
