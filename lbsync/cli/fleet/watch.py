"""`lbsync watch`: the health of services on every host, live."""

import argparse
import sys
import time
from collections.abc import Iterable

from msgspec import UNSET

from lbsync import log
from lbsync.cli import watching
from lbsync.cli.context import duration, service_id, settings_of, source_opened, whoami
from lbsync.cli.fleet import health
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected
from lbsync.fleet.watching import heard, question
from lbsync.model.health import GroupHealth, HealthRecord
from lbsync.schema import fleet
from lbsync.schema import service_document as document
from lbsync.schema.health import STALE_S
from lbsync.timestamps import seconds

_EPILOG = """\
examples:
  lbsync watch                    all services: which have servers that are not up, and where
  lbsync watch shop/cart          its groups and servers on every host, until Ctrl-C
  lbsync watch shop/cart | tee cart.log      if not a terminal: a line for each change
  lbsync watch shop/cart --once --output json
  lbsync watch shop/cart --for 10m

While this command runs, every agent reports the state of its HAProxy at most once a second (less often in a
large fleet). When no command asks, the agents write nothing. Requests and errors are counted since the start of
the current HAProxy worker; sessions are the current ones, including those in old workers.

exit codes: 0 success; 4 settings are wrong; 5 there is no such service, or the source is not etcd; 6 etcd
does not answer, or does not let this user ask; with --once also 9: a host has not answered.
"""
_FIRST_S = 2.0
"""So long --once waits for all hosts."""
_LATE_S = STALE_S + 5.0
"""An answer that is later than this is called old: it comes again although nothing has changed."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the health of services on every host, live."
    parser.epilog = _EPILOG
    parser.add_argument(
        "services", nargs="*", metavar="NAMESPACE/NAME", type=service_id,
        help="services to show (default: all, summarized)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="show the state once and exit")
    parser.add_argument(
        "--for", dest="lasts", type=duration, metavar="DURATION", help="exit after this time"
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text",
        help="text for people (default), or one JSON object for each change",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Exit:
    """Ask, and show what is answered until somebody has seen enough."""
    settings = settings_of(args)
    services = tuple(dict.fromkeys(map(str, args.services)))
    shown, as_json = Shown(services), args.output == "json"
    log.setup("warning", settings.log.format)  # the watch logs more than was asked for
    with source_opened(settings) as source, source_opened(settings, answers=True) as answers:
        history_of(source)
        snapshot = source.snapshot()
        for service in args.services:
            if not document.stored(snapshot, service):
                raise Rejected(
                    f"{service}: there is no such service; 'lbsync service ls' shows all"
                )
        shown.hosts = sorted(fleet.census(snapshot).reporting)
        if not shown.hosts:
            said = (
                f"no agent reports below {settings.prefix}{fleet.AGENTS}, so nobody can answer yet"
            )
            Terminal(sys.stderr).line(said)
        began = time.monotonic()
        with question(source, whoami(), services=services, everything=not services) as asked:
            wait = watching.begin(answers)

            def look() -> watching.View:
                shown.answers = heard(asked, answers)
                return shown.view()

            if not args.once:
                ends = began + args.lasts.seconds if args.lasts else float("inf")
                watching.follow(
                    look, as_json=as_json, wait=wait, until=lambda: time.monotonic() >= ends
                )
                return Exit.OK
            view = look()
            while not shown.is_complete and (left := began + _FIRST_S - time.monotonic()) > 0:
                wait(left)
                view = look()
    watching.show_once(view, as_json=as_json)
    return Exit.OK if shown.is_complete else Exit.UNVERIFIED


class Shown:
    """What is shown of the answers to one question."""

    def __init__(self, services: tuple[str, ...]) -> None:
        """`services`: empty for all in short."""
        self._services = services
        self.hosts: list[str] = []
        """Those that report, and should answer."""
        self.answers: dict[str, HealthRecord | None] = {}

    @property
    def is_complete(self) -> bool:
        """Every host that reports has answered."""
        told = {host for host, record in self.answers.items() if record and self._is_about(record)}
        return bool(told) and told >= set(self.hosts)

    def view(self) -> watching.View:
        """Return it as it is now."""
        told = {
            host: record
            for host, record in sorted(self.answers.items())
            if record is not None and self._is_about(record)
        }
        lines = {}
        for host, record in told.items():
            if doubts := health.doubts(record):
                lines[f"{host} in full"] = f"{host}: {doubts}"
            lines |= {f"{host} {key}": f"{host} {text}" for key, text in self._lines(record)}
        documents = {
            host: watching.Document(
                {"host": host, "health": record}, _plain(record, self._services)
            )
            for host, record in told.items()
        }
        title = " ".join(self._services) or "all services, in short"
        return watching.View(self._draw, lines, documents, title)

    def _is_about(self, record: HealthRecord) -> bool:
        if record.error or record.left_out:
            return True
        if not self._services:
            return record.summary is not UNSET
        return all(service in record.services for service in self._services)

    def _draw(self, terminal: Terminal) -> None:
        """Write the whole picture."""
        room, answers = watching.room(), self.answers
        hosts = sorted(
            {*self.hosts, *answers}, key=lambda host: (self._is_well(answers.get(host)), host)
        )
        for number, host in enumerate(hosts):
            record = answers.get(host)
            room -= self._height(record)
            if number and room < 0:
                terminal.line(
                    f"… and {len(hosts) - number} more hosts, on a higher terminal or piped"
                )
                break
            terminal.line()
            terminal.line(terminal.paint(f"{host}{_note(record)}", "bold"))
            if record is not None and self._services:
                self._draw_services(terminal, record)
            elif record is not None:
                for line in _short(record):
                    terminal.line(f"  {line}")

    def _is_well(self, record: HealthRecord | None) -> bool:
        if record is None or health.doubts(record):
            return False
        if not self._services:
            return record.summary is not UNSET and not record.summary.impaired
        return all(
            group.up == group.total
            for _, groups in _of(record, self._services)
            for group in groups.values()
        )

    def _height(self, record: HealthRecord | None) -> int:
        """Return how many lines a host takes."""
        if record is None:
            return 2
        if not self._services:
            return 2 + len(list(_short(record)))
        groups = [group for _, groups in _of(record, self._services) for group in groups.values()]
        return 2 + sum(3 + len(group.servers) for group in groups)

    def _draw_services(self, terminal: Terminal, record: HealthRecord) -> None:
        for service, groups in _of(record, self._services):
            if not groups:
                terminal.line(f"  {service}: HAProxy has no backend of it")
            for name, group in groups.items():
                head = f"  {service} {name}: {health.figures(group)}"
                terminal.line(head if group.up == group.total else terminal.paint(head, "yellow"))
                rows = [
                    (
                        f"    {server.name}", health.state(server), health.since(server),
                        server.address, str(server.sessions), str(server.requests),
                        str(server.errors_5xx), f"{server.response_ms} ms",
                    )
                    for server in group.servers
                ]  # fmt: skip
                head_row = (
                    "    SERVER", "STATE", "FOR", "ADDRESS", "SESSIONS", "REQUESTS", "5XX", "TIME",
                )  # fmt: skip
                terminal.table(head_row, rows)
                if group.more:
                    terminal.line(f"    and {group.more} more servers")

    def _lines(self, record: HealthRecord) -> Iterable[tuple[str, str]]:
        """Yield (what it is about, the sentence)."""
        if not self._services:
            lines = list(_short(record))
            yield "summary", "; ".join(lines)
            return
        for service, groups in _of(record, self._services):
            if not groups:
                yield service, f"{service}: HAProxy has no backend of it"
            for name, group in groups.items():
                impaired = "".join(
                    f"; {server.name} {health.state(server)}"
                    for server in group.servers
                    if not server.status.startswith("UP") or not server.check.endswith("OK")
                )
                yield f"{service} {name}", f"{service} {name}: {health.figures(group)}{impaired}"


def _plain(record: HealthRecord, services: tuple[str, ...]) -> object:
    return (dict(_of(record, services)), record.summary, health.doubts(record))


def _of(
    record: HealthRecord, services: tuple[str, ...]
) -> list[tuple[str, dict[str, GroupHealth]]]:
    return [(name, record.services[name]) for name in services if name in record.services]


def _short(record: HealthRecord) -> Iterable[str]:
    """Yield a host's summary in lines."""
    if record.summary is UNSET:
        return
    summary = record.summary
    yield f"{summary.up} of {summary.servers} servers are up"
    for service, groups in summary.impaired.items():
        for group, (up, total) in groups.items():
            yield f"{service} {group}: {up}/{total} up"
    if summary.more:
        yield f"and {summary.more} more services"


def _note(record: HealthRecord | None) -> str:
    """Return what to know of a host's answer beside its content."""
    if record is None:
        return ": no answer"
    late = time.time() - seconds(record.at) - record.every_s
    old = f": its answer is {late:.0f} s late" if late > _LATE_S else ""
    doubts = health.doubts(record)
    return f"{old}{f': {doubts}' if doubts else ''}"
