"""What a new value would mean beside all others: hosts and ports that somebody has already."""

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Decoder, restore_routes
from lbsync.cli.service.document import Change
from lbsync.errors import Rejected
from lbsync.model.desired import Desired
from lbsync.model.permission import Permission
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings


def review(
    snapshot: Snapshot, changes: list[Change], service: ServiceId, settings: Settings
) -> None:
    """Raise `Rejected` when the change would be quarantined although each key reads well.

    What is wrong already, before the change, is no reason to refuse it. Who may claim what is known from
    the settings of this command, which may run beside no HAProxy.
    """
    before = {problem.reason for problem in _desired(snapshot, settings).problems}
    after = _desired(_with(snapshot, changes), settings)
    found = [
        f"{problem.key}: {problem.reason}"
        for problem in after.problems
        if problem.service == str(service) and problem.reason not in before
    ]
    if found:
        raise Rejected("nothing was written: " + "; ".join(found))


def _desired(snapshot: Snapshot, settings: Settings) -> Desired:
    resolved = Decoder(Permission(settings.claims)).resolve(snapshot, {})
    entries = dict(resolved.entries)
    problems = (*resolved.problems, *restore_routes(entries, {}))
    assembler = Assembler(settings.reserved_ports)
    return assembler.assemble(entries, snapshot.revision, problems)


def _with(snapshot: Snapshot, changes: list[Change]) -> Snapshot:
    items = dict(snapshot.items)
    revision = snapshot.revision + 1
    for change in changes:
        if change.after is None:
            items.pop(change.key, None)
        else:
            created = change.before.create_revision if change.before else revision
            items[change.key] = Item(change.key, change.after, created, revision)
    return Snapshot(revision, snapshot.cluster_id, items)
