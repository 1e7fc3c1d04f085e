"""`lbsync wait`: waits until every host has verified a revision."""

import argparse
import contextlib
from collections.abc import Callable, Collection, Iterator

import msgspec
from msgspec import UNSET

from lbsync import fleet, log
from lbsync.cli.context import add_hosts, add_output, duration, settings_of, source_opened, whoami
from lbsync.cli.progress import Progress
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import History, Source
from lbsync.errors import Exit, Rejected, Unavailable
from lbsync.fleet import TargetRevision, Verdict
from lbsync.fleet.watching import question
from lbsync.log.stream import harmless
from lbsync.model.records import AgentRecord
from lbsync.schema import fleet as schema
from lbsync.schema.reading import one_line
from lbsync.settings import Duration, Settings
from lbsync.values.plural import count

DEFAULT = Duration(60_000)

_EPILOG = f"""\
examples:
  lbsync wait --revision 4711
  lbsync wait --revision 4711 --hosts lb-1,lb-2 --timeout 2m
  lbsync wait                     until all hosts serve the current state of etcd

A host has verified a revision when it has read back from its HAProxy that it serves the state of etcd at
that revision or a later one. Without --hosts, the command waits for all hosts of the fleet (at least one):
those whose agent is alive, and those that have reported before, until 'lbsync fleet forget HOST'.

exit codes: 0 every host has verified it; 5 they have, but a service that this very revision wrote is
quarantined; 6 etcd does not answer; {Exit.UNVERIFIED.value} not every host has verified it in
time, and the missing ones are named.
"""


