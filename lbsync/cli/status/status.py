"""`lbsync status`: what this host serves, as the agent verified it, and as HAProxy says itself."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lbsync import liveness, status, verdict
from lbsync.agent.file_names import MAIN_FILE
from lbsync.cli.context import add_hosts, add_output, settings_of
from lbsync.cli.status import fleet, nagios, publishers
from lbsync.cli.terminal import Colour, Terminal, to_json
from lbsync.clients.haproxy import capabilities, known_faults, sockets
from lbsync.clients.haproxy.answers import reports_digest
from lbsync.clients.haproxy.capabilities import Ability
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Denied, Exit, LbsyncError, Unavailable
from lbsync.schema.sentences import count
from lbsync.settings import Settings
from lbsync.status import Status
from lbsync.timestamps import ago
from lbsync.verdict import Degree, Fact, Finding

_EPILOG = f"""\
examples:
  lbsync status
  lbsync status --output json | jq .agent.quarantined
  lbsync status --fleet          every host of the fleet, as it says in etcd, or that it is gone
  lbsync status --publishers     what publishers of Kubernetes Services could not do, and why
  lbsync status --nagios         one line for monitoring, and its exit codes; also with --fleet

The agent's word is compared with HAProxy's own: 'serves' is what the running worker answers now. Whoever may
not ask HAProxy's socket gets the agent's word, as long as it has just read HAProxy back.

