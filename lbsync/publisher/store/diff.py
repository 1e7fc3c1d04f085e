"""What one Service wants against what is stored: which keys to write and remove. Pure.

Only keys whose `source` is this publisher's are ever changed or removed. Keys that people or other
clusters wrote stay as they are, and their being in the way is reported.

Several clusters may have a Service of one name. The services key is its first writer's; another
cluster with the same routing adds its groups of servers to it. With other routing it is taken for
another service that happens to have the name: its groups stay out, or, where they were in already, are
followed but not added to.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from lbsync.clients.source import Delete, Expect, ExpectBelow, Guard, Put
from lbsync.errors import BadKey
from lbsync.model.records import EndpointsRecord, RouteRecord, ServiceRecord
from lbsync.publisher.store.index import Held, Keys
from lbsync.schema.decode import decode, encode
from lbsync.schema.keys import Key, ServiceId, endpoints_key, parse_key, route_key, service_key
from lbsync.schema.publishing import SOURCE_PREFIX
from lbsync.values.names import Text, is_name

Records = Mapping[str, ServiceRecord | EndpointsRecord]


class Identity(msgspec.Struct, frozen=True):
    """Which publisher this is."""

    cluster: str
    source: str


class Change(msgspec.Struct, frozen=True):
    """One key to write or to remove."""

    key: str
    before: Held | None
    after: bytes | None
    """None: remove it."""
    rests_on: tuple[Guard, ...] = ()
    """What must be as it was at other keys for this change to be right."""

    @property
    def op(self) -> Put | Delete:
        """The write that brings the key to the desired state."""
        return Delete(self.key) if self.after is None else Put(self.key, self.after)

    @property
    def expect(self) -> Expect:
        """The guard: nobody has touched the key since it was looked at."""
        return _unchanged(self.key, self.before)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Everything under which this may be written."""
        return (self.expect, *self.rests_on)


class Arranged(msgspec.Struct, frozen=True):
    """Where the records of one Service have their place among what others wrote."""

    records: dict[str, ServiceRecord | EndpointsRecord]
    """By the key to store them at; only those that this publisher may write."""
    conflicts: tuple[str, ...] = ()
    """One sentence for each key that is somebody else's."""


def arrange(me: Identity, records: Records, stored: Keys) -> Arranged:
    """Return where `records` go; `stored` are all keys of that Service, of whatever source."""
    records = {**records, **_named_groups(me, records, stored)}
    second = f".{me.cluster}"
    if all(h.source == me.source and not key.endswith(second) for key, h in stored.items()):
        return Arranged(dict(records))
    return _SharedService(me, records, stored, []).arranged()


def _named_groups(me: Identity, records: Records, stored: Keys) -> Records:
    """Return the groups that have no server any more and are named by the service's route, empty: without
    its key the route would be refused, or send its share to another group."""
    found: dict[str, EndpointsRecord] = {}
    for key, held in stored.items():
        if not key.startswith("routes/"):
            continue
        route, service = _decoded(held), _service(key)
        if not isinstance(route, RouteRecord):
            continue
        for group in route.groups:
            named = endpoints_key(service, group)
            there = stored.get(named)
            led = service_key(service) in records
            if led and named not in records and there is not None and there.source == me.source:
                found[named] = EndpointsRecord((), Text.parse(me.source))
    return found


def changes(me: Identity, records: Records, stored: Keys, revision: int) -> tuple[Change, ...]:
    """Return what brings this publisher's keys among `stored` to `records`, which were arranged.

    In the order in which they may be done one by one: servers come before the services key that leads
    to them, and go after it. `revision`: up to which `stored` is known; of what was written later a
    change may not make nothing.
    """
    found = [
        Change(key, stored.get(key), value, () if key in stored else _led(key, stored))
        for key, record in sorted(records.items())
        if (value := _news(key, record, stored)) is not None
    ]
    for key in sorted(stored, reverse=True):
        if key not in records and stored[key].source == me.source:
            parsed = _parsed(key)
            if parsed.kind == "services":
                found.append(_handed_over(me, key, stored, revision))
            else:
                found.append(Change(key, stored[key], None, _left(me, key, records, stored)))
    return tuple(found)


def _unchanged(key: str, held: Held | None) -> Expect:
    return Expect(key, mod_revision=held.item.mod_revision if held else 0)


def _led(key: str, stored: Keys) -> tuple[Guard, ...]:
    """Return what a new group rests on: the service that it is put into is the one that was seen."""
    if _parsed(key).kind != "endpoints":
        return ()
    leading = service_key(_service(key))
    return (_unchanged(leading, stored.get(leading)),)


def _left(me: Identity, key: str, records: Records, stored: Keys) -> tuple[Guard, ...]:
    """Return what the removal of a group rests on: the service stays somebody else's, who looks after
    it; or it stays our own, and its route does not name the group."""
    service = _service(key)
    leading, route = service_key(service), route_key(service)
    if leading in records:
        return (_unchanged(route, stored.get(route)),)
    held = stored.get(leading)
    if held is None or held.source == me.source:
        return ()  # goes, or passes to another, in or before the same transaction
    return (_unchanged(leading, held),)


