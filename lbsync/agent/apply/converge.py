"""From what runs to what was found: by runtime changes where HAProxy can take them, else by a reload.

The file is on disk and validated before anything is changed, and goes live with the change. Whatever
goes wrong on the short way, the long one is taken: a reload is always right.
"""

import time
from collections.abc import Callable, Iterable

import msgspec

from lbsync import log
from lbsync.agent.apply.reload_limiter import Cause, Delay, ReloadLimiter
from lbsync.agent.apply.switch import NO_OLD_WORKERS, Applied, Switcher
from lbsync.agent.candidate.candidates import Candidate
from lbsync.agent.candidate.failed_digests import FailedDigests, LoadFailed
from lbsync.agent.generations import host_map as stored_host_map
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config, Parser, main_text
from lbsync.agent.runtime import host_map
from lbsync.agent.runtime.drift import FEW, Drift, some
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.runtime import HaproxyRuntime, files_of
from lbsync.clients.haproxy.processes import OldWorkers
from lbsync.errors import ApplyFailed, Unavailable
from lbsync.model.rendered import Rendered


class ReloadDeferred(Exception):
    """Raised when a reload is wanted, but has to wait; nothing was changed, nothing is lost."""

    def __init__(self, delay: Delay, reasons: tuple[str, ...], applied: Applied) -> None:
        """`applied`: what is served meanwhile, as it was read back."""
        super().__init__(f"a reload waits: {delay.reason}")
        self.delay = delay
        self.reasons = reasons
        self.applied = applied


