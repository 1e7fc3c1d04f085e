"""Conditions for a deployment to continue, based on the reports of the balancers. Pure.

A host only counts if it has reported so itself: every host that reports must agree, and of all known hosts as
many as the strategy requires.
"""

from collections.abc import Callable, Iterable

import msgspec

from lbsync.deployer.observed import Host, Observed
from lbsync.model.deploying import Baseline, DeploymentRecord, Limits
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.values.plural import first_few

_SHOWN = 3
_NOBODY = "no agent reports; does any run?"


class Verdict(msgspec.Struct, frozen=True):
    """Whether a gate is open, and the message for people."""

    is_open: bool
    text: str
    fault: str = ""
    """Why it can never open; empty: it may yet."""


def staged(record: DeploymentRecord, seen: Observed) -> Verdict:
    """The new group is on every balancer, and each of its servers up by HAProxy's own check there."""
    group = record.version.group
    wanted = seen.wanted.get(group, ())
    if group not in seen.wanted:
        told = "is a publisher at work ('lbsync status --publishers')?"
        return Verdict(False, f"there is no group {group} yet: {told}")
    if not wanted:
        return Verdict(False, f"group {group} has no server that is to take traffic")
    needed = seen.gate.servers if seen.gate is not None else 0
    if len(wanted) < needed:
        return Verdict(False, f"group {group} has {len(wanted)} of {needed} servers yet")
    return _everywhere(record, seen, "staged", lambda host: _not_staged(host, group, wanted, seen))


def converged(record: DeploymentRecord, seen: Observed) -> Verdict:
    """Every balancer has verified the route as it is written now."""
    return _everywhere(record, seen, "converged", lambda host: _not_converged(host, seen))


def unconfirmed(seen: Observed) -> dict[str, str]:
    """Return the balancers that report and have not verified the route as it is written now, each with the reason."""
    return {
        name: why
        for name, host in sorted(seen.hosts.items())
        if (why := _not_converged(host, seen))
    }


def drained(seen: Observed, groups: Iterable[str]) -> Verdict:
    """None of these groups has a session left on any balancer that reports, old workers included."""
    if not seen.hosts:
        return Verdict(False, _NOBODY)
    left: dict[str, int] = {}
    unknown = []
    for name, host in seen.hosts.items():
        if host.groups is None or host.doubt:
            unknown.append(f"{name}: {host.doubt or 'no answer yet'}")
            continue
        for group in groups:
            known = host.groups.get(group, GroupHealth())
            for where, sessions in _sessions(known):
                left[f"{name} {group}{where}"] = sessions
    if left:
        return Verdict(False, f"{sum(left.values())} sessions are left: {_list(left.items())}")
    if unknown:
        return Verdict(False, "; ".join(unknown[:_SHOWN]))
    return Verdict(True, "no session is left")


def watched(record: DeploymentRecord, seen: Observed, old: Iterable[str]) -> Verdict:
    """The new group does as well as the old one did. Open while nothing speaks against it; `fault`: it does worse
    than the limits allow."""
    group, limits = record.version.group, record.strategy.limits
    wanted = seen.wanted.get(group, ())
    if fault := _fewer(group, len(wanted), record.servers, limits.down):
        return Verdict(False, fault, fault)
    if not seen.hosts:
        return Verdict(False, _NOBODY)
    requests = errors = 0
    unknown = [f"{name} ({host.refused})" for name, host in seen.hosts.items() if host.refused]
    slowest, usual = (0, ""), 0
    for name, host in sorted(seen.hosts.items()):
        if host.groups is None or group not in host.groups:
            unknown.append(name)
            continue
        new = host.groups[group]
        if fault := _down(name, group, new, wanted, limits.down):
            return Verdict(False, fault, fault)
        more = _since(_count(new), record.baseline.get(name, Baseline()))
        requests, errors = requests + more.requests, errors + more.errors
        slowest = max(slowest, (new.response_ms if more.requests else 0, name))
        usual = max(usual, *(host.groups.get(g, GroupHealth()).response_ms for g in old), 0)
    if requests >= limits.requests:
        fault = _badly(group, requests, errors, _usual_rate(record, seen, old), limits)
        if fault or (fault := _slowly(group, slowest, usual, limits)):
            return Verdict(False, fault, fault)
    if unknown:
        return Verdict(False, f"no answer yet from {', '.join(unknown[:_SHOWN])}")
    return Verdict(True, f"{errors} of {requests} requests failed")


_LEAST_MS = 10
"""Means below this differ by chance."""


def _badly(group: str, requests: int, errors: int, before: float, limits: Limits) -> str:
    """Return by how many more requests failed than before, where they are too many."""
    now = 100 * errors / requests
    if now <= before + limits.errors:
        return ""
    return f"{group}: {errors} of {requests} requests failed ({now:.0f}%; before it were {before:.0f}%)"


def _slowly(group: str, slowest: tuple[int, str], usual: int, limits: Limits) -> str:
    """Return how slow it is and where, if too slow. `slowest`: milliseconds and host; `usual`: milliseconds."""
    took, host = slowest
    if not usual or took <= max(usual, _LEAST_MS) * limits.slower:
        return ""
    return f"{group}: {took} ms for a request on {host}, before it were {usual} ms"


