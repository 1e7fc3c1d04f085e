"""The balancers: what each reports, and which action it needs."""

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from lbsync import verdict
from lbsync.console.facts.state import Hold, State
from lbsync.fleet import TWO_AGENTS, absence
from lbsync.model.health import HealthRecord
from lbsync.model.records import AgentRecord, EarlierGeneration
from lbsync.schema.reading import one_line
from lbsync.verdict import Degree, Fact, Finding

_MOST_WORD = 40
_FEW = 5


class HostView(msgspec.Struct, frozen=True):
    """One balancer. Times are RFC 3339 in UTC; empty: never, or unknown."""

    host: str
    state: str
    """The word of `lbsync status`; `gone`: it does not report; `unreadable`: its record cannot be read."""
    degree: str
    """How urgent the worst of `findings` is: `ok`, `warning`, `critical` or `unknown`."""
    findings: tuple[str, ...] = ()
    """All that somebody should know, one sentence each."""
    revision: int = 0
    """Of etcd, that HAProxy was verified to serve."""
    lag: int = 0
    """By how many revisions that is behind, at most."""
    generation: int = 0
    digest: str = ""
    applied_at: str = ""
    verified_at: str = ""
    started_at: str = ""
    haproxy: str = ""
    lbsync: str = ""
    draining: str = ""
    """Why it is drained; empty: it is not."""
    waits: str = ""
    """Why a reload waits, and what it is for."""
    error: str = ""
    reloads: int = 0
    """Since its agent started."""
    reload_reason: str = ""
    """Why the last one was needed."""
    quarantined: tuple[str, ...] = ()
    by_hand: dict[str, str] = {}
    """What somebody set on the running HAProxy, and how; kept until it is released."""
    hold_id: str = ""
    """The removal that it holds; empty: none."""
    earlier: EarlierGeneration | None = None
    """What a rollback would serve."""
    servers: int | None = None
    """Of all services, as its HAProxy has them; None if it has not said, or cannot."""
    servers_up: int = 0
    """How many of these get new requests, as far as their checks say."""
    impaired: tuple[str, ...] = ()
    """Services some of whose servers are not up; the first five."""

    @property
    def is_live(self) -> bool:
        """Its agent reports."""
        return self.state not in ("gone", "unreadable")


class FleetView(msgspec.Struct, frozen=True):
    """All balancers, those that need attention first."""

    revision: int
    hosts: tuple[HostView, ...]
    counts: dict[str, int]
    """Degree to the number of hosts."""
    holds: tuple[Hold, ...]
    junk: tuple[str, ...]
    """Keys below `agents/` that no agent keeps; they count for nothing."""
    services: int
    refused: int
    """Keys that are not served as they are written."""

    @property
    def sentence(self) -> str:
        """The whole table in one line, for screen readers."""
        if not self.hosts:
            return "No agent reports."
        named = {"critical": "critical", "warning": "with a warning", "unknown": "unknown"}
        parts = [f"{self.counts[d]} {word}" for d, word in named.items() if self.counts.get(d)]
        every = f"{len(self.hosts)} balancer{'s' if len(self.hosts) > 1 else ''}"
        return f"{every}: {', '.join(parts)}." if parts else f"{every}, all well."


_ORDER = {"critical": 0, "unknown": 1, "warning": 2, "ok": 3}


def fleet_view(state: State, refused: int, answers: Mapping[str, HealthRecord | None]) -> FleetView:
    """Return the page of the fleet. `refused`: number of keys that are not served as written; `answers`: how services
    do, by host."""
    census = state.census
    hosts = [host_view(state, name) for name in sorted(census.live.keys() | census.gone.keys())]
    told = [_with_health(host, answers.get(host.host)) for host in hosts if host]
    found = sorted(told, key=lambda h: (_ORDER[h.degree], h.host))
    return FleetView(
        state.revision,
        tuple(found),
        dict(Counter(host.degree for host in found)),
        tuple(state.holds.values()),
        census.junk,
        len(state.services),
        refused,
    )


def _with_health(host: HostView, answer: HealthRecord | None) -> HostView:
    if not host.is_live or answer is None or answer.error or answer.summary is UNSET:
        return host
    said = answer.summary
    named = tuple(one_line(service) for service in list(said.impaired)[:_FEW])
    return msgspec.structs.replace(host, servers=said.servers, servers_up=said.up, impaired=named)


def host_view(state: State, host: str) -> HostView | None:
    """Return one balancer; None if the fleet does not know it."""
    census = state.census
    if host in census.gone:
        why = absence(host, census.gone[host])
        return HostView(host, "gone", "critical", (why,))
    if host not in census.live:
        return None
    record = census.live[host]
    findings = list(verdict.of_record(record))
    if host in census.rivals:
        findings.append(Finding(Fact.TWO_AGENTS, TWO_AGENTS))
    said = [str(finding) for finding in findings if finding.fact is not Fact.BY_HAND]
    if by_hand := len(findings) - len(said):
        said.append(f"{by_hand} set by hand")
    degree = Degree(verdict.degree_of(findings)).name.lower()
    if record is None:
        return HostView(host, "unreadable", degree, tuple(said))
    return _live(state, host, record, degree, tuple(said))


def _live(
    state: State, host: str, record: AgentRecord, degree: str, findings: tuple[str, ...]
) -> HostView:
    return HostView(
        host,
        one_line(record.state, _MOST_WORD) or "unknown",
        degree,
        findings,
        record.revision,
        state.lags.get(host, 0),
        record.generation,
        record.digest,
        record.applied_at,
        record.verified_at,
        record.started_at,
        record.haproxy,
        record.lbsync,
        record.draining,
        record.waits,
        record.error or "",
        record.reloads,
        record.reload_reason,
        record.quarantined,
        {what: how for what, how in record.held.items() if what != "removal"},
        record.hold.id if record.hold is not UNSET else "",
        record.earlier or None,
    )
