"""Why a reload failed, in HAProxy's own words.

Since 2.7 the master keeps its startup log and hands it out. 2.6 writes the reason only to its
stderr: a file, which is read from where it ended before the reload, or systemd's journal. There
the workers write, too; only the master's lines count.
"""

import os
import re
import time
from pathlib import Path

import msgspec

from lbsync.clients import programs
from lbsync.clients.haproxy import processes
from lbsync.clients.haproxy.binary import Alert, parse_alerts
from lbsync.clients.haproxy.sockets import MasterSocket
from lbsync.errors import Unavailable

_TAIL_BYTES = 256 * 1024
_JOURNAL_TIMEOUT_S = 5.0
_JOURNAL_LINES = 200


class Mark(msgspec.Struct, frozen=True):
    """A place in the master's log, taken before a reload."""

    pid: int
    offset: int
    """Size of the file that stderr goes to; -1 when it is not a file or cannot be seen."""
    at: float
    """`time.time()`."""


def mark(pid: int) -> Mark:
    """Remember where the log of the master `pid` ends now. Never fails."""
    offset = -1
    if processes.is_haproxy(pid):  # else a number from another pid namespace, or a stale one
        try:
            path = _stderr(pid)
            offset = path.stat().st_size if path.is_file() else -1
        except OSError:
            pass  # another user's: the journal may still tell
    return Mark(pid, offset, time.time())


def alerts_since(place: Mark, master: MasterSocket | None) -> tuple[Alert, ...]:
    """Return the master's alerts since `place`; empty if they are out of reach."""
    if master is not None:
        try:
            if kept := parse_alerts(master.startup_logs()):
                return kept
        except Unavailable:
            pass  # it does not answer: its log on disk may still tell why
    return parse_alerts(_since(place))


def is_in_reach(place: Mark) -> bool:
    """Tell whether the master's log can be read from here, so that its silence says something."""
    if not processes.is_haproxy(place.pid):
        return False
    return place.offset >= 0 or bool(_journal(place, {place.pid}, since=False))


def failed_since(place: Mark) -> bool:
    """Tell whether the master's own log says that a reload failed since `place`.

    For a HAProxy without a master socket. False also where the log is out of reach.
    """
    return bool(_FAILED.search(_since(place)))


def _since(place: Mark) -> str:
    if not processes.is_haproxy(place.pid):
        return ""
    log = _from_file(place) if place.offset >= 0 else _from_journal(place)
    return said_by(place.pid, log)


def said_by(master: int, log: str) -> str:
    """Return the lines that a master wrote into a log it shares with its workers.

    Since 3.1 a new worker reads the configuration, so those of one that the master says to have failed
    count as well. What other workers say is of their servers. Lines begin `[ALERT]    (4711) : …`; one
    without a prefix continues the one before.
    """
    kept: list[str] = []
    ours = False
    writers = {master, *failed_workers(master, log)}
    for line in log.splitlines():
        if logged_by := _LOGGED_BY.match(line):
            ours = int(logged_by[1]) in writers
        if ours:
            kept.append(line)
    return "\n".join(kept)


def failed_workers(master: int, log: str) -> set[int]:
    """Return the process ids of new workers that the master says to have failed (3.1 and later)."""
    found = (_FAILED_WORKER.match(line) for line in log.splitlines())
    return {int(line[2]) for line in found if line and int(line[1]) == master}


_FAILED = re.compile(r"Loading failure|Failed to load worker")
"""The master's words up to 3.0, and since 3.1."""
_FAILED_WORKER = re.compile(r"^\[WARNING\]\s+\((\d+)\) : Failed to load worker \((\d+)\)")
_LOGGED_BY = re.compile(r"^\[[A-Z]+\]\s+\((\d+)\)")


def _stderr(pid: int) -> Path:
    return Path(f"/proc/{pid}/fd/2")


def _from_file(place: Mark) -> str:
    try:
        with _stderr(place.pid).open("rb") as log:
            size = os.fstat(log.fileno()).st_size
            # Smaller than before: it was rotated by truncation, so all of it is new.
            start = place.offset if size >= place.offset else 0
            log.seek(max(start, size - _TAIL_BYTES))
            return log.read(_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _from_journal(place: Mark) -> str:
    log = _journal(place, {place.pid})
    workers = failed_workers(place.pid, log)
    return _journal(place, {place.pid, *workers}) if workers else log


def _journal(place: Mark, pids: set[int], *, since: bool = True) -> str:
    """Return what these processes wrote: several matches of one field mean any of them."""
    argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={_JOURNAL_LINES}"]
    argv += [f"--since=@{place.at:.3f}"] if since else []
    argv += [f"_PID={pid}" for pid in sorted(pids)]
    try:
        outcome = programs.run(argv, _JOURNAL_TIMEOUT_S)
    except Unavailable:
        return ""
    return outcome.stdout if outcome.rc == 0 else ""