def baseline(seen: Observed, *groups: str) -> dict[str, Baseline]:
    """Return what each host has counted of these groups together by now."""
    found = {}
    for name, host in seen.hosts.items():
        known = host.groups or {}
        counts = [_count(known[group]) for group in groups if group in known]
        if counts:
            found[name] = _sum(counts)
    return found


def _everywhere(
    record: DeploymentRecord, seen: Observed, word: str, missing: Callable[[Host], str]
) -> Verdict:
    if not seen.hosts:
        return Verdict(False, _NOBODY)
    lacking = {name: why for name, host in sorted(seen.hosts.items()) if (why := missing(host))}
    good = len(seen.hosts) - len(lacking)
    needed = record.strategy.require.of(seen.fleet)
    told = [f"{name}: {why}" for name, why in lacking.items()]
    told += [f"{name} is silent: {why}" for name, why in sorted(seen.silent.items())]
    text = f"{good} of {seen.fleet} {word}"
    if told:
        text += f"; {first_few(told, _SHOWN, '; ')}"
    if not lacking and good < needed:
        text += f"; {needed} are required"
    return Verdict(not lacking and good >= needed, text)


def _not_staged(host: Host, group: str, wanted: tuple[str, ...], seen: Observed) -> str:
    if host.refused:
        return host.refused
    if host.revision < seen.written:
        return host.why
    if host.groups is None or (host.doubt and not host.groups):
        return host.doubt or "no answer yet"
    if group not in host.groups:
        return f"its HAProxy has no group {group}"
    health = host.groups[group]
    known = {server.name: server for server in health.servers}
    bad = [_state(known[name]) for name in wanted if name in known and not is_proved(known[name])]
    absent = [name for name in wanted if name not in known] if not health.more else []
    bad += [f"{name} is not there" for name in absent]
    return _list((one, None) for one in bad)


def is_proved(server: ServerHealth) -> bool:
    """Tell whether a server is up by HAProxy's own check; `INI` proves nothing. A server without a check counts
    as up, because it was configured so."""
    if server.status == "no check":
        return True
    return server.status.split()[:1] == ["UP"] and server.check.endswith("OK")


def _not_converged(host: Host, seen: Observed) -> str:
    if host.refused:
        return host.refused
    return "" if seen.route_revision and host.revision >= seen.route_revision else host.why


def _state(server: ServerHealth) -> str:
    checked = f"{server.check}{f' {server.code}' if server.code else ''}"
    return f"{server.name} is {server.status}{f' ({checked})' if checked else ''}"


def _fewer(group: str, left: int, staged: int, limit: int) -> str:
    """Return that servers are gone since the switch, where they are too many: nobody finds those down."""
    gone = staged - left
    if gone <= 0 or (left and 100 * gone <= limit * staged):
        return ""
    return f"group {group} has {left} of the {staged} servers that it was switched to with"


def _down(name: str, group: str, new: GroupHealth, wanted: tuple[str, ...], limit: int) -> str:
    """Return which servers are down on a host, where they are too many."""
    down = [s for s in new.servers if s.name in wanted and s.status.split()[:1] == ["DOWN"]]
    if not down or 100 * len(down) <= limit * max(1, len(wanted)):
        return ""
    return f"{group} on {name}: {_list((_state(server), None) for server in down)}"


def _sessions(health: GroupHealth) -> list[tuple[str, int]]:
    """Return where in a group there are sessions, and how many."""
    if not health.sessions and not health.queue:
        return []
    found = [(f"/{server.name}", server.sessions) for server in health.servers if server.sessions]
    return found or [("", health.sessions + health.queue)]


def _count(health: GroupHealth) -> Baseline:
    return Baseline(health.requests, health.errors_5xx + health.errors_connect)


def _since(now: Baseline, before: Baseline) -> Baseline:
    """Return what was counted since; a number that fell tells of a new worker, which began at nothing."""
    if now.requests < before.requests:
        return now
    return Baseline(now.requests - before.requests, max(0, now.errors - before.errors))


def _usual_rate(record: DeploymentRecord, seen: Observed, groups: Iterable[str]) -> float:
    """Return the percentage of requests to the old groups that fail: since the switch began, or where they
    got too few to tell, since HAProxy counts. An incident of last week is no measure for today."""
    now = baseline(seen, *groups)
    lately = _sum(
        _since(count, record.baseline_old[name])
        for name, count in now.items()
        if name in record.baseline_old
    )
    count = lately if lately.requests >= record.strategy.limits.requests else _sum(now.values())
    return 100 * count.errors / count.requests if count.requests else 0.0


def _sum(counts: Iterable[Baseline]) -> Baseline:
    counts = tuple(counts)
    return Baseline(sum(c.requests for c in counts), sum(c.errors for c in counts))


def _list(what: Iterable[tuple[str, int | None]]) -> str:
    """Return the first of several things, with their numbers."""
    told = [name if number is None else f"{number} on {name}" for name, number in what]
    return first_few(told, _SHOWN)
