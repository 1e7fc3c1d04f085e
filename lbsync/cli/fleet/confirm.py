"""`lbsync confirm --fleet`: confirms a held removal on all hosts and in publishers."""

import contextlib
import sys
import time

from lbsync.cli.context import source_opened, whoami
from lbsync.cli.fleet.wait import awaiting, history_of
from lbsync.cli.terminal import Terminal, may_ask, said_yes
from lbsync.clients.source import Source
from lbsync.errors import Conflict, Exit, Rejected, Unavailable
from lbsync.fleet import history
from lbsync.fleet.holds import Held, confirmation, held
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet
from lbsync.schema.reading import one_line
from lbsync.settings import Duration, Settings
from lbsync.values.plural import count

_POLL_S = 0.1
_SHOWN = 30
_TOLD_S = 1.5
"""Within a second hosts tell of a hold."""


def run(settings: Settings, hold_id: str, wait: Duration, *, yes: bool) -> Exit:
    """Show what is held under an id (empty: the only one there is), confirm it where that is meant (`yes`: it is),
    and wait until nobody holds it, and none of those who did has a reload to come.

    Raises `Conflict` when nothing, or something else, is held; `Rejected` for a source without a
    fleet, and where it was not meant; `Unavailable`.
    """
    with source_opened(settings) as source:
        history_of(source)
        snapshot = _look(settings, source, hold_id)
        found = held(snapshot)
        if not found:
            if silent := sorted(fleet.census(snapshot).gone):
                raise Unavailable(
                    f"no host that reports holds anything; nobody knows of {', '.join(silent)}: "
                    "see 'lbsync status --fleet'"
                )
            Terminal().line("nothing is held anywhere")
            return Exit.OK
        name = _chosen(found, hold_id)
        if not yes:
            _make_sure(name, found[name])
        confirming = confirmation(source, found[name].services, whoami(), name)
        noted = history.entry(source, whoami(), "confirm --fleet", name, str(found[name]))
        revision = history.commit(source, [], [confirming], noted)
        with awaiting(source, revision):
            later = _wait(source, name, found[name].holders, wait)
    if later:
        on = "; ".join(f"{host}: {why}" for host, why in later.items())
        Terminal().line(
            f"confirmed: {found[name]}; what is not gone yet goes with a reload that waits on {on}"
        )
        return Exit.UNVERIFIED
    Terminal().line(f"confirmed and done: {found[name]}")
    return Exit.OK


def _make_sure(name: str, each: Held) -> None:
    """Show what would go, and ask. Raises `Rejected`."""
    terminal = Terminal(sys.stderr)
    services = sorted(each.services.items())
    terminal.table(
        ("SERVICE", "SERVERS LEFT"),
        [(one_line(service), str(left) if left else "none") for service, left in services[:_SHOWN]],
    )
    if len(services) > _SHOWN:
        terminal.line(f"and {len(services) - _SHOWN} more")
    more = f", {each.more} more that are not named" if each.more else ""
    said = f"removal {name}, of {count(len(services), 'service')}{more}, is held by {', '.join(each.holders)}"
    terminal.line(terminal.paint(said, "yellow"))
    if not may_ask():
        raise Rejected("nothing was confirmed; --yes if that is meant")
    if not said_yes("let it go through?"):
        raise Rejected("nothing was confirmed")


def _look(settings: Settings, source: Source, hold_id: str) -> Snapshot:
    """Return all keys, with what hosts said last; a hold that was found a moment ago is waited for."""
    deadline = time.monotonic() + _TOLD_S
    while True:
        snapshot = source.snapshot()
        with contextlib.suppress(Unavailable), source_opened(settings, answers=True) as beside:
            snapshot = fleet.with_acknowledgements(snapshot, beside.snapshot())
        is_there = any(name.startswith(hold_id) for name in held(snapshot))
        if is_there or time.monotonic() >= deadline:
            return snapshot
        time.sleep(_POLL_S)


def _chosen(found: dict[str, Held], hold_id: str) -> str:
    names = [name for name in found if name.startswith(hold_id)]
    if len(names) == 1:
        return names[0]
    listed = "; ".join(f"{name}: {each}" for name, each in sorted(found.items()))
    if hold_id and not names:
        raise Conflict(f"nobody holds {hold_id}; held are {listed}")
    raise Conflict(f"say which of {count(len(names), 'removal')}: {listed}")


def _wait(source: Source, name: str, holders: list[str], wait: Duration) -> dict[str, str]:
    """Return which of `holders` have a reload to come when the time is up, and why that waits.

    Raises `Unavailable` if it is still held then.
    """
    deadline = time.monotonic() + wait.seconds
    while True:
        snapshot = source.snapshot()
        each = held(snapshot).get(name)
        still = waiting(snapshot, holders)
        if each is None and not still:
            return {}
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    if each is not None:
        raise Unavailable(
            f"the confirmation is written, but after {wait} it is still held by "
            f"{', '.join(each.holders)}; it is obeyed for an hour"
        )
    return still


def waiting(snapshot: Snapshot, holders: list[str]) -> dict[str, str]:
    """Return which of `holders` have a reload to come, and why it waits."""
    records = fleet.census(snapshot).live
    found = {host: records.get(host) for host in holders}
    return {
        host: one_line(record.waits) for host, record in found.items() if record and record.waits
    }
