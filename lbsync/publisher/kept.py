"""What Services that went may have back: their claims are kept from other namespaces for a while. Pure.

A chart that is uninstalled and installed again would else find its host with whoever had asked for it too.
What is kept stands in the store, so that the next leader knows; and it stays kept while the Service is
there again, as its new key is younger than those that waited.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from lbsync.model.policies import Preview
from lbsync.model.publishing import KeptRecord
from lbsync.model.records import ServiceRecord
from lbsync.model.routes import routes_of, shown
from lbsync.publisher.service_changes import Draft, Records
from lbsync.publisher.store.diff import Change, Identity, own_records
from lbsync.publisher.store.index import Held, StoreIndex
from lbsync.publisher.store.neighbours import Neighbours
from lbsync.schema.keys import parse_key
from lbsync.schema.publishing import kept_key, read_kept
from lbsync.timestamps import seconds, stamp


class Keeping:
    """The claims that are kept for Services of one cluster. Used by one thread."""

    def __init__(self, me: Identity, seconds: float) -> None:
        """`seconds`: for how long; 0: not at all."""
        self._me = me
        self._seconds = seconds
        self._active: dict[str, KeptRecord] = {}
        self._owners: dict[str, str] = {}
        self._wants: dict[str, tuple[str, ...]] = {}
        self._wanting: dict[str, set[str]] = {}
        self._going: dict[str, tuple[str, ...]] = {}
        self._neighbours = Neighbours()
        self.kept_off: set[str] = set()
        """Services that do not get all that they claim, as others have it."""

    def refresh(self, stored: StoreIndex, going: Iterable[str], now: str) -> set[str]:
        """Take in what is kept, and what will be as these Services go; return the Services whose own
        claims that may concern, and those of which nothing is kept any more. `now`: RFC 3339."""
        self._neighbours = stored.neighbours
        self._going = {name: self._granted(name, stored) for name in going}
        active: dict[str, KeptRecord] = {}
        over: set[str] = set()
        for name, held in stored.kept().items():
            record = read_kept(held.item)
            if record is None or (record.until and record.until <= now):
                over.add(name)
            else:
                active[name] = record
        for name, routes in self._going.items():
            if routes and self._seconds:
                active[name] = KeptRecord(routes, self._until(now))
        before, self._active = self._active, active
        self._owners = {r: name for name in sorted(active) for r in active[name].routes}
        concerned = set(over)
        for name in before.keys() | active.keys():
            for route in _marks(before.get(name)) ^ _marks(active.get(name)):
                concerned |= self._wanting.get(route[0], set())
        return concerned

    def due(self, now: str) -> float | None:
        """Return in how many seconds the next claim is free; None: none is kept for a time."""
        ends = [record.until for record in self._active.values() if record.until]
        return max(0.0, seconds(min(ends)) - seconds(now)) + 1.0 if ends else None

    def permitted(
        self, name: str, records: Records, stored: Mapping[str, Held]
    ) -> tuple[Records, list[str]]:
        """Return the records of a Service without what is kept for others, or what others have and it would take
        by being older, and a sentence for each record that this concerns. Servers that are stored stay, as clients
        of the rest need them."""
        self._want(name, records)
        found, told, dropped = dict(records), [], set()
        for key, record in records.items():
            if not isinstance(record, ServiceRecord):
                continue
            taken = self._taken(name, key, record)
            if not taken:
                continue
            told.append(self._sentence(key, taken))
            hosts = {route.partition("/")[0] for route in taken}
            left = tuple(h for h in record.hosts if not _names(record, h) & hosts)
            if left and record.mode == "http":
                found[key] = msgspec.structs.replace(
                    record, hosts=left, preview=_preview_without(record.preview, hosts)
                )
            else:
                del found[key]
                dropped.add(key.removeprefix("services/"))
        for key in records:
            kind, _, rest = key.partition("/")
            is_new = kind == "endpoints" and key not in stored
            if is_new and rest.rpartition("/")[0] in dropped:
                del found[key]
        (self.kept_off.add if told else self.kept_off.discard)(name)
        return found, told

    def change(self, draft: Draft, held: Held | None, now: str) -> Change | None:
        """Return how what is kept for a Service itself has to change."""
        name, record = draft.name, read_kept(held.item) if held is not None else None
        wanted = self._kept(draft, record, now)
        if wanted == record and (record is not None or held is None):
            return None
        value = msgspec.json.encode(wanted) if wanted is not None else None
        return Change(kept_key(self._me.cluster, name), held, value)

    def _kept(self, draft: Draft, record: KeptRecord | None, now: str) -> KeptRecord | None:
        over = record is not None and record.until and record.until <= now
        if draft.state.status == "gone":
            self._want(draft.name, {})
            self.kept_off.discard(draft.name)
            leaves = any(c.after is None and c.key.startswith("services/") for c in draft.changes)
            routes = self._going.get(draft.name, ()) if leaves else ()
            if record is not None and not record.until:
                routes = tuple(sorted({*routes, *record.routes}))
            if routes and self._seconds:
                return KeptRecord(routes, self._until(now))
            return None if over else record
        if record is None or over:
            return None
        if draft.state.status != "published":
            return record
        routes = tuple(r for r in record.routes if r in self._wants.get(draft.name, ()))
        return KeptRecord(routes) if routes else None

    def _granted(self, name: str, stored: StoreIndex) -> tuple[str, ...]:
        """Return the routes that a Service has: those that nobody older claims."""
        routes: set[str] = set()
        for key, record in own_records(self._me, stored.of(name)).items():
            parsed = parse_key(key)
            if (
                isinstance(record, ServiceRecord)
                and parsed is not None
                and parsed.service is not None
            ):
                routes |= {
                    route
                    for route in routes_of(record)
                    if stored.neighbours.is_oldest(parsed.service, route)
                }
        return tuple(sorted(routes))

    def _want(self, name: str, records: Records) -> None:
        for route in self._wants.pop(name, ()):
            self._wanting[route].discard(name)
            if not self._wanting[route]:
                del self._wanting[route]
        found = [r for record in records.values() if isinstance(record, ServiceRecord)
                 for r in routes_of(record)]  # fmt: skip
        if found:
            self._wants[name] = tuple(found)
        for route in found:
            self._wanting.setdefault(route, set()).add(name)

    def _taken(self, name: str, key: str, record: ServiceRecord) -> dict[str, str]:
        """Return the routes that are somebody else's, each with its owner."""
        ns, parsed = name.partition("/")[0], parse_key(key)
        taken = {}
        for route in routes_of(record):
            owner = self._owners.get(route)
            if owner is None and parsed is not None and parsed.service is not None:
                owner = str(self._neighbours.robbed(parsed.service, route) or "")
            if owner and owner.partition("/")[0] != ns:
                taken[route] = owner
        return taken

    def _sentence(self, key: str, taken: Mapping[str, str]) -> str:
        route, owner = next(iter(taken.items()))
        until = self._active[owner].until if owner in self._active else ""
        why = (
            f"is kept for Service {owner}, which went, until {until} ([publisher] claim_keep)"
            if until
            else f"is Service {owner}'s, which had it before"
        )
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        cure = "wait, or choose another one" if until else "choose another one"
        return f"{key}: {shown(route)}{more} {why}; {cure}"

    def _until(self, now: str) -> str:
        return stamp(seconds(now) + self._seconds)


def _names(record: ServiceRecord, host: str) -> set[str]:
    """Return the hosts that a record claims by naming one, its twin included."""
    alone = msgspec.structs.replace(record, hosts=(host,), preview=UNSET)
    return {route.partition("/")[0] for route in routes_of(alone)}


def _preview_without(preview: Preview | UnsetType, hosts: set[str]) -> Preview | UnsetType:
    """Return a preview that claims none of these hosts."""
    if preview is UNSET:
        return UNSET
    left = {group: host for group, host in preview.hosts.items() if host not in hosts}
    return msgspec.structs.replace(preview, hosts=left)


def _marks(record: KeptRecord | None) -> set[tuple[str, bool]]:
    """Return what others are told about a record, except for the time."""
    return {(route, bool(record.until)) for route in record.routes} if record is not None else set()
