"""The most serious condition: one table for every exit code, colour and word. Pure.

A command that finds several conditions ends with the code of the most serious one, and with 0 only if no action is
needed. Monitoring gets the same as a state of the plug-in API of Nagios
(https://nagios-plugins.org/doc/guidelines.html: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN).
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, IntEnum
from typing import get_args

import msgspec

from lbsync import status
from lbsync.errors import Exit
from lbsync.model.records import AgentRecord
from lbsync.schema.reading import one_line
from lbsync.status import State, Status
from lbsync.timestamps import seconds

GRAVITY = (
    Exit.USAGE, Exit.APPLY_FAILED, Exit.UNAVAILABLE, Exit.FAILED, Exit.SETTINGS, Exit.UNVERIFIED,
    Exit.REJECTED, Exit.DEPLOYMENT_FAILED, Exit.ROLLED_BACK, Exit.CANCELLED, Exit.CONFLICT,
    Exit.CHANGED, Exit.OK,
)  # fmt: skip
"""All exit codes, the gravest first: what is served is wrong; nobody knows what is served; nothing
new comes; something is not there yet; a part is left out; a deployment came to nothing; somebody else was faster."""


class Degree(IntEnum):
    """How urgent it is, in Nagios' numbers."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Fact(Enum):
    """Everything that `status` may find: its word, exit code, degree and meaning."""

    OTHERWISE = (
        "serves something else",
        Exit.APPLY_FAILED,
        Degree.CRITICAL,
        "HAProxy serves something else than the agent verified",
    )
    SILENT_HAPROXY = (
        "HAProxy does not answer",
        Exit.UNAVAILABLE,
        Degree.CRITICAL,
        "HAProxy does not answer, or was not read back for too long",
    )
    NO_AGENT = (
        "no agent",
        Exit.UNAVAILABLE,
        Degree.CRITICAL,
        "the agent is gone, stopped or silent, or a host of the fleet does not report any more",
    )
    TWO_AGENTS = (
        "two agents",
        Exit.UNAVAILABLE,
        Degree.CRITICAL,
        "two agents run under one host name, and only one of them reports",
    )
    UNREADABLE = (
        "unreadable",
        Exit.UNAVAILABLE,
        Degree.UNKNOWN,
        "what the agent says cannot be read",
    )
    STALE = (
        "stale",
        Exit.UNAVAILABLE,
        Degree.WARNING,
        "the source does not answer; the last known state is served",
    )
    FAILING = (
        "failing",
        Exit.FAILED,
        Degree.CRITICAL,
        "passes fail; the last good generation is served",
    )
    OLD_SETTINGS = (
        "old settings",
        Exit.SETTINGS,
        Degree.WARNING,
        "new settings or templates are wrong and were not taken over",
    )
    STARTING = ("starting", Exit.UNVERIFIED, Degree.WARNING, "no pass has ended yet")
    QUARANTINED = (
        "quarantined",
        Exit.REJECTED,
        Degree.WARNING,
        "a key, a service or a certificate is refused; its last good version is served",
    )
    HELD = ("held", Exit.REJECTED, Degree.WARNING, "a mass removal waits for `lbsync confirm`")
    FLAWED = (
        "not all as wanted",
        Exit.REJECTED,
        Degree.WARNING,
        "something else is not as wanted, such as a file of [[outputs]]",
    )
    ROLLED_BACK = (
        "rolled back",
        Exit.OK,
        Degree.WARNING,
        "somebody chose this generation; changes wait",
    )
    DRAINED = ("drained", Exit.OK, Degree.WARNING, "somebody drained this host")
    BY_HAND = (
        "held by hand",
        Exit.OK,
        Degree.WARNING,
        "somebody set servers on the running HAProxy",
    )
    EXPIRES = (
        "certificate",
        Exit.OK,
        Degree.WARNING,
        "a certificate has expired, or does within 30 days",
    )
    WAITING = ("a reload waits", Exit.OK, Degree.OK,
               "a reload is put off, as the settings say; `lbsync wait` waits for it")  # fmt: skip

    def __init__(self, word: str, code: Exit, degree: Degree, meaning: str) -> None:
        self.word = word
        self.code = code
        self.degree = degree
        self.meaning = meaning


class Finding(msgspec.Struct, frozen=True):
    """One thing that is so."""

    fact: Fact
    said: str
    """For people, one phrase."""

    def __str__(self) -> str:
        """The word, and what was said."""
        return f"{self.fact.word}: {self.said}" if self.said else self.fact.word


