"""Writes many changes in few transactions, and reports what was written if that is interrupted."""

import sys
from collections.abc import Mapping, Sequence

from lbsync.agent.review import left_by
from lbsync.cli.context import whoami
from lbsync.cli.progress import Progress
from lbsync.cli.service.writing import operations
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Delete, Expect, History, Lease, Put, Source
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.fleet import history
from lbsync.fleet.holds import confirmation, confirmation_lease
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.applying import MOST_KEYS, service_of, transactions
from lbsync.schema.service_document import Change
from lbsync.values.plural import count, first_few

_MOST_NAMES = 5
_NEVER = 2**62
"""A revision that no key has: a transaction that expects it does nothing, but etcd judges its rights all the same."""


def write_all(source: Source, snapshot: Snapshot, changes: Sequence[Change], *, what: str) -> int:
    """Write changes made from `snapshot`, saying with each that servers it names no more are meant to go; return the
    last revision. `what`: where they come from, for the history.

    Raises `Conflict`, `Unavailable` and `Rejected` with what was written until then.
    """
    # A directory of files is one host's own, and has no limit of this kind.
    steps = transactions(changes) if source.shared else [list(changes)]
    stored = _by_service(snapshot) if isinstance(source, History) else {}
    if len(steps) > 1 and isinstance(source, History):
        _demand_rights(source, changes)
    noted = _noted(source, changes, what, len(steps))
    lease: Lease | None = None
    revision = done = 0
    step: Sequence[Change] = ()
    progress = Progress()
    try:
        for step in steps:
            extras: list[history.Ops] = []
            if isinstance(source, History):
                if left := _left(step, stored):
                    lease = lease or confirmation_lease(source)
                    extras.append([confirmation(source, left, whoami(), lease=lease)])
                extras += [noted] if noted else []
            revision = history.commit(source, *operations(step), *extras)
            noted, done = [], done + len(step)
            progress.say(f"written {done} of {count(len(changes), 'key')}")
    except Conflict as error:
        raise Conflict(
            f"{_so_far(done, changes, revision)}: somebody else has changed a key meanwhile ({error}); "
            "look, and run it again"
        ) from error
    except Unavailable as error:
        so_far = _so_far(done, changes, revision)
        if history.is_denied(error):
            so_far += f"; {_names(step)} not"
        raise Unavailable(f"{so_far}: {error}; run it again") from error
    except Rejected as error:
        raise Rejected(f"{_so_far(done, changes, revision)}: {error}") from error
    except KeyboardInterrupt:
        progress.over()
        Terminal(sys.stderr).line(
            f"lbsync: interrupted: at least {_so_far(done, changes, revision)}; run it again"
        )
        raise
    progress.over()
    return revision


def _so_far(done: int, changes: Sequence[Change], revision: int) -> str:
    if not done:
        return f"none of {count(len(changes), 'key')} was written"
    return f"{done} of {count(len(changes), 'key')} are written, the last at revision {revision}"


def _noted(source: Source, changes: Sequence[Change], what: str, steps: int) -> list[Put | Delete]:
    """Return the writes that tell the history of all of it."""
    if not isinstance(source, History):
        return []
    gone = sum(change.after is None for change in changes)
    detail = f"{what}: {count(len(changes), 'key')}" + (f", {gone} removed" if gone else "")
    detail += f", in {steps} steps" if steps > 1 else ""
    return history.entry(source, whoami(), "apply", _names(changes), detail)


def _names(changes: Sequence[Change]) -> str:
    """Return which services changes are of, in words."""
    names = sorted({str(service_of(change.key) or "settings/global") for change in changes})
    return first_few(names, _MOST_NAMES)


def _demand_rights(source: Source, changes: Sequence[Change]) -> None:
    """Ask, before the first of several steps, whether this user of etcd may write in each folder that they change.

    Raises `Unavailable` with those in which he may not.
    """
    folders: dict[str, Put] = {}
    for change in changes:
        service = service_of(change.key)
        kind = change.key.partition("/")[0]
        folder = f"{kind}/{service.ns}/" if service else f"{kind}/"
        folders.setdefault(folder, Put(change.key, b""))
    asked = list(folders.values())
    batches = [asked[at : at + MOST_KEYS] for at in range(0, len(asked), MOST_KEYS)]
    if all(_may_write(source, batch) for batch in batches):
        return
    if closed := [folder for folder, put in folders.items() if not _may_write(source, [put])]:
        shown = first_few(closed, _MOST_NAMES)
        raise Unavailable(
            f"nothing was written: this user of etcd may not write {shown} below the prefix; 'lbsync etcd-roles' "
            "prints the permissions for that"
        )


def _may_write(source: Source, puts: Sequence[Put]) -> bool:
    """Tell whether etcd lets this user write all of these; nothing is written. Raises `Unavailable` else."""
    try:
        source.commit([Expect(puts[0].key, mod_revision=_NEVER)], puts)
    except Conflict:
        return True
    except Unavailable as error:
        if history.is_denied(error):
            return False
        raise
    return True


def _left(step: Sequence[Change], stored: Mapping[str, Mapping[str, Item]]) -> dict[str, int]:
    """Return the services that a step takes servers from by what documents say, each with how many it is left
    with. What goes because no document names it was not asked for by name: the guard judges that."""
    of_service: dict[str, list[Change]] = {}
    for change in step:
        service = service_of(change.key)
        if service and str(service) in stored:  # what is new takes nothing away
            of_service.setdefault(str(service), []).append(change)
    left = {
        name: left_by(stored[name], own)
        for name, own in of_service.items()
        if all(change.after is not None for change in own)
    }
    return {name: number for name, number in left.items() if number is not None}


def _by_service(snapshot: Snapshot) -> dict[str, dict[str, Item]]:
    found: dict[str, dict[str, Item]] = {}
    for key, item in snapshot.items.items():
        if service := service_of(key):
            found.setdefault(str(service), {})[key] = item
    return found
