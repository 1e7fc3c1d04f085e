"""`lbsync watch`: how services do on every host, as it changes."""

import argparse
import shutil
import sys
import time
from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from lbsync import log
from lbsync.cli.context import duration, service_id, settings_of, source_opened, whoami
from lbsync.cli.fleet import health
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected
from lbsync.fleet.watching import follow, question
from lbsync.model.health import GroupHealth, HealthRecord
from lbsync.schema import fleet
from lbsync.schema import service_document as document
from lbsync.schema.health import STALE_S
from lbsync.timestamps import seconds, stamp

_EPILOG = """\
examples:
  lbsync watch                    all hosts: which services have servers that are not up
  lbsync watch shop/cart          its groups and servers on every host, until Ctrl-C
  lbsync watch shop/cart | tee cart.log      not a terminal: a line for each change
  lbsync watch shop/cart --once --output json
  lbsync watch shop/cart --for 10m

While it runs, every agent answers at most once a second (more rarely in a large fleet) with what its HAProxy
says; a host that nobody asks writes nothing. Requests and errors are counted since the HAProxy worker that
serves now began; sessions are now, those in old workers included.

exit codes: 0 it was shown; 4 settings are wrong; 5 there is no such service, or the source is not etcd; 6 etcd
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
        help="which (default: all, in short)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="show it once and end")
    parser.add_argument("--for", dest="lasts", type=duration, metavar="DURATION", help="then end")
    parser.add_argument(
        "--output", choices=("text", "json"), default="text",
        help="text for people (default), or one JSON object for each change",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Exit:
    """Ask, and show what is answered until somebody has seen enough."""
    settings = settings_of(args)
    services = tuple(dict.fromkeys(map(str, args.services)))
    screen = Screen(services, as_json=args.output == "json")
    with source_opened(settings) as source, source_opened(settings, answers=True) as answers:
        history_of(source)
        snapshot = source.snapshot()
        for service in args.services:
            if not document.stored(snapshot, service):
                raise Rejected(
                    f"{service}: there is no such service; 'lbsync service ls' shows all"
                )
        screen.hosts = sorted(
            host for host, record in fleet.census(snapshot).live.items() if record is not None
        )
        log.setup("warning", settings.log.format)  # the watch logs more than was asked for
        deadline = time.monotonic() + (args.lasts.seconds if args.lasts else float("inf"))
        if args.once:
            deadline = time.monotonic() + _FIRST_S
        asked = question(source, whoami(), services=services, everything=not services)
        with asked:
            follow(
                asked,
                answers,
                screen.hold if args.once else screen.show,
                until=lambda: time.monotonic() >= deadline or (args.once and screen.is_complete),
            )
    if args.once:
        screen.show(screen.held)
        return Exit.OK if screen.is_complete else Exit.UNVERIFIED
    return Exit.OK


class Screen:
    """A terminal that is drawn anew, or lines for what has changed."""

    def __init__(self, services: tuple[str, ...], *, as_json: bool) -> None:
        """`services`: empty for all in short."""
        self._services = services
        self._as_json = as_json
        self._terminal = Terminal()
        self._is_live = sys.stdout.isatty() and not as_json
        self._shown: dict[str, object] = {}
        self.hosts: list[str] = []
        """Those that report, and should answer."""
        self.held: dict[str, HealthRecord | None] = {}

    def hold(self, answers: dict[str, HealthRecord | None]) -> None:
        """Keep answers to be shown later."""
        self.held = answers

    @property
    def is_complete(self) -> bool:
        """Every host that reports has answered."""
        told = {host for host, record in self.held.items() if record and self._is_about(record)}
        return bool(told) and told >= set(self.hosts)

    def show(self, answers: dict[str, HealthRecord | None]) -> None:
        """Show what is answered now."""
        if self._is_live:
            self._terminal.clear()
            self._draw(answers)
        else:
            self._tell(answers)
        self._terminal.flush()
        self._terminal.demand_reader()

    def _is_about(self, record: HealthRecord) -> bool:
        if record.error or record.left_out:
            return True
        if not self._services:
            return record.summary is not UNSET
        return all(service in record.services for service in self._services)

    def _draw(self, answers: dict[str, HealthRecord | None]) -> None:
        """Write the whole picture."""
        terminal = self._terminal
        asked = " ".join(self._services) or "all services, in short"
        terminal.line(terminal.paint(f"{asked}   {stamp()}   Ctrl-C ends it", "dim"))
        room = shutil.get_terminal_size().lines - 3
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
                self._draw_services(record)
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

    def _draw_services(self, record: HealthRecord) -> None:
        terminal = self._terminal
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

    def _tell(self, answers: dict[str, HealthRecord | None]) -> None:
        """Write a line for each thing that is new."""
        for host in sorted(answers):
            record = answers[host]
            if record is None or not self._is_about(record):
                continue
            if self._as_json:
                self._once(host, _plain(record, self._services), to_json_line(host, record))
                continue
            self._once(f"{host} doubts", health.doubts(record), f"{host}: {health.doubts(record)}")
            for key, text in self._lines(record):
                self._once(f"{host} {key}", text, f"{record.at} {host} {text}")
        for host in sorted(self._shown_hosts() - answers.keys()):
            self._once(f"{host} doubts", "gone", f"{stamp()} {host} answers no more")

    def _shown_hosts(self) -> set[str]:
        return {key.partition(" ")[0] for key in self._shown}

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

    def _once(self, key: str, said: object, line: str) -> None:
        if self._shown.get(key, "") != said:
            self._shown[key] = said
            self._terminal.line(line)


def to_json_line(host: str, record: HealthRecord) -> str:
    """Return one answer on one line."""
    return msgspec.json.encode({"host": host, "health": record}).decode()


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
