"""Requests of people for deployments, written to etcd: to start one, or to control one in progress."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lbsync.clients.source import Expect, Guard, Put
from lbsync.deployer import commands
from lbsync.deployer.commands import Command
from lbsync.deployer.ledger import Hold, Ledger, Ops, released
from lbsync.deployer.page import Page
from lbsync.errors import Conflict, Rejected
from lbsync.fleet import history
from lbsync.model.deploying import DeploymentRecord, EventRecord, VersionsRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import stamp

_TRIES = 5
_RACES = 100
"""Each one lost means that another deployment was begun in between."""
Judge = Callable[[Mapping[ServiceId, Mapping[str, Any]]], None]
"""Raises `Rejected` where what an app claims belongs to one of those that are being deployed."""


def begin(
    ledger: Ledger,
    page: Page,
    record: DeploymentRecord,
    told: str,
    *,
    ttl: float = 0.0,
    versions: VersionsRecord | None = None,
    extra: Ops = (),
    judge: Judge | None = None,
) -> Hold | None:
    """Write the first record of a deployment, as decided on a page; return the hold on the app if this process
    is to carry it out (`ttl` above 0: seconds after which another one may).

    `told`: its first event; `versions`: if more than the active one changes in it; `extra`: further writes;
    `judge`: of two apps that claim the same and are begun at the same moment, only one is. Raises `Conflict` if
    somebody else was faster, `Rejected` by `judge`, and `Unavailable`; nothing is written then.
    """
    app = page.keys.app
    names = deploying.versions_key(app), deploying.deployment_key(app, record.id)
    expect: list[Guard] = [
        page.as_read(names[0]),
        Expect(names[1], mod_revision=0),
        page.as_read(page.keys.route),
    ]
    after = msgspec.structs.replace(versions or page.versions(), active=record.id)
    event = EventRecord(record.created_at, record.phase, told, record.by)
    ops = [
        Put(names[0], encode(after)),
        *ledger.record_puts(app, record, [event]),
        *extra,
    ]
    hold: Hold | None = None
    if ttl:
        hold, guards, more = ledger.hold(app, record.id, round(ttl))
        expect += guards
        ops += more
    try:
        noted = [ledger.history_put(record.by, record.action, app, told)]
        revision = _commit(ledger, page, expect, [ops, noted], judge)
    except Conflict as error:
        released(hold)
        raise Conflict(
            f"{app}: somebody else changed it meanwhile, nothing was begun; look and try again"
        ) from error
    except BaseException:
        released(hold)
        raise
    if hold is not None:
        hold.revision = hold.asked = revision
    return hold


def _commit(
    ledger: Ledger, page: Page, expect: list[Guard], ops: Sequence[Ops], judge: Judge | None
) -> int:
    """Write the start of a deployment; with a `judge`, only on top of those deployments that it has seen."""
    for _ in range(_RACES):
        guards = []
        if judge is not None:
            coming = ledger.coming()
            judge(coming.documents)
            guards = [coming.guard]
        try:
            return history.commit(ledger.store, [*expect, *guards], *ops)
        except Conflict:
            if judge is None or not ledger.is_as_read(page):
                raise
    raise Conflict("other deployments begin too fast; try again")


def command(
    ledger: Ledger,
    app: ServiceId,
    deployment: str,
    what: Command,
    by: str,
    *,
    revision: int = 0,
    extra: Ops = (),
) -> DeploymentRecord:
    """Write a command for a deployment in progress; return the record after it.

    `revision`: of the record on which this decision is based; 0: whatever it is by now; `extra`: further
    writes. Raises `Rejected` if the command does not apply, `Conflict` if the record has changed,
    `Unavailable`.
    """
    for _ in range(_TRIES):
        item = ledger.store.get(deploying.deployment_key(app, deployment))
        if item is None:
            raise Rejected(f"{app}: there is no deployment {deployment}")
        if revision and item.mod_revision != revision:
            raise Conflict(f"{app}: deployment {deployment} has changed meanwhile; look again")
        now = time.time()
        after, told = commands.apply(deploying.read(DeploymentRecord, item), what, by, now)
        event = EventRecord(stamp(now, milliseconds=True), after.phase, told, by)
        expect = [Expect(item.key, mod_revision=item.mod_revision)]
        noted = [ledger.history_put(by, f"deploy {what}", app, deployment)]
        try:
            ops = [*ledger.record_puts(app, after, [event]), *extra]
            history.commit(ledger.store, expect, ops, noted)
        except Conflict:
            continue  # the deployer wrote meanwhile: what now holds decides
        return after
    raise Conflict(f"{app}: deployment {deployment} changes too fast; try again")
