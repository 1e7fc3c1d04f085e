"""What the agent of this host knows and has verified, as one record in `<state_dir>/status.json`.

The agent writes it after each pass; `lbsync status`, monitoring and people read it. Every field
says what was verified, not what was intended: `digest` is the generation that HAProxy was proved
to serve, `verified_at` when that was last read back.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from lbsync import filelock
from lbsync.atomic import replace_file
from lbsync.errors import LbsyncError, Unavailable, cannot
from lbsync.log import span
from lbsync.schema import reading
from lbsync.timestamps import minute

FILE = "status.json"
_WARN_S = 30 * 86400.0
_MARK_WITHIN_S = 0.5
"""A reader holds its lock for the time of one call."""

State = Literal[
    "starting",
    "confirmed",
    "waiting",
    "held",
    "stale",
    "failing",
    "rolled-back",
    "unconfirmed",
]
"""`starting`: no pass has ended yet. `confirmed`: HAProxy was verified to serve the desired state.
`waiting`: the desired state needs a reload that has to wait, and `waits` says why; what is served meanwhile
was proved. `held`: the desired state,
except for a removal that waits for confirmation. `stale`: what was wanted when the source last answered.
`failing`: the last pass failed, and `error` says why. `rolled-back`: it serves the generation that an
operator chose. `unconfirmed`: HAProxy does not answer, so nothing is known of what it serves."""


PROVED = frozenset({"confirmed", "waiting", "held", "stale", "rolled-back"})
"""States in which what HAProxy serves was read back, whatever else is wanted."""
CAUSES = ("change", "start", "heal", "rollback")
"""Of reloads. `change`: something else is wanted; `start`: HAProxy served nothing of ours; `heal`: what it
ran differed from what was confirmed; `rollback`: an operator chose another generation."""


class Quarantined(msgspec.Struct, frozen=True):
    """One service (or key) that is quarantined at its last good version, and why."""

    key: str
    reason: str
    service: str = ""
    since: float = 0.0
    """Seconds since 1970; 0 if unknown."""
    line: int = 0
    """Of the configuration that was tried, where HAProxy named one; else 0."""


class SourceStatus(msgspec.Struct, frozen=True):
    """The source of the wanted state, as the watch sees it."""

    ok: bool
    detail: str
    since: float
    """Seconds since 1970 of the last change of `ok`."""


class LastPass(msgspec.Struct, frozen=True):
    """The end of the last pass."""

    sentence: str
    at: float
    """Seconds since 1970."""
    seconds: float
    stages: dict[str, float] = {}
    """Seconds by stage: `render`, `validate`, `apply` …"""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole record. Times are seconds since 1970; 0 stands for "never"."""

    state: State
    host: str
    pid: int
    """The agent's process."""
    pid_namespace: str
    """What `/proc/self/ns/pid` leads to: the number means nothing in another container."""
    written_at: float
    every: float = 0.0
    """Seconds after which at the latest the agent writes again; the file is old beyond that."""
    lbsync: str = ""
    """Version of the agent."""
    revision: int = 0
    """Revision of the source that HAProxy serves, verified."""
    revision_seen: int = 0
    """Revision of the source that the last pass looked at."""
    generation: int = 0
    digest: str = ""
    base: str = ""
    """Digest that HAProxy gives in `show info`: of the generation it loaded, before runtime changes."""
    confirmed_at: float = 0.0
    """When the generation was first proved to be served."""
    verified_at: float = 0.0
    """When what HAProxy runs was last read back and found equal."""
    waits: str = ""
    """Why a reload must wait, and what it is for; empty: none does."""
    waits_until: float = 0.0
    """When it may be at the earliest; 0: none waits, or nobody knows."""
    error: str = ""
    failing_since: float = 0.0
    """When `error` was first so, for as long as something is wrong."""
    refused_settings: str = ""
    """Why new settings or templates were not taken over; empty: those that were read last hold."""
    source: SourceStatus | None = None
    quarantined: tuple[Quarantined, ...] = ()
    held: str = ""
    """The removal that waits for `lbsync confirm`, in one sentence; empty: none."""
    hold_id: str = ""
    hold_since: float = 0.0
    hold_services: dict[str, int] = {}
    """Service to the number of servers it would be left with."""
    draining: str = ""
    """Why this host is drained; empty: it is not."""
    by_hand: tuple[str, ...] = ()
    """What a person set on the running HAProxy and is kept until `lbsync release`; the first
hundred."""
    by_hand_count: int = 0
    """How many there are."""
    healed: int = 0
    """Differences that read-backs found and put right since the agent started."""
    certificates: dict[str, float] = {}
    """File to when its certificate ends: of those that HAProxy shows, and of those for etcd."""
    replaced: int = 0
    """How often HAProxy's worker was another one than before, and not by a reload of the agent's."""
    services: int = 0
    servers: int = 0
    last_pass: LastPass | None = None
    passes: int = 0
    """Passes since the agent started."""
    reloads: int = 0
    """Reloads since the agent started."""
    reloads_by_cause: dict[str, int] = {}
    """The same by cause; see `CAUSES`."""
    needless_reloads: int = 0
    """Those that changed nothing of what runs; 0, or it is a fault of lbsync."""
    steps: int = 0
    """Changes made without a reload since the agent started."""
    reload_reason: str = ""
    """Why the last reload was needed: section and line, or the file."""
    old_workers: int = 0
    haproxy: str = ""
    """Version of the HAProxy that was validated with."""
    started_at: float = 0.0
    unanswered: str = ""
    """Why nobody is answered at `[agent] http_bind`; empty: all are, or it is not set."""
    published: bool = True
    """Somebody publishes into the source, or did; also where that is not known. Else nobody has to be asked."""
    outdated: bool = False
    """For who reads it: the agent could not write a newer one, so all of it may be wrong by now."""


