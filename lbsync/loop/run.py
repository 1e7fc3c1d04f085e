"""The loop. It knows when to run a pass and what to do when one fails, not what a pass does."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from lbsync import log, measure, threads
from lbsync.loop import signals
from lbsync.loop.attempts import Attempts
from lbsync.loop.notify import Notifier
from lbsync.loop.outcome import Outcome, Report, Unfinished
from lbsync.loop.pass_log import PassLog
from lbsync.loop.schedule import Pace, Schedule
from lbsync.loop.service_state import ServiceState
from lbsync.loop.settings_reload import SettingsReload

#: Seconds between two checks that the other threads are alive: at most, and at least, as wakes may come in
#: hundreds a second.
_CHECK_THREADS_S = 5.0
_CHECK_THREADS_LEAST_S = 1.0
#: How often an unfinished pass is looked at.
_LOOK_AT_PASS_S = 0.01
Pass = Callable[[], Outcome | Unfinished]
"""One pass over the current state; may run at any time, and twice. No other one begins before it is finished."""


class Wakeable(Protocol):
    """What the loop waits on; `lbsync.loop.Waker` is one."""

    def wake(self) -> None:
        """Set the flag, from any thread or signal handler."""
        ...

    woken_at: float
    """When the first of the wakes came that ended the last wait, as `time.monotonic` counts."""

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds, clear the flag, tell whether it was set."""
        ...


class _UnfinishedPass(NamedTuple):
    """A pass under way, beside which changes go on."""

    work: Unfinished
    began: float
    answers_since: float | None
    """When the first wake came that it answers; see `Loop.unanswered_since`."""


