"""Whether a change takes access away; such a reload never waits. Pure.

Compares the keys as they were last served with the desired ones.
"""

from collections.abc import Iterator, Sequence

from lbsync.agent.desired.decode import Entries, differing
from lbsync.model.record import Record
from lbsync.model.records import GlobalRecord, ServiceRecord

_STATISTICS = ("userlist lbsync_stats", "frontend fe_stats")
_TRUST = ("'acl sends_proxy ", "'acl listed ", "'http-request set-var(txn.told) src' is new")
"""Lines of frontends that say whose word about a client counts; the last one: nobody's does any more."""
#: Fields that say who may connect, and how often. Any change counts, to be on the safe side.
_WHO_MAY = ("allow", "deny", "auth", "rate_limit", "cors", "preview", "mode", "listen", "redirect")


def less_access(accepted: Entries, wanted: Entries, reasons: Sequence[str] = ()) -> str:
    """Return the first change that may take access away, as a phrase; empty: there is none.

    That is a removed service, host or path, a changed policy, or a path that a service takes on a host of
    others, because its own rules apply there then, or another setting about https, which may end plain access.
    `reasons`: for the reload; those tell of the statistics page and of trusted balancers, which are no service.
    """
    for reason in reasons:
        if reason.startswith(_STATISTICS) or any(line in reason for line in _TRUST):
            return reason
    if not accepted:
        return ""  # a first start: ten thousand services take nothing from nobody
    changed = sorted(differing(wanted, accepted))
    records = [(name, _record(accepted, name), _record(wanted, name)) for name in changed]
    served = _served(accepted, {host for _, old, new in records for host in _claims(old, new)})
    for name, before, after in records:
        if lost := _lost(name, before, after, served):
            return lost
    return ""


def _lost(
    name: str, before: Record | None, after: Record | None, served: dict[str, set[str]]
) -> str:
    """Return what a change of one key may take away."""
    if isinstance(before or after, GlobalRecord):
        return f"{name} changed"
    if not isinstance(after, ServiceRecord):
        return f"{name} is gone" if isinstance(before, ServiceRecord) else ""
    if isinstance(before, ServiceRecord) and (field := _taken(before, after)):
        return f"{name}: {field} changed"
    host = _claimed(name, before, after, served)
    return f"{name} takes a path of {host}" if host else ""


def _taken(old: ServiceRecord, new: ServiceRecord) -> str:
    """Return the field by which a service may lose something."""
    for field in _WHO_MAY:
        if getattr(old, field) != getattr(new, field):
            return field
    if set(old.hosts or ("*",)) - set(new.hosts or ("*",)):
        return "hosts"
    return "paths" if set(old.paths or ("/",)) - set(new.paths or ("/",)) else ""


def _record(entries: Entries, name: str) -> Record | None:
    entry = entries.get(name)
    return entry.record if entry is not None else None


def _claims(old: Record | None, new: Record | None) -> Iterator[str]:
    """Yield the hosts of which a service claims more than before, and the wildcards that hold them."""
    if isinstance(new, ServiceRecord) and not _claims_the_same(old, new):
        for host in new.every_host:
            yield from _meets(host)


def _claims_the_same(old: Record | None, new: ServiceRecord) -> bool:
    return isinstance(old, ServiceRecord) and (old.hosts, old.paths) == (new.hosts, new.paths)


def _meets(host: str) -> Iterator[str]:
    """Yield the claims that take requests for a host."""
    yield host
    yield "*"
    labels = host.split(".")
    yield from ("*." + ".".join(labels[at:]) for at in range(1, len(labels)))


def _claimed(name: str, old: Record | None, new: ServiceRecord, served: dict[str, set[str]]) -> str:
    """Return a host that is already served and of which this service now claims more."""
    if _claims_the_same(old, new):
        return ""
    for host in new.every_host:
        if any(served.get(each, set()) - {name} for each in _meets(host)):
            return host
    return ""


def _served(entries: Entries, hosts: set[str]) -> dict[str, set[str]]:
    """Return the services of each of these hosts."""
    found: dict[str, set[str]] = {}
    for name, entry in entries.items() if hosts else ():
        record = entry.record
        if isinstance(record, ServiceRecord) and not hosts.isdisjoint(record.every_host):
            for host in record.every_host if record.mode == "http" else ():
                found.setdefault(host, set()).add(name)
    return found
