"""What a publisher's pass says of itself. Pure."""

from collections.abc import Mapping, Sequence

from lbsync.errors import Exit
from lbsync.loop.outcome import Outcome, some
from lbsync.publisher.commit import Written
from lbsync.publisher.service_changes import ServiceChanges, State, Summary


def what_changed(units: Sequence[ServiceChanges], states: Mapping[str, State]) -> str:
    """Name what was written: `shop/cart written; shop/web removed`, or how many."""
    touched = list(dict.fromkeys(unit.name for unit in units if unit.changes))
    gone = [name for name in touched if name not in states]
    there = [name for name in touched if name in states]
    parts = [some(there, "written"), some(gone, "removed")]
    return "; ".join(part for part in parts if part) or "nothing to write"


def sentence(written: Written, states: Mapping[str, State], found: Summary, revision: int) -> str:
    """Return what was written, and how many Services are published."""
    changed = what_changed(written.done, states)
    if again := some(sorted(written.raced), "changed by somebody else meanwhile, looked at again"):
        changed += f"; {again}"
    return f"revision {written.revision or revision}: {changed}; {published(found)}"


def published(found: Summary) -> str:
    """Return how many Services are published, and how many are not."""
    services = "service" if found.published == 1 else "services"
    wrong = ((len(found.refused), "refused"), (found.held, "held"))
    parts = [
        f"{number} {word}"
        for number, word in (*wrong, (len(found.conflicts), "in conflict"))
        if number
    ]
    return ", ".join((f"{found.published} {services} published", *parts))


def outcome(
    written: Written,
    states: Mapping[str, State],
    found: Summary,
    *,
    unread: Sequence[str] = (),
    revision: int,
    seconds: float,
    again_in: float,
) -> Outcome:
    """Return the outcome of a leader's pass. `unread`: a sentence for each namespace that cannot be read."""
    failed = [f"{name}: {why}" for name, why in sorted(written.failed.items())]
    wrong = [*filter(None, (found.hold,)), *failed, *unread, *found.refused, *found.conflicts]
    changed = any(unit.changes for unit in written.done)
    more = f" (and {len(wrong) - 1} more: see 'lbsync status')" if len(wrong) > 1 else ""
    return Outcome(
        sentence(written, states, found, revision),
        confirmed=not (written.failed or written.raced),
        changed=changed,
        error=f"{wrong[0]}{more}" if wrong else "",
        retry=bool(written.failed or written.raced),
        again_in=again_in,
        exit_code=_exit(written, wrong, changed=changed),
        fields={
            "services": found.published,
            "transactions": written.transactions,
            "keys": sum(len(unit.changes) for unit in written.done),
            "ms": round(seconds * 1000, 1),
        },
    )


def _exit(written: Written, wrong: list[str], *, changed: bool) -> Exit:
    if written.failed or written.raced:
        return Exit.CONFLICT
    if wrong:
        return Exit.REJECTED
    return Exit.CHANGED if changed else Exit.OK


def kept_out(why: str) -> Outcome:
    """Return the outcome of a pass of one whose cluster's name is that of another cluster."""
    return Outcome(
        "publishes nothing: its name is another cluster's",
        confirmed=False,
        error=why,
        exit_code=Exit.CONFLICT,
    )


def standby_outcome(leader: str, again_in: float) -> Outcome:
    """Return the outcome of a pass of one who does not lead. `leader`: who does; empty: nobody knows."""
    return Outcome(
        f"stands by: {leader} leads" if leader else "stands by: another publisher leads",
        confirmed=True,
        again_in=again_in,
        exit_code=Exit.CONFLICT,
        fields={"leader": leader},
    )
