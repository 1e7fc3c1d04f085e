"""One deployment: its phase, its events, and the commands it was given."""

from collections.abc import Iterator
from typing import get_args

import msgspec
from msgspec import UNSET

from lbsync.console.facts.deployments import (
    DeploymentRow,
    Deployments,
    VersionView,
    row,
    version,
)
from lbsync.deployer import commands
from lbsync.deployer.commands import Command
from lbsync.errors import Rejected
from lbsync.model.deploying import DeploymentRecord, EventRecord, Phase, Strategy
from lbsync.schema.decode import encode
from lbsync.schema.reading import plain

_MOST_EVENTS = 500


class PhaseView(msgspec.Struct, frozen=True):
    """One phase on the way."""

    phase: str
    state: str
    """`done`, `now`, `to come`, or `left out` where it ended before."""
    at: str
    """When it was reached, RFC 3339 in UTC; empty: it was not."""
    revision: int
    """Of etcd, that it was written at; 0: it was not reached, or is the newest."""


class EventView(msgspec.Struct, frozen=True):
    """Something that happened."""

    number: int
    """Counted from 0."""
    at: str
    phase: str
    text: str
    by: str
    """Who did it; empty: the deployer."""


class EventsView(msgspec.Struct, frozen=True):
    """Some events of a deployment, in their order."""

    events: tuple[EventView, ...]
    is_ended: bool
    """No more will come."""


class DeploymentView(msgspec.Struct, frozen=True):
    """One deployment."""

    row: DeploymentRow
    provider: str
    old: VersionView | None
    """What was live before."""
    phases: tuple[PhaseView, ...]
    step: int
    """Which step's route is written, counted from 1; 0: none is."""
    steps: tuple[int, ...]
    """Percent of the traffic after each."""
    strategy: dict[str, object]
    """As it is stored; what is left out is as `Strategy` says."""
    paused: str
    """Who holds it; empty: nobody does."""
    wish: str
    """`cancel` or `rollback`: somebody said so; empty: nobody did."""
    reason: str
    waits: str
    notices: tuple[str, ...]
    revision: int
    """Of etcd, that its record was written at: the number of its ETag."""
    can: tuple[str, ...]
    """What it may be told now: `pause`, `resume`, `promote`, `cancel`, `rollback`, `abandon`."""


def deployment_view(known: Deployments, app: str, name: str) -> DeploymentView | None:
    """Return one deployment; None: there is none that can be read."""
    record = known.deployment(app, name)
    if record is None:
        return None
    return DeploymentView(
        row(app, record),
        record.provider,
        version(record.old) if record.old is not UNSET else None,
        tuple(_phases(record, dict(_reached(known, app, name)))),
        record.step,
        record.strategy.shares,
        _plain(record.strategy),
        record.paused,
        record.wish,
        record.reason,
        record.waits,
        record.notices,
        known.revision(app, name),
        tuple(_possible(record)),
    )


def events_view(
    known: Deployments, app: str, name: str, after: int = -1, most: int = _MOST_EVENTS
) -> EventsView | None:
    """Return the first `most` events after the one of this number; None: there is no such deployment."""
    record = known.deployment(app, name)
    if record is None:
        return None
    events = list(known.events(app, name, after))
    is_all = len(events) <= most
    return EventsView(
        tuple(event_view(number, each) for number, each in events[:most]),
        record.is_ended and is_all,
    )


def event_view(number: int, record: EventRecord) -> EventView:
    """Return one event."""
    return EventView(number, record.at, record.phase, record.text, record.by)


def _reached(known: Deployments, app: str, name: str) -> Iterator[tuple[Phase, str]]:
    """Yield each phase with when it was reached, the latest first: the first time is what counts."""
    for _, each in reversed(list(known.events(app, name))):
        yield each.phase, each.at


def _phases(record: DeploymentRecord, reached: dict[Phase, str]) -> Iterator[PhaseView]:
    way = record.way
    is_back = record.phase not in way
    here = len(way) if is_back else way.index(record.phase)
    for number, phase in enumerate(way):
        at = reached.get(phase, record.created_at if phase == "queued" else "")
        revision = record.revisions.get(phase, 0)
        if phase == record.phase:
            state = "done" if record.is_ended else "now"
        elif is_back:
            state = "done" if at or revision else "left out"
        else:
            state = "done" if number < here else "to come"
        yield PhaseView(phase, state, at if state in ("done", "now") else "", revision)
    if is_back:
        state = "done" if record.is_ended else "now"
        revision = record.revisions.get(record.phase, 0)
        yield PhaseView(record.phase, state, reached.get(record.phase, record.phase_at), revision)


def _possible(record: DeploymentRecord) -> Iterator[str]:
    """Yield the commands that make sense now."""
    for command in get_args(Command):
        try:
            commands.apply(record, command, "", 0.0)
        except Rejected:
            continue
        yield command


def _plain(strategy: Strategy) -> dict[str, object]:
    found: dict[str, object] = plain(encode(strategy))
    return found
