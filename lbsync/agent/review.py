"""The effect of a change of keys together with all others: claims that are taken, and what would be removed."""

from collections.abc import Collection, Mapping, Sequence

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Decoder
from lbsync.agent.desired.last_good import restore_routes
from lbsync.agent.guard.reach import NOWHERE, Reach, loss, reach
from lbsync.errors import Rejected
from lbsync.model.desired import Problem
from lbsync.model.permission import Permission
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.keys import ServiceId, service_key
from lbsync.schema.service_document import Change
from lbsync.settings import Settings


def review(
    snapshot: Snapshot, changes: Sequence[Change], service: ServiceId, settings: Settings
) -> None:
    """Raise `Rejected` when the change would be quarantined although each key reads well; see `refusals`."""
    if found := refusals(snapshot, changes, {str(service)}, settings):
        told = "; ".join(f"{problem.key}: {problem.reason}" for problem in found)
        raise Rejected(f"nothing was written: {told}")


def refusals(
    snapshot: Snapshot, changes: Sequence[Change], services: Collection[str], settings: Settings
) -> list[Problem]:
    """Return what is wrong with each key of `services` that would be quarantined although it reads well, and with
    each that would take a host, path or port from a service of another namespace, by being the older one.

    What is wrong already, before the change, is no reason to refuse it. Who may claim what is known from
    the settings of this command, which may run beside no HAProxy.
    """
    # Kept from one to the other, so that the second costs what changed.
    decoder = Decoder(Permission(settings.claims, settings.etcd.endpoints))
    assembler = Assembler(settings.reserved_ports)

    def problems(of: Snapshot) -> Sequence[Problem]:
        resolved = decoder.resolve(of, {})
        entries = dict(resolved.entries)
        told = (*resolved.problems, *restore_routes(entries, {}, resolved.routes))
        return assembler.assemble(entries, of.revision, told).problems

    before = {(problem.service, problem.reason) for problem in problems(snapshot)}
    known = {reason for _, reason in before}
    revision = snapshot.revision + 1
    items = _applied(snapshot.items, changes, revision)
    after = problems(Snapshot(revision, snapshot.cluster_id, items))
    return [
        *(one for one in after if one.service in services and one.reason not in known),
        *(
            _robbery(one)
            for one in after
            if _robs(one, services) and (one.service, one.reason) not in before
        ),
    ]


def _robs(problem: Problem, services: Collection[str]) -> bool:
    """Tell whether one of `services` has what another one, of another namespace, claims as well."""
    ours, theirs = problem.rival, problem.service or ""
    return (
        ours in services
        and theirs not in services
        and ours.partition("/")[0] != theirs.partition("/")[0]
    )


def _robbery(problem: Problem) -> Problem:
    what = problem.reason.partition(" belongs to ")[0]
    return Problem(
        service_key(ServiceId.parse(problem.rival)),
        problem.rival,
        f"{what} is {problem.service}'s, which would lose it to this older service; have it taken out there first, "
        "or choose another one",
    )


def left_by(before: Mapping[str, Item], changes: Sequence[Change]) -> int | None:
    """Return with how many servers a change leaves a service; None where it takes nothing away.

    `before`: the service's keys as they are stored.
    """
    old, new = _reached(before), _reached(_applied(before, changes, 1))
    lost = loss(old, new, known=not old.ready.isdisjoint(new.places))
    return new.servers if lost.gone or lost.strange else None


def _applied(
    items: Mapping[str, Item], changes: Sequence[Change], revision: int
) -> dict[str, Item]:
    """Return the keys as they are after changes at a revision."""
    after = dict(items)
    for change in changes:
        if change.after is None:
            after.pop(change.key, None)
        else:
            created = change.before.create_revision if change.before else revision
            after[change.key] = Item(change.key, change.after, created, revision)
    return after


def _reached(items: Mapping[str, Item]) -> Reach:
    """Return what is reached of the one service that these are the keys of, were it alone."""
    entries = Decoder().resolve(Snapshot(1, 0, items), {}).entries
    services = Assembler().assemble(entries, 1, ()).services
    return reach(services[0]) if services else NOWHERE
