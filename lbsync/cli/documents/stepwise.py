"""Write many changes in few transactions, and tell what is written when that is cut off."""

import sys
from collections.abc import Mapping, Sequence

from lbsync.agent.review import left_by
from lbsync.cli.context import whoami
from lbsync.cli.progress import Progress
from lbsync.cli.service.writing import operations
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Delete, History, Lease, Put, Source
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.fleet import history
from lbsync.fleet.holds import confirmation, confirmation_lease
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.applying import service_of, transactions
from lbsync.schema.service_document import Change
from lbsync.values.plural import count

_MOST_NAMES = 5


def write_all(source: Source, snapshot: Snapshot, changes: Sequence[Change], *, what: str) -> int:
    """Write changes made from `snapshot`, saying with each that servers it names no more are meant to go; return the
    last revision. `what`: where they come from, for the history.

    Raises `Conflict`, `Unavailable` and `Rejected` with what was written until then.
    """
    # A directory of files is one host's own, and has no limit of this kind.
    steps = transactions(changes) if source.shared else [list(changes)]
    stored = _by_service(snapshot) if isinstance(source, History) else {}
    noted = _noted(source, changes, what, len(steps))
    lease: Lease | None = None
    revision = done = 0
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
        raise Unavailable(f"{_so_far(done, changes, revision)}: {error}; run it again") from error
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
    names = sorted({str(service_of(change.key) or "settings/global") for change in changes})
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    gone = sum(change.after is None for change in changes)
    detail = f"{what}: {count(len(changes), 'key')}" + (f", {gone} removed" if gone else "")
    detail += f", in {steps} steps" if steps > 1 else ""
    return history.entry(
        source, whoami(), "apply", f"{', '.join(names[:_MOST_NAMES])}{more}", detail
    )


def _left(step: Sequence[Change], stored: Mapping[str, Mapping[str, Item]]) -> dict[str, int]:
    """Return the services that a step takes servers from by what documents say, each with how many it is left
    with. What goes because no document names it was not asked for by name: the guard judges that."""
    of_service: dict[str, list[Change]] = {}
    for change in step:
        if service := service_of(change.key):
            of_service.setdefault(str(service), []).append(change)
    left = {
        name: left_by(stored.get(name, {}), own)
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
