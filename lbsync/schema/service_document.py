"""A service as one document, and the keys that it is made of."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.errors import BadKey, Conflict, Rejected
from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading
from lbsync.schema.decode import decode
from lbsync.schema.keys import ServiceId, endpoints_key, parse_key, route_key, service_key

Document = dict[str, Any]
"""`service`, `endpoints` (by group) and `route`; a missing one stands for "as it is"."""


class Change(msgspec.Struct, frozen=True):
    """One key that is to be written or removed."""

    key: str
    before: Item | None
    after: bytes | None
    """None: to be removed."""


class Summary(msgspec.Struct, frozen=True):
    """One line of the list."""

    service: str
    mode: str
    groups: dict[str, int]
    """Servers by group."""
    reached_by: str
    problems: list[str]

    @property
    def servers_by_group(self) -> str:
        """As `main:3 green:2`."""
        return " ".join(f"{group}:{count}" for group, count in self.groups.items()) or "none"


def stored(snapshot: Snapshot, service: ServiceId) -> dict[str, Item]:
    """Return the items of one service, by key."""
    single = {service_key(service), route_key(service)}
    groups = endpoints_key(service, "")
    return {
        key: item for key, item in snapshot.items.items() if key in single or key.startswith(groups)
    }


def compose(items: Mapping[str, Item], service: ServiceId) -> Document:
    """Return the document of stored items. Raises `Rejected` for a value that is no JSON."""
    found: Document = {}
    for key in sorted(items):
        value = _json(items[key])
        if key == service_key(service):
            found["service"] = value
        elif key == route_key(service):
            found["route"] = value
        else:
            found.setdefault("endpoints", {})[key.rpartition("/")[2]] = value
    order = ("service", "endpoints", "route")
    return {name: found[name] for name in order if name in found}


def changes(items: Mapping[str, Item], wanted: Document, service: ServiceId) -> list[Change]:
    """Return what to write and remove so that the parts of `wanted` hold."""
    values: dict[str, object] = {}
    if "service" in wanted:
        values[service_key(service)] = wanted["service"]
    for group, value in wanted.get("endpoints", {}).items():
        values[endpoints_key(service, group)] = value
    if "route" in wanted:
        values[route_key(service)] = wanted["route"]
    found = changes_of(items, values)
    if "endpoints" in wanted:
        extra = [key for key in items if key.startswith("endpoints/") and key not in values]
        found += [Change(key, items[key], None) for key in sorted(extra)]
    return found


def changes_of(items: Mapping[str, Item], values: Mapping[str, object]) -> list[Change]:
    """Return what to write so that these keys have these values."""
    found = []
    for key, value in values.items():
        before = items.get(key)
        after = _encode(key, value)
        if before is None or not is_same(before.value, after):
            found.append(Change(key, before, after))
    return found


def is_same(one: bytes, other: bytes) -> bool:
    """Tell whether two values say the same in JSON: the order of names and the spacing do not matter.

    To Python `True == 1`; to those who read these values they differ.
    """
    if one == other:
        return True
    try:
        return _canonical(one) == _canonical(other)
    except reading.Unreadable:
        return False


def refused(items: Mapping[str, Item]) -> list[str]:
    """Return a sentence for each stored key that agents refuse."""
    found = []
    for name, item in items.items():
        try:
            key = parse_key(name)
            if key is not None:
                decode(name, key, item.value)
        except BadKey as error:
            found.append(str(error))
        except ValueError as error:
            found.append(f"{name}: {error}")
    return found


def servers_of(value: object) -> list[dict[str, Any]]:
    """Return the servers of a group as it is stored, as far as they are any."""
    listed = value.get("servers") if isinstance(value, dict) else None
    listed = listed if isinstance(listed, list) else []
    return [server for server in listed if isinstance(server, dict)]


def removal_of_route(items: Mapping[str, Item], service: ServiceId) -> list[Change]:
    """Return the removal of the service's route, where it has one."""
    key = route_key(service)
    return [Change(key, items[key], None)] if key in items else []


def removals(items: Mapping[str, Item], service: ServiceId, group: str | None) -> list[Change]:
    """Return the removal of a service, or of one group."""
    keys = [endpoints_key(service, group)] if group else sorted(items)
    return [Change(key, items[key], None) for key in keys if key in items]


def validate(found: list[Change]) -> None:
    """Raise `Rejected` with everything that is wrong with the new values."""
    wrong = []
    for change in found:
        if change.after is None:
            continue
        try:
            key = parse_key(change.key)
            if key is not None:
                decode(change.key, key, change.after)
        except BadKey as error:
            wrong.append(str(error))
        except ValueError as error:
            wrong.append(f"{change.key}: {error}")
    if wrong:
        raise Rejected("nothing was written: " + "; ".join(wrong))


def refuse_foreign(items: Mapping[str, Item], *, force: bool) -> None:
    """Raise `Conflict` when a publisher owns one of the keys: it would undo the change."""
    for key, item in items.items():
        raw = _raw(item)
        owner = raw.get("source") if isinstance(raw, dict) else None
        if owner and not force:
            raise Conflict(
                f"{key}: belongs to {owner!r}, which would write its own version again; "
                "change it there, or use --force"
            )


def summaries(snapshot: Snapshot, namespace: str | None) -> list[Summary]:
    """Return one line for each service that has any key, sorted by name."""
    services: dict[ServiceId, dict[str, Record | str]] = {}
    for name, item in snapshot.items.items():
        try:
            key = parse_key(name)
        except ValueError:
            continue
        if key is None or key.service is None or namespace not in (None, key.service.ns):
            continue
        try:
            record: Record | str = decode(name, key, item.value)
        except BadKey as error:
            record = str(error)
        services.setdefault(key.service, {})[name] = record
    return [_summary(service, services[service]) for service in sorted(services)]


def _summary(service: ServiceId, records: dict[str, Record | str]) -> Summary:
    own = records.get(service_key(service))
    problems = [text for text in records.values() if isinstance(text, str)]
    if own is None:
        problems.append(f"{service_key(service)} is missing, so nothing leads here")
    groups = {
        key.rpartition("/")[2]: len(record.servers)
        for key, record in sorted(records.items())
        if isinstance(record, EndpointsRecord)
    }
    if not isinstance(own, ServiceRecord):
        return Summary(str(service), "?", groups, "", problems)
    if own.mode == "tcp":
        reached = f"port {own.listen}"
    else:
        paths = [path if path != "/" else "" for path in own.paths or ("/",)]
        reached = " ".join(f"{host}{path}" for host in own.hosts or ("*",) for path in paths)
    return Summary(str(service), own.mode, groups, reached, problems)


def _encode(key: str, value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Rejected(f"{key}: the value cannot be written as JSON: {error}") from error


def _canonical(value: bytes) -> bytes:
    parsed = reading.plain(value)
    return reading.total(lambda: msgspec.json.encode(parsed, order="deterministic"))


def _raw(item: Item) -> Any:
    try:
        return reading.plain(item.value)
    except reading.Unreadable:
        return None


def _json(item: Item) -> Any:
    try:
        return reading.plain(item.value)
    except reading.Unreadable as error:
        raise Rejected(f"{item.key}: the stored value cannot be shown: {error}") from error
