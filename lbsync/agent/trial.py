"""Find what can go live: stage, validate, and hold back whoever is at fault until the rest passes.

One bad service never stops the others: HAProxy's complaint is led back to a service (or a
certificate), which then stays at its last good version while the others go on.
"""

import re
import time
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.agent import blame, inputs
from lbsync.agent.directives import Bind
from lbsync.agent.entries import Entries
from lbsync.agent.generations import Generation, Store
from lbsync.agent.guard import Hold
from lbsync.agent.intact import Intact
from lbsync.agent.rules import Finding
from lbsync.agent.sections import Config, Parser
from lbsync.agent.served import Served, load, main_text
from lbsync.agent.settle import Bar, Plan, Settled, Settler
from lbsync.agent.validate import Refused, validate
from lbsync.clients.haproxy import processes, sockets
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import (
    BadKey,
    ItemsRefused,
    LbsyncError,
    Rejected,
    TemplateError,
    Unavailable,
)
from lbsync.model.rendered import Rendered
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId

#: Each round holds back at least one more; a pass that needs more rounds has another cause.
_MOST_ROUNDS = 12
#: The same for rendering, which is cheap and may have to find many bad keys one by one.
_MOST_UNPRINTABLE = 200
#: Seconds after which a service that was held back is tried again as it is: a port may be free by
#: then, another service gone.
_TRY_AGAIN_S = 60.0
_CERTIFICATE = re.compile(r"certs/([A-Za-z0-9][A-Za-z0-9._-]*\.(?:pem|crt))")


class Found(msgspec.Struct, frozen=True, eq=False):
    """A plan that passed."""

    plan: Plan
    config: Config
    staged: Generation | None
    """None when the live generation already is what the plan asks for."""


class Question(msgspec.Struct, frozen=True, eq=False):
    """What a pass starts from."""

    snapshot: Snapshot
    accepted: Entries
    draining: bool
    let_go: Callable[[Hold], bool]


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
        self._intact = Intact(inputs.HOST_MAP)
        self._warned: set[str] = set()

    def find(self, question: Question, served: Served | None, ready: Found | None = None) -> Found:
        """Return a plan that HAProxy accepts, as near to what is wanted as can be.

        `ready`: what was found ahead; taken when it still is what is wanted, removed when not.
        Raises `Refused` when no service is at fault, or too many would be; `TemplateError` and
        `Rejected` when nothing can be rendered; `ApplyFailed` when the disk does not take a
        generation; `Unavailable` when `haproxy -c` cannot be run.
        """
        known = self._known_binds(served)
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
                self._hold_back(question, plan, refusal, known)
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
                self._leave_out(question, error)
        return self._plan(question)

    def _leave_out(self, question: Question, error: LbsyncError) -> None:
        """Hold back whoever cannot be rendered; raise the error where it is nobody's fault."""
        settler = self._settler
        if isinstance(error, BadKey):
            if settler.raw is None or not settler.raw.bar(question.snapshot, error):
                raise error
            return
        settled = settler.settle(question.snapshot, question.accepted, question.let_go)
        reasons = error.reasons if isinstance(error, ItemsRefused) else {}
        if not reasons:
            suspects = blame.changed_services(settled.entries, question.accepted)
            guilty = blame.bisect(suspects, lambda held: self._can_print(question, held))
            reasons = dict.fromkeys(map(str, guilty), str(error))
        found = {ServiceId.parse(name): Finding("", 0, "", why) for name, why in reasons.items()}
        self._bar(question, settled, found, error, most=len(settled.desired.services) - 1)

    def _can_print(self, question: Question, held: set[ServiceId]) -> bool:
        try:
            self._plan(question, frozenset(held))
        except (Rejected, TemplateError):
            return False
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
                own_ports=self._own_ports,
            )
        except LbsyncError:
            self._store.discard(staged)
            raise
        for warning in set(verdict.warnings) - self._warned:
            log.get().warning(f"HAProxy warns: {warning}")
        self._warned = set(verdict.warnings)
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

    def _own_ports(self) -> frozenset[int]:
        master = sockets.master(self._options)
        if master is None:
            return frozenset()
        try:
            proc = master.show_proc(retry_s=0)
        except Unavailable:
            return frozenset()
        workers = [proc.current, *proc.old_workers]
        return processes.listening_ports([worker.pid for worker in workers if worker is not None])

    def _hold_back(
        self, question: Question, plan: Plan, refusal: Refused, known: tuple[Bind, ...]
    ) -> None:
        """Bar whoever is at fault; raise the refusal when that is nobody, or nearly everybody."""
        reasons = self._accused(plan, refusal.findings)
        certificates = _certificates(refusal.findings) - self._settler.barred_certificates.keys()
        most = len(plan.desired.services) - 1
        if not reasons and not certificates:
            reasons = self._bisect(question, plan, refusal, known)
            most //= 2
        if reasons or not certificates:
            self._bar(question, plan, reasons, refusal, most)
        contents = {file.path: file.data for file in plan.rendered.files}
        for name in certificates:
            self._settler.barred_certificates[name] = contents.get(f"certs/{name}", b"")
            log.get().error(f"HAProxy does not take certificate {name}: {refusal}")

    def _bar(
        self,
        question: Question,
        found: Plan | Settled,
        reasons: dict[ServiceId, Finding],
        refusal: LbsyncError,
        most: int,
    ) -> None:
        """Bar services for these reasons; raise the refusal when none of them is new, or when more
        than `most` would be barred: then it is not theirs."""
        bars = self._settler.bars
        fresh = {service: why for service, why in reasons.items() if service not in bars}
        if not fresh or len(bars) + len(fresh) > max(3, most):
            raise refusal
        for service, finding in fresh.items():
            mark = blame.fingerprint(found.entries, service)
            until = time.monotonic() + _TRY_AGAIN_S
            bars[service] = Bar(mark, str(finding), finding.line, until)
            had = f"services/{service}" in question.accepted
            state = "is held at its last good version" if had else "is left out"
            log.get().error(f"{service} {state}: {finding}", service=str(service))

    def _accused(self, plan: Plan, findings: tuple[Finding, ...]) -> dict[ServiceId, Finding]:
        owners = blame.section_owners(plan.desired)
        accused: dict[ServiceId, Finding] = {}
        for finding in findings:
            if finding.section in owners:
                accused.setdefault(ServiceId.parse(owners[finding.section]), finding)
        return accused

    def _bisect(
        self, question: Question, plan: Plan, refusal: Refused, known: tuple[Bind, ...]
    ) -> dict[ServiceId, Finding]:
        def accepts(held: set[ServiceId]) -> bool:
            try:
                found = self._stage(self._plan(question, frozenset(held)), known)
            except (Rejected, TemplateError):
                return False
            if found.staged is not None:
                self._store.discard(found.staged)
            return True

        suspects = blame.changed_services(plan.entries, question.accepted)
        return dict.fromkeys(blame.bisect(suspects, accepts), refusal.findings[0])


def _certificates(findings: tuple[Finding, ...]) -> set[str]:
    return {name for finding in findings for name in _CERTIFICATE.findall(finding.text)}
