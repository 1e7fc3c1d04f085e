"""What a log line looks like, and how few of them a lasting failure makes."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from lbsync import log


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
    news = log.News(most=2)
    assert [news.of("a", "one"), news.of("a", "one"), news.of("a", "two")] == [True, False, True]
    assert news.of("b", "one")
    news.keep({"b"})
    assert news.of("a", "two"), "it was well in between"
    assert news.of("c", ""), "what was said longest ago makes room"
    assert news.of("b", "one")


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
