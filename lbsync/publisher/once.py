"""Runs a publisher for a command: waits for the lists, runs the passes that are due, and ends."""

import time

import msgspec

from lbsync import verdict
from lbsync.errors import Conflict, Exit, Unavailable
from lbsync.loop import Outcome, Waker
from lbsync.publisher.publisher import Publisher
from lbsync.publisher.report.outcome import published, what_changed
from lbsync.publisher.service_changes import ServiceChanges

_MOST_NAMED = 3


def settle(publisher: Publisher, within: float) -> Outcome:
    """Run passes until nothing is left to do that cannot wait. Return the outcome of the last one, with what all
    of them wrote.

    `within`: seconds. Raises `Unavailable` when the cluster is not listed by then, and `Conflict` when another
    publisher leads.
    """
    waker, deadline = _listed(publisher, within)
    done: list[ServiceChanges] = []
    while True:
        _wait_for_lists(publisher, waker, deadline)
        outcome = publisher.run_pass()
        if outcome.exit_code is Exit.CONFLICT and not outcome.retry:
            raise Conflict(outcome.error or f"{outcome.sentence}; it publishes what there is")
        done += publisher.written.done
        over = time.monotonic() >= deadline
        if over or not (outcome.retry or publisher.waiting):
            break
        waker.wait(0.2)
    changed = any(unit.changes for unit in done)
    waits = waiting(publisher)
    codes = [
        outcome.exit_code,
        Exit.CHANGED if changed else Exit.OK,
        Exit.REJECTED if waits else Exit.OK,
    ]
    return msgspec.structs.replace(
        outcome,
        sentence=f"{what_changed(done, publisher.states)}; {published(publisher.summary)}",
        changed=changed,
        error=outcome.error or "; ".join(waits[:_MOST_NAMED]),
        exit_code=verdict.gravest(codes),
    )


def preview(publisher: Publisher, within: float) -> list[ServiceChanges]:
    """Return what would be written. `within`: seconds. Raises `Unavailable` when the cluster is not
    listed by then."""
    waker, deadline = _listed(publisher, within)
    units: list[ServiceChanges] = []
    while True:
        _wait_for_lists(publisher, waker, deadline)
        units = publisher.preview()
        if not publisher.waiting or time.monotonic() >= deadline:
            break
        waker.wait(0.2)
    return units


def waiting(publisher: Publisher) -> list[str]:
    """Return one sentence for each Service that waits and is not refused for it."""
    return [
        f"Service {name} waits for what it needs: {state.waits}"
        for name, state in sorted(publisher.states.items())
        if state.status == "waits" and not state.refused
    ]


def _listed(publisher: Publisher, within: float) -> tuple[Waker, float]:
    """Begin, and wait until the cluster is listed once; return what wakes, and until when there is time."""
    deadline = time.monotonic() + within
    waker = Waker()
    publisher.start(waker.wake)
    _wait_for_lists(publisher, waker, deadline)
    publisher.look_for_unlabelled()
    return waker, deadline


def _wait_for_lists(publisher: Publisher, waker: Waker, deadline: float) -> None:
    while publisher.missing:
        if time.monotonic() >= deadline:
            missing = ", ".join(publisher.missing)
            raise Unavailable(f"{missing}: not listed in time: {publisher.healthy}")
        waker.wait(min(0.5, max(0.0, deadline - time.monotonic())))
