"""Requests that HAProxy loads the live generation, and verifies that it did.

A request to reload can fail, and it can be lost silently when it coincides with another reload (measured: up to
80 ms after one began). So the only proof of success is that the current worker reports the digest in its
`description`.
"""

import math
import time
from pathlib import Path

import msgspec

from lbsync import measure
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.file_names import MAIN_FILE
from lbsync.clients import programs
from lbsync.clients.haproxy import processes, sockets, startup_log
from lbsync.clients.haproxy.answers import Master
from lbsync.clients.haproxy.binary import Alert, parse_alerts
from lbsync.clients.haproxy.identity import reports_digest
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import ApplyFailed, Denied, Unavailable

_POLL_S = 0.01
_UNSEEN_POLL_S = 0.1
"""The same where only the log can tell of a failure; reading the journal takes a process."""
_LOST_AFTER_S = 0.15
"""How long a master that answers may show no sign of a reload until the request counts as lost."""
_UNSEEN_LOST_AFTER_S = 3.0
"""The same where there is no master socket to tell a slow reload from a lost one. Asking again while
one runs does no harm: the signal waits, and HAProxy reloads once more."""
_MOST_ATTEMPTS = 3
"""Reloads that succeeded without the proof: one may have begun before the link moved, two not."""
_PROBE_S = 0.5
"""How long one question during a reload may be refused before the clock is looked at again."""
_JUST_S = 0.5
"""For so long after a reload what it broke off may still be on its way to who notices."""
_MOST_WORDS = 3
_NOT_TAKEN = "HAProxy did not take the configuration"
_NO_DIRECTORY = "Impossible to retrieve startup directory name"


class ReloadProof(msgspec.Struct, frozen=True):
    """A reload that was proved."""

    seconds: float
    requests: int
    """How often it had to be asked for; more than 1 means that requests were lost."""
    worker_pid: int
    before: str = ""
    """Process id of the worker that it replaced; empty: there was none."""


class StateBefore(msgspec.Struct, frozen=True):
    """What HAProxy was before a reload."""

    master: Master | None
    """`show proc`; None if there is no master socket."""
    mark: startup_log.Mark | None
    """Where the master's log ended."""
    worker_pid: str = ""
    """Of the worker that serves: its successor is another process. Empty: there is none."""
    is_told: bool = True
    """A failed reload can be told from one that was not heard: by the master, or by its log."""


