"""`lbsync status`: what this host serves, as verified by the agent and as reported by HAProxy."""

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lbsync import status, verdict
from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.report.judgement import Judgement, Serves, just_read_back
from lbsync.cli import watching
from lbsync.cli.context import add_hosts, add_output, settings_of
from lbsync.cli.status import fleet, nagios, publishers
from lbsync.cli.terminal import Colour, Terminal, to_json
from lbsync.clients.haproxy import known_faults
from lbsync.errors import Exit, LbsyncError, Rejected
from lbsync.settings import Settings
from lbsync.status import Status
from lbsync.timestamps import ago
from lbsync.values.plural import count
from lbsync.verdict import Degree, Finding

_EPILOG = f"""\
examples:
  lbsync status
  lbsync status --output json | jq .agent.quarantined
  lbsync status --fleet          what every host reports in etcd, and which hosts are gone
  lbsync status --publishers     what publishers of Kubernetes Services could not publish, and why
  lbsync status --watch          until Ctrl-C; also with --fleet
  lbsync status --nagios         one line and exit codes for monitoring; also with --fleet

The agent's status is compared with HAProxy itself: 'serves' is what the running worker reports now. Users
without access to HAProxy's socket see the agent's status, provided that the agent has just read HAProxy back.

exit codes; if several apply, the most serious is returned; next to each, the state for --nagios:
{verdict.table()}
With --fleet, the same for all hosts, and 6 when no agent reports. With --publishers: 0 all is published,
5 something is refused or held, 6 etcd, Kubernetes or the publisher does not answer.
"""

COLOURS: dict[Degree, Colour] = {
    Degree.OK: "green", Degree.WARNING: "yellow", Degree.UNKNOWN: "red", Degree.CRITICAL: "red",
}  # fmt: skip
Row = tuple[str, str, Colour | None]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show what this host or the whole fleet serves, as verified."
    parser.epilog = _EPILOG
    parser.add_argument("--fleet", action="store_true", help="all hosts, from etcd")
    add_hosts(parser, "with --fleet: only these (default: all that ever reported)")
    parser.add_argument(
        "--publishers", action="store_true", help="publishers of Kubernetes Services, from etcd"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="refresh until Ctrl-C; if not a terminal, print a line for each change",
    )
    parser.add_argument(
        "--nagios",
        action="store_true",
        help="one line with performance data, and the exit codes of Nagios",
    )
    add_output(parser)


def run(args: argparse.Namespace) -> Exit | Degree:
    _refuse_contradictions(args)
    if args.nagios:
        return _nagios(args)
    settings = settings_of(args)
    if args.watch:
        _watch(args, settings)
        return Exit.OK
    if args.fleet:
        return fleet.show(settings, args.hosts, as_json=args.output == "json")
    if args.publishers:
        return publishers.show(settings, as_json=args.output == "json")
    judged = Judgement.of(settings, status.read(Path(settings.state_dir)))
    if args.output == "json":
        Terminal().block(to_json(judged.document()))
    else:
        _show(Terminal(), [*_rows(settings, judged), *_publishers(settings, judged)])
    return verdict.code_of(judged.findings)


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Raise `Rejected` where one of two options would be left out in silence, and the answer be that to another
    question."""
    if args.nagios and args.watch:
        raise Rejected("--nagios: it is one line for one look; leave out --watch")
    if args.publishers and (args.fleet or args.nagios or args.hosts):
        raise Rejected(
            "--publishers: it is not about hosts; leave out --fleet, --hosts and --nagios"
        )
    if args.hosts and not args.fleet:
        raise Rejected("--hosts: without --fleet only this host is shown; add --fleet")


def _watch(args: argparse.Namespace, settings: Settings) -> None:
    """Show it as it changes. Raises `Rejected` if that is impossible."""
    as_json = args.output == "json"
    if args.publishers:
        raise Rejected("--publishers: 'lbsync console' shows them live")
    if args.fleet:
        fleet.watch(settings, args.hosts, as_json=as_json)
        return

    def look() -> watching.View:
        judged = Judgement.of(settings, status.read(Path(settings.state_dir)))
        return watching.View(
            lambda terminal: _show(terminal, list(_rows(settings, judged))),
            {"": _in_short(judged)},
            {"": watching.Document(judged.document())},
        )

    watching.follow(look, as_json=as_json)


def _in_short(judged: Judgement) -> str:
    found = judged.agent
    said = "; ".join(map(str, judged.findings))
    serves = f"{found.state}, {found.generation}-{found.digest}"
    return f"{serves}: {said}" if said else serves


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
            judged = Judgement.of(settings, status.read(Path(settings.state_dir)))
            found, findings = judged.agent, list(judged.findings)
            well = f"{found.state}: generation {found.generation}-{found.digest}"
            figures = nagios.figures(found, now)
    except LbsyncError as error:
        terminal.line(nagios.unknown(error))
        return Degree.UNKNOWN
    terminal.line(nagios.line(findings, well, figures))
    return verdict.degree_of(findings)


def _rows(settings: Settings, judged: Judgement) -> Iterator[Row]:
    found, serves = judged.agent, judged.haproxy
    yield from _head(found, judged.doubt, judged.findings)
    yield from _haproxy(found, serves)
    for ability in serves.abilities:
        yield "can" if ability.has else "cannot", str(ability), None
    yield from _faults(settings, serves.version or found.haproxy)
    yield from _troubles(found)
    yield from _http(found)
    yield from _certificates(found)
    yield from _history(found)


def _publishers(settings: Settings, judged: Judgement) -> Iterator[Row]:
    """Yield how the publishers do, unless the agent already knows that there are none, or that etcd is away: to open
    etcd is half of what this command costs."""
    found = judged.agent
    if (found.published or judged.doubt) and (found.source is None or found.source.ok):
        yield from publishers.rows(settings)


def _show(terminal: Terminal, rows: list[Row]) -> None:
    for name, text, colour in rows:
        label = terminal.paint(f"{name:<13}", "dim")
        terminal.line(f"{label}{terminal.paint(text, colour) if colour else text}")


def _head(found: Status, doubt: str, findings: Sequence[Finding]) -> Iterator[Row]:
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
    if serves.closed and just_read_back(found):
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


def _http(found: Status) -> Iterator[Row]:
    if found.unanswered:
        yield "http", f"nobody is answered: {found.unanswered}", "yellow"


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
