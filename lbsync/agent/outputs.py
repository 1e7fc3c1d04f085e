"""Installs outputs in a separate thread: their commands may hang, and HAProxy must not wait for them.

One round at a time installs the newest texts; its end causes a pass, which reports the result.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import msgspec

from lbsync import log
from lbsync.agent.install import InstallResult, install
from lbsync.errors import LbsyncError
from lbsync.loop.schedule import Pace, Schedule
from lbsync.settings import Output, Settings

_NOTHING = InstallResult((), ())


class _Wanted(msgspec.Struct, frozen=True):
    outputs: tuple[Output, ...] = ()
    texts: Mapping[str, bytes] = {}


class _Round:
    """One round in its own thread; it ends with that thread in any case."""

    def __init__(
        self,
        work: Callable[[_Wanted], InstallResult],
        wanted: _Wanted,
        ended: Callable[[Future[InstallResult]], None],
    ) -> None:
        """`ended` is called from the thread, with the result."""
        self._work = work
        self._wanted = wanted
        self._future: Future[InstallResult] = Future()
        self._future.add_done_callback(ended)
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """Tell whether the round has ended."""
        return self._future.done() or not self._thread.is_alive()

    def result(self) -> Future[InstallResult]:
        """Wait for its end; return its result, or what it raised."""
        self._thread.join()
        if not self._future.done():
            self._future.set_exception(LbsyncError("the thread that installs outputs was ended"))
        return self._future

    def _run(self) -> None:
        try:
            self._future.set_result(self._work(self._wanted))
        except BaseException as fault:  # noqa: BLE001 (told by the pass that asks for the result)
            self._future.set_exception(fault)


class Outputs:
    """Installs the absolute outputs of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._wake: Callable[[], None] | None = None
        self._round: _Round | None = None
        self._wanted = self._tried = _Wanted()
        self._failed: tuple[str, ...] = ()
        self._changed: tuple[str, ...] = ()
        self._fault: BaseException | None = None
        self._again = False
        self._schedule = Schedule(Pace.of(settings.agent), time.monotonic())
        self._stopped = threading.Event()
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Follow these settings from the next texts on."""
        self._outputs = tuple(one for one in settings.outputs if one.path.startswith("/"))
        self._schedule.pace = Pace.of(settings.agent)

    def watch(self, wake: Callable[[], None]) -> None:
        """Install in a thread from now on, which calls `wake` when there is news."""
        self._wake = wake

    def update(self, texts: Mapping[str, bytes]) -> None:
        """Start to install `texts`; see `result`.

        New texts are installed at once, or after the current round; failed ones are tried again with
        growing pauses.
        """
        self._wanted = _Wanted(self._outputs, texts)
        self._collect()
        is_due = self._wanted != self._tried or time.monotonic() >= self._schedule.due()
        if self._outputs and self._round is None and (is_due or self._wake is None):
            self._tried = self._wanted
            self._round = _Round(self._install, self._tried, self._ended)

    def retry(self) -> None:
        """Continue with the previous texts: retry what failed, if that is due."""
        self.update(self._wanted.texts)

    def result(self) -> InstallResult:
        """Return what was installed since the last call, and what failed and has not succeeded since.

        Without `watch`, it waits for the current round. Raises what a round unexpectedly raised, once; what
        others installed meanwhile is returned the next time.
        """
        if self._wake is None and self._round is not None:
            self._round.result()
        self._collect()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        changed, self._changed = self._changed, ()
        return InstallResult(changed, self._failed if self._outputs else ())

    def waits(self) -> list[float]:
        """Return in how many seconds to retry what failed; empty: nothing did."""
        if self._round is not None or not self._again:
            return []
        return [max(0.0, self._schedule.due() - time.monotonic())]

    def close(self) -> None:
        """Wait for the current file, up to its commands' time limits, and leave the others.

        May be called twice.
        """
        self._stopped.set()
        if self._round is None:
            return
        if not self._round.done():
            log.get().info("the end waits for the command of an output")
        for sentence in self._round.result().result().failed:
            log.get().warning(sentence)
        self._round = None

    def _collect(self) -> None:
        """Take over the result of the last round, if it has ended."""
        if self._round is None or not self._round.done():
            return
        ended = self._round.result()
        self._round = None
        fault = ended.exception()
        self._fault = (
            self._fault or fault
        )  # the pass that tells of one may come after another round
        self._again = fault is not None or bool(ended.result().failed)
        again_in = None if self._again else 0.0
        self._schedule.ended(time.monotonic(), retry=self._again, again_in=again_in)
        if fault is None:
            self._failed = ended.result().failed
            self._changed += ended.result().changed

    def _install(self, wanted: _Wanted) -> InstallResult:
        found = _NOTHING
        for output in wanted.outputs:
            if self._stopped.is_set():
                break
            one = install((output,), wanted.texts)
            found = InstallResult(found.changed + one.changed, found.failed + one.failed)
        return found

    def _ended(self, ended: Future[InstallResult]) -> None:
        # `_wanted` is written before the round is asked whether it is done: one of the two sides
        # sees that there is a newer text.
        is_news = ended.exception() is not None or ended.result() != _NOTHING
        if self._wake is not None and (is_news or self._failed or self._wanted != self._tried):
            self._wake()