class Reloader:
    """Reloads one HAProxy in the way the settings say."""

    def __init__(self, options: HaproxyOptions) -> None:
        self._options = options
        self._master = sockets.master(options)
        self._worker = sockets.worker(options)
        self._status_socket = sockets.through_master(options) or self._worker
        self._asking_until = 0.0

    @property
    def is_under_way(self) -> bool:
        """A reload that was asked for here goes on, or has only just ended. From any thread."""
        return time.monotonic() < self._asking_until

    def served(self, digest: str) -> bool:
        """Tell whether the worker that serves now says `digest`. Raises `Unavailable`."""
        return reports_digest(self._worker.show_info(), digest)

    def runs(self) -> set[str]:
        """Return the words of the serving worker's description; its digest is one of them.

        Through the master where there is one, which knows the worker that it started itself.
        Raises `Unavailable`.
        """
        return set(self._status_socket.show_info().get("description", "").split())

    def running(self) -> StateBefore:
        """Return what runs now, and prove that this process may reload it and ask it afterwards.

        Raises `Unavailable` when HAProxy does not answer, `Denied` when a right is missing.
        """
        if self._master is not None:
            master = self._master.show_proc()
            if self._options.reload == "signal":
                processes.may_signal(master.pid)
            return StateBefore(master, startup_log.mark(master.pid), self._worker_pid())
        try:
            worker = self._worker.show_info()["Pid"]
        except Denied:
            raise
        except Unavailable:
            if not self.refuses_connections():
                raise
            worker = ""
        if self._options.reload == "signal":
            pid = processes.master_pid(self._options.pid_file)
            processes.may_signal(pid)
            mark = startup_log.mark(pid)
            return StateBefore(None, mark, worker, startup_log.is_in_reach(mark))
        return StateBefore(None, None, worker, is_told=False)

    def refuses_connections(self) -> bool:
        """Tell whether HAProxy runs although its stats socket, the only one there is, refuses.

        Two failed reloads in a row do that to 3.2 and later (measured); the next good one ends it. A
        master that has only just started is given its time: the signal would end it.
        """
        if self._master is not None or self._options.reload != "signal":
            return False
        if not Path(self._options.stats_socket).is_socket():
            return False  # a file that is gone comes back only when HAProxy starts anew (2.6, 2.8)
        try:
            pid = processes.master_pid(self._options.pid_file)
        except Unavailable:
            return False
        return processes.age(pid) > self._options.reload_timeout_s

    def _worker_pid(self) -> str:
        """Return the worker's process id; empty while a master is there without one."""
        try:
            return self._worker.show_info(retry_s=_PROBE_S)["Pid"]
        except Denied:
            raise  # it is there, and its proof could never be read
        except Unavailable:
            return ""

    @measure.timed("reload")
    def reload(self, digest: str, before: StateBefore) -> ReloadProof:
        """Reload and wait until the new worker says `digest`.

        `before` was taken before the live link moved. Raises `ApplyFailed` with HAProxy's own
        words when it refused, or when the time limit passed without proof.
        """
        started = time.monotonic()
        deadline = started + self._options.reload_timeout_s
        self._asking_until = deadline
        requests = 0
        try:
            while True:
                self._request(before)
                # Ever more patient: what looks lost may be slow, and reloads must not pile up.
                info = self._outcome(digest, before, deadline, patience=2**requests)
                requests += 1
                if info is not None:
                    return ReloadProof(
                        time.monotonic() - started, requests, int(info["Pid"]), before.worker_pid
                    )
        finally:
            self._asking_until = time.monotonic() + _JUST_S

    def _request(self, before: StateBefore) -> None:
        """Ask once. Whether it was heard is found out afterwards."""
        if self._options.reload == "command":
            outcome = programs.run(self._options.reload_command, self._options.reload_timeout_s)
            if outcome.rc != 0:
                said = parse_alerts(outcome.said) or self._alerts(before)
                raise _failed(said, f"the reload command ended with {outcome.rc}: {outcome.said}")
        elif self._options.reload == "signal":
            pid = before.master.pid if before.master else 0
            processes.request_reload(pid or processes.master_pid(self._options.pid_file))
        elif self._master is not None:
            answer = self._master.reload(self._options.reload_timeout_s)
            if answer.startswith("Success=0") and "still in progress" not in answer:
                raise _failed(parse_alerts(answer), f"HAProxy said: {answer.strip()}")

    def _outcome(
        self, digest: str, before: StateBefore, deadline: float, patience: int
    ) -> dict[str, str] | None:
        """Wait for the proof; None when the request was lost. Raises `ApplyFailed`."""
        silent_since: float | None = None
        problem = "its worker still serves the generation before"
        while time.monotonic() < deadline:
            try:
                info = self._worker.show_info(retry_s=_PROBE_S)
                # The digest alone does not prove it: after runtime changes a worker still says that
                # of the generation it loaded, which may be the very one that is wanted back.
                if reports_digest(info, digest) and info["Pid"] != before.worker_pid:
                    return info
                lost_after = self._lost_after(before) * patience
            except Unavailable as error:
                # Normal for a moment: sockets are made anew while the master starts again.
                problem, silent_since = str(error), None
                time.sleep(_POLL_S)
                continue
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > lost_after:
                return None
            time.sleep(_POLL_S if self._master else _UNSEEN_POLL_S)
        said = _words(self._alerts(before))
        why = f"no proof of the reload within {self._options.reload_timeout_s:g} s: {problem}"
        raise ApplyFailed(f"{_NOT_TAKEN}: {said or why}")

    def _lost_after(self, before: StateBefore) -> float:
        """Return for how many seconds HAProxy may answer as before until the request was lost.

        Raises `ApplyFailed` when the reload has failed.
        """
        if self._master is None:
            if before.mark and startup_log.failed_since(before.mark):
                raise _failed(self._alerts(before), "the reload failed")
            # Two reloads that fail leave the stats socket of 3.2 and later dead: better one too few.
            return _UNSEEN_LOST_AFTER_S if before.is_told else math.inf
        now = self._master.show_proc(retry_s=_PROBE_S)
        tried = before.master.reloads if before.master else 0
        if now.failed > 0 and now.reloads != tried:
            raise _failed(self._alerts(before), _no_words(before))
        if now.reloads >= tried + _MOST_ATTEMPTS:
            raise ApplyFailed(f"{_NOT_TAKEN}: {self._failed_attempts()}")
        return _LOST_AFTER_S

    def _failed_attempts(self) -> str:
        main_file = Path(self._options.state_dir) / "live" / MAIN_FILE
        return (
            "it reloaded more than once and still does not say the new digest; "
            f"is it started with `-f {main_file}`?"
        )

    def _alerts(self, before: StateBefore) -> tuple[Alert, ...]:
        return startup_log.alerts_since(before.mark, self._master) if before.mark else ()


def _no_words(before: StateBefore) -> str:
    pid = before.mark.pid if before.mark else 0
    return (
        "the reload failed, and the reason is only in the log of HAProxy's master "
        f"(process {pid}), which cannot be read from here"
    )


def _failed(alerts: tuple[Alert, ...], otherwise: str) -> ApplyFailed:
    said = _words(alerts)
    if _NO_DIRECTORY in said:
        return ApplyFailed(
            f"{_NOT_TAKEN}: {said}; the directory its master stood in was removed, and only a restart "
            "of HAProxy helps"
        )
    return LoadFailed(f"{_NOT_TAKEN}: {said or otherwise}", alerts)


def _words(alerts: tuple[Alert, ...]) -> str:
    return "; ".join(str(alert) for alert in alerts[:_MOST_WORDS])