_ENCODER = msgspec.json.Encoder()


class Writer:
    """Writes the file, and marks the one that is there as outdated for as long as it cannot.

    The mark is a lock (flock) on the old file: a full disk and a read-only file system leave that, and
    it is gone with the process.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._mark = contextlib.ExitStack()
        self._is_marked = False

    def write(self, status: Status) -> None:
        """Replace the file in one step. Raises `LbsyncError` naming file and cause.

        Not forced to disk: it is written after each pass, and after a power cut anew.
        """
        data = msgspec.json.format(_ENCODER.encode(status), indent=2) + b"\n"
        try:
            # For monitoring, which is not root: no secret is in it.
            replace_file(self._path, data, 0o644, durable=False)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._mark_old()
            raise LbsyncError(f"{self._path}: {cannot('be written', error)}") from error
        self._mark.close()
        self._is_marked = False

    def _mark_old(self) -> None:
        if self._is_marked:
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        with contextlib.ExitStack() as mark:
            mark.callback(os.close, descriptor)
            if filelock.take(descriptor, _MARK_WITHIN_S):
                self._mark, self._is_marked = mark.pop_all(), True


def read(state_dir: Path) -> Status:
    """Return what the agent last wrote. Raises `Unavailable` when there is nothing to read."""
    path = state_dir / FILE
    try:
        with path.open("rb") as file:
            found = reading.record(file.read(), Status)
            return msgspec.structs.replace(found, outdated=filelock.is_held(file.fileno()))
    except FileNotFoundError as error:
        raise Unavailable(
            f"{path}: there is no such file; no agent has run with this state_dir yet"
        ) from error
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error
    except reading.Unreadable as error:
        raise Unavailable(
            f"{path}: was written by another version of lbsync ({error}); restart the agent"
        ) from error


def wait_of(status: Status, now: float) -> str:
    """Return why a reload must wait, and for how long; empty: none does. `now`: seconds since 1970."""
    if not status.waits or status.waits_until <= now:
        return status.waits
    return f"{status.waits}; not before {span(status.waits_until - now)} from now"


def ending(ends: Mapping[str, float], now: float) -> list[str]:
    """Return a sentence for each certificate that has ended, or ends within 30 days, the next first.

    `ends`: file to when, in seconds since 1970, as is `now`.
    """
    return [_ending(file, at, now) for at, file in certificates_ending(ends, now)]


def certificates_ending(ends: Mapping[str, float], now: float) -> list[tuple[float, str]]:
    """Return when they end and their files, of those that `ending` tells of."""
    return sorted((at, file) for file, at in ends.items() if at - now < _WARN_S)


def _ending(file: str, at: float, now: float) -> str:
    if at <= now:
        return f"{file} expired on {minute(at)}: renew it"
    return f"{file} expires on {minute(at)}, in {span(at - now)}: renew it"
