"""The running HAProxy as the agent knows it, and changes to it without a reload."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lbsync import log
from lbsync.agent.file_names import HOST_MAP
from lbsync.agent.haproxycfg.config import Config, main_text
from lbsync.agent.runtime import host_map
from lbsync.agent.runtime.changes import maps
from lbsync.agent.runtime.changes.certificates import Certificates, plan_certificates
from lbsync.agent.runtime.changes.change_set import Plan, PlanBuilder
from lbsync.agent.runtime.changes.release_limits import within_release_limits
from lbsync.agent.runtime.deltas import delta_readback
from lbsync.agent.runtime.deltas.delta_plan import RenderBackends, plan_deltas
from lbsync.agent.runtime.deltas.service_delta import ServiceDelta
from lbsync.agent.runtime.drift import Drift, compare, healing, note_verified
from lbsync.agent.runtime.execute import Executor
from lbsync.agent.runtime.journal import Journal
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import observe
from lbsync.agent.runtime.plan import plan, plan_map
from lbsync.agent.runtime.retired.reaper import Reaper
from lbsync.agent.runtime.settling import in_effect
from lbsync.agent.runtime.unread import Unread
from lbsync.clients.haproxy import capabilities, known_faults, sockets
from lbsync.clients.haproxy.capabilities import Capabilities
from lbsync.clients.haproxy.identity import reports_digest
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import Unavailable
from lbsync.model.rendered import Rendered


class HaproxyRuntime:
    """What HAProxy runs, followed step by step and forgotten at the first doubt."""

    def __init__(self, options: HaproxyOptions, leave_within_s: float) -> None:
        """`leave_within_s`: how long a removed server may take to finish its sessions."""
        self._journal = Journal(Path(options.state_dir))
        self._worker = sockets.worker(options)
        self._executor = Executor(self._worker)
        self._reaper = Reaper(self._worker, leave_within_s)
        self._running: RuntimeConfig | None = None
        self._asked: RuntimeConfig | None = None
        self._unread = Unread()
        self._by_signal = options.reload == "signal"
        self.can = Capabilities((0, 0, 0))
        """What the worker of that number can do."""
        self.worker = ""
        """Process id of the worker that was last proved to serve something of ours."""
        self.base = ""
        """Digest that HAProxy gives in `show info`: of the generation it loaded."""
        self.steps = 0
        """Steps done since `pop_step_count`, for the report of a pass."""

    @property
    def known(self) -> bool:
        """It is known what runs, so it can be compared and changed."""
        return self._running is not None

    def load(self, rendered: Rendered, config: Config, base: str, *, ours: bool = False) -> None:
        """Note that HAProxy was proved to run this and had loaded generation `base`.

        `ours`: our own reload replaced the worker, so a new one is expected. The host map may differ
        from the one HAProxy loaded. Raises `Unavailable`.
        """
        info = self._worker.show_info()
        version = known_faults.parsed(info["Version"])
        if version is None or not reports_digest(info, base):
            self.forget()
            return
        if version != self.can.version:
            for sentence in known_faults.sentences(
                info["Version"], by_signal=self._by_signal, config=main_text(rendered)
            ):
                log.get().warning(sentence)
        if info["Pid"] != self.worker or version != self.can.version:
            self.can = capabilities.ask(self._worker, version)
        if self.worker and self.worker != info["Pid"] and not ours:
            log.get().warning(
                f"HAProxy's worker is another one than before (process {self.worker}, now "
                f"{info['Pid']}): it ended and was started anew, or somebody reloaded it"
            )
        self.worker = info["Pid"]
        self._running = RuntimeConfig(config, files_of(host_map.as_it_runs(self._worker, rendered)))
        self._running.touched |= self._journal.read(self.worker)
        self._journal.begin(self.worker, self._running.touched)
        self._reaper.begin()
        self._unread = Unread()
        self.base = base

    def is_same_worker(self) -> bool:
        """Tell whether the same worker still runs; forget everything if not."""
        if self._running is None:
            return False
        try:
            info = self._worker.identity(retry_s=0)
        except Unavailable:
            info = {}
        if info.get("Pid") != self.worker or not reports_digest(info, self.base):
            self.forget()
        return self.known

    def rewrite_journal(self) -> None:
        """Write the journal of changes again: the file may be gone."""
        if self._running is not None:
            self._journal.rewrite(self.worker, self._running.touched)

    def forget(self) -> None:
        """Forget what runs: only a proof or a reload can tell."""
        self._running = self._asked = None
        self.base = ""

    def plan(self, config: Config, rendered: Rendered) -> Plan:
        """Return how to get from what runs to what is wanted; not knowing is a reason to reload."""
        if self._running is None:
            return Plan((), ("what HAProxy runs is not known",))
        return self._within_limits(plan(self._running, config, files_of(rendered), self.can))

    @property
    def dropped(self) -> frozenset[str]:
        """The backends that do not run any more, but are in the live file."""
        return frozenset(self._running.leaving.dropped if self._running is not None else ())

    def note_stored(self, dropped: Iterable[str]) -> None:
        """Note that the live file is one without the backends that were `dropped`."""
        if self._running is not None:
            for name in dropped:
                self._running.leaving.dropped.pop(name, None)

    def _sure(self) -> RuntimeConfig:
        """Return what runs. Raises `Unavailable` where that is not known."""
        if self._running is None:
            raise Unavailable("what HAProxy runs is not known; the next pass finds out")
        return self._running

    def _within_limits(self, todo: Plan) -> Plan:
        return within_release_limits(todo, self.can)

    def carry_out(self, todo: Plan, config: Config, rendered: Rendered) -> None:
        """Run a plan's steps and note the result. Raises `Deviated`; what runs is in doubt then."""
        running = self._sure()
        self._execute(todo)
        running.adopt(config, files_of(rendered), todo.steps)

    def apply_deltas(
        self, deltas: Sequence[ServiceDelta], render_backends: RenderBackends
    ) -> tuple[tuple[ServiceDelta, ...], bool]:
        """Change services at once. Return those that changed, and whether others could not.

        Raises `Deviated`; what runs is in doubt then.
        """
        running = self._sure()
        planned = plan_deltas(running, deltas, render_backends, self.can)
        self._execute(planned.steps)
        planned.adopt(running)
        return planned.done, len(planned.done) < len(deltas)

    def shows(self, deltas: Sequence[ServiceDelta]) -> bool:
        """Tell whether a read-back shows what deltas have led to, on the worker that they were made on.

        What differs is left to the next pass, which heals it. Raises `Unavailable`.
        """
        shown = delta_readback.shows(self._worker, self._sure(), deltas, self.can)
        return shown and self.is_same_worker()

    def update_host_map(self, rendered: Rendered) -> None:
        """Change the host map alone, where all else has to wait. Raises `Deviated`; what runs is in doubt then."""
        running = self._sure()
        data = host_map.of(rendered)
        if data is None:
            return
        before, now = running.entries(HOST_MAP).values, maps.read(data, "map").values
        gone, come = before.items() - now.items(), now.items() - before.items()
        todo = plan_map(running, HOST_MAP, gone, come)
        if not todo.empty and not todo.reload:
            self._execute(todo)
            running.adopt_entries(HOST_MAP, before.keys() - now.keys(), come)

    def renew(self, files: Mapping[str, bytes]) -> bool:
        """Update certificates that are already served; tell whether nothing else is left to do.

        `files`: path to content of all wanted certificates. Raises `Deviated` where HAProxy refuses
        one; what runs is in doubt then.
        """
        running = self._sure()
        held = running.files
        changed = [path for path, data in files.items() if held.get(path) != data]
        known = Certificates(running.uses, held, {**held, **files}, self.can.payload_bytes)
        if not all(path in held and known.concerns(path) for path in changed):
            return False
        draft = PlanBuilder()
        plan_certificates(draft, known, changed)
        if (todo := draft.finish()).reload:
            return False
        self._execute(todo)
        running.files.update(files)
        return True

    def verify(self, *, release: bool = False, quick: bool = False) -> tuple[list[Drift], bool]:
        """Read everything back and heal drift; return what differed, and whether all is well now.

        What was set by hand is kept, unless `release` says otherwise. `quick`: only the servers of what
        changed since they were last read, and the sizes of maps. Raises `Unavailable`, `Deviated`; what
        runs is in doubt then.
        """
        running = self._sure()
        only = self._unread.backends if quick and not release else None
        found = self._differences(quick, only)
        todo = self._within_limits(healing(found, release=release))
        if not todo.empty and not todo.reload:
            self._execute(todo)
            running.adopt_steps(todo.steps)
            only = self._unread.backends if only is not None else None
            again = self._differences(quick, only)
            todo = healing(again)
            note_verified(running, again, only)
        else:
            note_verified(running, found, only)
        self._journal.begin(self.worker, running.touched)
        return self._unread.note_read(found, only), todo.empty

    def differences(self) -> list[Drift]:
        """Read servers and sizes of maps back, and compare; nothing is healed."""
        return self._unread.note_read(self._differences(quick=True), None)

    def _differences(self, quick: bool, only: frozenset[str] | None = None) -> list[Drift]:
        contents = () if quick else None

        def differences() -> list[Drift]:
            running = self._sure()
            observed = observe(
                self._worker,
                running,
                contents=contents,
                certificates=not quick,
                backends=self.can.backends,
                names=self.can.has("show ssl sni"),
                only=only,
            )
            found = compare(running, observed, self.can)
            wrong = {finding.mismatch.where for finding in found}
            right = {path: text for path, text in observed.raw.items() if path not in wrong}
            running.found_right.update(right)
            running.trusted = {**observed.trust, **running.trusted}
            return found

        return in_effect(differences)

    def reap_retired(self) -> bool:
        """Delete retired servers and backends that are idle; tell whether some are left."""
        return self._running is not None and self._reaper.reap(self._running)

    @property
    def asked(self) -> RuntimeConfig | None:
        """What this worker was asked to run, even if it did not do all of it; None: not known."""
        return self._running or self._asked

    def pop_step_count(self) -> int:
        """Return how many steps were done since this was last asked."""
        steps, self.steps = self.steps, 0
        return steps

    def _execute(self, todo: Plan) -> None:
        if todo.empty:
            return
        self._unread.note_changed(todo.steps)
        if self._running is not None:
            # Before the steps: what differs after a failure is our own half-done work.
            self._journal.note(self._running.touch(todo.steps))
        try:
            self._executor.run(todo, self.can.payload_bytes)
        except BaseException:
            asked = self._running
            self.forget()
            # For the reload that follows, which ends the states that half a plan has set.
            self._asked = asked
            raise
        self.steps += len(todo.steps)


def files_of(rendered: Rendered) -> dict[str, bytes]:
    """Return path to content."""
    return {file.path: file.data for file in rendered.files}
