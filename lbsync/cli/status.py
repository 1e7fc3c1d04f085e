"""`lbsync status`: what this host serves, as the agent verified it, and as HAProxy says itself."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lbsync import status
from lbsync.agent.reload import speaks
from lbsync.cli import status_fleet, status_publishers
from lbsync.cli.context import add_output, settings_of
from lbsync.cli.status_fleet import COLOURS, FINE
from lbsync.cli.terminal import Colour, Terminal, count, to_json
from lbsync.clients.haproxy import sockets
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Exit, Unavailable
from lbsync.settings import Settings
from lbsync.status import Status

_EPILOG = """\
examples:
  lbsync status
  lbsync status --output json | jq .agent.quarantined
  lbsync status --fleet          every host whose agent is alive, as it says in etcd
  lbsync status --publishers     what publishers of Kubernetes Services could not do, and why

The agent's word is compared with HAProxy's own: 'serves' is what the running worker answers now.

exit codes: 0 confirmed, waiting, held, stale or rolled back, and HAProxy agrees; 1 the agent fails or waits;
6 the agent or HAProxy does not answer; 7 HAProxy serves something else than the agent says.
With --fleet: 0 every agent is fine; 1 one fails or waits; 6 etcd does not answer, or no agent reports.
With --publishers: 0 all is in step; 1 something is not; 6 etcd does not answer, or nobody publishes.
"""

Row = tuple[str, str, Colour | None]


class Serves(msgspec.Struct, frozen=True):
    """What HAProxy itself says, right now."""

    answers: bool
    detail: str
    """Its version and age, or why it does not answer."""
    agrees: bool = False
    """It serves the generation that the agent says."""
    description: str = ""
    """What `show info` gives as description: the digest of what is served is in it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.description = "Tell what this host, or the whole fleet, serves, as verified."
    parser.epilog = _EPILOG
    parser.add_argument("--fleet", action="store_true", help="all hosts, from etcd")
    parser.add_argument(
        "--publishers", action="store_true", help="publishers of Kubernetes Services, from etcd"
    )
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """Show the status."""
    settings = settings_of(args)
    if args.fleet:
        return status_fleet.show(settings, as_json=args.output == "json")
    if args.publishers:
        return status_publishers.show(settings, as_json=args.output == "json")
    found = status.read(Path(settings.state_dir))
    doubt = status.doubt(found, time.time())
    serves = _ask_haproxy(settings, found)
    if args.output == "json":
        facts = {"agent": found, "doubt": doubt, "haproxy": serves}
        Terminal().line(to_json(facts))
    else:
        _show(Terminal(), [*_rows(found, doubt, serves), *_publishers(settings, found)])
    return _exit(found, doubt, serves)


def _ask_haproxy(settings: Settings, found: Status) -> Serves:
    try:
        info = sockets.worker(from_settings(settings)).show_info(retry_s=1.0)
    except Unavailable as error:
        return Serves(False, str(error))
    detail = f"HAProxy {info['Version']}, worker {info['Pid']}, up {info.get('Uptime', '?')}"
    description = info.get("description", "")
    digests = filter(None, (found.digest, found.base))
    return Serves(True, detail, any(speaks(info, digest) for digest in digests), description)


def _exit(found: Status, doubt: str, serves: Serves) -> Exit:
    if doubt or not serves.answers:
        return Exit.UNAVAILABLE
    if found.digest and not serves.agrees:
        return Exit.APPLY_FAILED
    return Exit.OK if found.state in FINE else Exit.FAILED


def _rows(found: Status, doubt: str, serves: Serves) -> Iterator[Row]:
    yield from _head(found, doubt)
    yield from _haproxy(found, serves)
    yield from _troubles(found)
    yield from _history(found)


def _publishers(settings: Settings, found: Status) -> Iterator[Row]:
    """Yield how the publishers do, unless the agent already knows that etcd is away."""
    if found.source is None or found.source.ok:
        yield from status_publishers.rows(settings)


def _show(terminal: Terminal, rows: list[Row]) -> None:
    for name, text, colour in rows:
        label = terminal.paint(f"{name:<13}", "dim")
        terminal.line(f"{label}{terminal.paint(text, colour) if colour else text}")


def _head(found: Status, doubt: str) -> Iterator[Row]:
    if doubt:
        yield "DOUBT", f"{doubt}; what follows is old", "red"
    yield "state", found.state, COLOURS[found.state]
    yield "host", f"{found.host} (lbsync {found.lbsync}, process {found.pid})", None
    if found.digest:
        name = f"{found.generation}-{found.digest}"
        counts = f"{count(found.services, 'service')}, {count(found.servers, 'server')}"
        yield "generation", f"{name}, revision {found.revision}, {counts}", None
    yield "verified", status.moment(found.verified_at), None


def _haproxy(found: Status, serves: Serves) -> Iterator[Row]:
    said = serves.description or "no description"
    if serves.answers and found.digest and not serves.agrees:
        yield "serves", f"something else: {said}", "red"
    elif serves.answers:
        yield "serves", said, "green"
    yield "haproxy", serves.detail, None if serves.answers else "red"
    if found.old_workers:
        yield "old workers", f"{count(found.old_workers, 'worker')} finishing connections", None


def _troubles(found: Status) -> Iterator[Row]:
    if found.source is not None:
        text = found.source.detail if found.source.ok else f"AWAY: {found.source.detail}"
        yield "source", text, None if found.source.ok else "red"
    if found.waits:
        yield "waits", f"a reload: {found.waits}", "yellow"
    if found.error:
        since = f", since {status.moment(found.failing_since)}" if found.failing_since else ""
        yield "error", f"{found.error}{since}", "red"
    if found.held:
        yield "held", f"{found.held} (id {found.hold_id})", "yellow"
    if found.draining:
        yield "drained", found.draining, "yellow"
    for entry in found.quarantined:
        yield "quarantine", f"{entry.key or 'host'}: {entry.reason}", "yellow"
    for sentence in found.by_hand:
        yield "held by hand", sentence, "yellow"
    if found.by_hand_count > len(found.by_hand):
        yield "held by hand", f"and {found.by_hand_count - len(found.by_hand)} more", "yellow"


def _history(found: Status) -> Iterator[Row]:
    if found.last_pass is not None:
        yield "last pass", f"{found.last_pass.sentence}; {status.moment(found.last_pass.at)}", None
    done = f"{found.passes} passes, {_reloads(found)}, {count(found.steps, 'step')} without one"
    healed = f", {found.healed} healed" if found.healed else ""
    yield "since start", f"{done}{healed}", None
    if found.reload_reason:
        yield "last reload", found.reload_reason, None


def _reloads(found: Status) -> str:
    causes = ", ".join(f"{number} {cause}" for cause, number in found.reloads_by_cause.items())
    needless = f", {found.needless_reloads} NEEDLESS" if found.needless_reloads else ""
    return f"{count(found.reloads, 'reload')}{f' ({causes})' if causes else ''}{needless}"
