"""Turns, and files that are looked at now and then."""

import os
import threading
import time
from pathlib import Path

import pytest

from lbsync.clients.kube.auth.files import RotatedFile
from lbsync.clients.kube.availability import Availability
from lbsync.clients.kube.timing import Timing
from lbsync.errors import Unavailable


def test_the_defaults_are_those_that_were_measured_and_promised() -> None:
    timing = Timing()
    assert (timing.backoff_first, timing.backoff_cap) == (0.8, 4.0)
    assert timing.watch == (240.0, 300.0)
    assert sum(timing.relist) / 2 == 1800
    assert (timing.away_spacing, timing.away_reminder, timing.refused) == (1.0, 60.0, 30.0)


def test_while_the_server_is_doubted_requests_take_turns() -> None:
    availability = Availability("https://x", Timing(away_spacing=0.2))
    stop = threading.Event()
    turns: list[float] = []

    def ask() -> None:
        availability.pause(0.0, stop)
        turns.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns.sort()
    # Three turns later; a thread may be late to note its own.
    assert turns[-1] - turns[0] >= 0.3


def test_an_answer_lets_everybody_go_at_once() -> None:
    availability = Availability("https://x", Timing(away_spacing=60.0))
    stop = threading.Event()
    availability.pause(0.0, stop)
    waiting = [threading.Thread(target=availability.pause, args=(60.0, stop)) for _ in range(3)]
    for thread in waiting:
        thread.start()
    availability.failed("down")
    assert availability.away == "down"
    deadline = time.monotonic() + 20
    while any(thread.is_alive() for thread in waiting) and time.monotonic() < deadline:
        availability.failed("down")
        availability.answered()
        for thread in waiting:
            thread.join(0.01)
    ended = [not thread.is_alive() for thread in waiting]
    stop.set()
    availability.wake_waiters()
    assert ended == [True] * 3
    assert availability.away is None


def test_stopping_ends_a_pause() -> None:
    availability = Availability("https://x", Timing(away_spacing=60.0))
    stop = threading.Event()
    thread = threading.Thread(target=availability.pause, args=(60.0, stop))
    thread.start()
    stop.set()
    availability.wake_waiters()
    thread.join(30)
    assert not thread.is_alive()


def test_a_file_is_looked_at_only_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    rotated = RotatedFile(path, every=3600.0)
    assert rotated.text() == "one"
    path.write_text("two")
    assert rotated.text() == "one"
    rotated.expire()
    assert rotated.text() == "two"


def test_a_file_is_read_again_when_it_changed_and_kept_while_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    os.utime(path, ns=(0, 0))
    rotated = RotatedFile(path, every=0.0)
    assert rotated.read() == b"one"
    # The same size and time; only the inode tells, and both files exist, so it is another one.
    path.with_suffix(".new").write_text("two")
    os.utime(path.with_suffix(".new"), ns=(0, 0))
    path.unlink()
    assert rotated.read() == b"one"
    path.with_suffix(".new").rename(path)
    assert rotated.read() == b"two"
    path.unlink()
    rotated.expire()
    assert rotated.read() == b"two"


def test_a_file_that_is_being_written_is_not_taken_for_its_content(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("")
    rotated = RotatedFile(path, every=3600.0)
    assert rotated.text() == ""
    path.write_text("one")
    assert rotated.text() == "one"
    path.write_text("")
    rotated.expire()
    assert rotated.text() == "one"
    path.write_text("two")
    assert rotated.text() == "two"


def test_a_file_that_never_was_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"token: cannot be read \(No such file"):
        RotatedFile(tmp_path / "token").read()
