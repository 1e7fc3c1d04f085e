"""From Services that changed to what must be written: translate, arrange, guard, report.

No input or output but the stores that are read. What was found in step is remembered: as long as the
very same objects and stored keys are there, it is not translated again.
"""

from collections.abc import Callable, Iterable

from lbsync.kube_objects import Service
from lbsync.model.permission import Permission
from lbsync.model.publishing import Accepted, ReportRecord
from lbsync.publisher.cluster.informers import Extra
from lbsync.publisher.cluster.lister import Inputs, Lister
from lbsync.publisher.cluster.work_queue import Work
from lbsync.publisher.followed import Following, accepted, followed, odd_label
from lbsync.publisher.kept import Keeping
from lbsync.publisher.removal_guard import GuardContext, Limits, RemovalGuard, count, kept, left_of
from lbsync.publisher.report.ingresses import ingress_reports, ingress_units
from lbsync.publisher.service_changes import Draft, Records, ServiceChanges, State, fingerprint
from lbsync.publisher.store import reports
from lbsync.publisher.store.diff import Identity, arrange, changes, own_records
from lbsync.publisher.store.index import Keys, StoreIndex, neighbours_of
from lbsync.publisher.translate import Options, is_published
from lbsync.schema.confirming import Confirmations
from lbsync.schema.publishing import kept_key, report_key

MOST_HELD = 20
"""Of how many removals that are held at once each Service's owner is told."""
PATIENCE_S = 15.0
"""How long a Service waits in silence for objects of a further kind to be listed."""


