"""`lbsync status --fleet`: what every host reports in etcd."""

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import msgspec

from lbsync import log, verdict
from lbsync.cli import watching
from lbsync.cli.context import source_opened
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import Source
from lbsync.errors import Exit, Unavailable
from lbsync.fleet import TWO_AGENTS, TargetRevision, absence
from lbsync.log import span
from lbsync.model.records import AgentRecord, QuarantineRecord
from lbsync.schema import fleet as schema
from lbsync.schema.reading import one_line
from lbsync.settings import Settings
from lbsync.timestamps import seconds
from lbsync.values.plural import first_few
from lbsync.verdict import Fact, Finding

_HEAD = (
    "HOST", "STATE", "REVISION", "LAG", "GENERATION", "VERIFIED", "QUARANTINED", "HELD", "ERROR",
)  # fmt: skip
_FEW = 3
_MOST_HELD = 20
_MOST_NAME = 40


class Member(msgspec.Struct, frozen=True):
    """One host with a live agent."""

    host: str
    lag: int
    """By how many revisions it is behind the newest that it should follow, at most."""
    record: AgentRecord | None
    """None when it cannot be read."""


class Report(msgspec.Struct, frozen=True):
    """What all hosts of the fleet say of themselves, at one revision."""

    revision: int
    """Of etcd, now."""
    agents: tuple[Member, ...]
    quarantine: dict[str, QuarantineRecord]
    """Service to why it is quarantined."""
    gone: dict[str, str] = {}
    """Hosts that do not report, although they did once or were asked for, to what is known of it."""
    rivals: tuple[str, ...] = ()
    """Hosts under whose name a second agent runs."""
    junk: tuple[str, ...] = ()
    """Keys below `agents/` that no agent keeps; they count for nothing."""


def show(settings: Settings, hosts: Collection[str], *, as_json: bool) -> Exit:
    """Print it; return the exit code. Raises `Unavailable`, and `Rejected` for a source without a
    fleet."""
    report = gather(settings, hosts)
    terminal = Terminal()
    if as_json:
        terminal.block(to_json(report))
    else:
        _draw(terminal, report, settings)
    return verdict.code_of(finding for _, finding in judge(report))


def _draw(terminal: Terminal, report: Report, settings: Settings) -> None:
    if not report.agents and not report.gone:
        terminal.line(f"no agent reports below {settings.prefix}{schema.AGENTS}")
    else:
        _table(terminal, report)


def watch(settings: Settings, hosts: Collection[str], *, as_json: bool) -> None:
    """Show it as it changes. Raises `Rejected` for a source without a fleet."""
    log.setup("warning", settings.log.format)  # the watch of etcd logs more than was asked for
    with source_opened(settings) as source, source_opened(settings, answers=True) as beside:
        history_of(source)
        watching.begin(source, beside)

        def look() -> watching.View:
            report = _report(source, beside, hosts)
            found: dict[str, list[str]] = {}
            for host, finding in judge(report):
                found.setdefault(host, []).append(str(finding))
            lines = {
                member.host: f"{member.host} {_in_short(member, found.get(member.host, []))}"
                for member in report.agents
            }
            lines |= {host: f"{host} {why}" for host, why in report.gone.items()}
            return watching.View(
                lambda terminal: _draw(terminal, report, settings),
                lines,
                {"": watching.Document(report)},
            )

        watching.follow(look, as_json=as_json)


def _in_short(member: Member, found: Sequence[str]) -> str:
    """Return what changes of a host that somebody would want to hear of. `found`: what is wrong there."""
    record = member.record
    serves = (
        f"{record.state}, {record.generation}-{one_line(record.digest)}" if record else "unreadable"
    )
    return f"{serves}: {'; '.join(found)}" if found else serves


def gather(settings: Settings, hosts: Collection[str] = ()) -> Report:
    """Read it from etcd, of all hosts or of those that are named. Raises as `show` does."""
    with source_opened(settings) as source, source_opened(settings, answers=True) as beside:
        history_of(source)
        return _report(source, beside, hosts)


def _report(source: Source, beside: Source, hosts: Collection[str]) -> Report:
    snapshot = source.snapshot()
    with contextlib.suppress(Unavailable):
        snapshot = schema.with_acknowledgements(snapshot, beside.snapshot())
    target = TargetRevision(history_of(source), snapshot.revision, snapshot)
    census = schema.census(snapshot)
    members = tuple(
        Member(
            host,
            target.behind(max(record.revision, record.up_to), record.keys) if record else 0,
            record,
        )
        for host, record in census.live.items()
        if host in hosts or not hosts
    )
    gone = {host: absence(host, record) for host, record in census.gone.items()}
    return Report(
        snapshot.revision,
        members,
        schema.quarantines(snapshot.items),
        {host: gone.get(host, "it never reported") for host in hosts if host not in census.live}
        if hosts
        else gone,
        tuple(host for host in census.rivals if host in hosts or not hosts),
        census.junk,
    )


def judge(report: Report) -> Iterator[tuple[str, Finding]]:
    """Yield everything that is so, with the host that says it; nobody's where none reports."""
    if not report.agents:
        yield "", Finding(Fact.NO_AGENT, "no agent reports")
    for member in report.agents:
        for finding in verdict.of_record(member.record):
            yield member.host, finding
    for host, why in report.gone.items():
        yield host, Finding(Fact.NO_AGENT, why)
    for host in report.rivals:
        yield host, Finding(Fact.TWO_AGENTS, TWO_AGENTS)


def _table(terminal: Terminal, report: Report) -> None:
    rows = [*map(_row, report.agents), *map(_gone, report.gone)]
    terminal.table(_HEAD, sorted(rows))
    for number, (host, what, why) in enumerate(_details(report)):
        if number == 0:
            terminal.line()
        terminal.line(f"{host}: {terminal.paint(what, 'yellow')}: {why}")


def _row(member: Member) -> tuple[str, ...]:
    record = member.record
    if record is None:
        return (member.host, "?", "?", "?", "?", "?", "?", "?", "its record cannot be read")
    state = one_line(record.state, _MOST_NAME)
    state = f"{state}, drained" if record.draining else state
    return (
        member.host,
        state,
        str(record.revision),
        str(member.lag),
        f"{record.generation}-{one_line(record.digest, _MOST_NAME)}" if record.digest else "none",
        _ago(record.verified_at),
        str(len(record.quarantined)),
        str(len(record.held)),
        one_line(record.error or ""),
    )


def _gone(host: str) -> tuple[str, ...]:
    return (host, "gone", *("" for _ in _HEAD[2:]))


def _details(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield (who says so, about what, why)."""
    for host, why in report.gone.items():
        yield host, "does not report", why
    for host in report.rivals:
        yield host, "two agents", f"{TWO_AGENTS}; give each its own name (host in the settings)"
    if report.junk:
        yield (
            "etcd",
            "no agent wrote",
            f"{first_few(report.junk, _FEW)}; they count for nothing",
        )
    for service, told in report.quarantine.items():
        yield told.host, f"{service} is quarantined since {told.since}", one_line(told.reason)
    for member in report.agents:
        if member.record and member.record.waits:
            yield member.host, "a reload waits", one_line(member.record.waits)
        held = member.record.held if member.record else {}
        for what, why in islice(held.items(), _MOST_HELD):
            yield member.host, f"{what} is held", one_line(why)
        if len(held) > _MOST_HELD:
            more = f"{len(held) - _MOST_HELD} more are held"
            yield member.host, more, f"'lbsync status' on {member.host} shows them"


def _ago(stamp: str) -> str:
    at = seconds(stamp)
    return f"{span(time.time() - at)} ago" if at else "never"
