"""What a log line looks like, and how few of them a lasting failure makes."""

import io
import json
import logging
import os
import re
import socket
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from lbsync import log
from lbsync.log import journal


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_that_is_piped_is_one_json_object_with_a_utc_time() -> None:
    stream = io.StringIO()
    log.setup(stream=stream)

    log.get().info("served revision 7 → ok", revision=7)

    (line,) = lines_of(stream)
    assert line["event"] == "served revision 7 → ok"
    assert line["revision"] == 7
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_of_a_subject_only_what_was_not_said_last_is_news() -> None:
    news = log.OnChange(most=2)
    assert [news.is_new("a", text) for text in ("one", "one", "two")] == [True, False, True]
    assert news.is_new("b", "one")
    assert news.keep({"b"}) == {"a"}
    assert news.is_new("a", "two"), "it was well in between"
    assert news.is_new("c"), "what was said longest ago makes room"
    assert news.is_new("b", "one")


def test_a_terminal_gets_colours_and_a_pipe_does_not() -> None:
    terminal, pipe = Terminal(), io.StringIO()

    log.setup(stream=terminal)
    log.get().info("hello")
    log.setup(style="console", stream=pipe)
    log.get().info("hello")

    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in pipe.getvalue()
    assert "hello" in pipe.getvalue()


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    log.setup("warning", stream=stream)

    log.get().info("quiet")
    log.get().warning("loud")

    assert [line["event"] for line in lines_of(stream)] == ["loud"]


