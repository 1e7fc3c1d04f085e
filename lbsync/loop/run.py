"""The loop. It knows when to run a pass and what to do when one fails, not what a pass does."""

import math
import secrets
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from lbsync import log, measure, threads
from lbsync.errors import LbsyncError, Stuck, Superseded
from lbsync.loop import signals
from lbsync.loop.notify import Notifier
from lbsync.loop.outcome import Outcome, Report, Unfinished
from lbsync.loop.schedule import Pace, Schedule

T = TypeVar("T")
#: Seconds between two checks that the other threads are alive; and the fewest, as wakes may come in
#: hundreds a second.
_LOOK_AFTER_S = 5.0
_LOOK_AFTER_LEAST_S = 1.0
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
        self._reload = reload
        self._on_report = on_report
        self._notifier = notifier or Notifier()
        self._clock = clock
        self._schedule = Schedule(pace, clock() + patience)
        self._failing = log.Failing("the pass fails", "the pass works again", clock=wall_clock)
        self._flawed = log.Failing(
            "not all is as wanted", "all is as wanted again", clock=wall_clock
        )
        # So that the lines of one pass are found together, also beside those of an earlier process.
        self._name = secrets.token_hex(2)
        self._number = 1
        self._stop = False
        self._beat_at = clock()
        self._looked_at = -math.inf
        self.unanswered_since: float | None = None
        """When the first wake came that no confirmed pass answers, nor one under way, as `time.monotonic` counts; None:
        none did."""
        self._reload_asked = False
        self._ready = False
        self._last_result: tuple[bool, str, object] | None = None
        self._unfinished: Unfinished | None = None
        self._began = clock()
        self._began_since: float | None = None
        self._faults: dict[str, str] = {}
        """By kind of work the fault that its last attempts ended with."""
        self._reload_error = ""

    def wake(self) -> None:
        """Something may have changed. From any thread; never blocks."""
        self._waker.wake()

    def reread(self) -> None:
        """Settings or templates may have changed: read them before the next pass, and run one.

        From any thread. Many requests close together are one, as many wakes are.
        """
        self._reload_asked = True
        self._waker.wake()

    def stop(self) -> None:
        """End the loop after the running pass. From any thread or signal handler."""
        self._stop = True
        self._waker.wake()

    def watchdog_ping(self) -> None:
        """Feed the watchdog; for the stages of a long pass, between one and the next."""
        self._beat_at = self._clock()
        self._notifier.watchdog_ping()

    @property
    def pass_id(self) -> str:
        """Of the pass that runs, or comes next: in each of its lines."""
        return f"{self._name}-{self._number}"

    @property
    def silence(self) -> tuple[float, float]:
        """For how many seconds the watchdog was not fed, and how many it allows. From any thread."""
        return self._clock() - self._beat_at, self._notifier.watchdog_s

    def run(self) -> None:
        """Run passes until `stop` or a signal. Must be called in the main thread.

        Raises `Superseded` when a pass does: another process has taken this one's place; and `Stuck`
        when a thread has ended in a way that only a new process can mend.
        """
        with signals.heard(self.stop, self.reread):
            while not self._stop:
                self.watchdog_ping()
                self._look_after()
                if self._is_woken():
                    if self.unanswered_since is None:
                        self.unanswered_since = self._waker.woken_at
                    self._schedule.woken(self._clock())
                    if self._fast_path and not self._reload_asked and not self._stop:
                        with log.bound(pass_id=self.pass_id):
                            done, _ = self._attempt("ahead", self._fast_path)
                        self._schedule.looked_ahead(
                            done=bool(done), awaited=bool(done) and self._is_awaited()
                        )
                        if not done:
                            self._abandon()
                elif self._unfinished is not None:
                    if self._unfinished.is_ready():
                        self._finish(self._unfinished)
                elif self._schedule.due() <= self._clock():
                    with log.bound(pass_id=self.pass_id):
                        self._one_pass()
            if self._unfinished is not None:
                self._finish(self._unfinished)
        self._notifier.stopping()

    def _look_after(self) -> None:
        if self._clock() - self._looked_at >= _LOOK_AFTER_LEAST_S:
            self._looked_at = self._clock()
            self._attempt("threads", threads.restart_ended)

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
        longest = min(self._notifier.ping_every or math.inf, _LOOK_AFTER_S)
        return self._waker.wait(min(max(pause, 0.0), longest))

    def _one_pass(self) -> None:
        if self._reload_asked:
            self._take_new_settings()
        self._began = self._clock()
        self._schedule.begun()
        done, error = self._attempt("pass", self._run_pass)
        if done is None or isinstance(done, Outcome):
            self._end_pass(done, error)
            return
        self._unfinished = done
        self._began_since, self.unanswered_since = self.unanswered_since, None

    def _finish(self, unfinished: Unfinished) -> None:
        self._unfinished = None
        later, self.unanswered_since = self.unanswered_since, self._began_since
        with log.bound(pass_id=self.pass_id):
            outcome, error = self._attempt("pass", unfinished.finish)
            self._end_pass(outcome, error)
        if self.unanswered_since is None:
            self.unanswered_since = later

    def _abandon(self) -> None:
        """End a pass that is out of date before it is finished: more than its file is left for the next one."""
        if self._unfinished is not None:
            self._unfinished.abandon()
            self._unfinished = None
            self.unanswered_since = self._began_since or self.unanswered_since

    def _end_pass(self, outcome: Outcome | None, error: str) -> None:
        ended = self._clock()
        if outcome is None:
            self._schedule.ended(ended, retry=True)
        else:
            error = outcome.error
            self._schedule.ended(ended, retry=outcome.retry, again_in=outcome.again_in)
        self._tell(outcome, error, ended - self._began)
        self._number += 1

    def _attempt(self, kind: str, work: Callable[[], T]) -> tuple[T | None, str]:
        """Return what `work` returns, or None and why it failed. Lets `Superseded` and `Stuck` through alone.

        A fault shows its traceback once, and again when work of this `kind` has succeeded in between.
        """
        try:
            done = work()
        except (Superseded, Stuck):
            raise
        except LbsyncError as problem:
            return None, str(problem)
        except Exception as fault:  # noqa: BLE001 (the one place: HAProxy serves on, we try again)
            error = f"unforeseen: {type(fault).__name__}: {fault}"
            if error != self._faults.get(kind):
                self._faults[kind] = error
                log.get().exception("this is a fault of lbsync, please report it")
            return None, error
        self._faults.pop(kind, None)
        return done, ""

    def _tell(self, outcome: Outcome | None, error: str, seconds: float) -> None:
        fields = dict(outcome.fields) if outcome else {}
        confirmed = outcome is not None and outcome.confirmed
        measure.observe("pass", "ok" if confirmed else "failed", seconds)
        # What was confirmed has not failed, even when a single service had to be left behind.
        trouble = self._flawed if confirmed else self._failing
        if confirmed:
            self._failing.recovered()
        if outcome is not None:
            result = (confirmed, error, fields.get("digest"))
            is_news = outcome.changed or result != self._last_result
            (log.get().info if is_news else log.get().debug)(outcome.sentence, **fields)
            self._last_result = result
        if error:
            trouble.failed(error, **fields)
        elif confirmed:
            self._flawed.recovered()
        self._notifier.status(error or (outcome.sentence if outcome else ""))
        if (on_report := self._on_report) is not None:
            report = Report(
                outcome, error, trouble.began if error else None, seconds, self._reload_error
            )
            _, problem = self._attempt("report", lambda: on_report(report))
            if problem:
                log.get().warning(f"the status cannot be written: {problem}")
        if outcome is not None and confirmed and not outcome.waits:
            self.unanswered_since = None
        # Last: whoever waits for READY may read the status at once.
        if confirmed and not self._ready:
            self._ready = True
            self._notifier.ready()

    def _take_new_settings(self) -> None:
        self._reload_asked = False
        if self._reload is None:
            return
        if self._ready:
            self._notifier.reloading()
        pace, problem = self._attempt("reload", self._reload)
        if pace is not None:
            self._schedule.pace = pace
            self._reload_error = ""
            log.get().info("settings and templates were read again")
        else:
            self._reload_error = problem
            log.get().error(f"settings were not taken over, the old ones hold: {problem}")
        if self._ready:
            self._notifier.ready()
