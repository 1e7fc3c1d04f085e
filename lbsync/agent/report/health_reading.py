"""The health of some services' servers, read from HAProxy at once: from the current worker, and the sessions of
old workers."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from lbsync.clients.haproxy import answers, sockets, stat
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.clients.haproxy.sockets import REFUSED_S, WorkerSocket
from lbsync.clients.haproxy.stat import StatRow
from lbsync.errors import Unavailable
from lbsync.model.health import GroupHealth, HealthSummary, ServerHealth
from lbsync.schema.keys import ServiceId, backend_name, backend_owner
from lbsync.timestamps import stamp

_MOST_SERVERS = 500
"""Servers that one group names."""
_MOST_IMPAIRED = 2000
"""Services that a summary names."""
_MOST_OLD = 8
"""Old workers that are asked; as many as `agent.max_old_workers` lets come by default."""
_OLD_ANSWER_S = 1.0
_MOST_SAID = 160
_NO_CHECK = "no check"

Groups = dict[str, GroupHealth]


class Reading(msgspec.Struct, frozen=True):
    """What HAProxy said of some services."""

    services: dict[str, Groups]
    unasked_workers: int
    """Old workers that did not answer, or were too many."""


def read(options: HaproxyOptions, wanted: Mapping[ServiceId, Sequence[str]]) -> Reading:
    """Return the health of these groups of services. Raises `Unavailable`."""
    backends = [backend_name(service, group) for service in wanted for group in wanted[service]]
    worker = sockets.worker(options)
    rows = _ask(worker, backends)
    old: dict[tuple[str, str], int] = {}
    unasked = 0
    for socket in _old_workers(options):
        try:
            asked = _ask(socket, backends) if socket is not None else None
        except Unavailable:
            asked = None
        if asked is None:
            unasked += 1
            continue
        for row in asked:
            old[row.backend, row.server] = old.get((row.backend, row.server), 0) + row.scur
    by_backend: dict[str, list[StatRow]] = {}
    for row in rows:
        by_backend.setdefault(row.backend, []).append(row)
    found: dict[str, Groups] = {}
    for service, groups in wanted.items():
        known = {group: by_backend.get(backend_name(service, group)) for group in groups}
        found[str(service)] = {g: group_health(rows, old) for g, rows in known.items() if rows}
    return Reading(found, unasked)


def group_health(rows: Iterable[StatRow], old: Mapping[tuple[str, str], int]) -> GroupHealth:
    """Return what the rows of one backend say. `old`: backend and server (empty: the backend's own) to the
    sessions in old workers."""
    servers = []
    total = GroupHealth()
    for row in rows:
        left = old.get((row.backend, row.server), 0)
        if not row.server:
            total = GroupHealth(
                sessions=row.scur + left,
                old_sessions=left,
                queue=row.qcur,
                rate=row.rate,
                requests=row.stot,
                errors_5xx=row.hrsp_5xx,
                errors_connect=row.econ + row.eresp,
                response_ms=row.rtime,
            )
        else:
            servers.append(_server(row, left))
    up = sum(map(is_up, servers))
    # Those that somebody looks for come first, should there be too many.
    servers.sort(key=lambda server: (is_up(server), server.name))
    named = tuple(servers[:_MOST_SERVERS])
    return msgspec.structs.replace(
        total, up=up, total=len(servers), servers=named, more=len(servers) - len(named)
    )


def is_up(server: ServerHealth) -> bool:
    """Tell whether a server gets new requests, as far as its check says; one without a check does."""
    return server.status.startswith("UP") or server.status == _NO_CHECK


def summary(options: HaproxyOptions) -> HealthSummary:
    """Return how all services do, in short. Raises `Unavailable`.

    30,000 servers take HAProxy 45 ms, and this process 0.2 s (measured).
    """
    worker = sockets.worker(options)
    states = answers.parse_servers(worker.servers_state())
    return summarise(states)


def summarise(states: Iterable[answers.ServerState]) -> HealthSummary:
    """Return the same of `show servers state`. Backends of own templates, under names of their own, count
    only in the sums."""
    servers = up = 0
    counts: dict[str, list[int]] = {}
    for state in states:
        is_well = state.op_state in (answers.OP_RUNNING, answers.OP_STARTING)
        is_well = is_well and not state.admin_state
        servers += 1
        up += is_well
        count = counts.setdefault(state.backend, [0, 0])
        count[0] += is_well
        count[1] += 1
    impaired: dict[str, dict[str, tuple[int, int]]] = {}
    for backend, (well, total) in sorted(counts.items()):
        if well < total and (owner := backend_owner(backend)) is not None:
            service, group = owner
            impaired.setdefault(service, {})[group] = (well, total)
    named = dict(list(impaired.items())[:_MOST_IMPAIRED])
    return HealthSummary(stamp(milliseconds=True), servers, up, named, len(impaired) - len(named))


def _server(row: StatRow, old: int) -> ServerHealth:
    is_good = row.check_status.endswith(("OK", "INI"))
    return ServerHealth(
        name=row.server,
        status=row.status,
        check=row.check_status,
        code=row.check_code,
        said="" if is_good else row.last_chk[:_MOST_SAID],
        since_s=row.lastchg,
        address=row.addr,
        weight=row.weight,
        sessions=row.scur + old,
        old_sessions=old,
        queue=row.qcur,
        requests=row.stot,
        errors_5xx=row.hrsp_5xx,
        errors_connect=row.econ + row.eresp,
        response_ms=row.rtime,
    )


def _ask(worker: WorkerSocket, backends: Iterable[str]) -> list[StatRow]:
    rows: list[StatRow] = []
    for batch in worker.batches(map(stat.command, backends)):
        rows += stat.parse(worker.ask(*batch, may_be_empty=False))
    return rows


def _old_workers(options: HaproxyOptions) -> list[WorkerSocket | None]:
    """Return a socket to each old worker; None: one that cannot be asked."""
    master = sockets.master(options)
    if master is None:
        return []
    old = master.show_proc().old_workers
    asked = [_OldWorker(options.master_socket, REFUSED_S, f"@!{one.pid} ") for one in old]
    return [*asked[:_MOST_OLD], *(None for _ in asked[_MOST_OLD:])]


class _OldWorker(WorkerSocket):
    """One that only finishes its connections; nobody waits long for it."""

    def ask(self, *commands: str, **options: object) -> str:
        """See `CommandSocket.ask`."""
        return super().ask(*commands, **{**options, "retry_s": 0.0, "answer_s": _OLD_ANSWER_S})  # type: ignore[arg-type]
