"""The health of services on each host, as reported by the agents, formatted for people."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import msgspec
from msgspec import UNSET

from lbsync import log
from lbsync.cli import watching
from lbsync.cli.context import source_opened, whoami
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.fleet.watching import Answers, about, first_answers, heard, question
from lbsync.log import span
from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet
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
    return Asked(found, _silent(found))


class Followed(msgspec.Struct, frozen=True):
    """What hosts answer, for as long as somebody looks."""

    asked: Callable[[Snapshot], Asked]
    """Returns it as it is now; the snapshot tells who should answer. The first time it waits for them a little."""
    wait: watching.Wait
    """Ends when there is news of the source or of what is answered, or after some seconds."""


@contextlib.contextmanager
def followed(
    settings: Settings, source: Source, *services: str, everything: bool = False
) -> Iterator[Followed]:
    """Ask every host about `services`, or all, for the length of the block, and follow the source and what is
    answered. An etcd that does not let this user ask is no fault: then nothing is known."""
    log.setup("warning", settings.log.format)  # the watch logs more than anybody asked for
    with contextlib.ExitStack() as stack:
        if not source.shared:
            yield Followed(lambda _snapshot: Asked(), watching.begin(source))
            return
        answers = stack.enter_context(source_opened(settings, answers=True))
        put = question(source, whoami(), services=services, everything=everything)
        try:
            stack.enter_context(put)
        except Unavailable as error:
            unknown = Asked(why=f"health is not known: {error}")
            yield Followed(lambda _snapshot: unknown, watching.begin(source))
            return
        wait = watching.begin(source, answers)
        first_until = time.monotonic() + WITHIN_S

        def asked(snapshot: Snapshot) -> Asked:
            live = fleet.census(snapshot).reporting
            while True:
                try:
                    told = heard(put, answers)
                except Unavailable as error:
                    return Asked(why=f"health is not known: {error}")
                found = about(told, live, services, everything=everything)
                left = first_until - time.monotonic()
                if not found.silent or left <= 0:
                    return Asked(found, _silent(found))
                wait(left)

        yield Followed(asked, wait)


def _silent(found: Answers) -> str:
    return f"no answer about health from {', '.join(found.silent)}" if found.silent else ""


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


def tell(asked: Asked, terminal: Terminal | None = None) -> None:
    """Say what is not known, and what is to be doubted; on standard error where no terminal is given."""
    terminal = terminal or Terminal(sys.stderr)
    for sentence in remarks(asked):
        terminal.line(terminal.paint(sentence, "dim"))


def remarks(asked: Asked) -> list[str]:
    """Return a sentence for each thing that is not known, or is to be doubted."""
    said = [asked.why] if asked.why else []
    for host, record in sorted(asked.answers.hosts.items()):
        if doubt := doubts(record):
            said.append(f"{host}: {doubt}")
    return said


def in_lines(asked: Asked) -> dict[str, str]:
    """Return the same for `--watch` in a pipe: nothing where no host could answer."""
    said = remarks(asked)
    if not said and not asked.answers.hosts:
        return {}
    return {"health": f"health: {'; '.join(said) or 'every host answers'}"}


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
