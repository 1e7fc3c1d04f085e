"""A thread that fails is told of and begun anew; one that ends by itself is left in peace."""

import threading
from collections.abc import Callable

import pytest

from harness.wait import wait_until
from lbsync import threads
from lbsync.threads import PeriodicThread, SupervisedThread


class Work:
    """Runs through the steps it was given, one a turn, then waits for its end."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.steps = list(steps)
        self.turns = 0
        self.end = threading.Event()

    def __call__(self) -> None:
        self.turns += 1
        if self.steps:
            self.steps.pop(0)()
        else:
            self.end.wait()


def fail() -> None:
    raise PermissionError("no")


def leave() -> None:
    raise SystemExit


@pytest.mark.parametrize("fault", [fail, leave])
def test_work_that_fails_is_begun_anew_and_its_owner_is_told(fault: Callable[[], None]) -> None:
    work, told = Work(fault), list[str]()
    thread = SupervisedThread(work, "test", on_fault=told.append)
    thread.start()
    wait_until("a second turn", lambda: work.turns == 2)
    assert [sentence.startswith("thread test failed: unforeseen: ") for sentence in told] == [True]
    work.end.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_thread_that_died_all_the_same_is_begun_anew_by_its_keeper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(_: str) -> None:
        raise ValueError("not even that works")

    work = Work(fail)
    thread = SupervisedThread(work, "test", on_fault=die)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    thread.start()
    wait_until("its end", lambda: not thread.is_alive())
    with pytest.raises(ValueError, match="not even"):
        threads.restart_ended()
    assert thread.is_alive()
    assert work.turns == 2
    work.end.set()
    thread.join(30)


def test_a_thread_whose_work_is_done_or_that_was_stopped_is_not_begun_anew() -> None:
    done = SupervisedThread(lambda: None, "done")
    done.start()
    wait_until("its end", lambda: not done.is_alive())
    work = Work()
    stopped = SupervisedThread(work, "stopped")
    stopped.start()
    stopped.stop()
    work.end.set()
    wait_until("its end", lambda: not stopped.is_alive())
    threads.restart_ended()
    assert not done.is_alive()
    assert work.turns == 1


def test_a_periodic_thread_takes_a_turn_when_it_is_woken_and_finishes_when_it_is_closed() -> None:
    turns, ended = list[int](), threading.Event()

    def turn() -> float:
        turns.append(1)
        return 3600.0 if len(turns) > 1 else 0.0

    thread = PeriodicThread(turn, "test", finish=ended.set)
    thread.start()
    wait_until("the turn that the first one asked for", lambda: len(turns) == 2)
    thread.wake()
    wait_until("the turn that a wake asks for", lambda: len(turns) == 3)
    assert not ended.is_set()
    thread.close(30)
    assert thread.is_stopped
    assert ended.is_set()


def test_a_periodic_thread_that_fails_finishes_before_it_starts_again() -> None:
    said = list[str]()

    def turn() -> float:
        said.append("turn")
        if len(said) == 1:
            raise ValueError("no")
        return 3600.0

    thread = PeriodicThread(turn, "test", finish=lambda: said.append("finish"))
    thread.start()
    wait_until("a second turn", lambda: len(said) == 3)
    thread.close(30)
    assert said == ["turn", "finish", "turn", "finish"]
