"""What HAProxy's sockets answer, turned into structs. Pure."""

import csv
import re
from collections.abc import Container

import msgspec

from lbsync.errors import Unavailable


class Worker(msgspec.Struct, frozen=True):
    """One worker in `show proc`."""

    pid: int
    """As HAProxy's own pid namespace numbers it."""
    reloads: int
    """Reloads since it started; after a failed one the serving worker has 1 or more."""
    uptime_s: int
    old: bool
    """It has been replaced and only finishes its connections."""


class Master(msgspec.Struct, frozen=True):
    """`show proc` of the master socket (management guide, section 9.4)."""

    pid: int
    reloads: int
    """Reloads tried since the start, failed ones included."""
    failed: int
    """How many of the last reloads failed in a row; a success makes it 0. -1 when not told."""
    workers: tuple[Worker, ...]
    uptime_s: int = -1
    """Since it was started; a reload does not begin it anew. -1 when not told."""

    @property
    def current(self) -> Worker | None:
        """The worker that serves new connections."""
        return next((worker for worker in self.workers if not worker.old), None)

    @property
    def old_workers(self) -> tuple[Worker, ...]:
        """Workers that were replaced and have not left yet."""
        return tuple(worker for worker in self.workers if worker.old)


STATE_BACKEND, STATE_NAME, STATE_ADDRESS, STATE_FQDN, STATE_PORT = 1, 3, 4, 17, 18
"""Columns of `show servers state`, counted from 0. FQDN: the server's DNS name, `-` without one."""
OP_STOPPED, OP_STARTING, OP_RUNNING = 0, 1, 2
"""Operational states in which a server gets nothing, ever more with `slowstart`, its full share."""


class ServerState(msgspec.Struct, frozen=True, gc=False):
    """One row of `show servers state` (management guide, section 9.3)."""

    backend: str
    name: str
    address: str
    port: int
    op_state: int
    """`OP_STOPPED`, `OP_STARTING`, `OP_RUNNING`, or 3: stopping."""
    admin_state: int
    """Bits: 1 maint by command, 2 inherited, 4 maint by configuration, 8 drain by command,
    16 drain inherited, 32 and 64 maint because a name does not resolve."""
    weight: int
    """As in force now (`srv_uweight`)."""
    check: str = "0"
    """State of its check: bits 2 configured, 4 enabled, 1 under way, 8 paused for maintenance."""
    agent: str = "0"
    """The same of its agent's check, with bit 16."""
    fqdn: str = "-"
    rest: str = ""
    """What follows the port: SRV record, TLS, then port and address of the check, address and port of
    the agent."""


class Frontend(msgspec.Struct, frozen=True):
    """One frontend in `show stat`."""

    name: str
    limit: str
    """`maxconn` in force."""
    status: str
    """`OPEN`, `FULL`, `PAUSED`, `STOP`."""


class ServerLimit(msgspec.Struct, frozen=True, gc=False):
    """What `show stat` tells of a server, and `show servers state` does not."""

    limit: str
    """`maxconn` in force; empty: none."""
    cookie: str = ""
    """Value by which clients come back to it; empty: none, or not looked at."""


class MapState(msgspec.Struct, frozen=True):
    """One row of `show map`."""

    id: int
    file: str
    """As the configuration writes it; empty for a map without a file."""
    entries: int
    """Entries in the version in force; -1 when HAProxy does not tell."""


_WHOLE = r"[0-9]{1,19}"
"""A whole number: HAProxy's have at most 64 bits, and `int` refuses some thousands of digits."""
_MASTER = re.compile(
    rf"^({_WHOLE})\s+master\s+({_WHOLE})(?:\s+\[failed:\s*({_WHOLE})\])?(?:\s+(\d\S+))?"
)
_WORKER = re.compile(rf"^({_WHOLE})\s+worker\s+({_WHOLE})\s+(\S+)")
_UPTIME = re.compile(rf"({_WHOLE})d({_WHOLE})h({_WHOLE})m({_WHOLE})s")
_UNPUBLISHED = re.compile(r"^([^,\n]+),BACKEND,(?:[^,\n]*,){15}[^,\n]*\(UNPUB\),", re.MULTILINE)
"""A row whose status, the 18th column, says so (management guide, 9.1)."""
_MAP = re.compile(rf"^(-?{_WHOLE}) \((.*?)\) (?:.*\bentry_cnt=({_WHOLE}))?")


def parse_proc(answer: str) -> Master:
    """Read `show proc`. Raises `Unavailable` when there is no master in it."""
    master: re.Match[str] | None = None
    workers: list[Worker] = []
    old = False
    for line in answer.splitlines():
        if line.startswith("#"):
            old = line.startswith("# old")
        elif found := _MASTER.match(line):
            master = found
        elif found := _WORKER.match(line):
            workers.append(Worker(int(found[1]), int(found[2]), _seconds(found[3]), old))
    if master is None:
        raise Unavailable(f"'show proc' answered something else: {answer[:200]!r}")
    failed = int(master[3]) if master[3] is not None else -1
    uptime = _seconds(master[4]) if master[4] else -1
    survivors = tuple(_survivor(workers, failed))
    return Master(int(master[1]), int(master[2]), failed, survivors, uptime)


def _survivor(workers: list[Worker], failed: int) -> list[Worker]:
    """3.x lists the worker that survived a failed reload under "# old workers"."""
    if failed > 0 and workers and all(worker.old for worker in workers):
        serving = min(workers, key=lambda worker: worker.reloads)
        return [
            msgspec.structs.replace(worker, old=False) if worker is serving else worker
            for worker in workers
        ]
    return workers


