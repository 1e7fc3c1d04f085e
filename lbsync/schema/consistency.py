"""What no single field can tell: rules between the fields of one record. Pure.

Each function returns a sentence, `field: what is wrong; the cure`, or None.
"""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import UNSET

from lbsync.model.deploying import DeploymentRecord, Strategy
from lbsync.model.policies import (
    BackendTls,
    Cors,
    HeaderChange,
    Headers,
    Hsts,
    Preview,
    RateLimit,
    Rewrite,
    Sticky,
)
from lbsync.model.record import Record
from lbsync.model.records import Check, EndpointsRecord, RouteRecord, ServiceRecord
from lbsync.values.names import is_name

#: Fields that say something about requests; a tcp service has none.
HTTP_ONLY = (
    *("hosts", "paths", "sticky", "redirect", "compression", "headers", "hsts", "cors", "auth"),
    *("rate_limit", "rewrite", "backend_protocol", "preview"),
)
_DEFAULTS = ServiceRecord("http")
MAX_ROUTES = 5000
"""Hosts times paths of one service. Each is a line of a map: limits that hold for each alone (1000 hosts, 200
paths) would let 20 kB of one writer become 200,000 lines on every host."""
MAX_HEADERS = 8192
"""Bytes of headers to set and add: half of HAProxy's buffer (manual, `tune.bufsize`: 16384). A head that does
not fit into it after a rewrite is answered with an error instead of being passed on."""
MIN_INTERVAL = 100
"""Milliseconds between two checks of a server. HAProxy's threads are everybody's: 3,000 servers of one service,
each checked every millisecond, made the requests of another take six times as long (measured)."""
MAX_WEIGHTS = 25_600
"""Of all servers of a group together: a hundred with the highest weight. With `balance` `source` and `uri` HAProxy
keeps 16 places for each: 5,000 servers of weight 256 made `haproxy -c` take minutes (measured, 2.6 and 3.4)."""
_AROUND = len(": \r\n")
_YEAR = 31_536_000


def wrong_with(record: Record) -> str | None:
    """Return what is wrong between the fields of a record."""
    if isinstance(record, ServiceRecord):
        return next(all_wrong_with(record), None)
    if isinstance(record, EndpointsRecord):
        return _endpoints(record)
    if isinstance(record, DeploymentRecord):
        return _deployment(record)
    return _route(record) if isinstance(record, RouteRecord) else None


def wrong_with_strategy(strategy: Strategy) -> str | None:
    """Return what is wrong between the fields of a strategy."""
    steps = strategy.steps
    if list(steps) != sorted(set(steps)):
        return "steps: each step takes more of the traffic than the one before, as in 5, 25, 100"
    if strategy.manual and len(strategy.shares) == 1:
        return "manual: there is one step, so nothing to promote; write steps, or take it out"
    return None


def _deployment(record: DeploymentRecord) -> str | None:
    if wrong := wrong_with_strategy(record.strategy):
        return f"strategy.{wrong}"
    if not (record.is_ended or record.phase == "reverting" or record.phase in record.way):
        return f"phase: no deployment with action {record.action} is ever {record.phase}"
    if record.step > (steps := len(record.strategy.shares)):
        return f"step: its strategy has {steps}"
    for name, version in (("version", record.version), ("old", record.old)):
        if version is not UNSET and not is_name(version.group):
            return f"{name}.group: it is no name of a group"
    return None


def all_wrong_with(record: ServiceRecord) -> Iterator[str]:
    """Yield everything that is wrong between the fields of a service."""
    if record.mode == "tcp":
        for field in HTTP_ONLY:
            if getattr(record, field) != getattr(_DEFAULTS, field):
                yield f"{field}: only an http service has this; take it out or set mode to http"
        if record.listen is UNSET:
            yield "listen: a tcp service needs the port it listens on"
        if record.balance == "uri":
            yield "balance: only an http service has URIs; choose another"
    elif (routes := _routes(record)) > MAX_ROUTES:
        yield (
            f"paths: each path on each host makes {routes} routes (with the twins of redirect.www); at "
            f"most {MAX_ROUTES} are read: make several services of it"
        )
    elif record.listen is not UNSET:
        yield "listen: only a tcp service has a port of its own; take it out or set mode to http"
    yield from _parts(record)


def _routes(record: ServiceRecord) -> int:
    exact = sum(host[0] != "*" for host in record.hosts) if record.redirect.www else 0
    return (len(record.every_host) + exact) * len(record.paths or "/")


def _parts(record: ServiceRecord) -> Iterator[str]:
    for field, rule in _RULES.items():
        value = getattr(record, field)
        if isinstance(value, msgspec.Struct) and (wrong := rule(value)):
            yield f"{field}.{wrong}"
    yield from _headers(record.headers)
    for group, host in record.preview.hosts.items() if record.preview is not UNSET else ():
        if host in record.hosts:
            yield f"preview.hosts.{group}: {host} is among hosts, where everybody asks; write another one"
    tls = record.backend_tls
    if record.backend_protocol == "h2c" and tls is not UNSET:
        yield "backend_protocol: h2c is without TLS; write backend_tls.h2 instead, or take that out"
    if record.mode == "tcp" and tls is not UNSET and tls.h2:
        yield "backend_tls.h2: only an http service has this; take it out"


