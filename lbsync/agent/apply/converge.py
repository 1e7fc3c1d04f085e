"""From the running state to a candidate: by runtime changes if HAProxy accepts them, otherwise by a reload.

The file is on disk and validated before anything is changed, and becomes live together with the change. If
runtime changes fail, HAProxy is reloaded: a reload is always correct.
"""

import time
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.agent.apply.change import Change, DeferredReload, NotProved, Proof, Reasons
from lbsync.agent.apply.reload_limiter import Cause, Delay, ReloadLimiter
from lbsync.agent.apply.switch import ApplyResult, Switcher
from lbsync.agent.candidate.candidates import Candidate
from lbsync.agent.candidate.failed_digests import FailedDigests, LoadFailed
from lbsync.agent.generations import host_map as stored_host_map
from lbsync.agent.generations.read import LoadedGeneration, parsed
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime import host_map
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.drift import FEW, Drift, some
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.runtime import HaproxyRuntime, files_of
from lbsync.errors import ApplyFailed, Unavailable


class Converger:
    """Brings HAProxy to a generation."""

    def __init__(
        self,
        store: Store,
        switcher: Switcher,
        runtime: HaproxyRuntime,
        parser: Parser,
        *,
        limiter: ReloadLimiter,
        verify_every_s: float,
        watchdog_ping: Callable[[], None],
    ) -> None:
        """`verify_every_s`: seconds between two read-backs of everything that runs.
        `watchdog_ping` is called before each reload."""
        self._store = store
        self._switcher = switcher
        self._runtime = runtime
        self._parser = parser
        self._limiter = limiter
        self._verify_every_s = verify_every_s
        self._watchdog_ping = watchdog_ping
        self._verified_at = float("-inf")
        self._last: ApplyResult | None = None
        self._failures = FailedDigests()

    def plan(self, candidate: Candidate) -> Change:
        """Return how to get to a candidate, changing nothing."""
        if candidate.is_live:
            return Change(Plan((), ()), "change")
        if not self._runtime.is_same_worker():
            self._learn()
        plan = self._runtime.plan(candidate.config, candidate.rendered)
        return Change(plan, "change" if self._runtime.known else "start")

    def apply(
        self, candidate: Candidate, change: Change, *, urgent: bool = False
    ) -> ApplyResult | DeferredReload:
        """Put a candidate into force and read it back; one that is already live is only verified.

        `urgent`: a reload for it must not wait. Raises `ApplyFailed` when HAProxy did not take it; the
        previous generation is live again then.
        """
        rendered, config = candidate.rendered, candidate.config
        if candidate.is_live:
            rendered = stored_host_map.update(candidate.generation, rendered, host_map.of(rendered))
            return self._prove(LoadedGeneration(candidate.generation, rendered, config))
        reasons, cause = change.plan.reasons, change.cause
        if not change.plan.reload:
            try:
                proof = self.prove(candidate, change)
                return self.adopt(candidate, proof)
            except (Deviated, Unavailable, NotProved) as error:
                reasons, cause = (str(error),), "heal"
            log.get().warning(f"runtime changes did not do; reloading: {reasons[0]}")
        target = LoadedGeneration(self._staged_or_live(candidate.generation), rendered, config)
        workers = self._old_workers()
        delay = self._limiter.ask(cause, time.monotonic(), workers, urgent=urgent)
        if delay is None:
            return self._reload(target, reasons, cause)
        return self._meanwhile(target, delay, reasons)

    def serve(self, wanted: Generation, *, draining: bool) -> ApplyResult:
        """Make HAProxy serve a generation that is on disk.

        `draining`: the host's state now, not when that generation was made.
        """
        target = parsed(wanted, self._parser)
        rendered = stored_host_map.update(wanted, target.rendered, host_map.content(draining))
        target = msgspec.structs.replace(target, rendered=rendered)
        if (live := self._store.live()) is not None and live.name == wanted.name:
            return self._prove(target)
        return self._reload(target, ("another generation was asked for",), "rollback")

    def verify_all_next(self) -> None:
        """Read everything back next time, even if that was just done."""
        self._verified_at = float("-inf")

    def release(self) -> bool:
        """Undo what was set by hand in the running HAProxy; tell whether that was possible."""
        if not self._runtime.is_same_worker():
            return False
        self._runtime.verify(release=True)
        self.verify_all_next()
        return True

    def prove(self, candidate: Candidate, change: Change) -> Proof:
        """Make the runtime changes, and read back that HAProxy serves the candidate; read all where that is due.

        Raises `NotProved`, and `Deviated` or `Unavailable`; what runs is in doubt then.
        """
        self._runtime.carry_out(change.plan, candidate.config, candidate.rendered)
        due = time.monotonic() - self._verified_at >= self._verify_every_s
        found, well = self._runtime.verify(quick=not due)
        if not well:
            raise NotProved([finding for finding in found if not finding.by_hand])
        if due:
            self._verified_at = time.monotonic()
        return Proof(found, self._runtime.pop_step_count(), self._runtime.dropped)

    def adopt(self, candidate: Candidate, proof: Proof) -> ApplyResult:
        """Make the file of a candidate live that HAProxy was proved to serve. Raises `ApplyFailed`."""
        applied = self._switcher.adopt(candidate.generation, candidate.config, self._runtime.base)
        self._runtime.note_stored(proof.dropped)
        self._limiter.drop_request()
        return self._note(applied, proof.found, proof.steps)

    def _prove(self, target: LoadedGeneration) -> ApplyResult:
        """Prove that the live generation is served; read everything back where that is due."""
        live, rendered, config = target.generation, target.rendered, target.config
        bases = live.digest, live.meta.base
        if not self._runtime.is_same_worker() or self._runtime.base not in bases:
            self._runtime.forget()
            applied = self._switcher.confirm(live, rendered, config)
            if applied is None:
                why = "HAProxy serves another configuration than the live one"
                return self._reload(target, (why,), "start")
            if applied.outcome == "live":
                return applied
            self._runtime.load(rendered, config, applied.base)
            self.verify_all_next()
            if not self._runtime.known:
                return applied
        # For example the host map: it was loaded like this, nobody changed it.
        todo = self._runtime.plan(config, rendered)
        if not todo.empty and not todo.reload:
            self._runtime.carry_out(todo, config, rendered)
            self.verify_all_next()
        return self._verify(live, target)

    def _meanwhile(
        self, target: LoadedGeneration, delay: Delay, reasons: tuple[str, ...]
    ) -> ApplyResult | DeferredReload:
        """Verify what runs while the reload to `target` has to wait; a reload that heals goes there."""
        live = self._store.live()
        if live is None:  # removed by somebody: HAProxy could not start again
            return self._reload(target, reasons, "heal")
        stored_host_map.update(live, target.rendered, host_map.of(target.rendered))
        try:
            self._runtime.update_host_map(target.rendered)
            applied = self._verify(live, target)
        except Deviated as error:
            return self._reload(target, (str(error),), "heal")
        except Unavailable:
            self._store.discard(target.generation)  # the next pass stages anew
            raise
        return applied if applied.reload is not None else DeferredReload(delay, reasons, applied)

    def _verify(self, live: Generation, target: LoadedGeneration) -> ApplyResult:
        """Read everything back where that is due; a reload that heals goes to `target`."""
        now = time.monotonic()
        if now - self._verified_at < self._verify_every_s and self._last is not None:
            return msgspec.structs.replace(
                self._last, reload=None, steps=self._runtime.pop_step_count(), reasons=(), healed=(),
                cause="", needless=False, old_workers=self._old_workers(),
            )  # fmt: skip
        try:
            found, well = self._runtime.verify()
        except Deviated as error:
            return self._reload(target, (str(error),), "heal")
        drift = [finding for finding in found if not finding.by_hand]
        if drift:
            log.get().warning(f"HAProxy did not run what was written: {some(drift)}", healed=well)
        if not well:
            return self._reload(target, tuple(map(str, drift[:FEW])), "heal")
        self._verified_at = now
        confirmed = self._store.confirmed()
        if confirmed is None or confirmed.name != live.name:
            confirmed = self._store.mark_confirmed(
                live, self._runtime.base if self._runtime.base != live.digest else ""
            )
        seconds = time.monotonic() - now
        applied = ApplyResult("confirmed", confirmed, seconds, base=self._runtime.base)
        return self._note(applied, found, steps=self._runtime.pop_step_count())

    def _note(self, applied: ApplyResult, drift: list[Drift], steps: int = 0) -> ApplyResult:
        self._last = msgspec.structs.replace(
            applied,
            by_hand=tuple(str(each) for each in drift if each.by_hand),
            healed=tuple(str(each) for each in drift if not each.by_hand),
            steps=steps,
            verified_at=time.time(),
            worker=self._runtime.worker,
            old_workers=self._old_workers(),
        )
        return self._last

    def _learn(self) -> None:
        """After a start of the agent, learn what runs if that is the live generation."""
        if (live := self._store.live()) is None:
            return
        there = parsed(live, self._parser)
        applied = self._switcher.confirm(live, there.rendered, there.config)
        if applied is None or applied.outcome != "confirmed":
            return
        self._runtime.load(there.rendered, there.config, applied.base)
        if self._runtime.known and not self._runtime.verify()[1]:
            self._runtime.forget()

    def _old_workers(self) -> int:
        try:
            return self._switcher.old_workers()
        except Unavailable:
            return 0  # then there is no worker to spare, old or new

    def _reload(self, target: LoadedGeneration, reasons: Reasons, cause: Cause) -> ApplyResult:
        self._watchdog_ping()
        wanted, rendered, config = target.generation, target.rendered, target.config
        self._not_again(wanted)
        running, needless = self._runtime.asked, False
        if cause == "change" and running is not None:
            needless = running.is_already(config, files_of(rendered))
        self._runtime.forget()
        try:
            applied = self._switcher.apply(wanted, rendered, config, running)
        except LoadFailed as error:
            self._failures.note(
                wanted.digest, str(error), time.monotonic(), self._switcher.worker_pid()
            )
            raise
        finally:
            self._limiter.reloaded(time.monotonic())
            steps = self._runtime.pop_step_count()
        if applied.outcome == "confirmed":
            ours = applied.reload is not None and applied.reload.before == self._runtime.worker
            self._runtime.load(rendered, config, applied.base, ours=ours)
            self._verified_at = time.monotonic()
        # The proof has read everything back; this tells drift from what was set by hand.
        found = self._runtime.differences() if self._runtime.known and applied.mismatches else []
        return msgspec.structs.replace(
            self._note(applied, found, steps), reasons=reasons, cause=cause, needless=needless
        )

    def _not_again(self, wanted: Generation) -> None:
        """Raise the known failure of a generation while it must not be tried again."""
        rest = self._failures.rest(wanted.digest, time.monotonic(), self._switcher.worker_pid())
        if rest is None:
            return
        if wanted.seq == 0:
            self._store.discard(wanted)
        seconds, why = rest
        raise ApplyFailed(f"{why}; it is tried again in {seconds / 60:.0f} min at the latest")

    def _staged_or_live(self, staged: Generation) -> Generation:
        """Return the generation to reload: it may have been made live already."""
        live = self._store.live()
        return live if live is not None and not staged.path.exists() else staged
