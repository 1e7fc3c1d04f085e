"""Carries out deployments: one in the command that asked for it, or all of them in a server.

Any number of processes may do so at once: an app's lock tells whose it is, and a lock whose holder is silent runs out.
"""

import threading
import time
from collections.abc import Callable

from lbsync import log
from lbsync.clients.source import Source
from lbsync.deployer.run import LOOK_S, Run, Tools
from lbsync.deployer.versions.expiry import end_old_versions, is_due
from lbsync.errors import LbsyncError, Rejected, Unavailable
from lbsync.model.deploying import VersionsRecord
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId
from lbsync.threads import KeptThread

_JOIN_S = 5.0


def carry_out(
    run: Run, news: threading.Event, show: Callable[[], None], until: Callable[[], bool]
) -> bool:
    """Do what can be done for a deployment until it has ended, or `until` says so; return whether it has ended.

    `news` is set when hosts answer something new; `show` is called after each turn. Raises as `Run.turn`.
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
    """All deployments that nobody else carries out."""

    def __init__(self, tools: Tools, versions: Source, may_work: Callable[[], bool]) -> None:
        """`versions`: the store below `versions/` alone, not started yet: it tells what is under way. `may_work`: is
        called every few seconds, and says whether deployments can be carried out here."""
        self._tools, self._versions, self._may_work = tools, versions, may_work
        self._runs: dict[str, _Thread | _Ending] = {}
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._thread = KeptThread(self._keep, "deployer")

    def start(self) -> None:
        """Begin, in threads of its own. Once only."""
        self._versions.start(self._news.set)
        self._thread.start()

    def answered(self) -> None:
        """Hosts have answered something new. From any thread."""
        for thread in list(self._runs.values()):
            thread.news.set()

    def close(self) -> None:
        """Let go of all deployments, so that others go on with them at once."""
        self._stopped.set()
        self._news.set()
        self._thread.join(_JOIN_S)
        for thread in list(self._runs.values()):
            thread.stop()
        for thread in list(self._runs.values()):
            thread.join()

    def _keep(self) -> None:
        while not self._stopped.is_set():
            self._news.clear()
            if self._may_work():
                self._look()
            self._news.wait(LOOK_S * 3)

    def _look(self) -> None:
        """Have a thread for each deployment that is under way."""
        try:
            items = self._versions.snapshot().items
        except Unavailable:
            return
        found = deploying.readable(VersionsRecord, items, "")
        active = {name: record.active for name, record in found.items() if record.active}
        for name, thread in list(self._runs.items()):
            if not thread.is_alive():
                del self._runs[name]
        for name, deployment in active.items():
            if name not in self._runs and not self._stopped.is_set():
                run = Run(self._tools, ServiceId.parse(name), deployment)
                self._runs[name] = _Thread(run, name, self._news.set)
        now = time.time()
        for name, record in found.items():
            if name not in self._runs and is_due(record, now) and not self._stopped.is_set():
                self._runs[name] = _Ending(self._tools, name)


class _Ending:
    """The end of old versions of one app whose time is up."""

    def __init__(self, tools: Tools, name: str) -> None:
        self.news = threading.Event()
        self._tools, self._name = tools, name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"end {name}", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()

    def join(self) -> None:
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        tools, app = self._tools, ServiceId.parse(self._name)
        try:
            while end_old_versions(tools.ledger, tools.providers, app, tools.ttl):
                if self._stopped.wait(LOOK_S):
                    return
        except LbsyncError as error:
            log.get().warning(f"{self._name}: an old version cannot be ended: {error}")
            self._stopped.wait(LOOK_S * 30)


class _Thread:
    """One deployment that is carried out beside others."""

    def __init__(self, run: Run, name: str, ended: Callable[[], None]) -> None:
        self.news = threading.Event()
        self._run, self._name, self._ended = run, name, ended
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"deploy {name}", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()
        self.news.set()

    def join(self) -> None:
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            carry_out(self._run, self.news, lambda: None, self._stopped.is_set)
        except Rejected as error:
            log.get().error(f"{self._name}: this deployment is left alone: {error}")
            self._stopped.wait(LOOK_S * 30)
        except LbsyncError as error:
            log.get().warning(f"{self._name}: {error}")
            self._stopped.wait(LOOK_S)
        finally:
            self._run.end()
            self._ended()