def _headers(headers: Headers) -> Iterator[str]:
    for field in ("request", "response"):
        change: HeaderChange = getattr(headers, field)
        if not (change.set or change.add):
            continue
        size = sum(
            len(name) + len(value.encode()) + _AROUND
            for table in (change.set, change.add)
            for name, value in table.items()
        )
        if size > MAX_HEADERS:
            yield (
                f"headers.{field}: what is set and added has {size} bytes; at most {MAX_HEADERS} are sure to "
                "fit beside the head that is there: write less"
            )


def _check(check: Check) -> str | None:
    if check.kind != "http" and (check.path is not UNSET or check.status is not UNSET):
        return f"path, check.status: only a check of type http has these, not {check.kind}"
    if check.interval < MIN_INTERVAL:
        return (
            f"interval: checks cost the services of all their speed; write {MIN_INTERVAL}ms or more"
        )
    return None


def _sticky(sticky: Sticky) -> str | None:
    for field in ("max_idle", "max_life"):
        span = getattr(sticky, field)
        if span is not UNSET and span % 1000:
            return f"{field}: cookies count in whole seconds; write it in s, m, h or d"
    if sticky.same_site == "none" and sticky.secure is not True:
        return "same_site: browsers take none only together with secure: true"
    return None


def _preview(preview: Preview) -> str | None:
    for index, network in enumerate(preview.networks):
        if network.is_never_told:
            return (
                f"networks[{index}]: no client's address is told as one of {network}; write IPv4 addresses as "
                "in 10.0.0.0/8"
            )
    seen: dict[str, str] = {}
    for group, host in preview.hosts.items():
        if host.startswith("*"):
            return f"hosts.{group}: write one host, without *"
        if (other := seen.setdefault(host, group)) != group:
            return f"hosts.{group}: {host} leads to {other} already; give each group its own"
    return None


def _hsts(hsts: Hsts) -> str | None:
    if hsts.preload and (hsts.max_age < _YEAR or not hsts.subdomains):
        return "preload: the browsers' list wants max_age 365d or more, and subdomains: true"
    return None


def _cors(cors: Cors) -> str | None:
    if cors.credentials and "*" in cors.origins:
        return "credentials: browsers refuse them for origin *; name the origins"
    return None


def _rate_limit(limit: RateLimit) -> str | None:
    if not 1000 <= limit.period <= 86_400_000:
        return "period: write a time from 1s to 24h"
    return None


def _rewrite(rewrite: Rewrite) -> str | None:
    whole = (rewrite.pattern is not UNSET, rewrite.replacement is not UNSET)
    parts = rewrite.strip is not UNSET or rewrite.prefix is not UNSET
    if whole == (True, False):
        return "replacement: a pattern needs one"
    if whole == (False, True):
        return "pattern: a replacement needs one"
    if any(whole) == parts:
        return "strip: write either strip and prefix, one or both, or pattern and replacement"
    if rewrite.prefix == "/":
        return "prefix: / adds nothing; leave it out"
    if rewrite.pattern is not UNSET and rewrite.replacement is not UNSET:
        highest = rewrite.replacement.highest
        if highest > rewrite.pattern.groups:
            return f"replacement: it names group \\{highest}, which the pattern does not have"
    return None


def _backend_tls(tls: BackendTls) -> str | None:
    if tls.sni is not UNSET and tls.sni.startswith("*"):
        return "sni: one name, without *"
    if tls.verify == "required" and tls.sni is UNSET:
        return "sni: write the name that the servers' certificate bears, or verify: none"
    if tls.verify == "none" and tls.ca is not UNSET:
        return "ca: nothing is verified with verify: none; take one of them out"
    return None


_RULES: dict[str, Callable[..., str | None]] = {
    "check": _check,
    "sticky": _sticky,
    "preview": _preview,
    "hsts": _hsts,
    "cors": _cors,
    "rate_limit": _rate_limit,
    "rewrite": _rewrite,
    "backend_tls": _backend_tls,
}


def _endpoints(record: EndpointsRecord) -> str | None:
    seen: set[str] = set()
    for server in record.servers:
        if server.name in seen:
            return f"servers: two are named {server.name!r}; give each its own name"
        seen.add(server.name)
    if (weights := sum(server.weight for server in record.servers)) > MAX_WEIGHTS:
        return (
            f"servers: their weights add up to {weights}; at most {MAX_WEIGHTS} are read: write smaller ones, as 1 "
            "and 2 for 100 and 200"
        )
    return None


def _route(record: RouteRecord) -> str | None:
    for group in record.groups:
        if not is_name(group):
            return f"groups: {group[:80]!r} is no name of a group"
    if not any(record.groups.values()):
        return "groups: every weight is 0, so nothing would get traffic; give one group a weight"
    return None