def own_records(me: Identity, stored: Keys) -> dict[str, ServiceRecord | EndpointsRecord]:
    """Return the records among `stored` that are this publisher's; unreadable ones left out."""
    found: dict[str, ServiceRecord | EndpointsRecord] = {}
    for key, held in stored.items():
        if held.source == me.source:
            record = _decoded(held)
            if isinstance(record, ServiceRecord | EndpointsRecord):
                found[key] = record
    return found


def _news(key: str, record: ServiceRecord | EndpointsRecord, stored: Keys) -> bytes | None:
    """Return the bytes to write, or None where the same is stored, in whatever spelling."""
    value = encode(record)
    held = stored.get(key)
    if held is not None and (held.item.value == value or _decoded(held) == record):
        return None
    return value


def _handed_over(me: Identity, key: str, stored: Keys, revision: int) -> Change:
    """Return the services key in another cluster's name, where that has servers in it, else removed.

    Else all its servers would be unreachable from our removal until its own next write. So both rest on
    keys of others: on those servers being there still, or on none having come since.
    """
    held = stored[key]
    record = _decoded(held)
    start = endpoints_key(_service(key), "")
    groups = [
        group
        for name, group in stored.items()
        if name.startswith(start) and group.source.startswith(SOURCE_PREFIX)
        if group.source != me.source
    ]
    if not groups or not isinstance(record, ServiceRecord):
        return Change(key, held, None, (ExpectBelow(start, revision),))
    oldest = min(groups, key=lambda group: (group.item.create_revision, group.item.key))
    value = encode(msgspec.structs.replace(record, source=Text.parse(oldest.source)))
    return Change(key, held, value, (_unchanged(oldest.item.key, oldest),))


class _SharedService(msgspec.Struct):
    """One Service whose keys are not all our own."""

    me: Identity
    records: Records
    stored: Keys
    conflicts: list[str]

    def arranged(self) -> Arranged:
        found: dict[str, ServiceRecord | EndpointsRecord] = {}
        joined: set[str] = set()
        for key, record in self.records.items():
            if isinstance(record, ServiceRecord) and self._owns_or_joins(key, record):
                joined.add(key)
                if not self._is_others(key):
                    found[key] = record
        for key, record in self.records.items():
            if isinstance(record, EndpointsRecord):
                place = self._place(key, joined)
                if place is not None:
                    found[place] = record
        return Arranged(found, tuple(self.conflicts))

    def _is_others(self, key: str) -> bool:
        held = self.stored.get(key)
        return held is not None and held.source != self.me.source

    def _is_mine(self, key: str) -> bool:
        held = self.stored.get(key)
        return held is not None and held.source == self.me.source

    def _owns_or_joins(self, key: str, record: ServiceRecord) -> bool:
        """Tell whether our groups belong into this service, or note why not."""
        held = self.stored.get(key)
        if held is None or held.source == self.me.source:
            return True
        other = _decoded(held)
        if isinstance(other, ServiceRecord) and _unsigned(other) == _unsigned(record):
            return True
        self.conflicts.append(
            f"{key} was written by {_author(held)} with other fields, and stays as it is; "
            f"{_cure(held, key)}"
        )
        return False

    def _place(self, key: str, joined: set[str]) -> str | None:
        """Return the key for one group's servers, or None where they have no place."""
        place = self._free_place(key)
        if place is None or self._is_mine(place) or service_key(_service(key)) in joined:
            return place
        return None  # the conflict about the service says why

    def _free_place(self, key: str) -> str | None:
        second = f"{_parsed(key).group}.{self.me.cluster}"
        other = endpoints_key(_service(key), second)
        if other not in self.records and self._is_mine(other):
            return other  # a group does not change its name while it lives
        if not self._is_others(key):
            return key
        held = self.stored[key]
        if (
            held.source.startswith(SOURCE_PREFIX)
            and is_name(second)
            and other not in self.records
            and not self._is_others(other)
        ):
            return other
        self.conflicts.append(
            f"{key} was written by {_author(held)}, and stays as it is; {_cure(held, key)}"
        )
        return None


def _parsed(key: str) -> Key:
    """Take a key apart. Raises ValueError for one that is not the contract's: none is made or kept."""
    if (parsed := parse_key(key)) is None:
        raise ValueError(f"{key} is no key of the contract")
    return parsed


def _service(key: str) -> ServiceId:
    """Return whose key it is. Raises ValueError for one that is no service's."""
    if (service := _parsed(key).service) is None:
        raise ValueError(f"{key} is no key of a service")
    return service


def _decoded(held: Held) -> object:
    try:
        return decode(held.item.key, _parsed(held.item.key), held.item.value)
    except BadKey:
        return None


def _unsigned(record: ServiceRecord) -> ServiceRecord:
    return msgspec.structs.replace(record, source=UNSET)


def _author(held: Held) -> str:
    if held.source.startswith(SOURCE_PREFIX):
        return f"the publisher of cluster {held.source.removeprefix(SOURCE_PREFIX)}"
    return f"{held.source!r}" if held.source else "a person"


def _cure(held: Held, key: str) -> str:
    if held.source.startswith(SOURCE_PREFIX):
        return "give the Service the same annotations in both clusters, or another name in one"
    parsed = _parsed(key)
    group = f" --group {parsed.group}" if parsed.group else ""
    return f"remove it with 'lbsync service rm {parsed.service}{group}', or rename the Service"