class Sync:
    """The Services of one cluster, and how they stand. Used by one thread."""

    def __init__(
        self,
        me: Identity,
        lister: Lister,
        options: Options,
        limits: Limits,
        demand: Callable[[Extra, str], str],
        *,
        permission: Permission,
        keep_s: float,
    ) -> None:
        """`demand` has something more watched for a namespace, and tells why it cannot be read yet;
        `permission`: which hosts, ports and servers a namespace may have; `keep_s`: for how long the claims of
        Services that went are kept."""
        self._me = me
        self._lister = lister
        self._demand = demand
        self._following = Following(lister, options, demand, permission)
        self._waiting: dict[str, float] = {}
        self._deleted: set[str] = set()
        self._renewed: set[str] = set()
        self._concerned: set[str] = set()
        self._revision = 0
        self.keeping = Keeping(me, keep_s)
        self.guard = RemovalGuard(limits)
        self.states: dict[str, State] = {}
        self.ingresses: dict[str, ReportRecord] = {}
        """What the owners of Ingresses are told."""
        self.let_go: dict[str, int] = {}
        """What the last look let go because it was confirmed: service to the servers it is left with."""

    def reset(self) -> None:
        """Forget how everything stands: somebody else was in charge."""
        self.states.clear()
        self._waiting.clear()
        self.guard.clear()

    def look(
        self,
        work: Work,
        stored: StoreIndex,
        now: float,
        stamp: str,
        confirmed: Confirmations = Confirmations(),  # noqa: B008 - frozen
    ) -> list[ServiceChanges]:
        """Return what must be written for what is queued.

        `now`: any steady clock, in seconds; `stamp`: the time for records. `confirmed`: which removals
        are meant, whatever the guard would say.
        """
        self._lister.refresh(work)
        self._revision = stored.revision
        self._deleted |= work.deleted
        drafts = []
        appeared = False
        names = set(filter(self._lister.is_listed, self._names(work, stored)))
        going = [name for name in names if self._is_going(name, stored)]
        concerned = self.keeping.refresh(stored, going, stamp)
        self._concerned = set(filter(self._lister.is_listed, concerned))
        for name in sorted(names | self._concerned):
            known = self.states.get(name)
            draft = self._draft(name, stored, now)
            if draft is not None:
                if draft.state.status != "gone":
                    draft.state.warnings += neighbours_of(draft.stored, stored)
                drafts.append(draft)
                appeared |= known is None or (known.status == "gone") != (
                    draft.state.status == "gone"
                )
        # Whoever waited for what a Service leaves lets go of it before that goes.
        drafts.sort(key=lambda draft: draft.state.status == "gone")
        self._hold(drafts, now, confirmed)
        units = [self._unit(draft, stored, stamp) for draft in drafts]
        if work.ingresses or work.everything or appeared:
            self.ingresses = ingress_reports(self._lister)
            named = {*self.ingresses, *filter(self._lister.is_listed, stored.reported("ingress"))}
            units += ingress_units(self._me, self.ingresses, named, stored, stamp)
        self.done((unit for unit in units if not unit.all), stored)
        return [unit for unit in units if unit.all]

    def done(self, units: Iterable[ServiceChanges], stored: StoreIndex) -> None:
        """Take note that nothing of these is left to be written."""
        for unit in units:
            if unit.kind != "service" or (state := self.states.get(unit.name)) is None:
                continue
            state.in_step = True
            if not state.held:
                self._renewed.discard(unit.name)
            state.stored = self._fingerprint(unit.name, stored)
            if state.status == "gone" and not state.held:
                del self.states[unit.name]
                self._deleted.discard(unit.name)

    def _names(self, work: Work, stored: StoreIndex) -> set[str]:
        names = {*work.services, *self._waiting, *self.guard.waiting}
        if len(self.keeping.kept_off) <= MOST_HELD:
            names |= self.keeping.kept_off  # what they ask for may be free by now
        if work.everything or work.nodes:
            names |= self._lister.services()
        if work.everything:
            names |= stored.services_of(self._me.source) | self.states.keys()
            names |= self._lister.unlabelled.keys()
        if work.namespaces:
            names.update(
                name
                for name, state in self.states.items()
                if state.inputs and state.inputs.service.namespace in work.namespaces
            )
        return names

    def _is_going(self, name: str, stored: StoreIndex) -> bool:
        return bool(stored.of(name)) and not self._lister.publishes(*name.split("/"))

    def _draft(self, name: str, stored: StoreIndex, now: float) -> Draft | None:
        """Return what one Service wants; None if it is in step as it was."""
        keys = stored.of(name)
        service = self._lister.service(name)
        if service is None or not is_published(service):
            self._waiting.pop(name, None)
            warnings = odd_label(service or self._lister.unlabelled.get(name))
            return self._wanting(Draft(name, State("gone", warnings=warnings), keys), {})
        leading = self._lister.leading_to(service)
        needs = self._lister.needs(service, leading)
        place = service.namespace
        waits = [reason for extra in needs if (reason := self._demand(extra, place))]
        if waits:
            draft = Draft(name, State("waits", waits=waits[0]), keys)
            if now - self._waiting.setdefault(name, now) >= PATIENCE_S:
                draft.state.refused = f"Service {name} waits for what it needs: {waits[0]}"
            return self._as_before(draft, service, {}, stored)
        self._waiting.pop(name, None)
        inputs = self._lister.inputs(service, leading, needs)
        known = self.states.get(name)
        if known is not None and known.inputs and known.inputs.service.uid != service.uid:
            self._renewed.add(name)
        if (
            known is not None
            and known.in_step
            and known.status == "published"
            and known.inputs is not None
            and known.inputs.same(inputs)
            and known.stored == self._fingerprint(name, stored)
            and name not in self.guard.waiting
            and name not in self._concerned
            and name not in self.keeping.kept_off
        ):
            return None
        return self._translated(name, inputs, keys, stored)

    def _translated(self, name: str, inputs: Inputs, keys: Keys, stored: StoreIndex) -> Draft:
        found = self._following.translated(inputs)
        draft = Draft(name, State("published", inputs), keys)
        draft.state.warnings = tuple(map(str, found.notices))
        if found.refusal is not None:
            draft.state.status, draft.state.refused = "refused", str(found.refusal)
            return self._as_before(draft, inputs.service, found.records, stored)
        return self._arranged(draft, found.records)

    def _as_before(
        self, draft: Draft, service: Service, servers: Records, stored: StoreIndex
    ) -> Draft:
        """Keep what is published of a Service that is not accepted as it stands, and follow its
        servers: by what it was last accepted with, else by `servers`, those of now."""
        draft.state.accepted = self._last_accepted(draft.name, stored)
        told = self._following.servers(service, draft.state.accepted) or servers
        records = followed(self._me, told, draft.stored)
        if not records:
            records = own_records(self._me, draft.stored)
            if not self.keeping.permitted(draft.name, records, draft.stored)[1]:
                draft.before = draft.after = count(records)
                return draft
        return self._arranged(draft, records)

    def _arranged(self, draft: Draft, records: Records) -> Draft:
        records, kept_off = self.keeping.permitted(draft.name, records, draft.stored)
        arranged = arrange(self._me, records, draft.stored)
        draft.state.conflicts = (*kept_off, *arranged.conflicts)
        return self._wanting(draft, arranged.records)

    def _last_accepted(self, name: str, stored: StoreIndex) -> Accepted | None:
        """Return what a Service was last accepted with, as this leader or an earlier one knows."""
        known = self.states.get(name)
        if known is not None and known.status == "published" and known.inputs is not None:
            return accepted(known.inputs)
        if known is not None and known.accepted is not None:
            return known.accepted
        report = reports.stored(stored.report("service", name))
        return report.accepted if report is not None else None

    def _wanting(self, draft: Draft, wanted: Records) -> Draft:
        """Fill in what must be changed for the desired state."""
        draft.changes = changes(self._me, wanted, draft.stored, self._revision)
        draft.before = draft.after = count(wanted)
        if not draft.changes:
            return draft
        before = own_records(self._me, draft.stored)
        draft.before = count(before)
        if draft.before > draft.after:
            draft.wanted, draft.left = wanted, left_of(before, wanted)
        return draft

    def _hold(self, drafts: list[Draft], now: float, confirmed: Confirmations) -> None:
        losses = {draft.name: draft.loss(meant=self._is_meant(draft)) for draft in drafts}
        others = sum(state.servers for n, state in self.states.items() if n not in losses)
        total = others + sum(loss.before for loss in losses.values())
        context = GuardContext(self._lister.nodes_lost, confirmed)
        held = self.guard.decide(losses, total, now, context)
        self.let_go = {}
        for draft in drafts:
            if reason := held.get(draft.name):
                draft.state.held = f"Service {draft.name}: {reason}"
                wanted = kept(own_records(self._me, draft.stored), draft.wanted)
                draft.changes = changes(self._me, wanted, draft.stored, self._revision)
                draft.after = count(wanted)
            if draft.name in self.guard.confirmed:
                self.let_go |= draft.left
            draft.state.servers = draft.after
            self.states[draft.name] = draft.state

    def _is_meant(self, draft: Draft) -> bool:
        """Tell whether somebody deleted the Service; one created again has its own servers, once it has
        any: until then those of its earlier self are likely to be the same."""
        if draft.name in self._renewed:
            return draft.after > 0
        return draft.name in self._deleted

    def _unit(self, draft: Draft, stored: StoreIndex, stamp: str) -> ServiceChanges:
        state = draft.state
        if state.status == "waits" and not state.refused:
            return ServiceChanges("service", draft.name, draft.changes)
        report = ReportRecord(
            refused=state.refused,
            conflicts=state.conflicts,
            held=state.held if self._few_are_held() else "",
            warnings=state.warnings,
            accepted=state.accepted,
        )
        key = report_key(self._me.cluster, "service", draft.name)
        change = reports.change(key, report, stored.get(key), stamp)
        held = stored.get(kept_key(self._me.cluster, draft.name))
        kept = self.keeping.change(draft, held, stamp)
        return ServiceChanges("service", draft.name, draft.changes, change, kept)

    def _few_are_held(self) -> bool:
        """Tell whether each owner is told; of many, the heartbeat tells in one sentence."""
        hold = self.guard.hold
        return hold is not None and len(hold.losses) <= MOST_HELD

    def _fingerprint(self, name: str, stored: StoreIndex) -> int:
        report = stored.get(report_key(self._me.cluster, "service", name))
        keys = stored.of(name)
        told = neighbours_of(keys, stored)
        return fingerprint(keys, report, told)
