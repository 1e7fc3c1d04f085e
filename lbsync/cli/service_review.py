"""What a new value would mean beside all others: hosts and ports that somebody has already."""

from lbsync.agent.desired import Assembler
from lbsync.agent.entries import Decoder, settle_routes
from lbsync.cli.service_document import Change
from lbsync.errors import Rejected
from lbsync.model.desired import Desired
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.keys import ServiceId


def review(
    snapshot: Snapshot, changes: list[Change], service: ServiceId, reserved_ports: frozenset[int]
) -> None:
    """Raise `Rejected` when the change would be quarantined although each key reads well.

    What is wrong already, before the change, is no reason to refuse it. `reserved_ports`: ports of
    HAProxy's own frontends, by the settings of this command, which may run beside no HAProxy.
    """
    before = {problem.reason for problem in _desired(snapshot, reserved_ports).problems}
    after = _desired(_with(snapshot, changes), reserved_ports)
    found = [
        f"{problem.key}: {problem.reason}"
        for problem in after.problems
        if problem.service == str(service) and problem.reason not in before
    ]
    if found:
        raise Rejected("nothing was written: " + "; ".join(found))


def _desired(snapshot: Snapshot, reserved_ports: frozenset[int]) -> Desired:
    resolved = Decoder().resolve(snapshot, {})
    entries = dict(resolved.entries)
    problems = (*resolved.problems, *settle_routes(entries, {}))
    return Assembler(reserved_ports).assemble(entries, snapshot.revision, problems)


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
