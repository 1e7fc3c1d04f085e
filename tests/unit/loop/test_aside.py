"""Waiting work runs aside; wakes are answered at once, and none is lost."""

import threading

import pytest

from lbsync.loop.aside import Aside
from lbsync.loop.waker import Waker


def test_wakes_are_answered_while_the_work_waits() -> None:
    waker, answered, release = Waker(), [], threading.Event()

    def meanwhile() -> None:
        answered.append(threading.current_thread())
        release.set()

    def work() -> str:
        waker.wake()
        assert release.wait(5)
        return "done"

    assert Aside(waker, meanwhile).run(work) == "done"
    assert answered == [threading.main_thread()]
    assert waker.wait(0), "the wake is passed on to who waits next"


def test_without_a_wake_nothing_is_passed_on() -> None:
    waker = Waker()
    assert Aside(waker, lambda: None).run(lambda: 7) == 7
    assert not waker.wait(0)


def test_what_the_work_raises_is_raised_here() -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Aside(Waker(), lambda: None).run(work)
