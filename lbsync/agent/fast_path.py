"""Changes applied right after a wake, before the pass; the pass corrects a wrong prediction."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from lbsync import log
from lbsync.agent import boot
from lbsync.agent.candidate.candidates import Candidate
from lbsync.agent.desired import template_context
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.states import PassInput
from lbsync.agent.file_names import CERTIFICATES
from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.haproxycfg.loops import Loops
from lbsync.agent.removal_hold import RemovalHold
from lbsync.agent.runtime.deltas import service_delta
from lbsync.agent.runtime.deltas.service_delta import ServiceDelta
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.clients.certificates import CertificateFile
from lbsync.clients.haproxy import listeners
from lbsync.errors import Unavailable
from lbsync.model.desired import Backend, Service, ServiceChanges
from lbsync.model.snapshot import Snapshot

#: To read back more services than this takes as long as the pass that does it anyway.
_MOST_READ_BACK = 100


class FastPath:
    """Changes single services in the running HAProxy, based on their own fragments."""

    def __init__(
        self,
        runtime: HaproxyRuntime,
        builder: DesiredBuilder,
        removal_hold: RemovalHold,
        *,
        predictable: bool,
        own_rules: bool = False,
        whole: bool = False,
    ) -> None:
        """`predictable`: the templates in use are the packaged ones, whose output is known.
        `own_rules`: but for frontends, which may say more of a service (`service_delta.has_own_rules`).
        `whole`: nothing else than what changes here can depend on a service."""
        self._runtime = runtime
        self._builder = builder
        self._removal_hold = removal_hold
        self._predictable = predictable
        self._own_rules, self._whole = own_rules, whole
        self._in_force: dict[str, Service] = {}
        self._base: Snapshot | None = None
        self._unread: list[ServiceDelta] = []
        self._loops = Loops((), frozenset)

    def start_from(self, services: Iterable[Service], config: Config | None = None) -> None:
        """HAProxy was proved to serve these, as decided last, and `config`; empty: it is not known what it serves."""
        self._base, self._unread = self._builder.followed if config else None, []
        binds = [bind for _, bind in config.binds()] if config else []
        self._loops = Loops(binds, listeners.own_addresses)
        every = tuple(services)
        self._in_force = dict(zip(map(attrgetter("id"), every), every, strict=True))

    def change(self, wanted: PassInput) -> bool:
        """Change what can change at once; tell whether anything is left for the pass."""
        base, self._base = self._base, None
        if not self._predictable or not self._runtime.is_same_worker():
            return True
        goes_on = base is not None and self._builder.followed is base
        changes = None if self._removal_hold.hold else self._builder.update(wanted.snapshot)
        if changes is None:
            decided = self._builder.decide(wanted)
            deltas = service_delta.diff(self._in_force, decided.desired.services)
        else:
            deltas = service_delta.diff_changes(self._in_force, changes)
        good: list[ServiceDelta] = []
        refused: list[ServiceDelta] = []
        for delta in deltas.at_once:
            (refused if self._must_wait(delta) else good).append(delta)
        try:
            good = service_delta.independent(good, refused)
            done, left = self._runtime.apply_deltas(good, self._render_backends)
            self._note(done)
            renewed = self._runtime.renew(self._certificates())
        except Deviated as error:
            log.get().warning(f"a runtime change did not do; the pass looks into it: {error}")
            return True
        is_left = deltas.rest or bool(refused) or left or not renewed
        if goes_on and changes is not None and not is_left and self._whole:
            self._base = wanted.snapshot
        return is_left

    def renew(self, candidate: Candidate) -> bool:
        """Renew the certificates of a candidate that changed after the last wake; tell whether any did.

        Else they would wait for `haproxy -c` only because a pass was about to read them.
        """
        certificates, before = (
            _by_path(template_context.certificates_in(candidate.rendered)),
            self._runtime.steps,
        )
        try:
            if self._predictable:
                self._runtime.renew(certificates)
        except (Deviated, Unavailable):
            return False  # what runs is in doubt, which takes a pass
        return self._runtime.steps > before

    def proved_revision(self) -> int:
        """Read back what was changed since HAProxy was last proved to serve all that is wanted; return the revision
        that it serves by that, or 0: only a pass can tell.

        It can where each change since was made here, whole and alone: then all else is as it was proved.
        """
        if self._base is None or len(self._unread) > _MOST_READ_BACK:
            return 0
        try:
            if not self._runtime.shows(self._unread):
                return 0
        except Unavailable:
            return 0
        self._unread = []
        return self._base.revision

    def _must_wait(self, delta: ServiceDelta) -> bool:
        """Tell whether the pass has to see it first, which refuses what may not be served."""
        if self._own_rules and (delta.old is None or delta.new is None):
            return True
        return delta.new is not None and any(self._loops.of([delta.new]))

    def _note(self, done: Sequence[ServiceDelta]) -> None:
        """Note that HAProxy was told to serve these as they are wanted."""
        self._unread += done
        news = {delta.new.id: delta.new for delta in done if delta.new is not None}
        gone = [delta.old.id for delta in done if delta.old is not None and delta.new is None]
        self._in_force.update(news)
        for name in gone:
            del self._in_force[name]
        changes = ServiceChanges(tuple(news.values()), tuple(gone))
        self._removal_hold.guard.window.runs_changes(changes, boot.now())

    def _certificates(self) -> dict[str, bytes]:
        return _by_path(self._builder.read_certificates()[0])

    def _render_backends(self, backends: Sequence[Backend]) -> list[str]:
        return self._builder.fragments(service_delta.BACKEND, backends)


def _by_path(certificates: Iterable[CertificateFile]) -> dict[str, bytes]:
    return {f"{CERTIFICATES}/{file.name}": file.data for file in certificates}
