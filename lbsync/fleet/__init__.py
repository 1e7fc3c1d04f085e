"""Who has verified what: the records that agents keep under `agents/`, read and waited for.

An agent says at which revision of the source it last verified what HAProxy serves. Not every revision
makes it look again: other users of etcd move it, and so do the agents' own records. So a host has
verified revision N also when nothing that it follows has changed between its revision and N. Who asks
every host hears from itself up to which revision that is so. Where nobody may ask, etcd's history has to tell,
and what was written and removed again in between leaves no trace there.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection

import msgspec

from lbsync.clients.source import History, Source
from lbsync.errors import Unavailable
from lbsync.model.records import SeenRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet as schema
from lbsync.schema.fleet import Census
from lbsync.schema.keys import FOREIGN, parse_key
from lbsync.schema.reading import one_line

SERVING = frozenset({"confirmed", "stale", "held"})
"""States in which HAProxy serves all that was wanted at the record's revision: a stale agent has
only heard of nothing newer, and of what is held the record names the services."""
TWO_AGENTS = "a second agent runs under this name, and what it serves nobody knows"
_LOOK_AGAIN_S = 0.5
_KEEP_S = 1.0
_HEARD_WITHIN_S = 2.0
_MOST_TIME = 40


class Verdict(msgspec.Struct, frozen=True):
    """Where one host stands against a revision."""

    host: str
    verified: bool
    why: str
    """One phrase: at which revision it is, and what is in the way."""


class TargetRevision:
    """Measures records against one revision of the source."""

    def __init__(self, history: History, revision: int, wanted: Snapshot | None = None) -> None:
        """`revision` may be one that is still to come. `wanted`: all keys at it, if at hand."""
        self._history = history
        self._revision = revision
        self._counts: dict[int, int | None] = {}
        self._wanted: Snapshot | None = None
        self._newest = self._followed = 0
        self._take(wanted)

    @property
    def wanted(self) -> Snapshot | None:
        """All keys at the revision; None when etcd has forgotten it, or it is to come."""
        if self._wanted is None:
            self._take(self._history.at(self._revision))
        return self._wanted

    def short_of(self, revision: int, keys: int = 0) -> int:
        """Return how many revisions one is below; `keys` does not matter."""
        del keys
        return max(0, self._revision - revision)

    def behind(self, revision: int, keys: int = 0) -> int:
        """Return how many revisions one is behind, at most; 0: nothing that agents follow has
        changed in between. `keys`: how many of these keys there were then, as far as that is known; else
        etcd is asked, which forgets. Raises `Unavailable`."""
        if revision >= self._revision:
            return 0
        if self.wanted is not None and revision < self._newest:
            return self._newest - revision
        if keys and self.wanted is not None:
            return 0 if keys == self._followed else self._revision - revision
        # Whatever is there now was there then, unchanged. So only keys that are gone can make a
        # difference, and counting is enough.
        count, before = self._count(self._revision), self._count(revision)
        return 0 if count is not None and count == before else self._revision - revision

    def written(self) -> set[str]:
        """Return the services whose keys were written at exactly this revision. Raises
        `Unavailable`."""
        found = set()
        for key, item in self.wanted.items.items() if self.wanted else ():
            if item.mod_revision == self._revision and (service := _service(key)):
                found.add(service)
        return found

    def removed(self) -> set[str]:
        """Return the services of which a key was removed at exactly this revision; none where the
        source has forgotten. Raises `Unavailable`."""
        before = self._history.at(self._revision - 1) if self.wanted is not None else None
        if before is None or self.wanted is None:
            return set()
        gone = before.items.keys() - self.wanted.items.keys()
        return {service for key in gone if (service := _service(key))}

    def _take(self, wanted: Snapshot | None) -> None:
        items = wanted.items if wanted else {}
        followed = [item.mod_revision for key, item in items.items() if is_followed(key)]
        self._wanted, self._newest = wanted, max(followed, default=0)
        self._followed = len(followed)

    def _count(self, revision: int) -> int | None:
        if self._counts.get(revision) is None:
            self._counts[revision] = self._history.count_at(revision, FOREIGN)
        return self._counts[revision]


def wait(
    agents: Source,
    target: TargetRevision,
    hosts: Collection[str],
    timeout: float,
    *,
    beside: Source | None = None,
    keep: Callable[[], None] | None = None,
    tell: Callable[[list[Verdict]], None] = lambda _: None,
) -> list[Verdict]:
    """Wait until every one of `hosts` (every host of the fleet, and at least one, when there are
    none named) has verified the revision; return the verdicts then, or after `timeout` seconds.

    `agents` is a source of what lies below `agents/`, `beside` of what hosts tell who waits, neither started
    yet. `keep`: asks every host again, should the question be gone; None: nobody asks, and what was reported
    before has to do. `tell`: hears how it stands, as often as it is judged.

    Raises `Unavailable` when etcd does not answer at the beginning, or at the end.
    """
    news = threading.Event()
    deadline = time.monotonic() + timeout
    is_heard_by = time.monotonic() + _HEARD_WITHIN_S
    agents.start(news.set)
    if beside is not None:
        beside.start(news.set)
    while True:
        news.clear()
        fault: Unavailable | None = None
        verdicts: list[Verdict] = []
        is_known = True
        try:
            if keep is not None:
                keep()
            # Not to be heard: this user may ask, and may not read the answers.
            is_unheard = not _is_listed(beside) and time.monotonic() > is_heard_by
            census = schema.census(newest(agents, beside), root="")
            if keep is None or is_unheard:
                verdicts = judge(census, hosts, target.behind)
                is_known = target.wanted is not None
            else:
                verdicts = judge(census, hosts, target.short_of)
            tell(verdicts)
        except Unavailable as error:
            fault = error
        left = deadline - time.monotonic()
        if (verdicts and all(verdict.verified for verdict in verdicts)) or left <= 0:
            if fault is not None:
                raise fault
            return verdicts
        # That a revision to come is there, and that etcd answers again, no agent tells.
        look_again = _KEEP_S if keep is not None else left
        news.wait(min(left, look_again if is_known and fault is None else _LOOK_AGAIN_S))


def _is_listed(source: Source | None) -> bool:
    if source is None:
        return False
    try:
        source.snapshot()
    except Unavailable:
        return False
    return True


def newest(agents: Source, beside: Source | None) -> Snapshot:
    """Return what hosts said last, in their reports or to who waits. Raises `Unavailable`."""
    reports = agents.snapshot()
    if beside is not None:
        with contextlib.suppress(Unavailable):  # it may be not for this user, or not listed yet
            return schema.with_acknowledgements(reports, beside.snapshot(), root="")
    return reports


def is_followed(key: str) -> bool:
    """Tell whether a change of this key makes agents look again."""
    return key.partition("/")[0] not in FOREIGN


def _service(key: str) -> str:
    try:
        parsed = parse_key(key)
    except ValueError:
        return ""
    return str(parsed.service) if parsed and parsed.service else ""


def judge(
    census: Census, hosts: Collection[str], behind: Callable[[int, int], int]
) -> list[Verdict]:
    """Return a verdict for each of `hosts`, or for every host of the fleet when there are none named.

    `behind` tells by how many revisions a record is behind, as `TargetRevision.behind`. Raises what that raises.
    """
    everyone = sorted(census.live.keys() | census.gone.keys())
    return [_verdict(host, census, behind) for host in hosts or everyone]


def absence(host: str, record: SeenRecord) -> str:
    """Return since when a host does not report, and what to do about it."""
    left, at = one_line(record.left, _MOST_TIME), one_line(record.at, _MOST_TIME)
    since = f"gone since {left}" if left else f"gone, last heard of at {at}"
    return f"{since}; if it is gone for good: 'lbsync fleet forget {host}'"


def _verdict(host: str, census: Census, behind: Callable[[int, int], int]) -> Verdict:
    if host in census.gone:
        return Verdict(host, False, absence(host, census.gone[host]))
    if host not in census.live:
        return Verdict(host, False, "no agent reports under this name")
    record = census.live[host]
    if record is None:
        return Verdict(host, False, "its record cannot be read; is its lbsync of another age?")
    said = f"at revision {record.revision}, {one_line(record.state)}"
    if host in census.rivals:
        return Verdict(host, False, f"{said}: {TWO_AGENTS}")
    if record.state in SERVING and not behind(max(record.revision, record.up_to), record.keys):
        return Verdict(host, True, said)
    why = record.waits or record.error or record.held.get("removal", "")
    return Verdict(host, False, f"{said}: {one_line(why)}" if why else said)
