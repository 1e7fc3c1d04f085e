"""The result of a pass, converted to the status file and the metrics."""

import os
import time
from pathlib import Path

import msgspec

import lbsync
from lbsync import liveness, log, status
from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.generations.content import content
from lbsync.agent.generations.store import Generation
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.report import metrics
from lbsync.agent.report.pass_result import PassResult
from lbsync.agent.state_files import StateFiles
from lbsync.clients import x509
from lbsync.clients.haproxy import binary
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.loop import Report
from lbsync.metrics import Metrics
from lbsync.model.snapshot import Snapshot
from lbsync.schema.publishing import ROOT as PUBLISHERS
from lbsync.settings import Settings
from lbsync.status import LastPass, Quarantined, SourceStatus, State, Status

_MOST_BY_HAND = 100
_SAME_MOMENT_S = 5.0
_NOTHING_JUDGED: dict[str, object] = {
    "held": "", "hold_id": "", "hold_since": 0.0, "hold_services": {}, "quarantined": (),
}  # fmt: skip


class StatusReporter:
    """Writes `<state_dir>/status.json`."""

    def __init__(self, settings: Settings, state_files: StateFiles, source: Source) -> None:
        """`state_files`: tells whether the directory is still this agent's."""
        self.settings = settings
        self._state_files = state_files
        self._source = source
        self._writer = status.Writer(Path(settings.state_dir))
        self._seen: ApplyResult | None = None
        self._worker = ""
        self._watching = False
        self._looked_at = Snapshot(0, 0, {})
        self._published = False
        self._unmeasured = log.Failing("no metrics", "metrics are written again")
        self._since: dict[str, float] = {}
        self.unanswered = ""
        """Why nobody is answered over HTTP; see `Status.unanswered`."""
        self.metrics = Metrics(
            metrics.NAMESPACE, lambda: metrics.of_status(self._status), metrics.TIMINGS
        )
        now = time.time()
        self._status = Status(
            state="starting",
            host=str(settings.host),
            pid=os.getpid(),
            pid_namespace=liveness.pid_namespace(),
            written_at=now,
            every=settings.agent.verify.seconds,
            lbsync=lbsync.__version__,
            haproxy=_version(settings.haproxy.binary),
            started_at=now,
        )

    @property
    def status(self) -> Status:
        """What was last written, or would have been."""
        return self._status

    def starting(self) -> None:
        """Say that no pass has ended yet, and that the source will be watched from now on.

        Raises `LbsyncError` when the file cannot be written.
        """
        self._watching = True
        self._write_metrics()
        self._writer.write(self._status)

    def ended(self) -> None:
        """Write the status for the last time; readers see for themselves that the process is gone."""
        if self._state_files.are_ours:
            self._writer.write(self._status)

    def note(self, report: Report, result: PassResult) -> None:
        """Take in the end of a pass and write. Raises `LbsyncError`, and `Superseded` where the file is
        another agent's by now; nothing is written then."""
        self._state_files.check()
        now = time.time()
        facts: dict[str, object] = {
            "written_at": now,
            "every": self.settings.agent.verify.seconds,
            "waits": report.outcome.waits if report.outcome else "",
            "waits_until": _waits_until(report, now),
            "error": report.error or report.reload_error,
            "refused_settings": report.reload_error,
            "failing_since": report.failing_since or 0.0,
            "source": self._source_status(),
            "published": self._is_published(),
            "passes": self._status.passes + 1,
            "unanswered": self.unanswered,
            "draining": result.asked.draining,
            "state": self._state(report, result),
            "certificates": self._certificates(result),
            "last_pass": LastPass(_ended(report), now, report.seconds),
        }
        if report.outcome is not None:
            if result.asked.rollback is not None:
                # Nobody looks at what the source asks for: what was refused or held may be mended.
                facts |= _NOTHING_JUDGED
            elif result.state is not None:
                facts |= self._of_wanted(result.state, result, now)
            if result.applied is not None:
                facts |= self._of_applied(result.applied, result, report, now)
        self._status = msgspec.structs.replace(self._status, **facts)
        self._write_metrics()
        self._writer.write(self._status)

    def _certificates(self, result: PassResult) -> dict[str, float]:
        etcd = self.settings.etcd
        return {**result.certificate_ends, **x509.ends([etcd.cert], [etcd.ca])}

    def _write_metrics(self) -> None:
        if (path := self.settings.agent.metrics_file) is None:
            return
        try:
            self.metrics.write(Path(path))
            self._unmeasured.recovered()
        except LbsyncError as error:
            self._unmeasured.failed(str(error))

    def _state(self, report: Report, result: PassResult) -> State:
        outcome = report.outcome
        if outcome is None:
            return "failing"
        if not outcome.confirmed:
            return "unconfirmed"
        if result.asked.rollback is not None:
            return "rolled-back"
        if outcome.waits:
            return "waiting"
        if self._watching and not self._source.health().ok:
            return "stale"
        return "held" if result.hold is not None else "confirmed"

    def _source_status(self) -> SourceStatus | None:
        if not self._watching:
            return None
        health = self._source.health()
        return SourceStatus(health.ok, health.detail, health.since)

    def _is_published(self) -> bool:
        if not self._watching:
            return True
        try:
            snapshot = self._source.snapshot()
        except LbsyncError:  # it was not listed yet
            return True
        written = snapshot.changed_since(self._looked_at)
        if written is None or any(key.startswith(PUBLISHERS) for key in written):
            self._published = any(key.startswith(PUBLISHERS) for key in snapshot.items)
        # Of its keys nothing is needed, so none is kept.
        self._looked_at = msgspec.structs.replace(snapshot, items={})
        return self._published

    def _of_wanted(self, state: RenderedState, result: PassResult, now: float) -> dict[str, object]:
        problems, hold = state.desired.problems, result.hold
        names = {f"{problem.key} {problem.reason}" for problem in problems}
        self._since = {name: self._since.get(name, now) for name in names}
        return {
            "revision_seen": state.desired.revision,
            "held": str(hold) if hold else "",
            "hold_id": hold.id if hold else "",
            "hold_since": self._hold_since(result, now) if hold else 0.0,
            "hold_services": hold.left if hold else {},
            "quarantined": tuple(
                Quarantined(
                    problem.key,
                    problem.reason,
                    problem.service,
                    self._since[f"{problem.key} {problem.reason}"],
                    problem.line,
                )
                for problem in problems
            ),
        }

    def _hold_since(self, result: PassResult, now: float) -> float:
        since, known = now - result.hold_age_s, self._status.hold_since
        # The same moment, worked out from two clocks: not to be news each time.
        return known if abs(known - since) < _SAME_MOMENT_S else since

    def _of_applied(
        self, applied: ApplyResult, result: PassResult, report: Report, now: float
    ) -> dict[str, object]:
        generation = applied.generation
        is_new = applied is not self._seen
        self._seen = applied
        facts: dict[str, object] = {
            "old_workers": applied.old_workers,
            "by_hand": applied.by_hand[:_MOST_BY_HAND],
            "by_hand_count": len(applied.by_hand),
            "healed": self._status.healed + is_new * len(applied.healed),
            "steps": self._status.steps + is_new * applied.steps,
            "replaced": self._status.replaced + self._is_replaced(applied),
        }
        if is_new and applied.reload is not None:
            facts |= self._of_reload(applied)
        if report.outcome is not None and report.outcome.confirmed:
            facts["verified_at"] = applied.verified_at or now
            facts["revision"] = result.revision or self._stored(generation)
            if generation.digest != self._status.digest:
                facts["confirmed_at"] = now
            facts["digest"], facts["generation"] = generation.digest, generation.seq
            facts["base"] = applied.base
            facts |= self._counts(generation, result.state)
        return facts

    def _counts(self, generation: Generation, state: RenderedState | None) -> dict[str, object]:
        """Return the numbers of services and servers: those of the desired state if it is served, else those in the
        generation's files."""
        if state is not None and state.rendered.digest == generation.digest:
            services, servers = len(state.desired.services), state.desired.server_count
        elif generation.digest == self._status.digest:
            return {}
        else:
            has = content(generation, Parser())
            services, servers = len(has.services), len(has.servers)
        return {"services": services, "servers": servers}

    def _is_replaced(self, applied: ApplyResult) -> bool:
        """Tell whether HAProxy's worker is another one, and not by a reload of ours."""
        if not applied.worker:
            return False
        before, self._worker = self._worker, applied.worker
        ours = applied.reload is not None and applied.reload.before == before
        return bool(before) and before != applied.worker and not ours

    def _stored(self, generation: Generation) -> int:
        """Return at which revision a generation was wanted, where a pass did not ask the source."""
        is_same = generation.digest == self._status.digest
        return self._status.revision if is_same else generation.meta.revision

    def _of_reload(self, applied: ApplyResult) -> dict[str, object]:
        known = self._status.reloads_by_cause
        return {
            "reloads": self._status.reloads + 1,
            "reloads_by_cause": {**known, applied.cause: known.get(applied.cause, 0) + 1},
            "needless_reloads": self._status.needless_reloads + applied.needless,
            "reload_reason": applied.reasons[0] if applied.reasons else "",
        }


def _waits_until(report: Report, now: float) -> float:
    return now + report.outcome.waits_s if report.outcome and report.outcome.waits_s else 0.0


def _ended(report: Report) -> str:
    return report.outcome.sentence if report.outcome else f"failed: {report.error}"


def _version(program: str) -> str:
    try:
        return ".".join(map(str, binary.version(program)))
    except Unavailable:
        return ""