_OF_STATE = {
    "failing": Fact.FAILING, "unconfirmed": Fact.SILENT_HAPROXY, "stale": Fact.STALE,
    "starting": Fact.STARTING, "rolled-back": Fact.ROLLED_BACK,
}  # fmt: skip
"""Of the states in `lbsync.status.State` those that say more than the fields beside them."""
_STATES = frozenset(get_args(State))
_MOST_STATE = 40


def gravest(codes: Iterable[Exit]) -> Exit:
    """Return the gravest of exit codes; 0 if there are none."""
    return min(codes, key=GRAVITY.index, default=Exit.OK)


def code_of(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that tells the worst of it."""
    return gravest(finding.fact.code for finding in findings)


def degree_of(findings: Iterable[Finding]) -> Degree:
    """Return the degree that tells the worst of it; UNKNOWN is worse than WARNING only."""
    order = (Degree.OK, Degree.WARNING, Degree.UNKNOWN, Degree.CRITICAL)
    return max((finding.fact.degree for finding in findings), key=order.index, default=Degree.OK)


def of_status(found: Status) -> Iterator[Finding]:
    """Yield what an agent's status says, as far as it can be believed."""
    if found.state in _OF_STATE:
        yield Finding(_OF_STATE[found.state], found.error)
    if found.state != "stale" and found.source is not None and not found.source.ok:
        yield Finding(Fact.STALE, found.source.detail)
    if found.refused_settings:
        yield Finding(Fact.OLD_SETTINGS, found.refused_settings)
    for entry in found.quarantined:
        yield Finding(Fact.QUARANTINED, f"{entry.key or 'host'}: {entry.reason}")
    if found.held:
        yield Finding(Fact.HELD, found.held)
    explained = found.held or found.quarantined or found.refused_settings
    if found.error and not explained and found.state not in _OF_STATE:
        yield Finding(Fact.FLAWED, found.error)
    yield from _beside(found)
    yield from _of_certificates(found.certificates, found.written_at)
    if found.waits:
        yield Finding(Fact.WAITING, found.waits)


def _beside(found: Status) -> Iterator[Finding]:
    """Yield what has nothing to do with the desired state."""
    if found.unanswered:
        yield Finding(Fact.FLAWED, found.unanswered)
    if found.draining:
        yield Finding(Fact.DRAINED, found.draining)
    if found.by_hand:
        yield Finding(Fact.BY_HAND, "; ".join(found.by_hand))


def _of_certificates(ends: Mapping[str, float], now: float) -> Iterator[Finding]:
    for sentence in status.ending(ends, now):
        yield Finding(Fact.EXPIRES, sentence)


def of_record(record: AgentRecord | None) -> Iterator[Finding]:
    """Yield what a host says of itself in etcd; None: its record cannot be read."""
    if record is None:
        yield Finding(Fact.UNREADABLE, "is its lbsync of another age?")
        return
    error = record.error or ""
    if record.state not in _STATES:
        yield Finding(
            Fact.UNREADABLE, f"it reports the state {one_line(record.state, _MOST_STATE)!r}"
        )
    if record.state in _OF_STATE:
        yield Finding(_OF_STATE[record.state], error)
    for service in record.quarantined:
        yield Finding(Fact.QUARANTINED, service)
    for what, why in record.held.items():
        fact = Fact.HELD if what == "removal" else Fact.BY_HAND
        yield Finding(fact, why if fact is Fact.HELD else f"{what}: {why}")
    if record.refused_settings:
        yield Finding(Fact.OLD_SETTINGS, record.refused_settings)
    explained = record.quarantined or "removal" in record.held or record.refused_settings
    if error and record.state not in _OF_STATE and not explained:
        yield Finding(Fact.FLAWED, error)
    if record.draining:
        yield Finding(Fact.DRAINED, record.draining)
    yield from _of_certificates(_ends(record), seconds(record.verified_at))
    if record.waits:
        yield Finding(Fact.WAITING, record.waits)


def _ends(record: AgentRecord) -> dict[str, float]:
    """Return when the certificates of a host end, as far as its record can be read."""
    ends = {file: seconds(at) for file, at in record.certificates.items()}
    return {file: at for file, at in ends.items() if at > 0}


def table() -> str:
    """Return the table of facts as the documentation and `lbsync status --help` have it."""
    rows = [f"  {fact.code.value}  {fact.degree.name:<8}  {fact.meaning}" for fact in Fact]
    return "\n".join(rows)
