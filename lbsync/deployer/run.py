"""One deployment, as carried out by this process: read, decide, write or act, and wait for news.

Each turn starts by reading, so that a lost write, an expired lock, a new command and a suspended process need
no special treatment. Every write is guarded by the lock, the record and the route as they were read.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from lbsync.clients.source import Delete, Guard, Put, Source
from lbsync.deployer.decision import Act, Decision, from_now, moment, needs_new_answers
from lbsync.deployer.ending import versions_after
from lbsync.deployer.ledger import Hold, Ledger, Ops, released
from lbsync.deployer.making import Making
from lbsync.deployer.observed import Observed
from lbsync.deployer.page import Page, observe
from lbsync.deployer.phases import plan
from lbsync.deployer.provider import Fence, Provider
from lbsync.deployer.routing import NOWHERE
from lbsync.deployer.versions.leftovers import remove_leftovers
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.fleet.history import is_denied
from lbsync.model.deploying import DeploymentRecord, EventRecord, ProviderKind
from lbsync.model.records import EndpointsRecord, RouteRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.schema.reading import one_line

LOOK_S = 1.0
"""Between two looks, whatever is heard."""
_AGAIN_S = 0.25
_WAITS_APART_S = 2.0
_CONFLICTS_AT_ONCE = 5


class Tools(msgspec.Struct, frozen=True, eq=False):
    """What all runs of a process share."""

    ledger: Ledger
    answers: Source
    """The store of what hosts answer, started."""
    providers: Mapping[ProviderKind, Callable[[], Provider]]
    ttl: float
    """Seconds after which a silent deployer is replaced."""


class Run:
    """What this process knows of a deployment besides its record. Belongs to one thread."""

    def __init__(
        self, tools: Tools, app: ServiceId, deployment: str, hold: Hold | None = None
    ) -> None:
        """`hold`: where this process has the app already."""
        self._tools, self._ledger = tools, tools.ledger
        self._app, self._id, self._hold = app, deployment, hold
        self._is_first = hold is not None
        self._making: Making | None = None
        self._waits_at = float("-inf")
        self._announced: Act = ""
        self._has_ended_it = False
        self._times: tuple[str, str] | None = None
        self._conflicts = 0
        self.record: DeploymentRecord | None = None
        """As it was read or written last."""
        self.waits = ""
        """What is awaited now."""
        self.holder = ""
        """Who carries it out instead; empty: nobody else."""

    def turn(self) -> float | None:
        """Do what can be done now; return in how many seconds to look again unless something is heard before, or None
        once it has ended. Raises `Rejected` for a deployment that is not there, or that this version cannot read."""
        try:
            pause = self._turn()
        except Conflict:
            # Somebody else wrote: what now holds is read first. Where that happens again and again, it is not in time.
            self._conflicts += 1
            return 0.0 if self._conflicts <= _CONFLICTS_AT_ONCE else _AGAIN_S
        except Unavailable as error:
            what = "etcd refuses" if is_denied(error) else "etcd does not answer"
            self.waits = f"{what}: {one_line(str(error))}"
            return LOOK_S
        self._conflicts = 0
        return pause

    def end(self) -> None:
        """Release the app for another process."""
        released(self._hold)
        self._hold = None

    def _turn(self) -> float | None:
        page = self._ledger.page(self._app, self._id)
        record = page.deployment(self._id)
        if record is None:
            raise Rejected(f"there is no deployment {self._id} of {self._app}")
        self.record = record
        if record.is_ended:
            self.waits = ""
            self.end()
            return self._after(record)
        if not self._holds(page):
            return self._take(page)
        if self._begins(page, record):
            return 0.0
        making = self._making = self._making or Making(
            self._tools.providers[record.provider](), self._app
        )
        seen = making.seen(self._seen(page, record), record)
        decision, events = plan(record, seen, time.time(), goes_on=making.is_idle)
        if decision.record != record:
            self._write(page, record, decision, events)
            return 0.0
        self.waits = decision.waits
        if decision.act:
            self._announce(page, record, decision.act)
            is_done = making.do(record, decision.act, self._fence())
            self.waits = "; ".join(filter(None, (self.waits, making.trouble)))
            return 0.0 if is_done else LOOK_S
        self._note_waits(page, record)
        until = decision.until - time.time() if decision.until else LOOK_S
        return min(LOOK_S, max(0.02, until))

    def _begins(self, page: Page, record: DeploymentRecord) -> bool:
        """Measure from now on what another process has begun, once: its clock may be another one, and what it waited
        for or watched, it has not seen to its end. Return whether that was written."""
        times = record.phase_at, record.step_at
        is_own = times == self._times or (self._times is None and self._is_first)
        self._times = times
        if is_own or self._hold is None:
            return False
        now = time.time()
        after = from_now(record, now)
        told = f"carried out by {self._ledger.holder} from here on"
        events = [EventRecord(moment(now), record.phase, told)] if self._making is None else []
        expect = [
            self._ledger.fence(self._app, self._hold),
            page.as_read(deploying.deployment_key(self._app, self._id)),
        ]
        self._commit(expect, self._ledger.record_puts(self._app, after, events))
        self._times = after.phase_at, after.step_at
        return True

    def _holds(self, page: Page) -> bool:
        hold = self._hold
        item = page.item(deploying.lock_key(self._app))
        if hold is None:
            return False
        if not hold.is_sure or item is None or item.create_revision != hold.revision:
            self.end()
            return False
        return True

    def _after(self, record: DeploymentRecord) -> float | None:
        """See to what this process may have made since another one went on; None: nothing is left of that."""
        making = self._making
        if making is None or making.is_idle or self._has_ended_it:
            return None
        provider = self._tools.providers[record.provider]()
        if remove_leftovers(self._ledger, provider, self._app, record.version, self._tools.ttl):
            return None
        return LOOK_S

    def _take(self, page: Page) -> float:
        lock = page.lock
        if lock is not None:
            self.holder = lock.holder
            return _AGAIN_S
        self.holder = ""
        hold, guards, ops = self._ledger.hold(self._app, self._id, round(self._tools.ttl))
        try:
            hold.revision = hold.asked = self._ledger.commit(guards, ops)
        except BaseException:
            released(hold)
            raise
        self._hold = hold
        return 0.0

    def _seen(self, page: Page, record: DeploymentRecord) -> Observed:
        hold = self._hold
        asked = hold.asked if hold else 0
        group = record.version.group
        if hold is not None and page.written(group) > hold.asked:
            # What was answered before may be about other servers.
            hold.asked = asked = self._ledger.commit(
                [self._ledger.fence(self._app, hold)], [self._ledger.asking(self._app, hold)]
            )
        return observe(page, group, self._answered(), asked)

    def _answered(self) -> Snapshot | None:
        try:
            return self._tools.answers.snapshot()
        except Unavailable:
            return None

    def _write(
        self, page: Page, before: DeploymentRecord, decision: Decision, events: list[EventRecord]
    ) -> None:
        """Write the next record, with the route where that changes, in one guarded transaction."""
        hold = self._hold
        if hold is None:
            return
        keys, record, asks = page.keys, decision.record, False
        label = f"switching {before.step}" if before.phase == "switching" else before.phase
        revisions = {**record.revisions}
        revisions.setdefault(
            label, page.revision_of(deploying.deployment_key(self._app, before.id))
        )
        record = msgspec.structs.replace(record, revisions=revisions)
        expect: list[Guard] = [
            self._ledger.fence(self._app, hold),
            page.as_read(deploying.deployment_key(self._app, before.id)),
        ]
        ops = list(self._ledger.record_puts(self._app, record, events))
        if decision.route is not None or decision.drops_route:
            expect.append(page.as_read(keys.route))
            group = record.version.group
            if decision.route is not None and decision.route.groups.get(group):
                expect.append(page.as_read(keys.group(group)))
            ops.append(
                Put(keys.route, encode(decision.route)) if decision.route else Delete(keys.route)
            )
            ops += _closed(page, decision.route)
            if record.step and decision.route is not None and NOWHERE in decision.route.groups:
                # It takes the last requests from the app's servers: a guard would hold that.
                ops.append(self._meant(record, 0))
        if record.is_ended:
            name = deploying.versions_key(self._app)
            after = versions_after(page.versions(), record, time.time(), leaves=decision.leaves)
            expect.append(page.as_read(name))
            ops.append(Put(name, encode(after)))
            if record.phase == "removed":
                ops.append(Delete(deploying.app_key(self._app)))
        elif asks := needs_new_answers(before, decision):
            ops.append(self._ledger.asking(self._app, hold))
        revision = self._commit(expect, ops)
        if asks:
            hold.asked = revision
        self.record = msgspec.structs.replace(record, events=record.events + len(events))
        self._times = record.phase_at, record.step_at
        self._has_ended_it = record.is_ended
        if record.is_ended:
            self._ledger.forget_oldest(self._app)

    def _commit(self, expect: Sequence[Guard], ops: Ops) -> int:
        if self._hold is None or not self._hold.is_sure:
            raise Conflict("the lock may have run out")
        return self._ledger.commit(expect, ops)

    def _fence(self) -> Fence:
        if self._hold is None:
            raise Conflict("nobody holds it here")
        return self._ledger.fence_outside(self._app, self._hold)

    def _announce(self, page: Page, record: DeploymentRecord, act: Act) -> None:
        """Say that what is to be removed is meant, so that no publisher and no agent holds it."""
        if act not in ("remove", "remove app") or self._hold is None or self._announced == act:
            return
        group = record.version.group
        left = 0
        if act == "remove":
            others = (found for name, found in page.groups().items() if name != group)
            left = sum(server.state == "up" for found in others for server in found.servers)
        self._commit([self._ledger.fence(self._app, self._hold)], [self._meant(record, left)])
        self._announced = act

    def _meant(self, record: DeploymentRecord, left: int) -> Put:
        """Return the write that says that the app is meant to be left with so many servers."""
        by = f"deployer {self._ledger.holder}"
        return self._ledger.confirmation_put(self._app, left, by, record.id)

    def _note_waits(self, page: Page, record: DeploymentRecord) -> None:
        """Write what is waited for, for everybody else; not each second."""
        now = time.monotonic()
        if (
            self._hold is None
            or self.waits == record.waits
            or now - self._waits_at < _WAITS_APART_S
        ):
            return
        if self._waits_at == float("-inf"):
            self._waits_at = now - 1.0  # what is over within a second is not worth a write
            return
        self._waits_at = now
        name = deploying.deployment_key(self._app, record.id)
        after = msgspec.structs.replace(record, waits=one_line(self.waits))
        expect = [self._ledger.fence(self._app, self._hold), page.as_read(name)]
        self._commit(expect, [Put(name, encode(after))])


def _closed(page: Page, route: RouteRecord | None) -> list[Put | Delete]:
    """Return what a closed route needs beside it: a group that a route names has to be there, if without a server."""
    key = page.keys.group(NOWHERE)
    if route is not None and NOWHERE in route.groups:
        return [Put(key, encode(EndpointsRecord(())))]
    return [Delete(key)] if page.item(key) is not None else []
