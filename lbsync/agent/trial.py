"""Find what can go live: stage, validate, and hold back whoever is at fault until the rest passes.

One bad service never stops the others: HAProxy's complaint is led back to a service (or a
certificate), which then stays at its last good version while the others go on.
"""

import re
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.agent import inputs
from lbsync.agent.culprits import Culprits
from lbsync.agent.directives import Bind
from lbsync.agent.generations import Generation, Store
from lbsync.agent.intact import Intact
from lbsync.agent.probe import Ports
from lbsync.agent.sections import Config, Parser
from lbsync.agent.served import Served, load, main_text
from lbsync.agent.settle import Plan, Question, Settler
from lbsync.agent.validate import Refused, alike, validate
from lbsync.clients.haproxy import listeners, processes, sockets
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import (
    LbsyncError,
    Rejected,
    TemplateError,
    Unavailable,
)
from lbsync.model.rendered import Rendered
from lbsync.schema.keys import ServiceId

#: Each round holds back at least one more; a pass that needs more rounds has another cause.
_MOST_ROUNDS = 12
#: The same for rendering, which is cheap and may have to find many bad keys one by one.
_MOST_UNPRINTABLE = 200
_CERTIFICATE = re.compile(r"certs/([A-Za-z0-9][A-Za-z0-9._-]*\.(?:pem|crt))")


class Found(msgspec.Struct, frozen=True, eq=False):
    """A plan that passed."""

    plan: Plan
    config: Config
    staged: Generation | None
    """None when the live generation already is what the plan asks for."""


class Trial:
    """Tries plans on disk and with `haproxy -c`."""

    def __init__(
        self,
        store: Store,
        settler: Settler,
        parser: Parser,
        options: HaproxyOptions,
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called before each try."""
        self._store = store
        self._settler = settler
        self._parser = parser
        self._options = options
        self._beat = beat
        self._culprits = Culprits(settler)
        self._intact = Intact(inputs.HOST_MAP)
        self._warned = log.News()

    def find(self, question: Question, served: Served | None, ready: Found | None = None) -> Found:
        """Return a plan that HAProxy accepts, as near to what is wanted as can be.

        `ready`: what was found ahead; taken when it still is what is wanted, removed when not.
        Raises `Refused` when no service is at fault, or too many would be; `TemplateError` and
        `Rejected` when nothing can be rendered; `ApplyFailed` when the disk does not take a
        generation; `Unavailable` when `haproxy -c` cannot be run.
        """
        known = self._known_binds(served)
        self._culprits.begin()
        for _ in range(_MOST_ROUNDS):
            plan = self._printable(question)
            if self._is_live(plan.rendered):
                self.forget(ready)
                return Found(plan, self._config(plan, served), None)
            if ready is not None and ready.plan.rendered.digest == plan.rendered.digest:
                return Found(plan, ready.config, ready.staged)
            self.forget(ready)
            ready = None
            try:
                return self._stage(plan, known)
            except Refused as refusal:
                self._culprits.refused(
                    question, plan, refusal, lambda held: self._accepts(question, held, known)
                )
        raise LbsyncError(
            f"after holding back {len(self._settler.bars)} services HAProxy still refuses; "
            "what is live stays; see the reasons above"
        )

    def forget(self, found: Found | None) -> None:
        """Remove from disk what was found ahead and is not wanted any more."""
        if found is not None and found.staged is not None:
            self._store.discard(found.staged)

    def _is_live(self, rendered: Rendered) -> bool:
        """Tell whether the live generation is what is wanted, on disk, too."""
        live = self._store.live()
        if live is None or live.digest != rendered.digest:
            return False
        if damaged := self._intact.damaged(live, rendered):
            log.get().error(f"somebody changed {live.path / damaged}; it is written anew")
        return not damaged

    def _printable(self, question: Question) -> Plan:
        """Return a plan of all that can be rendered; hold back who cannot."""
        for _ in range(_MOST_UNPRINTABLE):
            try:
                return self._plan(question)
            except (Rejected, TemplateError) as error:
                self._culprits.unprintable(
                    question, error, lambda held: self._can_print(question, held)
                )
        return self._plan(question)

    def _can_print(self, question: Question, held: set[ServiceId]) -> bool:
        try:
            self._plan(question, frozenset(held))
        except (Rejected, TemplateError):
            return False
        return True

    def _accepts(self, question: Question, held: set[ServiceId], known: tuple[Bind, ...]) -> bool:
        try:
            found = self._stage(self._plan(question, frozenset(held)), known)
        except (Rejected, TemplateError):
            return False
        self.forget(found)
        return True

    def _plan(self, question: Question, held: frozenset[ServiceId] = frozenset()) -> Plan:
        self._beat()
        return self._settler.plan(
            question.snapshot, question.accepted, question.draining, question.let_go, held
        )

    def _config(self, plan: Plan, served: Served | None) -> Config:
        if served is not None and served.rendered.digest == plan.rendered.digest:
            return served.config
        return self._parser.parse(main_text(plan.rendered))

    def _stage(self, plan: Plan, known: tuple[Bind, ...]) -> Found:
        self._beat()
        staged = self._store.stage(plan.rendered, plan.desired.revision)
        try:
            verdict = validate(
                staged,
                plan.rendered,
                self._parser,
                self._options,
                known_binds=known,
                ports=self._ports,
            )
        except LbsyncError:
            self._store.discard(staged)
            raise
        for what, warnings in alike(verdict.warnings).items():
            if self._warned.of(what, ""):
                log.get().warning(f"HAProxy warns: {warnings[0]}")
        return Found(plan, verdict.config, staged)

    def _known_binds(self, served: Served | None) -> tuple[Bind, ...]:
        """Return the binds HAProxy may hold now: they are not probed."""
        if served is not None:
            return tuple(bind for _, bind in served.config.binds())
        live = self._store.live()
        if live is None:
            return ()
        config = self._parser.parse(main_text(load(live)))
        return tuple(bind for _, bind in config.binds())

    def _ports(self) -> Ports:
        first_free = listeners.first_free_port()
        master = sockets.master(self._options)
        if master is None:
            return Ports(first_free=first_free, listeners=_listeners)
        try:
            proc = master.show_proc(retry_s=0)
        except Unavailable:
            return Ports(first_free=first_free, listeners=_listeners)
        workers = [proc.current, *proc.old_workers]
        held = processes.listening_ports([worker.pid for worker in workers if worker is not None])
        return Ports(held, processes.may_bind_low_ports(proc.pid), first_free, _listeners)


def _listeners() -> list[Bind]:
    return [Bind(address, port, 0) for address, port in listeners.listening()]
