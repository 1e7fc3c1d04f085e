"""What remains of a service while its removal is held: the servers that would be removed, and the routes to them.

All other changes are applied: new servers are added, and weights, checks and headers change.
"""

from collections.abc import Mapping

import msgspec

from lbsync.agent.desired.decode import Entries, Entry
from lbsync.agent.guard.reach import Place, access_of, takes
from lbsync.model.records import EndpointsRecord, RouteRecord, ServerRecord, ServiceRecord
from lbsync.schema.decode import encode
from lbsync.schema.keys import SETTINGS_GLOBAL, ServiceId

Groups = Mapping[str, Entry]


class EntryMerger:
    """Merges entries; remembers the results, so that the next pass gets the same objects."""

    def __init__(self) -> None:
        self._mixed: dict[str, tuple[Entry, Entry, Entry]] = {}

    def merge(
        self,
        entries: Entries,
        accepted: Entries,
        services: set[ServiceId],
        *,
        settings: bool = False,
    ) -> dict[str, Entry]:
        """Return `entries` in which `services` keep everything they have in `accepted`. `settings`: the
        settings for all stay as well."""
        mixed = {name: e for name, e in entries.items() if e.key.service not in services}
        wanted, old = _of(entries, services), _of(accepted, services)
        self._mixed = {n: m for n, m in self._mixed.items() if m[0].key.service in services}
        for service in services:
            mixed.update(self._service(wanted.get(service, {}), old.get(service, {})))
        if settings:
            mixed.pop(SETTINGS_GLOBAL, None)
            mixed |= {n: entry for n, entry in accepted.items() if n == SETTINGS_GLOBAL}
        return mixed

    def _service(self, wanted: Entries, old: Entries) -> dict[str, Entry]:
        found = dict(wanted)
        for name, then in old.items():
            now = wanted.get(name)
            if isinstance(then.record, ServiceRecord):
                found[name] = now if now is not None and _is_led_to_alike(then, now) else then
            elif isinstance(then.record, EndpointsRecord):
                found[name] = self._united(then, now) if now is not None else then
        groups = {e.key.group: e for e in found.values() if isinstance(e.record, EndpointsRecord)}
        before, after = (_route(each) for each in (old, wanted))
        # Without a route every group gets requests: where one is gone, that is part of the removal, and
        # groups that had none must not get them because of it.
        is_gone = before is not None and after is None
        if is_gone or (before is not after and _led_to(before, groups) > _led_to(after, groups)):
            found = {n: e for n, e in found.items() if not isinstance(e.record, RouteRecord)}
            if before is not None:
                found[before.item.key] = before
        return found

    def _united(self, then: Entry, now: Entry) -> Entry:
        if then is now:
            return now
        name = now.item.key
        known = self._mixed.get(name)
        if known is not None and known[0] is now and then in known[1:]:
            return known[2]
        before, after = then.is_a(EndpointsRecord), now.is_a(EndpointsRecord)
        servers = _merged_servers(before.servers, after.servers)
        if after.servers == servers:
            return now
        if before.servers == servers:
            return then
        record = msgspec.structs.replace(after, servers=servers)
        item = msgspec.structs.replace(now.item, value=encode(record))
        mixed = Entry(item, now.key, record)
        self._mixed[name] = now, then, mixed
        return mixed


def _of(entries: Entries, services: set[ServiceId]) -> dict[ServiceId, dict[str, Entry]]:
    found: dict[ServiceId, dict[str, Entry]] = {}
    for name, entry in entries.items():
        if entry.key.service is not None and entry.key.service in services:
            found.setdefault(entry.key.service, {})[name] = entry
    return found


def _is_led_to_alike(then: Entry, now: Entry) -> bool:
    """Tell whether a service still gets the same requests of the same clients."""
    old, new = then.is_a(ServiceRecord), now.is_a(ServiceRecord)
    # Created again, it has lost its place among those that claim the same.
    is_same_key = then.item.create_revision == now.item.create_revision
    leads = [
        (r.mode, r.every_host, r.paths, r.listen, r.redirect.www, access_of(r)) for r in (old, new)
    ]
    return is_same_key and leads[0] == leads[1]


def _route(entries: Entries) -> Entry | None:
    return next((e for e in entries.values() if isinstance(e.record, RouteRecord)), None)


def _led_to(route: Entry | None, groups: Groups) -> int:
    """Return how many servers of these groups get requests by a route."""
    taken = groups.values()
    if route is not None:
        shares = route.is_a(RouteRecord).groups
        taken = [e for name, e in groups.items() if shares.get(name)]  # type: ignore[assignment]
    return sum(
        takes(server)
        for entry in taken
        if isinstance(entry.record, EndpointsRecord)
        for server in entry.record.servers
    )


def _merged_servers(
    old: tuple[ServerRecord, ...], new: tuple[ServerRecord, ...]
) -> tuple[ServerRecord, ...]:
    """Return the new servers and those old ones that take requests, each name once."""
    stay = {server.name: server for server in old if takes(server)}
    wanted = {server.name for server in new}
    renamed = {_place(server): name for name, server in stay.items() if name not in wanted}
    come = []
    for server in new:
        here = stay.get(server.name)
        if here is None:
            come.append(server)
            if takes(server) and (name := renamed.pop(_place(server), None)) is not None:
                del stay[name]
        elif takes(server) and _place(server) == _place(here):
            stay[server.name] = server
    return tuple(sorted((*come, *stay.values()), key=lambda server: server.name))


def _place(server: ServerRecord) -> Place:
    return str(server.address), server.port
