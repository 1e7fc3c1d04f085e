"""The status file: whole at any time, and marked when it cannot be renewed."""

import contextlib
import fcntl
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import liveness, log, status
from lbsync.errors import LbsyncError, Unavailable
from lbsync.status import LastPass, Quarantined, SourceStatus, Status, Writer
from lbsync.timestamps import ago


def a_status(**changes: object) -> Status:
    base = Status(
        state="confirmed",
        host="lb-1",
        pid=os.getpid(),
        pid_namespace=liveness.pid_namespace(),
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
    Writer(tmp_path).write(a_status())

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
        Writer(tmp_path / "absent").write(a_status())


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file of this process grows beyond ten bytes: EFBIG stands in for ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def fail_to_renew(writer: Writer) -> None:
    with no_room(), pytest.raises(LbsyncError, match=r"cannot be written \(File too large\)"):
        writer.write(a_status(state="failing"))


def test_a_status_that_cannot_be_renewed_is_marked_until_it_is(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write(a_status())
    written_at = (tmp_path / status.FILE).stat().st_mtime
    assert not status.read(tmp_path).outdated

    fail_to_renew(writer)
    fail_to_renew(writer)

    assert status.read(tmp_path) == a_status(outdated=True)
    assert status.read(tmp_path).outdated, "a reader does not take the mark away"
    assert (tmp_path / status.FILE).stat().st_mtime == written_at, "a read-only disk keeps that"
    writer.write(a_status(state="failing"))
    assert status.read(tmp_path) == a_status(state="failing")


def test_readers_are_no_mark_and_keep_it_off_for_one_write_only(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write(a_status())
    with (tmp_path / status.FILE).open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert not status.read(tmp_path).outdated
        fail_to_renew(writer)
        assert not status.read(tmp_path).outdated
    fail_to_renew(writer)
    assert status.read(tmp_path).outdated


@given(st.binary(max_size=200))
def test_no_bytes_in_the_file_break_the_reader(tmp_path_factory: object, data: bytes) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    folder = tmp_path_factory.getbasetemp()
    (folder / status.FILE).write_bytes(data)

    with pytest.raises(Unavailable):
        status.read(folder)


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
