"""The store of deployments: read at one revision, each change in one guarded transaction."""

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lbsync.clients.source import Delete, Expect, ExpectBelow, Guard, Lease, Put, Transactional
from lbsync.deployer.page import Keys, Page
from lbsync.errors import BadKey, Conflict, Unavailable
from lbsync.fleet import history
from lbsync.fleet.holds import confirmation
from lbsync.model.deploying import (
    AppRecord,
    DeploymentRecord,
    EventRecord,
    LockRecord,
    VersionsRecord,
)
from lbsync.model.health import WatcherRecord
from lbsync.model.orders import HistoryRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import deploying
from lbsync.schema.confirming import LIFE_S
from lbsync.schema.decode import encode
from lbsync.schema.health import WATCHERS
from lbsync.schema.keys import ServiceId
from lbsync.schema.orders import HISTORY
from lbsync.timestamps import stamp

Ops = Sequence[Put | Delete]
_GO_AT_ONCE = 20
KEPT = 30
"""Deployments of an app that are remembered after their end."""


class Hold(msgspec.Struct):
    """What makes a process the one that carries out an app's deployment: a lock, and a question to all hosts, on one
    lease."""

    lease: Lease
    question: str
    """Whole key of the question."""
    revision: int = 0
    """That created the lock: the fence of every write."""
    asked: int = 0
    """That wrote the question last."""

    @property
    def is_sure(self) -> bool:
        """Whether etcd still holds the lease for certain."""
        return self.lease.remaining() > 0.0


class Coming(msgspec.Struct, frozen=True):
    """The apps that are being deployed, whose services may not be published yet."""

    documents: Mapping[ServiceId, Mapping[str, Any]]
    """As far as they can be read."""
    revision: int
    """At which this was so."""

    @property
    def guard(self) -> Guard:
        """That no other deployment of an app has begun since."""
        return ExpectBelow(deploying.APPS, self.revision)


class HoldFence(msgspec.Struct, frozen=True, eq=False):
    """A `provider.Fence` that is valid as long as a hold is."""

    store: Transactional
    app: ServiceId
    hold: Hold

    @property
    def token(self) -> str:
        """The name of the question, which is drawn for each hold."""
        return self.hold.question.rpartition("/")[2]

    def check(self) -> None:
        """Ask etcd; that the lease has not run out by this process's clock would not be enough: it may have been
        frozen since it looked."""
        key = deploying.lock_key(self.app)
        item = self.store.get(key)
        if item is None or item.create_revision != self.hold.revision:
            raise Conflict(f"{self.app}: another process has gone on with it")


