"""What runs beside the console's requests does not end in silence."""

import asyncio
import ctypes
import threading

import pytest
from structlog.testing import capture_logs

from harness.wait import wait_until
from lbsync.console import background
from lbsync.console.background import Workers, run_task
from lbsync.console.cluster_watch import ClusterWatch
from lbsync.errors import Stuck
from lbsync.settings import Settings


def test_a_task_that_fails_is_begun_again_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(background, "LAST_PAUSE_S", 0.0)
    turns: list[int] = []
    said: list[str] = []

    async def work() -> None:
        turns.append(1)
        if len(turns) < 3:
            raise UnicodeError("label too long")

    with capture_logs() as logs:
        asyncio.run(run_task("cluster", work, said.append))
    assert len(turns) == 3
    assert said == ["task cluster failed: unforeseen: UnicodeError: label too long"] * 2
    assert "task cluster fails" in logs[0]["event"]


def test_a_page_does_not_show_what_was_found_before_its_watch_failed() -> None:
    changed: list[int] = []
    watch = ClusterWatch(Settings(), lambda: changed.append(1))
    watch.failed("task cluster failed: unforeseen")
    assert watch.seen is not None
    assert watch.seen.error == "task cluster failed: unforeseen"
    assert changed


def test_a_thread_of_requests_that_ends_ends_the_console() -> None:
    workers = Workers()
    found = workers.executor.submit(threading.current_thread).result(20)
    workers.restart_ended()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(found.ident or 0), ctypes.py_object(SystemExit)
    )
    workers.executor.submit(int)  # wakes it
    wait_until("the thread to end", lambda: not found.is_alive())
    with pytest.raises(Stuck, match="a thread that answers requests has ended"):
        workers.restart_ended()
    workers.executor.shutdown(wait=False)