class Ended(msgspec.Struct, frozen=True):
    """Which hosts serve a revision, and what keeps the others from it."""

    revision: int
    verified: tuple[str, ...]
    missing: dict[str, str]
    """Host to what is in the way."""
    quarantined: dict[str, str]
    """Service that this is about to why a host does not serve it as written."""
    waited: str
    """The limit."""

    @property
    def code(self) -> Exit:
        """What the command ends with."""
        if self.missing or not self.verified:
            return Exit.UNVERIFIED
        return Exit.REJECTED if self.quarantined else Exit.OK

    def __str__(self) -> str:
        """One line for each thing to say."""
        by = f"{count(len(self.verified), 'host')}: {', '.join(self.verified)}"
        if not self.verified and not self.missing:
            return f"revision {self.revision}: no agent reports, for {self.waited}; does any run?"
        if not self.missing:
            lines = [f"revision {self.revision} is verified by {by}"]
        else:
            lines = [
                f"revision {self.revision} is not verified after {self.waited}, missing "
                f"{len(self.missing)} of {len(self.missing) + len(self.verified)}:",
                *(f"  {host}: {harmless(why)}" for host, why in self.missing.items()),
                *([f"verified by {by}"] if self.verified else []),
            ]
        lines += [
            f"{service} is quarantined: {harmless(why)}"
            for service, why in self.quarantined.items()
        ]
        return "\n".join(lines)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Wait until every host has verified that it serves a revision of etcd."
    parser.epilog = _EPILOG
    parser.add_argument(
        "--revision", type=_revision, metavar="N",
        help="revision of etcd, such as 'service put' prints (default: the newest)",
    )  # fmt: skip
    add_hosts(parser, "only these, alive or not (default: all that ever reported)")
    parser.add_argument(
        "--timeout", type=duration, default=DEFAULT, metavar="DURATION",
        help=f"how long to wait (default: {DEFAULT})",
    )  # fmt: skip
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    settings = settings_of(args)
    with source_opened(settings) as source:
        revision = args.revision or source.snapshot().revision
        ended = until_verified(settings, source, revision, hosts=args.hosts, timeout=args.timeout)
    Terminal().block(to_json(ended) if args.output == "json" else str(ended))
    return ended.code


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add `--wait`, for commands that write."""
    parser.add_argument(
        "--wait", type=duration, nargs="?", const=DEFAULT, metavar="DURATION",
        help=f"afterwards, wait this long for every host to verify it (default: {DEFAULT})",
    )  # fmt: skip


def until_verified(
    settings: Settings,
    source: Source,
    revision: int,
    *,
    hosts: tuple[str, ...] = (),
    timeout: Duration = DEFAULT,
    services: Collection[str] = (),
) -> Ended:
    """Wait, and return how that ended. `services` are looked at in any case, besides those that the
    revision wrote. Raises `Rejected` for a source without a fleet, and `Unavailable`."""
    log.setup("warning", settings.log.format)  # the watch logs more than anybody asked for
    target = TargetRevision(history_of(source), revision)
    with (
        awaiting(source, revision) as keep,
        source_opened(settings, below=schema.AGENTS) as agents,
        source_opened(settings, answers=True) as beside,
    ):
        progress = Progress()
        verdicts = fleet.wait(
            agents, target, hosts, timeout.seconds, beside=beside, keep=keep,
            tell=lambda now: progress.say(_so_far(now)),
        )  # fmt: skip
        progress.over()
        records = schema.census(fleet.newest(agents, beside), root="").live
    concerned = target.written() | {*services}
    if any(record is not None and record.hold is not UNSET for record in records.values()):
        concerned |= target.removed()
    return Ended(
        revision,
        tuple(verdict.host for verdict in verdicts if verdict.verified),
        {verdict.host: verdict.why for verdict in verdicts if not verdict.verified},
        _quarantined(source, concerned, records, verdicts),
        str(timeout),
    )


def _so_far(verdicts: list[Verdict]) -> str:
    missing = [verdict for verdict in verdicts if not verdict.verified]
    if not missing:
        return "waiting for an agent that reports"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return (
        f"{len(verdicts) - len(missing)} of {count(len(verdicts), 'host')} serve it; waiting for "
        f"{missing[0].host} ({missing[0].why}){more}"
    )


@contextlib.contextmanager
def awaiting(source: Source, revision: int) -> Iterator[Callable[[], None] | None]:
    """Let every host say at once that it has verified a revision, for the length of a `with` block; give what
    asks again after a loss, None where this user of etcd may not ask.

    Hosts then report all the same, within `report_interval`.
    """
    with contextlib.ExitStack() as stack:
        keep = None
        try:
            keep = stack.enter_context(question(source, whoami(), revision=revision)).keep
        except Unavailable as error:
            log.get().warning(
                f"hosts report within report_interval only, as nobody may ask: {error}"
            )
        yield keep


def history_of(source: Source) -> History:
    """Return the source as one that remembers. Raises `Rejected` when it does not."""
    if not isinstance(source, History):
        raise Rejected("agents report to etcd only; with source file: each host is on its own")
    return source


def _quarantined(
    source: Source,
    services: set[str],
    records: dict[str, AgentRecord | None],
    verdicts: list[Verdict],
) -> dict[str, str]:
    """Return those of `services` that a host does not serve as written, and why."""
    asked = {verdict.host for verdict in verdicts}
    found: dict[str, str] = {}
    for host, record in records.items():
        for service in services.intersection(record.quarantined if record else ()):
            if host in asked and service not in found:
                found[service] = _reason(source, service, host)
        hold = record.hold if record is not None and host in asked else UNSET
        if hold is not UNSET:
            concerned = services & hold.services.keys() if not hold.more else services
            for service in concerned - found.keys():
                found[service] = (
                    f"the removal of its servers is held: 'lbsync confirm --fleet {hold.id}' lets it go"
                )
    return dict(sorted(found.items()))


def _reason(source: Source, service: str, host: str) -> str:
    key = schema.quarantine_key(service)
    item = source.get(key)
    told = schema.quarantines({key: item}) if item else {}
    if service not in told:
        return f"'lbsync status' on {host} tells why"
    return f"{one_line(told[service].reason)} (says {told[service].host})"


def _revision(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no revision: write a whole number above 0")
    return int(text)
