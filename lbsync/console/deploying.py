"""Requests of people and pipelines for deployments: written to etcd for the process that carries them out."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lbsync.clients.source import Put, Source
from lbsync.deployer import beginning, requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.commands import Command
from lbsync.deployer.kubernetes import document
from lbsync.deployer.ledger import Ops, new_id
from lbsync.deployer.page import Page
from lbsync.deployer.run import Tools
from lbsync.deployer.versions import next_version, removal
from lbsync.errors import Conflict, Rejected
from lbsync.model.deploying import (
    AppRecord,
    DeploymentRecord,
    RepeatRecord,
    Strategy,
    VersionsRecord,
)
from lbsync.model.record import Record
from lbsync.schema import deploying
from lbsync.schema.consistency import wrong_with_strategy
from lbsync.schema.decode import as_plain, encode
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import stamp
from lbsync.values.basic import Name
from lbsync.values.kubernetes import Image

REPEAT_S = 86_400
"""So long a request with an idempotency key is told what became of the first one."""


class DeployOrder(Record, frozen=True):
    """What is to be deployed: exactly one of `group`, `deployment`, and `document` or `image`."""

    group: Name | UnsetType = UNSET
    """Of plain servers: the group that is to get the traffic."""
    deployment: Name | UnsetType = UNSET
    """Id of a deployment of the app, whose version is to be deployed once more."""
    document: dict[str, Any] | UnsetType = UNSET
    """On Kubernetes: the whole app (docs/deployer.md)."""
    image: Image | UnsetType = UNSET
    """On Kubernetes: the image, in place of the one in the document; without one, in the document that was
    deployed last."""
    strategy: Strategy | UnsetType = UNSET
    """Left out: the document's, or the default."""
    force: bool = False
    """Also where a publisher owns the route."""
    dry_run: bool = False
    """Tell what would be done, and do nothing."""


class Planned(msgspec.Struct, frozen=True):
    """A deployment that begins, or would."""

    record: DeploymentRecord
    told: str
    """Its first event."""
    warnings: tuple[str, ...] = ()
    versions: VersionsRecord | None = None
    extra: Ops = ()
    judge: requests.Judge | None = None