def test_warnings_of_libraries_come_in_the_same_format() -> None:
    stream = io.StringIO()
    log.setup("error", stream=stream)
    logging.getLogger("watchdog").warning("hidden")
    log.setup("debug", stream=stream)
    logging.getLogger("watchdog").info("hidden")
    logging.getLogger("watchdog").warning("inotify limit of %d", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old api", DeprecationWarning, stacklevel=1)

    first, second = lines_of(stream)
    assert (first["event"], first["logger"]) == ("inotify limit of 5", "watchdog")
    assert "old api" in str(second["event"])


def test_an_exception_is_written_with_its_traceback() -> None:
    stream = io.StringIO()
    log.setup(stream=stream)

    try:
        raise RuntimeError("boom")
    except RuntimeError:
        log.get().exception("a pass broke")

    (line,) = lines_of(stream)
    assert "RuntimeError: boom" in str(line["exception"])


def test_a_failure_that_lasts_an_hour_makes_about_one_line_a_minute() -> None:
    stream, clock = io.StringIO(), Clock()
    log.setup(stream=stream)
    failing = log.Failing("etcd fails", "etcd works again", clock=clock)

    for _ in range(3600):
        failing.failed("connection refused")
        clock.now += 1
    failing.recovered()

    events = [str(line["event"]) for line in lines_of(stream)]
    assert events[0] == "etcd fails: connection refused"
    assert events[1:4] == [
        "etcd fails since 2 s: connection refused",
        "etcd fails since 6 s: connection refused",
        "etcd fails since 14 s: connection refused",
    ]
    assert events[-1] == "etcd works again after 60 min"
    assert 60 <= len(events) <= 70


def test_another_message_of_the_same_failure_is_logged_once_at_once() -> None:
    stream, clock = io.StringIO(), Clock()
    log.setup(stream=stream)
    failing = log.Failing("the pass fails", "the pass works", clock=clock)

    for error in ("a", "b", "a", "b", "a"):
        failing.failed(error)

    assert len(lines_of(stream)) == 2
    assert failing.since == 1000.0
    assert failing.error == "a"


def test_messages_that_never_repeat_do_not_flood_either() -> None:
    stream, clock = io.StringIO(), Clock()
    log.setup(stream=stream)
    failing = log.Failing("the pass fails", "the pass works", clock=clock)

    for number in range(1000):
        failing.failed(f"error {number}")

    assert len(lines_of(stream)) <= 20


def test_success_without_a_failure_before_says_nothing() -> None:
    stream = io.StringIO()
    log.setup(stream=stream)
    failing = log.Failing("the pass fails", "the pass works", clock=Clock())

    failing.recovered()

    assert stream.getvalue() == ""
    assert failing.since is None


def test_a_full_disk_costs_the_line_and_the_next_one_tells_how_many(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as file, Path("/dev/full").open("w") as full:
        there = os.dup(file.fileno())
        log.setup(stream=file)
        os.dup2(full.fileno(), file.fileno())
        log.get().info("lost")
        log.get().error("lost, too")
        os.dup2(there, file.fileno())
        os.close(there)
        log.get().info("told")
        written = (tmp_path / "log").read_text().splitlines()
    assert written[0] == "2 lines of this log could not be written"
    assert [json.loads(line)["event"] for line in written[1:]] == ["told"]


def test_a_pipe_that_nobody_empties_holds_nobody_up_for_long() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as pipe:
        log.setup(stream=pipe)
        began = time.monotonic()
        for _ in range(50):
            log.get().info("x" * 10_000)
        assert time.monotonic() - began < 10
        os.set_blocking(reading, False)
        while reader.read(65536):
            pass
        log.get().info("after")
        lines = reader.read().decode().splitlines()
    assert re.fullmatch(r"\d+ lines of this log could not be written", lines[-2])
    assert json.loads(lines[-1])["event"] == "after"


def test_a_stream_that_is_closed_or_was_never_there_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    stream.close()
    log.setup(stream=stream)
    log.get().error("nobody hears")
    monkeypatch.setattr(sys, "stderr", None)
    log.setup()
    log.get().error("nobody hears")


def test_a_text_that_no_encoding_takes_is_written_all_the_same(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as file:
        log.setup(stream=file)
        log.get().info("lone \ud800")
    assert "lone" in (tmp_path / "log").read_text()


def journal_reads(stream: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    about = os.fstat(stream.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")


@pytest.mark.parametrize("style", ["auto", "json"])
def test_the_journal_gets_a_priority_before_each_line_that_it_reads(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w+") as file:
        journal_reads(file, monkeypatch)
        log.setup(style=style, stream=file, journal=str(tmp_path / "absent"))
        log.get().info("well", revision=7)
        log.get().warning("odd")
        log.get().error("bad\nin two lines")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line[:3] for line in lines[:2]] == ["<6>", "<4>"]
    assert all(line.startswith("<3>") for line in lines[2:])
    assert ("revision=7" in lines[0]) is (style == "auto")


def fields_of(datagram: bytes) -> dict[str, str]:
    """Read an entry as journald does."""
    found: dict[str, str] = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            (length,) = struct.unpack("<Q", datagram[:8])
            value, end = datagram[8 : 8 + length], datagram[8 + length : 9 + length]
            assert end == b"\n"
            datagram = datagram[9 + length :]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        found[name.decode()] = value.decode()
    return found


def test_the_journal_gets_the_sentence_its_priority_and_our_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(30)
        with (tmp_path / "log").open("w+") as file:
            journal_reads(file, monkeypatch)
            log.setup(stream=file, journal=str(tmp_path / "socket"))
            with log.bound(pass_id="1f-7"):
                log.get().warning("etcd cannot be watched", why="no route", revision=7)
            try:
                raise RuntimeError("boom")
            except RuntimeError:
                log.get().exception("a pass broke")
        first, second = (fields_of(journald.recv(100_000)) for _ in range(2))
        assert (tmp_path / "log").read_text() == "", "or each would be there twice"
    assert first == {
        "MESSAGE": "etcd cannot be watched: no route",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "lbsync",
        "LBSYNC_WHY": "no route",
        "LBSYNC_REVISION": "7",
        "LBSYNC_PASS_ID": "1f-7",
    }
    assert second["PRIORITY"] == "3"
    assert second["MESSAGE"].startswith("a pass broke\nTraceback")
    assert "LBSYNC_PASS_ID" not in second


def test_a_journal_that_is_started_anew_or_does_not_read_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    sender = journal.Journal(str(path))
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
            journald.bind(str(path))
            assert sender.send({"event": "hello"}, 6)
        path.unlink()
        assert not sender.send({"event": "nobody"}, 6)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        began = time.monotonic()
        taken = [sender.send({"event": "x" * 1000}, 6) for _ in range(2000)]
        assert not all(taken)
        assert time.monotonic() - began < 10


@given(
    st.dictionaries(st.text(min_size=1, max_size=70), st.text() | st.integers() | st.none()),
    st.text(),
)
def test_no_text_makes_a_field_of_its_own(fields: dict[str, object], sentence: str) -> None:
    found = fields_of(journal.entry({**fields, "event": sentence}, 6))
    said = sentence.encode("utf-8", "backslashreplace").decode()
    assert found["MESSAGE"].startswith(said)
    assert found["PRIORITY"] == "6"
    assert all(
        n.startswith("LBSYNC_") for n in found.keys() - {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}
    )


def test_a_reason_that_follows_on_another_has_its_own_beginning() -> None:
    at = [0.0]
    failing = log.Failing("the pass fails", "the pass works", clock=lambda: at[0])
    told = []
    for now, error in [
        (10.0, "etcd is away"),
        (20.0, "shop/web2 is refused; tried again in 5 min"),
        (80.0, "shop/web2 is refused; tried again in 4 min"),
        (90.0, "shop/web3 is refused; tried again in 5 min"),
        (95.0, "etcd is away"),
    ]:
        at[0] = now
        failing.failed(error)
        told.append(failing.began)
    assert told == [10.0, 20.0, 20.0, 90.0, 10.0]
    failing.recovered()
    assert failing.began is None
