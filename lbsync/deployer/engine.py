"""Carries out deployments: one in the command that started it, or all of them in a server.

Any number of processes may do so at once: the lock of an app decides which one, and expires when its holder stops
responding.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from lbsync import log
from lbsync.clients.source import Source
from lbsync.deployer.run import LOOK_S, Run, Tools
from lbsync.deployer.versions.expiry import end_old_versions, is_due
from lbsync.errors import LbsyncError, Rejected, Unavailable
from lbsync.model.deploying import VersionsRecord
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId
from lbsync.threads import PeriodicThread, SupervisedThread

_JOIN_S = 5.0
_MOST_SAID = 10_000
"""Apps of which it is remembered what was said."""


def carry_out(
    run: Run, news: threading.Event, show: Callable[[], None], until: Callable[[], bool]
) -> bool:
    """Carry out a deployment until it has ended, or `until` returns true; return whether it has ended.

    `news` is set when hosts report something new; `show` is called after each turn. Raises as `Run.turn`.
    """
    while not until():
        news.clear()
        pause = run.turn()
        show()
        if pause is None:
            return True
        if pause > 0.0:
            news.wait(pause)
    return False


class Engine:
    """All deployments that no other process carries out."""

    def __init__(self, tools: Tools, versions: Source, may_work: Callable[[], bool]) -> None:
        """`versions`: the store below `versions/` alone, not started yet: it tells what is in progress. `may_work`: is
        called every few seconds, and says whether deployments can be carried out here."""
        self._tools, self._versions, self._may_work = tools, versions, may_work
        self._workers: dict[ServiceId, _Worker] = {}
        self._said = log.OnChange(_MOST_SAID)
        self._saying = threading.Lock()
        self._thread = PeriodicThread(self._turn, "deployer")

    def start(self) -> None:
        """Start, in threads of its own. Once only."""
        self._versions.start(self._thread.wake)
        self._thread.start()

    def answered(self) -> None:
        """Hosts have answered something new. From any thread."""
        for worker in list(self._workers.values()):
            worker.news.set()

    def close(self) -> None:
        """Release all deployments, so that other processes continue them at once."""
        self._thread.close(_JOIN_S)
        workers = list(self._workers.values())
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()

    def _turn(self) -> float:
        if self._may_work():
            self._look()
        return LOOK_S * 3

    def _look(self) -> None:
        """Have a thread for each deployment that is in progress."""
        try:
            items = self._versions.snapshot().items
        except Unavailable:
            return
        found = deploying.by_app(VersionsRecord, items, "")
        active = {app: record.active for app, record in found.items() if record.active}
        now = time.time()
        due = [app for app, record in found.items() if is_due(record, now)]
        with self._saying:
            self._said.keep({*active, *due})
        for app, worker in list(self._workers.items()):
            if not worker.is_alive():
                del self._workers[app]
        for app, deployment in active.items():
            self._begin(app, f"deploy {app}", partial(self._carry_out, app, deployment))
        for app in due:
            self._begin(app, f"end {app}", partial(self._end_old_versions, app))

    def _begin(self, app: ServiceId, title: str, work: "Callable[[_Worker], None]") -> None:
        if app not in self._workers and not self._thread.is_stopped:
            self._workers[app] = _Worker(title, work)

    def _carry_out(self, app: ServiceId, deployment: str, worker: "_Worker") -> None:
        run = Run(self._tools, app, deployment)
        try:
            carry_out(run, worker.news, lambda: None, worker.stopped.is_set)
        except Rejected as error:
            self._say("error", app, f"this deployment is left alone: {error}")
            worker.stopped.wait(LOOK_S * 30)
        except LbsyncError as error:
            self._say("warning", app, str(error))
            worker.stopped.wait(LOOK_S)
        finally:
            run.end()
            self._thread.wake()

    def _end_old_versions(self, app: ServiceId, worker: "_Worker") -> None:
        tools = self._tools
        try:
            while end_old_versions(tools.ledger, tools.providers, app, tools.ttl):
                if worker.stopped.wait(LOOK_S):
                    return
        except LbsyncError as error:
            self._say("warning", app, f"an old version cannot be ended: {error}")
            worker.stopped.wait(LOOK_S * 30)

    def _say(self, level: str, app: ServiceId, text: str) -> None:
        """Log what is wrong with an app once, as it is tried again and again."""
        with self._saying:
            is_new = self._said.is_new(app, text)
        getattr(log.get(), level if is_new else "debug")(f"{app}: {text}")


class _Worker:
    """What is done for one app in a thread of its own, beside others; after a fault of ours it is begun anew, less and
    less often."""

    def __init__(self, title: str, work: "Callable[[_Worker], None]") -> None:
        self.news = threading.Event()
        """Hosts have answered something new, or it is to stop."""
        self.stopped = threading.Event()
        self._thread = SupervisedThread(lambda: work(self), title)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._thread.stop()
        self.stopped.set()
        self.news.set()

    def join(self) -> None:
        self._thread.join(_JOIN_S)