class Loop:
    """Runs passes until it is told to stop.

    SIGTERM and SIGINT let a running pass (and the reload in it) finish; a second SIGINT ends the
    process at once. SIGHUP calls `reload` before the next pass, which it brings about.
    """

    def __init__(
        self,
        run_pass: Pass,
        pace: Pace,
        *,
        waker: Wakeable,
        fast_path: Callable[[], bool] | None = None,
        is_awaited: Callable[[], bool] = lambda: False,
        reload: Callable[[], Pace] | None = None,
        on_report: Callable[[Report], None] | None = None,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        patience: float = 0.0,
    ) -> None:
        """`patience`: seconds the first pass waits for a first wake, while the source is being
        read. `fast_path` is called after a wake, before the debounce has passed, for what need not
        wait for it, and tells whether all is done but the file; its errors are left to the pass. `is_awaited`
        tells whether somebody waits for what it did: then the pass follows at once.
        `reload` takes over new settings and returns their pace; it raises `LbsyncError`, having
        changed nothing, when they are wrong. `on_report` is called after each pass."""
        self._run_pass = run_pass
        self._waker = waker
        self._fast_path, self._is_awaited = fast_path, is_awaited
        self._on_report = on_report
        self._clock = clock
        self._schedule = Schedule(pace, clock() + patience)
        self._attempts = Attempts()
        self._log = PassLog(wall_clock)
        self._service = ServiceState(notifier or Notifier(), clock)
        self._settings_reload = SettingsReload(reload)
        self._stop = False
        self._threads_checked_at = -math.inf
        self._unfinished: _UnfinishedPass | None = None
        self.unanswered_since: float | None = None
        """When the first wake came that no confirmed pass answers, nor one under way, as `time.monotonic` counts; None:
        none did."""

    def wake(self) -> None:
        """Something may have changed. From any thread; never blocks."""
        self._waker.wake()

    def reread(self) -> None:
        """Settings or templates may have changed: read them before the next pass, and run one.

        From any thread. Many requests close together are one, as many wakes are.
        """
        self._settings_reload.is_requested = True
        self._waker.wake()

    def stop(self) -> None:
        """End the loop after the running pass. From any thread or signal handler."""
        self._stop = True
        self._waker.wake()

    def watchdog_ping(self) -> None:
        """Show that the loop is alive; also for the steps of a long pass."""
        self._service.watchdog_ping()

    @property
    def silence(self) -> tuple[float, float]:
        """See `ServiceState.silence`."""
        return self._service.silence

    def run(self) -> None:
        """Run passes until `stop` or a signal. Must be called in the main thread.

        Raises `Superseded` when a pass does: another process has taken this one's place; and `Stuck`
        when a thread has ended in a way that only a new process can mend.
        """
        with signals.heard(self.stop, self.reread):
            while not self._stop:
                self.watchdog_ping()
                self._check_threads()
                if self._is_woken():
                    if self.unanswered_since is None:
                        self.unanswered_since = self._waker.woken_at
                    self._schedule.woken(self._clock())
                    is_reload = self._settings_reload.is_requested
                    if self._fast_path and not is_reload and not self._stop:
                        with log.bound(pass_id=self._log.pass_id):
                            done, _ = self._attempts.call("ahead", self._fast_path)
                        self._schedule.looked_ahead(
                            done=bool(done), awaited=bool(done) and self._is_awaited()
                        )
                        if not done:
                            self._abandon()
                elif self._unfinished is not None:
                    if self._unfinished.work.is_ready():
                        self._finish(self._unfinished)
                elif self._schedule.due() <= self._clock():
                    with log.bound(pass_id=self._log.pass_id):
                        self._one_pass()
            if self._unfinished is not None:
                self._finish(self._unfinished)
        self._service.stopping()

    def _check_threads(self) -> None:
        if self._clock() - self._threads_checked_at >= _CHECK_THREADS_LEAST_S:
            self._threads_checked_at = self._clock()
            self._attempts.call("threads", threads.restart_ended)

    def _is_woken(self) -> bool:
        """Wait for a wake, at most until a pass is due or the watchdog wants its beat.

        A pass that is due only because changes have paused lets one more go first that came while the
        last was looked at ahead: that takes milliseconds, a pass on thousands of servers half a second.
        """
        if self._unfinished is not None:
            return self._waker.wait(_LOOK_AT_PASS_S)
        now = self._clock()
        pause = self._schedule.due() - now
        if pause <= 0 and not (self._fast_path and self._schedule.can_wait(now)):
            return False
        longest = min(self._service.ping_every or math.inf, _CHECK_THREADS_S)
        return self._waker.wait(min(max(pause, 0.0), longest))

    def _one_pass(self) -> None:
        if self._settings_reload.is_requested:
            pace = self._settings_reload.run(self._attempts, self._service)
            self._schedule.pace = pace or self._schedule.pace
        began = self._clock()
        self._schedule.begun()
        done, error = self._attempts.call("pass", self._run_pass)
        if done is None or isinstance(done, Outcome):
            self._end_pass(done, error, began)
            return
        self._unfinished = _UnfinishedPass(done, began, self.unanswered_since)
        self.unanswered_since = None

    def _finish(self, unfinished: _UnfinishedPass) -> None:
        self._unfinished = None
        later, self.unanswered_since = self.unanswered_since, unfinished.answers_since
        with log.bound(pass_id=self._log.pass_id):
            outcome, error = self._attempts.call("pass", unfinished.work.finish)
            self._end_pass(outcome, error, unfinished.began)
        if self.unanswered_since is None:
            self.unanswered_since = later

    def _abandon(self) -> None:
        """End a pass that is out of date before it is finished: more than its file is left for the next one."""
        if (unfinished := self._unfinished) is not None:
            unfinished.work.abandon()
            self._unfinished = None
            self.unanswered_since = unfinished.answers_since or self.unanswered_since

    def _end_pass(self, outcome: Outcome | None, error: str, began: float) -> None:
        ended = self._clock()
        if outcome is None:
            self._schedule.ended(ended, retry=True)
        else:
            error = outcome.error
            self._schedule.ended(ended, retry=outcome.retry, again_in=outcome.again_in)
        self._report(outcome, error, ended - began)
        self._log.next_pass()

    def _report(self, outcome: Outcome | None, error: str, seconds: float) -> None:
        confirmed = outcome is not None and outcome.confirmed
        measure.observe("pass", "ok" if confirmed else "failed", seconds)
        failing_since = self._log.ended(outcome, error)
        self._service.status(error or (outcome.sentence if outcome else ""))
        if (on_report := self._on_report) is not None:
            report = Report(outcome, error, failing_since, seconds, self._settings_reload.error)
            _, problem = self._attempts.call("report", lambda: on_report(report))
            if problem:
                log.get().warning(f"the status cannot be written: {problem}")
        if outcome is not None and confirmed and not outcome.waits:
            self.unanswered_since = None
        # Last: whoever waits for READY may read the status at once.
        if confirmed:
            self._service.ready()
