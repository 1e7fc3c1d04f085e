"""The records of the contract in etcd, one struct per kind of key.

They are decoded and encoded by `lbsync.schema`; the field names are the JSON names. Whatever an
instance holds has passed every rule that concerns its key alone.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lbsync.model.orders import OrderAnswer
from lbsync.model.policies import (
    Auth,
    BackendTls,
    Compression,
    Cors,
    Headers,
    Hsts,
    Networks,
    Preview,
    RateLimit,
    Redirect,
    Rewrite,
    SomeNetworks,
    Sticky,
)
from lbsync.model.record import Record
from lbsync.values.basic import Duration
from lbsync.values.http import StatusRange, UriPath
from lbsync.values.names import Address, Host, PathPrefix, ServerName, Text

Port = Annotated[int, Meta(ge=1, le=65535)]
Weight = Annotated[int, Meta(ge=0, le=256)]
"""HAProxy's range (manual 5.2, `weight`); 0 takes no new sessions."""
Share = Annotated[int, Meta(ge=0, le=10_000)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""What others say in a number: a revision of etcd is of 64 bits, and asking for more is no question."""
Hosts = Annotated[tuple[Host, ...], Meta(max_length=1000)]


_WHILE_DOWN_MS = 250


class Check(Record, frozen=True):
    """How a server's health is found out. Left out altogether: a TCP connect every 2 s."""

    type: Literal["http", "tcp", "none"] | UnsetType = UNSET
    """Left out: `http` where a path is given, else `tcp`."""
    path: UriPath | UnsetType = UNSET
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    status: StatusRange | UnsetType = UNSET
    """Left out: 200-399."""
    interval: Duration = Duration(2000)
    rise: Count = 2
    fall: Count = 3
    port: Port | UnsetType = UNSET
    """Left out: the server's own port."""

    @property
    def kind(self) -> str:
        """The type that holds: `http`, `tcp` or `none`."""
        if self.type is not UNSET:
            return self.type
        return "http" if self.path is not UNSET or self.status is not UNSET else "tcp"

    @property
    def declared(self) -> bool:
        """Somebody asked for more than the check that every service has: a new server then waits
        for its first good answer."""
        return self.kind != "none" and self != Check()

    @property
    def downinter(self) -> int:
        """Milliseconds between two checks of a server that is down; as long after `add server` comes
        the first one (measured)."""
        return min(self.interval, _WHILE_DOWN_MS)


class Timeouts(Record, frozen=True):
    """Overrides of the defaults, for this service only."""

    connect: Duration | UnsetType = UNSET
    server: Duration | UnsetType = UNSET
    queue: Duration | UnsetType = UNSET
    tunnel: Duration | UnsetType = UNSET


Balance = Literal["roundrobin", "leastconn", "random", "first", "source", "uri"]


class ServiceRecord(Record, frozen=True):
    """`services/<ns>/<name>`: routing and policy of one service."""

    mode: Literal["http", "tcp"]
    hosts: Hosts = ()
    """Left out (http): every host that no other service names."""
    paths: Annotated[tuple[PathPrefix, ...], Meta(max_length=200)] = ()
    """Left out (http): `/`, every path."""
    listen: Port | UnsetType = UNSET
    balance: Balance = "roundrobin"
    check: Check = Check()
    timeouts: Timeouts = Timeouts()
    sticky: Sticky | UnsetType = UNSET
    maxconn: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    """Concurrent connections to each server; more wait in the queue (manual 5.2, `maxconn`)."""
    preview: Preview | UnsetType = UNSET
    """Left out: a group gets the traffic that its share gives it, and nothing else."""
    redirect: Redirect = Redirect()
    compression: bool | Compression = False
    headers: Headers = Headers()
    hsts: bool | Hsts = False
    cors: Cors | UnsetType = UNSET
    auth: Auth | UnsetType = UNSET
    allow: SomeNetworks = ()
    """Left out: everybody; else only clients in these networks. Written, it names some: an empty
    list would let in everybody where its writer let in nobody."""
    deny: Networks = ()
    """Clients that are refused, `allow` or not."""
    rate_limit: RateLimit | UnsetType = UNSET
    rewrite: Rewrite | UnsetType = UNSET
    backend_tls: BackendTls | UnsetType = UNSET
    backend_protocol: Literal["http/1.1", "h2c"] = "http/1.1"
    """What servers without TLS speak; `h2c` is HTTP/2 with prior knowledge (RFC 9113, 3.3)."""
    owner: Text | UnsetType = UNSET
    source: Text | UnsetType = UNSET
    """Who wrote the key; a publisher changes only keys that carry its own name."""

    @property
    def preview_hosts(self) -> dict[Host, str]:
        """Hosts that lead to one group each, to its name."""
        if self.preview is UNSET:
            return {}
        return {host: group for group, host in self.preview.hosts.items()}

    @property
    def every_host(self) -> tuple[Host, ...]:
        """All hosts that it names, those of previews included; `*` stands for any host."""
        return (*(self.hosts or (Host("*"),)), *self.preview_hosts)

    @property
    def strict_transport(self) -> Hsts | None:
        """The HSTS policy that holds; None without one."""
        return self.hsts if isinstance(self.hsts, Hsts) else Hsts() if self.hsts else None


class ServerRecord(Record, frozen=True):
    """One server of an `endpoints` key."""

    name: ServerName
    address: Address
    port: Port
    weight: Weight = 1
    state: Literal["up", "drain", "maint"] = "up"


class EndpointsRecord(Record, frozen=True):
    """`endpoints/<ns>/<name>/<group>`: the servers of one group."""

    servers: Annotated[tuple[ServerRecord, ...], Meta(max_length=5000)]
    source: Text | UnsetType = UNSET


class RouteRecord(Record, frozen=True):
    """`routes/<ns>/<name>`: which groups get traffic, by weight. One write is a switch."""

    groups: Annotated[dict[str, Share], Meta(min_length=1, max_length=50)]
    source: Text | UnsetType = UNSET


class GlobalRecord(Record, frozen=True):
    """`settings/global`: what holds for all hosts."""

    https: Literal["only", "mixed", "disabled"] = "mixed"
    """`only`: plain requests are redirected; `mixed`: both are served; `disabled`: no TLS bind."""


class QuarantineRecord(Record, frozen=True, forbid_unknown_fields=False):
    """`quarantine/<ns>/<name>`: why a service is quarantined at its last good version.

    Agents of several versions read each other's, so a field that is not known is passed over.
    """

    reason: str
    revision: Whole
    """Of the source, when the reason was first found."""
    host: Annotated[str, Meta(max_length=63)]
    """The agent that says so; others may say the same, and take over when this one is gone."""
    since: str
    """RFC 3339, UTC."""
    line: Whole | UnsetType = UNSET
    """Of `haproxy.cfg` as it was tried, where HAProxy named one."""


class ConfirmationRecord(Record, frozen=True, forbid_unknown_fields=False):
    """`confirmations/<id>`, on a lease: somebody says that a removal is meant."""

    services: dict[str, Annotated[int, Meta(ge=0)]] = msgspec.field(default_factory=dict)
    """Service (`<ns>/<name>`) to the number of servers it may be left with."""
    by: str = ""
    """User and host; for people."""
    at: str = ""
    """RFC 3339, UTC; for people: the lease decides how long it stands."""


class HoldRecord(Record, frozen=True, forbid_unknown_fields=False):
    """A removal that is held until it is confirmed, as agents and publishers report it."""

    id: str
    """The same wherever the same removal is held: `lbsync confirm --fleet ID`."""
    services: dict[str, int] = msgspec.field(default_factory=dict)
    """Service to the number of servers it would be left with; the first thousands where there are more."""
    more: int = 0
    """How many services are not named."""
    since: str = ""
    """RFC 3339, UTC."""


class EarlierGeneration(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """In `agents/<host>`: what the host served before, and has kept."""

    generation: Whole
    digest: str
    revision: Whole = 0
    """Of the source it was rendered from; 0 if unknown."""
    proved_at: str = ""
    """RFC 3339, UTC: when HAProxy was last verified to serve it."""


class AgentRecord(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """`agents/<host>`, on a lease: what one host serves, as verified.

    A field that is not known is passed over, as fleets are upgraded host by host.
    """

    revision: Whole
    """Revision of the source that HAProxy was verified to serve; what `state` says holds for it."""
    generation: Whole
    """Of the files of that; an earlier one while a change that was made and read back has yet to be written."""
    digest: str
    applied_at: str
    """RFC 3339, UTC, as all times here: when the generation was first proved to be served."""
    verified_at: str
    """When what HAProxy runs was last read back and found equal; written for its own sake every ten minutes only."""
    haproxy: str
    quarantined: tuple[str, ...] = ()
    """Services (`<ns>/<name>`) that are quarantined at their last good version, or refused."""
    held: dict[str, str] = msgspec.field(default_factory=dict)
    """What is kept back until somebody decides, and why."""
    hold: HoldRecord | UnsetType = UNSET
    """The removal that is held; what else was wanted at `revision` is served."""
    error: str | UnsetType = UNSET
    state: str = ""
    """In the words of `lbsync.status.State`."""
    refused_settings: str = ""
    """Why new settings were not taken over; empty: those that were read last are in force."""
    certificates: dict[str, str] = msgspec.field(default_factory=dict)
    """File to when its certificate ends, of those that have ended or do so within 30 days."""
    waits: str = ""
    """Why a reload must wait, and what it is for; empty: none does. `revision` is behind until then."""
    seen: Whole = 0
    """Revision of the source that the last pass looked at; `revision` is behind while passes fail or a reload waits."""
    draining: str = ""
    """Why the host is drained; empty: it is not."""
    lbsync: str = ""
    pid: Whole = 0
    started_at: str = ""
    """Of the agent, as are version and process."""
    instance: str = ""
    """Differs between two agents of one host name."""
    order: OrderAnswer | UnsetType = UNSET
    """What became of the order that it took last."""
    keys: Whole = 0
    """How many keys that agents follow there were at `revision`; 0 if that was not counted."""
    reloads: Whole = 0
    """Since the agent started."""
    reload_reason: str = ""
    """Why the last one was needed: section and line, or the file."""
    earlier: EarlierGeneration | UnsetType = UNSET
    """What `lbsync rollback` would serve; left out where there is none."""
    up_to: Whole = 0
    """Revision up to which nothing that agents follow has changed since `revision`, as this one heard; 0: unknown."""


class SeenRecord(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """`agents/<host>/seen`, without a lease: this host belongs to the fleet, whether it reports or not."""

    at: str
    """RFC 3339, UTC: when it last said so, to some minutes."""
    left: str = ""
    """When its agent was stopped; empty: it runs, or ended otherwise."""


class RivalRecord(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """`agents/<host>/rival`, on a lease: another agent has the same host name, and does not report."""

    instance: str
    pid: Whole = 0
    started_at: str = ""
