"""How the servers of a service do, as hosts answer to whoever watches; one struct per kind of key.

The field names are the JSON names. Agents and readers of several versions read each other's, so a field
that is not known is passed over.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lbsync.model.record import Record
from lbsync.model.records import Whole


class WatcherRecord(Record, frozen=True, forbid_unknown_fields=False):
    """`watchers/<id>`, on a lease: what somebody wants to hear from every host, as long as it stands."""

    services: tuple[str, ...] = ()
    """The services (`<ns>/<name>`) whose health is asked for."""
    all: bool = False
    """The health of all services in short is asked for: which of them have servers that are not up."""
    revision: Whole = 0
    """A host that has verified this revision of the source reports it at once; 0: nobody waits."""
    by: str = ""
    """User and host; for people."""
    at: str = ""
    """RFC 3339, UTC; for people: the lease decides how long it stands."""
    here: bool = False
    """The revision that wrote this very key is waited for: what is to be served came in the same transaction."""


class ServerHealth(Record, frozen=True, forbid_unknown_fields=False):
    """One server as the HAProxy of one host sees it (management guide, 9.1: the column is in brackets)."""

    name: str
    status: str
    """`UP`, `DOWN`, `UP 1/3`, `DRAIN`, `MAINT`, `NOLB`, `no check` … [`status`]."""
    check: str = ""
    """Outcome of the last health check: `L4OK`, `L7OK`, `L4CON`, `L7STS` …; `INI` before the first one; empty:
    it has none [`check_status`]."""
    code: Whole = 0
    """Status code of that check; 0: none [`check_code`]."""
    said: str = ""
    """What that check met, in HAProxy's words; empty if it was good [`last_chk`]."""
    since_s: Whole = 0
    """Seconds since the status changed [`lastchg`]."""
    address: str = ""
    """As the running HAProxy has it [`addr`]."""
    weight: Whole = 0
    """In force [`weight`]."""
    sessions: Whole = 0
    """Now, those in old workers included [`scur`]."""
    old_sessions: Whole = 0
    """How many of these are in workers that were replaced and finish their connections."""
    queue: Whole = 0
    """Requests that wait for it [`qcur`]."""
    requests: Whole = 0
    """Since the worker that serves now began; tcp: connections [`stot`]."""
    errors_5xx: Whole = 0
    """Answers of 500 and above since then [`hrsp_5xx`]."""
    errors_connect: Whole = 0
    """Connections that failed, and answers that broke off, since then [`econ`, `eresp`]."""
    response_ms: Whole = 0
    """Mean of the last 1024 requests, in milliseconds [`rtime`]."""


class GroupHealth(Record, frozen=True, forbid_unknown_fields=False):
    """The servers of one group, and their sums as HAProxy gives them for its backend."""

    up: Whole = 0
    """How many servers get new requests as far as their checks say."""
    total: Whole = 0
    servers: tuple[ServerHealth, ...] = ()
    """Those that are not up first; the first hundreds where there are more."""
    more: Whole = 0
    """How many servers are not named."""
    sessions: Whole = 0
    old_sessions: Whole = 0
    queue: Whole = 0
    rate: Whole = 0
    """New requests in the last second [`rate`]."""
    requests: Whole = 0
    errors_5xx: Whole = 0
    errors_connect: Whole = 0
    response_ms: Whole = 0


class HealthSummary(Record, frozen=True, forbid_unknown_fields=False):
    """All services of a host in short."""

    at: str
    """RFC 3339, UTC: when HAProxy was read; less often than single services are."""
    servers: Whole = 0
    up: Whole = 0
    impaired: dict[str, dict[str, tuple[int, int]]] = msgspec.field(default_factory=dict)
    """Service to group to (servers that are up, all), where these differ; the first thousands."""
    more: Whole = 0
    """How many such services are not named."""


class HealthRecord(Record, frozen=True, forbid_unknown_fields=False):
    """What one host answers to all that watch, on its lease, beside the prefix: see `schema.health`."""

    at: str
    """RFC 3339, UTC: when HAProxy was read."""
    every_s: Annotated[float, Meta(ge=0)] = 1.0
    """The next answer comes this much later, or earlier than `STALE_S` where nothing changes."""
    services: dict[str, dict[str, GroupHealth]] = msgspec.field(default_factory=dict)
    """Service to group; an empty object: HAProxy has no backend of this service."""
    summary: HealthSummary | UnsetType = UNSET
    """Where somebody asked for all."""
    left_out: Whole = 0
    """Services that were asked for and are not answered: too many at a time."""
    asked: Whole = 0
    """The newest revision that wrote a question which was known when HAProxy was read: what is older than a question
    answers it no more."""
    unasked_workers: Whole = 0
    """Old workers that did not say what sessions they have: the sessions are those of the others."""
    error: str = ""
    """Why HAProxy could not be read."""