class Converger:
    """Brings HAProxy to a generation."""

    def __init__(
        self,
        store: Store,
        applier: Switcher,
        live: HaproxyRuntime,
        parser: Parser,
        *,
        budget: ReloadLimiter,
        look_every_s: float,
        beat: Callable[[], None],
    ) -> None:
        """`look_every_s`: seconds between two looks at everything that runs. `beat` is called before
        each reload."""
        self._store = store
        self._applier = applier
        self._live = live
        self._parser = parser
        self._budget = budget
        self._look_every_s = look_every_s
        self._beat = beat
        self._looked_at = float("-inf")
        self._last: Applied | None = None
        self._failures = FailedDigests()

    def bring(self, found: Candidate, *, urgent: bool = False) -> Applied:
        """Apply what was staged; with nothing staged, prove that the live generation is served.

        `urgent`: a reload for it must not wait. Raises `ApplyFailed` when HAProxy did not take it, the
        generation before being live again; `ReloadDeferred` when the reload has to wait.
        """
        rendered, config = found.plan.rendered, found.config
        if found.staged is None:
            live = self._store.live()
            assert live is not None
            rendered = stored_host_map.update(live, rendered, host_map.of(rendered))
            return self._prove(live, rendered, config)
        if not self._live.still():
            self._learn()
        todo = self._live.plan(config, rendered)
        reasons = todo.reasons
        cause: Cause = "change" if self._live.known else "start"
        if not todo.reload:
            try:
                self._live.carry_out(todo, config, rendered)
                return self._settled(found.staged, config)
            except (Deviated, Unavailable, _Drifted) as error:
                reasons, cause = (str(error),), "heal"
            log.get().warning(f"runtime changes did not do; reloading: {reasons[0]}")
        wanted = self._staged_or_live(found.staged)
        delay = self._delay(cause, urgent=urgent)
        if delay is None:
            return self._reload(wanted, rendered, config, reasons, cause)
        meanwhile = self._meanwhile(wanted, rendered, config)
        if meanwhile.reload is None:
            raise ReloadDeferred(delay, reasons, meanwhile)
        return meanwhile

    def serve(self, wanted: Generation, *, draining: bool) -> Applied:
        """See to it that HAProxy serves a generation that is on disk.

        `draining` is as the host is now, not as it was when that generation was made.
        """
        rendered = stored_host_map.update(wanted, load(wanted), host_map.content(draining))
        config = self._parser.parse(main_text(rendered))
        live = self._store.live()
        if live is not None and live.name == wanted.name:
            return self._prove(live, rendered, config)
        why = "another generation was asked for"
        return self._reload(wanted, rendered, config, (why,), "rollback")

    def look_again(self) -> None:
        """Look at everything in the next proof, whenever the last look was."""
        self._looked_at = float("-inf")

    def release(self) -> bool:
        """Undo what a person set on the running HAProxy; tell whether it could be looked at."""
        if not self._live.still():
            return False
        self._live.look(release=True)
        self.look_again()
        return True

    def _settled(self, staged: Generation, config: Config) -> Applied:
        """Read back after runtime changes, and make their file live."""
        found, well = self._live.look(quick=True)
        if not well:
            raise _Drifted([finding for finding in found if not finding.held])
        steps = self._live.taken()
        applied = self._applier.adopt(staged, config, self._live.base)
        self._budget.settled()
        return self._note(applied, found, steps=steps)

    def _prove(self, live: Generation, rendered: Rendered, config: Config) -> Applied:
        """Prove that the live generation is served: quickly, or looking at everything."""
        if not self._live.still() or self._live.base not in (live.digest, live.meta.base):
            self._live.forget()
            applied = self._applier.confirm(live, rendered, config)
            if applied is None:
                why = "HAProxy serves another configuration than the live one"
                return self._reload(live, rendered, config, (why,), "start")
            if applied.outcome == "live":
                return applied
            self._live.load(rendered, config, applied.base)
            self.look_again()
            if not self._live.known:
                return applied
        # The host's own state, say: nobody has changed it, it was loaded so.
        todo = self._live.plan(config, rendered)
        if not todo.empty and not todo.reload:
            self._live.carry_out(todo, config, rendered)
            self.look_again()
        return self._look(live, rendered, config)

    def _meanwhile(self, wanted: Generation, rendered: Rendered, config: Config) -> Applied:
        """Look after what runs while the reload to `wanted` has to wait.

        What only a reload heals does not wait, and so brings what is wanted.
        """
        live = self._store.live()
        assert live is not None  # what runs is known from it
        try:
            return self._look(live, rendered, config, wanted)
        except Unavailable:
            self._store.discard(wanted)  # the next pass stages anew
            raise

    def _look(
        self,
        live: Generation,
        rendered: Rendered,
        config: Config,
        wanted: Generation | None = None,
    ) -> Applied:
        """Read everything back where that is due. `wanted`, with its texts, is what a reload that
        heals goes to; left out: what is live."""
        now = time.monotonic()
        if now - self._looked_at < self._look_every_s and self._last is not None:
            return msgspec.structs.replace(
                self._last, reload=None, steps=self._live.taken(), reasons=(), healed=(), cause="",
                needless=False, old_workers=self._old_workers(),
            )  # fmt: skip
        try:
            found, well = self._live.look()
        except Deviated as error:
            return self._reload(wanted or live, rendered, config, (str(error),), "heal")
        drift = [finding for finding in found if not finding.held]
        if drift:
            log.get().warning(f"HAProxy ran otherwise than written: {some(drift)}", healed=well)
        if not well:
            why = tuple(map(str, drift[:FEW]))
            return self._reload(wanted or live, rendered, config, why, "heal")
        self._looked_at = now
        confirmed = self._store.confirmed()
        if confirmed is None or confirmed.name != live.name:
            confirmed = self._store.mark_confirmed(
                live, self._live.base if self._live.base != live.digest else ""
            )
        applied = Applied("confirmed", confirmed, time.monotonic() - now, base=self._live.base)
        return self._note(applied, found, steps=self._live.taken())

    def _note(self, applied: Applied, found: Iterable[Drift], steps: int = 0) -> Applied:
        findings = list(found)
        self._last = msgspec.structs.replace(
            applied,
            by_hand=tuple(str(finding) for finding in findings if finding.held),
            healed=tuple(str(finding) for finding in findings if not finding.held),
            steps=steps,
            verified_at=time.time(),
            worker=self._live.worker,
            old_workers=self._old_workers(),
        )
        return self._last

    def _learn(self) -> None:
        """Find out what runs, where that is the live generation: after a start of the agent."""
        live = self._store.live()
        if live is None:
            return
        rendered = load(live)
        config = self._parser.parse(main_text(rendered))
        applied = self._applier.confirm(live, rendered, config)
        if applied is None or applied.outcome != "confirmed":
            return
        self._live.load(rendered, config, applied.base)
        if self._live.known and not self._live.look()[1]:
            self._live.forget()

    def _delay(self, cause: Cause, *, urgent: bool) -> Delay | None:
        """Return for how long a reload has to wait; None: not at all."""
        return self._budget.ask(cause, time.monotonic(), self._old_workers().count, urgent=urgent)

    def _old_workers(self) -> OldWorkers:
        try:
            return self._applier.old_workers()
        except Unavailable:
            return NO_OLD_WORKERS  # then there is no worker to spare, old or new

    def _reload(
        self,
        wanted: Generation,
        rendered: Rendered,
        config: Config,
        reasons: tuple[str, ...],
        cause: Cause,
    ) -> Applied:
        self._beat()
        self._not_again(wanted)
        running = self._live.asked
        needless = (
            cause == "change"
            and running is not None
            and running.is_already(config, files_of(rendered))
        )
        self._live.forget()
        try:
            applied = self._applier.apply(wanted, rendered, config, running)
        except LoadFailed as error:
            self._failures.note(
                wanted.digest, str(error), time.monotonic(), self._applier.worker_pid()
            )
            raise
        finally:
            self._budget.reloaded(time.monotonic())
            steps = self._live.taken()
        if applied.outcome == "confirmed":
            ours = applied.reload is not None and applied.reload.before == self._live.worker
            self._live.load(rendered, config, applied.base, ours=ours)
            self._looked_at = time.monotonic()
        # The proof has read everything back; whose doing a difference is, only a closer look tells.
        found = self._live.differences() if self._live.known and applied.mismatches else []
        return msgspec.structs.replace(
            self._note(applied, found, steps), reasons=reasons, cause=cause, needless=needless
        )

    def _not_again(self, wanted: Generation) -> None:
        """Raise the failure that is known of a generation, while it is not to be tried again."""
        rest = self._failures.rest(wanted.digest, time.monotonic(), self._applier.worker_pid())
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


class _Drifted(Exception):
    """Raised when HAProxy runs something else after runtime changes that it all acknowledged."""

    def __init__(self, drift: list[Drift]) -> None:
        super().__init__(some(drift))