def _seconds(uptime: str) -> int:
    found = _UPTIME.fullmatch(uptime)
    if not found:
        return 0
    days, hours, minutes, seconds = map(int, found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_info(answer: str) -> dict[str, str]:
    """Read `show info` as field to value. Raises `Unavailable` when it is something else."""
    pairs = (line.partition(":") for line in answer.splitlines() if ":" in line)
    info = {name.strip(): value.strip() for name, _, value in pairs}
    if "Version" not in info or not re.fullmatch(_WHOLE, info.get("Pid", "")):
        raise Unavailable(f"'show info' answered something else: {answer[:200]!r}")
    return info


def parse_servers(answer: str) -> list[ServerState]:
    """Read `show servers state`, version 1 of its format (all HAProxy since 1.6).

    Raises `Unavailable` when the answer is cut short or of another version.
    """
    lines = answer.rstrip().split("\n")
    if lines[0].strip() != "1" or not answer.endswith("\n"):
        raise Unavailable(f"'show servers state' answered something else: {answer[:200]!r}")
    rows = (line.split(" ", STATE_PORT + 1) for line in lines[2:] if line)
    try:
        return [
            ServerState(
                row[STATE_BACKEND],
                row[STATE_NAME],
                row[STATE_ADDRESS],
                int(row[STATE_PORT]),
                int(row[5]),
                int(row[6]),
                int(row[7]),
                row[13],
                row[14],
                row[STATE_FQDN],
                row[STATE_PORT + 1],
            )
            for row in rows
        ]
    except (IndexError, ValueError) as error:
        raise Unavailable(f"'show servers state' has an unreadable row: {error}") from error


_CONNECTIONS_USED = "used_cur"
"""Column of `show servers conn`; which one it is, its header tells: 3.3 has put one before it."""


def parse_connections(answer: str) -> dict[tuple[str, str], int]:
    """Read `show servers conn`: backend and server to connections in use.

    Several answers may follow each other, each with its header; a backend that does not exist is left out.
    """
    used = {}
    column = -1
    for line in answer.split("\n"):
        row = line.removeprefix("# ").split()
        if line.startswith("#"):
            column = row.index(_CONNECTIONS_USED) if _CONNECTIONS_USED in row else -1
        elif row and "/" in row[0] and 0 <= column < len(row) and re.fullmatch(_WHOLE, row[column]):
            backend, _, name = row[0].partition("/")
            used[backend, name] = int(row[column])
    return used


def parse_frontends(answer: str) -> list[Frontend]:
    """Read the frontends of `show stat`, which is a table in CSV with its header first.

    Raises `Unavailable` when it is something else.
    """
    head, *lines = answer.strip("\n").split("\n")
    columns = head.removeprefix("# ").split(",")
    try:
        name, kind, limit, status = map(columns.index, ("pxname", "svname", "slim", "status"))
        rows = [line.split(",") for line in lines if line]
        return [
            Frontend(row[name], row[limit], row[status]) for row in rows if row[kind] == "FRONTEND"
        ]
    except (ValueError, IndexError) as error:
        raise Unavailable(f"'show stat' answered something else: {answer[:200]!r}") from error


def parse_limits(answer: str, cookies: Container[str]) -> dict[tuple[str, str], ServerLimit]:
    """Read the servers of `show stat` by backend and name; the cookies of those in `cookies` alone.

    Raises `Unavailable` when it is something else.
    """
    head, *lines = answer.strip("\n").split("\n")
    columns = head.removeprefix("# ").split(",")
    found: dict[tuple[str, str], ServerLimit] = {}
    try:
        backend, name, limit, cookie = map(columns.index, ("pxname", "svname", "slim", "cookie"))
        for line in lines:
            # Taking a row apart altogether costs ten times as much; names and limits are never quoted.
            row = line.split(",", limit + 1)
            value = next(csv.reader([line]))[cookie] if row[backend] in cookies else ""
            found[row[backend], row[name]] = ServerLimit(row[limit], value)
    except (ValueError, IndexError, StopIteration, csv.Error) as error:
        raise Unavailable(f"'show stat' answered something else: {answer[:200]!r}") from error
    return found


def parse_backends(answer: str) -> frozenset[str]:
    """Read `show backend`. Raises `Unavailable` when it is something else."""
    head, *names = answer.strip("\n").split("\n")
    if head != "# name":
        raise Unavailable(f"'show backend' answered something else: {answer[:200]!r}")
    return frozenset(names)


def parse_unpublished(answer: str) -> frozenset[str]:
    """Read the backends of `show stat`: those that no request may be led to (3.4)."""
    return frozenset(_UNPUBLISHED.findall(answer))


def parse_maps(answer: str) -> list[MapState]:
    """Read `show map` without an argument: which maps are loaded, and how full they are."""
    found = (_MAP.match(line) for line in answer.splitlines() if not line.startswith("#"))
    return [MapState(int(m[1]), m[2], int(m[3]) if m[3] else -1) for m in found if m]


NO_BACKEND = ("Can't find backend.",)
"""What `show servers state` says of a backend that is not there (2.6 to 3.4, measured)."""


def split_replies(answer: str, count: int) -> list[str]:
    """Cut the answer to `count` commands joined by `;` into one reply each.

    Each reply ends with one empty line, and a successful change is only that empty line
    (measured on 2.6 and 2.8). Only for commands whose replies hold no empty line themselves.
    Raises `Unavailable` when there are not as many replies as commands.
    """
    replies: list[str] = []
    reply: list[str] = []
    for line in answer.split("\n")[:-1]:
        if line:
            reply.append(line)
        else:
            replies.append("\n".join(reply))
            reply = []
    if len(replies) != count or reply:
        raise Unavailable(f"{count} commands, but {len(replies)} replies: {answer[:200]!r}")
    return replies