exit codes; where several apply, the most serious counts; beside each the degree of --nagios:
{verdict.table()}
With --fleet the same of all hosts, and 6 when no agent reports. With --publishers: 0 all is in step,
5 something is refused or held back, 6 etcd, Kubernetes or the publisher does not answer.
"""

COLOURS: dict[Degree, Colour] = {
    Degree.OK: "green", Degree.WARNING: "yellow", Degree.UNKNOWN: "red", Degree.CRITICAL: "red",
}  # fmt: skip
_SLACK_S = 30.0
"""How much later than promised the agent may have read HAProxy back: a pass takes its time."""
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
    closed: bool = False
    """This user may not ask; only the agent's word is left."""
    version: str = ""
    """Of the HAProxy that runs; empty: it did not tell."""
    abilities: tuple[Ability, ...] = ()
    """What it can do, and what lbsync therefore does."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Tell what this host, or the whole fleet, serves, as verified."
    parser.epilog = _EPILOG
    parser.add_argument("--fleet", action="store_true", help="all hosts, from etcd")
    add_hosts(parser, "with --fleet: exactly these (default: all that ever reported)")
    parser.add_argument(
        "--publishers", action="store_true", help="publishers of Kubernetes Services, from etcd"
    )
    parser.add_argument(
        "--nagios", action="store_true", help="one line with figures, and Nagios' exit codes"
    )
    add_output(parser)


def run(args: argparse.Namespace) -> Exit | Degree:
    if args.nagios:
        return _nagios(args)
    settings = settings_of(args)
    if args.fleet:
        return fleet.show(settings, args.hosts, as_json=args.output == "json")
    if args.publishers:
        return publishers.show(settings, as_json=args.output == "json")
    found = status.read(Path(settings.state_dir))
    doubt = liveness.doubt(found, time.time())
    serves = ask_haproxy(settings, found)
    findings = list(judge(found, doubt, serves))
    if args.output == "json":
        facts = {
            "agent": found,
            "doubt": doubt,
            "haproxy": serves,
            "exit_code": verdict.code_of(findings),
            "degree": verdict.degree_of(findings).name,
            "findings": [str(finding) for finding in findings],
        }
        Terminal().block(to_json(facts))
    else:
        rows = _rows(settings, found, doubt, serves, findings)
        _show(Terminal(), [*rows, *_publishers(settings, found)])
    return verdict.code_of(findings)


def _nagios(args: argparse.Namespace) -> Degree:
    """Print one line. Raises nothing that is known: that is UNKNOWN."""
    terminal, now = Terminal(), time.time()
    try:
        settings = settings_of(args)
        if args.fleet:
            report = fleet.gather(settings, args.hosts)
            findings = [
                msgspec.structs.replace(finding, said=f"{host} {finding.said}".strip())
                for host, finding in fleet.judge(report)
            ]
            well = f"{count(len(report.agents), 'host')} at revision {report.revision}"
            figures = {"hosts": str(len(report.agents))}
        else:
            found = status.read(Path(settings.state_dir))
            serves = ask_haproxy(settings, found)
            findings = list(judge(found, liveness.doubt(found, now), serves))
            well = f"{found.state}: generation {found.generation}-{found.digest}"
            figures = nagios.figures(found, now)
    except LbsyncError as error:
        terminal.line(nagios.unknown(error))
        return Degree.UNKNOWN
    terminal.line(nagios.line(findings, well, figures))
    return verdict.degree_of(findings)


def ask_haproxy(settings: Settings, found: Status) -> Serves:
    """Return what the running worker says of itself."""
    try:
        worker = sockets.worker(from_settings(settings))
        info = worker.show_info(retry_s=1.0)
        version = known_faults.parsed(info["Version"])
        abilities = capabilities.ask(worker, version).abilities() if version else ()
    except Denied as error:
        return Serves(False, str(error), closed=True)
    except Unavailable as error:
        return Serves(False, str(error))
    detail = f"HAProxy {info['Version']}, worker {info['Pid']}, up {info.get('Uptime', '?')}"
    description = info.get("description", "")
    digests = filter(None, (found.digest, found.base))
    agrees = any(reports_digest(info, digest) for digest in digests)
    return Serves(True, detail, agrees, description, version=info["Version"], abilities=abilities)


def judge(found: Status, doubt: str, serves: Serves) -> Iterator[Finding]:
    """Yield everything that is so on this host."""
    if doubt:
        yield Finding(Fact.NO_AGENT, doubt)
    if serves.answers and found.digest and not serves.agrees:
        yield Finding(Fact.OTHERWISE, serves.description or "no description")
    elif not serves.answers and not (serves.closed and _just_read_back(found)):
        yield Finding(Fact.SILENT_HAPROXY, serves.detail)
    yield from verdict.of_status(found)


def _just_read_back(found: Status) -> bool:
    """Tell whether the agent has read HAProxy back as lately as it promises to."""
    return time.time() - found.verified_at <= 2 * found.every + _SLACK_S


def _rows(
    settings: Settings, found: Status, doubt: str, serves: Serves, findings: list[Finding]
) -> Iterator[Row]:
    yield from _head(found, doubt, findings)
    yield from _haproxy(found, serves)
    for ability in serves.abilities:
        yield "can" if ability.has else "cannot", str(ability), None
    yield from _faults(settings, serves.version or found.haproxy)
    yield from _troubles(found)
    yield from _certificates(found)
    yield from _history(found)


def _publishers(settings: Settings, found: Status) -> Iterator[Row]:
    """Yield how the publishers do, unless the agent already knows that etcd is away."""
    if found.source is None or found.source.ok:
        yield from publishers.rows(settings)


def _show(terminal: Terminal, rows: list[Row]) -> None:
    for name, text, colour in rows:
        label = terminal.paint(f"{name:<13}", "dim")
        terminal.line(f"{label}{terminal.paint(text, colour) if colour else text}")


def _head(found: Status, doubt: str, findings: list[Finding]) -> Iterator[Row]:
    if doubt:
        yield "DOUBT", f"{doubt}; what follows is old", "red"
    words = dict.fromkeys(finding.fact.word for finding in findings)
    beside = [word for word in words if word.replace(" ", "-") not in (found.state, "no-agent")]
    state = f"{found.state}; {', '.join(beside)}" if beside else found.state
    yield "state", state, COLOURS[verdict.degree_of(findings)]
    yield "host", f"{found.host} (lbsync {found.lbsync}, process {found.pid})", None
    if found.digest:
        name = f"{found.generation}-{found.digest}"
        counts = f"{count(found.services, 'service')}, {count(found.servers, 'server')}"
        yield "generation", f"{name}, revision {found.revision}, {counts}", None
    yield "verified", ago(found.verified_at), None


def _faults(settings: Settings, version: str) -> Iterator[Row]:
    config = ""
    with contextlib.suppress(OSError):
        config = (Path(settings.state_dir) / "live" / MAIN_FILE).read_text(errors="replace")
    by_signal = settings.haproxy.reload == "signal"
    for sentence in known_faults.sentences(version, by_signal=by_signal, config=config):
        yield "release", sentence, "yellow"


def _haproxy(found: Status, serves: Serves) -> Iterator[Row]:
    said = serves.description or "no description"
    if serves.answers and found.digest and not serves.agrees:
        yield "serves", f"something else: {said}", "red"
    elif serves.answers:
        yield "serves", said, "green"
    if serves.closed and _just_read_back(found):
        yield "haproxy", f"by the agent's word; {serves.detail}", None
    else:
        yield "haproxy", serves.detail, None if serves.answers else "red"
    if found.old_workers:
        yield "old workers", f"{count(found.old_workers, 'worker')} finishing connections", None


def _troubles(found: Status) -> Iterator[Row]:
    if found.source is not None:
        text = found.source.detail if found.source.ok else f"AWAY: {found.source.detail}"
        yield "source", text, None if found.source.ok else "red"
    if found.waits:
        yield "waits", f"a reload: {status.wait_of(found, time.time())}", "yellow"
    if found.refused_settings and found.error != found.refused_settings:
        yield "settings", f"not taken over, the old ones hold: {found.refused_settings}", "red"
    if found.error:
        since = f", since {ago(found.failing_since)}" if found.failing_since else ""
        yield "error", f"{found.error}{since}", "red"
    if found.held:
        since = f", since {ago(found.hold_since)}" if found.hold_since else ""
        yield "held", f"{found.held} (id {found.hold_id}){since}", "yellow"
    if found.draining:
        yield "drained", found.draining, "yellow"
    for entry in found.quarantined:
        yield "quarantine", f"{entry.key or 'host'}: {entry.reason}", "yellow"
    for sentence in found.by_hand:
        yield "held by hand", sentence, "yellow"
    if found.by_hand_count > len(found.by_hand):
        yield "held by hand", f"and {found.by_hand_count - len(found.by_hand)} more", "yellow"


def _certificates(found: Status) -> Iterator[Row]:
    for sentence in status.ending(found.certificates, time.time()):
        yield "certificate", sentence, "yellow"


def _history(found: Status) -> Iterator[Row]:
    if found.last_pass is not None:
        yield "last pass", f"{found.last_pass.sentence}; {ago(found.last_pass.at)}", None
    done = f"{found.passes} passes, {_reloads(found)}, {count(found.steps, 'step')} without one"
    healed = f", {found.healed} healed" if found.healed else ""
    replaced = f", HAProxy was another process {count(found.replaced, 'time')}"
    yield "since start", f"{done}{healed}{replaced if found.replaced else ''}", None
    if found.reload_reason:
        yield "last reload", found.reload_reason, None


def _reloads(found: Status) -> str:
    causes = ", ".join(f"{number} {cause}" for cause, number in found.reloads_by_cause.items())
    needless = f", {found.needless_reloads} NEEDLESS" if found.needless_reloads else ""
    return f"{count(found.reloads, 'reload')}{f' ({causes})' if causes else ''}{needless}"
