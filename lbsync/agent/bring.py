"""From what runs to what was found: by runtime changes where HAProxy can take them, else by a reload.

The file is on disk and validated before anything is changed, and goes live with the change. Whatever
goes wrong on the short way, the long one is taken: a reload is always right.
"""

import msgspec

from lbsync import log
from lbsync.agent.apply import Applied, Applier
from lbsync.agent.generations import Generation, Store
from lbsync.agent.live import Live
from lbsync.agent.readback import Mismatch
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.sections import Config, Parser
from lbsync.agent.served import load, main_text
from lbsync.agent.trial import Found
from lbsync.errors import Unavailable
from lbsync.model.rendered import Rendered

#: What an operator may set by hand; anything else that differs is drift.
_BY_HAND = frozenset(("weight", "state"))


class Bringer:
    """Brings HAProxy to a generation."""

    def __init__(self, store: Store, applier: Applier, live: Live, parser: Parser) -> None:
        self._store = store
        self._applier = applier
        self._live = live
        self._parser = parser

    def bring(self, found: Found) -> Applied:
        """Apply what was staged; with nothing staged, prove that the live generation is served.

        Raises `ApplyFailed` when HAProxy did not take it; the generation before is live again.
        """
        rendered, config = found.plan.rendered, found.config
        if found.staged is None:
            live = self._store.live()
            assert live is not None
            return self._prove(live, rendered, config)
        if not self._live.still():
            self._learn()
        todo = self._live.plan(config, rendered)
        reasons = todo.reasons
        if not todo.reload:
            try:
                self._live.carry_out(todo, config, rendered)
                touched = frozenset(self._live.touched)
                applied = self._applier.adopt(
                    found.staged, rendered, config, self._live.base, touched
                )
                drift = self._drift(applied)
                if not drift:
                    return self._explained(applied)
                reasons = tuple(str(each) for each in drift[:3])
            except Deviated as error:
                reasons = (str(error),)
            except Unavailable as error:
                reasons = (str(error),)
            log.get().warning(f"runtime changes did not do; reloading: {reasons[0]}")
        return self._reload(self._staged_or_live(found.staged), rendered, config, reasons)

    def serve(self, wanted: Generation) -> Applied:
        """See to it that HAProxy serves a generation that is on disk."""
        rendered = load(wanted)
        config = self._parser.parse(main_text(rendered))
        live = self._store.live()
        if live is not None and live.name == wanted.name:
            return self._prove(live, rendered, config)
        return self._reload(wanted, rendered, config, ("another generation was asked for",))

    def _prove(self, live: Generation, rendered: Rendered, config: Config) -> Applied:
        applied = self._applier.confirm(live, rendered, config)
        if applied is None:
            why = "HAProxy serves another configuration than the live one"
            return self._reload(live, rendered, config, (why,))
        if applied.outcome == "confirmed":
            if self._live.base != applied.base or not self._live.still():
                self._live.load(rendered, config, applied.base)
            drift = self._drift(applied)
            if drift and applied.base != live.digest:
                # Half of a runtime change, of an agent that was killed in it.
                return self._reload(live, rendered, config, tuple(map(str, drift[:3])))
        return self._explained(applied)

    def _learn(self) -> None:
        """Find out what runs, where that is the live generation: after a start of the agent."""
        live = self._store.live()
        if live is None:
            return
        rendered = load(live)
        config = self._parser.parse(main_text(rendered))
        applied = self._applier.confirm(live, rendered, config)
        if applied is not None and applied.outcome == "confirmed" and not self._drift(applied):
            self._live.load(rendered, config, applied.base)

    def _reload(
        self, wanted: Generation, rendered: Rendered, config: Config, reasons: tuple[str, ...]
    ) -> Applied:
        ours = self._live.ours()
        self._live.forget()
        applied = self._applier.apply(wanted, rendered, config, ours)
        if applied.outcome == "confirmed":
            self._live.load(rendered, config, applied.base)
        self._live.taken()
        return msgspec.structs.replace(applied, reasons=reasons)

    def _staged_or_live(self, staged: Generation) -> Generation:
        """Return the generation to reload: it may have been made live already."""
        live = self._store.live()
        return live if live is not None and not staged.path.exists() else staged

    def _drift(self, applied: Applied) -> list[Mismatch]:
        found = self._live.unexplained(applied.mismatches)
        return [mismatch for mismatch in found if mismatch.field not in _BY_HAND]

    def _explained(self, applied: Applied) -> Applied:
        mismatches = tuple(self._live.unexplained(applied.mismatches))
        return msgspec.structs.replace(applied, mismatches=mismatches, steps=self._live.taken())