class Ledger:
    """The door to everything about deployments. Safe to use from several threads."""

    def __init__(self, store: Transactional, prefix: str, holder: str) -> None:
        """`store`: of deployments (`open_source(…, deployments=True)`); `prefix`: of all else; `holder`: who this is,
        for people."""
        self.store = store
        self.holder = holder
        self._prefix = prefix

    def keys(self, app: ServiceId) -> Keys:
        """Return where an app's keys stand."""
        return Keys(self._prefix, app)

    def page(self, app: ServiceId, deployment: str = "") -> Page:
        """Return everything stored about an app and one of its deployments; without a name, the one in
        progress. Raises `Unavailable`, and `BadKey` if it cannot be determined which one that is."""
        page = self._read(app, deployment)
        if not deployment and (active := page.versions().active):
            return self._read(app, active)
        return page

    def _read(self, app: ServiceId, deployment: str) -> Page:
        keys = self.keys(app)
        names = [
            keys.service, keys.route, keys.quarantine,
            deploying.versions_key(app), deploying.lock_key(app), deploying.app_key(app),
        ]  # fmt: skip
        if deployment:
            names.append(deploying.deployment_key(app, deployment))
        return Page(keys, self.store.read(names, [keys.groups, keys.agents]))

    def is_as_read(self, page: Page) -> bool:
        """Tell whether what a new deployment rests on is still as on this page. Raises `Unavailable`."""
        now, app = self._read(page.keys.app, ""), page.keys.app
        rests_on = deploying.versions_key(app), deploying.lock_key(app), page.keys.route
        return all(now.revision_of(key) == page.revision_of(key) for key in rests_on)

    def hold(self, app: ServiceId, deployment: str, ttl: int) -> tuple[Hold, list[Guard], Ops]:
        """Create a lease, and return what together with it makes this process the app's deployer: guards and
        writes for one transaction, whose revision is then stored in the hold. Raises `Unavailable`."""
        lease = self.store.lease(ttl)
        name = f"{self._prefix}{WATCHERS}{secrets.token_hex(6)}"
        lock = LockRecord(self.holder, deployment, stamp())
        ops = [
            Put(deploying.lock_key(app), encode(lock), lease.id),
            self._question(app, name, lease),
        ]
        return Hold(lease, name), [Expect(deploying.lock_key(app), create_revision=0)], ops

    def fence(self, app: ServiceId, hold: Hold) -> Expect:
        """Return the guard of every write by the holder of an app."""
        return Expect(deploying.lock_key(app), create_revision=hold.revision)

    def fence_outside(self, app: ServiceId, hold: Hold) -> HoldFence:
        """Return the same for what is changed outside of etcd."""
        return HoldFence(self.store, app, hold)

    def asking(self, app: ServiceId, hold: Hold) -> Put:
        """Return the write that requests new answers from all hosts, and word at once when they have verified
        it."""
        return self._question(app, hold.question, hold.lease)

    def record_puts(
        self, app: ServiceId, record: DeploymentRecord, events: Sequence[EventRecord]
    ) -> list[Put | Delete]:
        """Return the writes of a record and of what has just happened to it."""
        first = record.events
        after = msgspec.structs.replace(record, events=first + len(events))
        puts: list[Put | Delete] = [
            Put(deploying.deployment_key(app, record.id), encode(after)),
        ]
        puts += [
            Put(deploying.event_key(app, record.id, first + number), encode(event))
            for number, event in enumerate(events)
        ]
        return puts

    def history_put(self, by: str, action: str, app: ServiceId, detail: str) -> Put:
        """Return the write that notes for everybody who did what."""
        at = stamp(milliseconds=True)
        record = HistoryRecord(at, by, action, str(app), detail)
        return Put(f"{self._prefix}{HISTORY}{at}-{secrets.token_hex(3)}", encode(record))

    def confirmation_put(self, app: ServiceId, left: int, by: str, hold_id: str = "") -> Put:
        """Return the write that confirms the number of servers with which an app is to be left, so that no
        guard holds the removal. Raises `Unavailable`."""
        lease = self.store.lease(LIFE_S)
        lease.stop()  # not renewed: the key is gone when its time is up
        put = confirmation(self.store, {str(app): left}, by, hold_id, lease=lease)
        return msgspec.structs.replace(put, key=f"{self._prefix}{put.key}")

    def commit(self, expect: Sequence[Guard], ops: Ops) -> int:
        """Do all of it in one transaction; raises as `Source.commit`."""
        return self.store.commit(expect, ops)

    def deployment(self, app: ServiceId, deployment: str) -> DeploymentRecord | None:
        """Return a deployment; None: there is none. Raises `BadKey`, `Unavailable`."""
        item = self.store.get(deploying.deployment_key(app, deployment))
        return deploying.read(DeploymentRecord, item) if item else None

    def revision(self, app: ServiceId, deployment: str) -> int:
        """Return the revision at which a deployment was written last; 0: there is none. Raises `Unavailable`."""
        item = self.store.get(deploying.deployment_key(app, deployment))
        return item.mod_revision if item else 0

    def lock(self, app: ServiceId) -> LockRecord | None:
        """Return the process that carries out an app's deployment; None: there is none. Raises `Unavailable`."""
        return self._page_of(app, deploying.lock_key(app)).lock

    def wanted(self, app: ServiceId) -> AppRecord | None:
        """Return the desired state of an app on Kubernetes; None: there is none. Raises `BadKey`,
        `Unavailable`."""
        return self._page_of(app, deploying.app_key(app)).wanted

    def coming(self) -> Coming:
        """Return the apps that are being deployed now. Raises `Unavailable`."""
        snapshot = self.store.read([], [deploying.APPS, deploying.VERSIONS])
        items = snapshot.items
        wanted = deploying.by_app(AppRecord, items, deploying.APPS)
        versions = deploying.by_app(VersionsRecord, items, deploying.VERSIONS)
        documents = {
            app: record.document
            for app, record in wanted.items()
            if record.document and app in versions and versions[app].active
        }
        return Coming(documents, snapshot.revision)

    def _page_of(self, app: ServiceId, key: str) -> Page:
        return Page(self.keys(app), self.store.read([key]))

    def events(self, app: ServiceId, deployment: str) -> list[EventRecord]:
        """Return what has happened to a deployment, the oldest first. Raises `Unavailable`."""
        folder = deploying.events_folder(app, deployment)
        items = self.store.read([], [folder]).items
        return list(deploying.readable(EventRecord, items, folder).values())

    def deployments(self, app: ServiceId) -> list[DeploymentRecord]:
        """Return the deployments of an app that are remembered, the newest first. Raises `Unavailable`."""
        items = self.store.read([], [deploying.deployments_folder(app)]).items
        found = deploying.readable(DeploymentRecord, items, "")
        return [found[key] for key in reversed(_in_order(items)) if key in found]

    def apps(self) -> tuple[dict[ServiceId, VersionsRecord], list[str]]:
        """Return all apps that were ever deployed, and what is wrong with records of others that cannot be read.
        Raises `Unavailable`."""
        items = self.store.read([], [deploying.VERSIONS]).items
        apps = deploying.by_app(VersionsRecord, items, deploying.VERSIONS)
        faults = []
        for key in sorted(items.keys() - {deploying.versions_key(app) for app in apps}):
            app = deploying.owner(key)
            if app is None:
                continue
            try:
                Page(self.keys(app), Snapshot(0, 0, {key: items[key]})).versions()
            except BadKey as fault:
                faults.append(str(fault))
        return apps, faults

    def servers(self) -> list[str]:
        """Return who carries out deployments in the background. Raises `Unavailable`."""
        items = self.store.read([], [deploying.SERVERS]).items
        return sorted(one.holder for one in deploying.readable(LockRecord, items, "").values())

    def forget_oldest(self, app: ServiceId) -> None:
        """Remove the oldest deployment with its events, and the oldest entries of the history, if there are too
        many. Raises `Unavailable`."""
        folder = deploying.deployments_folder(app)
        log = f"{self._prefix}{HISTORY}"
        names = _in_order(self.store.read([], [folder]).items)
        for key in names[: max(0, len(names) - KEPT)][:1]:
            events = deploying.events_folder(app, key.removeprefix(folder))
            keys = sorted(self.store.read([], [events]).items)[:100]
            self.commit([], [Delete(one) for one in (*keys, key)])
        noted = sorted(self.store.read([], [log]).items)
        if gone := noted[: max(0, len(noted) - history.MOST)][:_GO_AT_ONCE]:
            history.commit(self.store, [], [], [Delete(key) for key in gone])

    def _question(self, app: ServiceId, name: str, lease: Lease) -> Put:
        record = WatcherRecord((str(app),), by=f"deployer {self.holder}", at=stamp(), here=True)
        return Put(name, encode(record), lease.id)


def new_id(now: float | None = None) -> str:
    """Return an id for a deployment that begins now; ids sort by time, to a fraction of a millisecond."""
    moment = time.time() if now is None else now
    at = time.strftime("%Y%m%d-%H%M%S", time.gmtime(moment))
    return f"{at}-{int(moment % 1 * 0x10000):04x}{secrets.token_hex(1)}"


def _in_order(items: Mapping[str, Item]) -> list[str]:
    """Return the keys in the order in which they were written first: by etcd, not by anybody's clock."""
    return sorted(items, key=lambda key: (items[key].create_revision, key))


def released(hold: Hold | None) -> None:
    """Give up a lock at once, as far as etcd answers."""
    if hold is not None:
        try:
            hold.lease.end()
        except Unavailable:
            return