class Asked(msgspec.Struct, frozen=True):
    """The client of a request, and the key that identifies a repeated request."""

    by: str
    key: str = ""
    """Of its client; empty: it has none."""
    body: bytes = b""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request."""

    deployment: str
    """Id of the deployment; empty: nothing had to be done."""
    warnings: tuple[str, ...] = ()
    is_repeat: bool = False
    """It was begun by an earlier request with this key."""


class Deploying:
    """Begins deployments, and writes what is to become of them. All of it blocks: call it from a thread of its own."""

    def __init__(self, source: Source, tools: Tools) -> None:
        """`source`: of all that is not the deployers'."""
        self._source, self._ledger, self._providers = source, tools.ledger, tools.providers

    def plan(self, app: ServiceId, order: DeployOrder, by: str) -> tuple[Page, Planned | None]:
        """Return what would begin, decided on one page; None: nothing has to be done. Raises `LbsyncError`."""
        _one_of(order)
        if order.strategy is not UNSET and (wrong := wrong_with_strategy(order.strategy)):
            raise Rejected(f"strategy.{wrong}")
        page = self._ledger.page(app)
        begun = Begun(new_id(), by, time.time())
        if order.deployment is not UNSET:
            order = self._again(app, order)
        if order.group is not UNSET:
            strategy = Strategy() if order.strategy is UNSET else order.strategy
            record = beginning.switch(page, order.group, strategy, begun, force=order.force)
            told = f"switch to {order.group}"
            return page, Planned(record, told) if record is not None else None
        return page, self._app(page, order, begun)

    def begin(self, app: ServiceId, order: DeployOrder, asked: Asked) -> Outcome:
        """Begin a deployment; with `asked.key`, once only. Raises `LbsyncError`."""
        return self._once(app, asked, lambda: self._begin(*self.plan(app, order, asked.by), asked))

    def back(self, app: ServiceId, asked: Asked) -> Outcome:
        """Go back to the version before: turn round what is in progress, or begin a deployment that does. Raises
        `LbsyncError`."""
        return self._once(app, asked, lambda: self._back(app, asked))

    def remove(self, app: ServiceId, asked: Asked) -> Outcome:
        """Start to remove an app, or return the removal in progress. Raises `LbsyncError`."""
        return self._once(app, asked, lambda: self._remove(app, asked))

    def command(
        self, app: ServiceId, deployment: str, what: Command, asked: Asked, *, revision: int = 0
    ) -> Outcome:
        """Write a command for a deployment in progress. `revision`: at which it was read, if that matters.
        Raises `LbsyncError`."""
        return self._once(app, asked, lambda: self._command(app, deployment, what, asked, revision))

    def revision(self, app: ServiceId, deployment: str) -> int:
        """Return the revision at which a deployment was written last; 0: there is none. Raises `Unavailable`."""
        return self._ledger.revision(app, deployment)

    def wanted(self, app: ServiceId) -> AppRecord | None:
        """Return the desired state of an app on Kubernetes; None: there is none. Raises `LbsyncError`."""
        return self._ledger.wanted(app)

    def known(self, app: ServiceId, asked: Asked) -> Outcome | None:
        """Return what an earlier request with this key started. Raises `Rejected` if that was a different
        request."""
        if not asked.key:
            return None
        item = self._ledger.store.get(_repeat_key(app, asked.key))
        if item is None:
            return None
        record = deploying.read(RepeatRecord, item)
        if record.request != _digest(asked.body):
            raise Rejected(
                f"the idempotency key was used for another request, which began {record.deployment}; take a new "
                "key for a new request"
            )
        return Outcome(record.deployment, record.warnings, is_repeat=True)

    def _once(self, app: ServiceId, asked: Asked, do: Callable[[], Outcome]) -> Outcome:
        """Do what is asked, or return what became of it when it was asked before."""
        if known := self.known(app, asked):
            return known
        try:
            return do()
        except (Conflict, Rejected):
            # Of two requests with the same key the other one was faster.
            if known := self.known(app, asked):
                return known
            raise

    def _back(self, app: ServiceId, asked: Asked) -> Outcome:
        page = self._ledger.page(app)
        if active := page.versions().active:
            return self._command(app, active, "rollback", asked)
        begun = Begun(new_id(), asked.by, time.time())
        record = beginning.way_back(page, self._ledger.deployments(app), begun)
        return self._begin(page, Planned(record, record.purpose), asked)

    def _command(
        self, app: ServiceId, deployment: str, what: Command, asked: Asked, revision: int = 0
    ) -> Outcome:
        with self._remembered(app, asked, deployment) as extra:
            requests.command(
                self._ledger, app, deployment, what, asked.by, revision=revision, extra=extra
            )
        return Outcome(deployment)

    def _remove(self, app: ServiceId, asked: Asked) -> Outcome:
        page = self._ledger.page(app)
        if (going := removal.under_way(page)) is not None:
            return Outcome(going.id, is_repeat=True)
        record = removal.remove(page, Begun(new_id(), asked.by, time.time()))
        return self._begin(page, Planned(record, record.purpose), asked)

    def _begin(self, page: Page, planned: Planned | None, asked: Asked) -> Outcome:
        if planned is None:
            return Outcome("")
        app, record = page.keys.app, planned.record
        if not self._ledger.servers():
            raise Conflict(
                f"{app}: nothing was begun, as nobody would carry it out: no deployer runs in any 'lbsync console'"
            )
        with self._remembered(app, asked, record.id, planned.warnings) as more:
            requests.begin(
                self._ledger, page, record, planned.told, versions=planned.versions,
                extra=[*planned.extra, *more], judge=planned.judge,
            )  # fmt: skip
        return Outcome(record.id, planned.warnings)

    @contextmanager
    def _remembered(
        self, app: ServiceId, asked: Asked, deployment: str, warnings: tuple[str, ...] = ()
    ) -> Iterator[Ops]:
        """Yield the write by which a request is known when it comes again; none for one without a key. It is to be
        committed within."""
        if not asked.key:
            yield ()
            return
        lease = self._ledger.store.lease(REPEAT_S)
        repeat = RepeatRecord(deployment, _digest(asked.body), warnings, stamp())
        try:
            yield (Put(_repeat_key(app, asked.key), encode(repeat), lease.id),)
        except BaseException:
            lease.end()
            raise
        # Not renewed: the key is gone when its time is up.
        lease.stop()

    def _again(self, app: ServiceId, order: DeployOrder) -> DeployOrder:
        """Return the order for the version of an earlier deployment."""
        name = str(order.deployment)
        record = self._ledger.deployment(app, name) if deploying.is_id(name) else None
        if record is None:
            raise Rejected(f"{app}: there is no deployment {name}")
        after = msgspec.structs.replace(order, deployment=UNSET)
        if record.provider == "groups":
            return msgspec.structs.replace(after, group=Name(record.version.group))
        return msgspec.structs.replace(after, document=record.version.document)

    def _app(self, page: Page, order: DeployOrder, begun: Begun) -> Planned:
        app = page.keys.app
        raw = order.document
        if raw is UNSET:
            wanted = page.wanted
            if wanted is None or wanted.provider != "kubernetes":
                raise Rejected(
                    f"{app}: it has no document yet, into which an image could be put; send the whole document first"
                )
            raw = wanted.document
        if order.image is not UNSET:
            raw = {**raw, "image": str(order.image)}
        if order.strategy is not UNSET:
            raw = {**raw, "strategy": as_plain(order.strategy)}
        made = document.from_plain(raw)
        if made.id != app:
            raise Rejected(
                f"the document is of {made.id}, not of {app}; correct namespace and name"
            )
        if "kubernetes" not in self._providers:
            raise Rejected("apps on Kubernetes are not carried out here")
        begins = next_version.deploy(page, made, begun)
        provider = self._providers["kubernetes"]()
        document_of = begins.record.version.document
        snapshot, coming = self._source.snapshot(), self._ledger.coming()
        warnings = provider.check(app, document_of, snapshot, coming.documents)
        image = document_of.get("image", "a template of its own")
        return Planned(
            begins.record,
            f"version {begins.record.version.number}: {image}",
            tuple(warnings),
            begins.versions,
            (Put(deploying.app_key(app), encode(begins.app)),),
            partial(provider.refuse_claimed, app, document_of, snapshot),
        )


def _one_of(order: DeployOrder) -> None:
    """Raise `Rejected` unless it is clear what is wanted."""
    given = [name for name in ("group", "deployment") if getattr(order, name) is not UNSET]
    if order.document is not UNSET or order.image is not UNSET:
        given.append("document or image")
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise Rejected(
            f"exactly one of group, deployment, and document or image says what is to be deployed; there is {found}"
        )


def _repeat_key(app: ServiceId, key: str) -> str:
    return f"{deploying.REPEATS}{app}/{hashlib.sha256(key.encode()).hexdigest()}"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
