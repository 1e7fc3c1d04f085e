"""How services do on each host, asked of the agents, in words for people."""

import sys

import msgspec
from msgspec import UNSET

from lbsync import log
from lbsync.cli.context import source_opened, whoami
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.fleet.watching import Answers, first_answers
from lbsync.log import span
from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth
from lbsync.settings import Settings

WITHIN_S = 1.5
"""How long a command waits for answers: an agent that is well gives its first one within 0.1 s (measured)."""
NOBODY = Answers({}, ())


class Asked(msgspec.Struct, frozen=True):
    """What hosts answered, or why nothing is known."""

    answers: Answers = NOBODY
    why: str = ""
    """Why nobody could be asked, or who has not answered."""


def ask(settings: Settings, source: Source, *services: str, everything: bool = False) -> Asked:
    """Return what every host that reports says of `services`, or of all. Raises nothing for an etcd that
    does not let this user ask: then nothing is known."""
    if not source.shared:
        return Asked()
    log.setup("warning", settings.log.format)  # the watch logs more than anybody asked for
    try:
        with source_opened(settings, answers=True) as answers:
            found = first_answers(
                source,
                answers,
                whoami(),
                services=services,
                everything=everything,
                within_s=WITHIN_S,
            )
    except Unavailable as error:
        return Asked(why=f"health is not known: {error}")
    silent = f"no answer about health from {', '.join(found.silent)}" if found.silent else ""
    return Asked(found, silent)


def of_service(asked: Asked, service: str) -> str:
    """Return how a service does, by the summaries of all hosts; empty: nobody tells."""
    hosts = {
        host: record.summary
        for host, record in asked.answers.hosts.items()
        if record.summary is not UNSET
    }
    if not hosts:
        return ""
    worse: dict[str, list[str]] = {}
    for host, summary in hosts.items():
        for group, (up, total) in summary.impaired.get(service, {}).items():
            worse.setdefault(f"{group} {up}/{total} up", []).append(host)
    if not worse:
        return "up"
    return "; ".join(
        what if len(on) == len(hosts) else f"{what} on {', '.join(on)}"
        for what, on in sorted(worse.items())
    )


def of_server(asked: Asked, service: str, group: str, name: str) -> dict[str, ServerHealth]:
    """Return what each host says of one server."""
    found = {}
    for host, record in asked.answers.hosts.items():
        told = record.services.get(service, {}).get(group, GroupHealth())
        for server in told.servers:
            if server.name == name:
                found[host] = server
    return found


def words(told: dict[str, ServerHealth]) -> str:
    """Return how one server does on all hosts that say something of it: `UP`, or who says what."""
    by: dict[str, list[str]] = {}
    for host, server in told.items():
        by.setdefault(state(server), []).append(host)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{what} on {', '.join(hosts)}" for what, hosts in by.items())


def state(server: ServerHealth) -> str:
    """Return how one server does on one host."""
    checked = f"{server.check}{f' {server.code}' if server.code else ''}"
    if server.status.startswith("UP") and server.check.endswith("OK"):
        return server.status
    details = ", ".join(part for part in (checked, server.said) if part)
    return f"{server.status} ({details})" if details else server.status


def figures(group: GroupHealth) -> str:
    """Return the sums of one group in one phrase."""
    old = f" ({group.old_sessions} in old workers)" if group.old_sessions else ""
    parts = [
        f"{group.up}/{group.total} up",
        f"{group.sessions} sessions{old}",
        f"{group.rate}/s",
        f"{group.requests} requests",
        f"{group.errors_5xx} 5xx",
        f"{group.response_ms} ms",
    ]
    if group.errors_connect:
        parts.append(f"{group.errors_connect} broken")
    if group.queue:
        parts.append(f"{group.queue} queued")
    return ", ".join(parts)


def tell(asked: Asked) -> None:
    """Say on standard error what is not known, and what is to be doubted."""
    said = [asked.why] if asked.why else []
    for host, record in sorted(asked.answers.hosts.items()):
        if doubt := doubts(record):
            said.append(f"{host}: {doubt}")
    terminal = Terminal(sys.stderr)
    for sentence in said:
        terminal.line(terminal.paint(sentence, "dim"))


def since(server: ServerHealth) -> str:
    """Return for how long it has been so."""
    return span(server.since_s)


def doubts(record: HealthRecord) -> str:
    """Return what is to be known about an answer that is not whole; empty: it is."""
    if record.error:
        return f"HAProxy cannot be read: {record.error}"
    said = []
    if record.unasked_workers:
        said.append(f"{record.unasked_workers} old workers did not tell their sessions")
    if record.left_out:
        said.append(f"{record.left_out} services are left out: too many are watched")
    return "; ".join(said)
