"""Many keys that are to be as somebody wrote them: what changes, what is refused, and in which steps. Pure.

Who keeps documents in a tree of files (in git, say) may give it a name; each key then says in its field
`source` that this tree wrote it, as a publisher's keys do. Only such keys are ever removed because the tree
does not have them any more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lbsync.errors import BadKey
from lbsync.model.records import ServiceRecord
from lbsync.model.routes import routes_of
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading
from lbsync.schema.decode import decode
from lbsync.schema.keys import Key, ServiceId, parse_key
from lbsync.schema.service_document import Change, is_same

TREE = "tree/"
"""What the field `source` begins with in a key of a tree."""
MOST_KEYS = 100
"""Of one transaction: etcd takes 128 operations (`--max-txn-ops`), and the history and confirmations are some."""
_KINDS = ("settings", "services", "endpoints", "routes")
_MOST_BYTES = 1_000_000
"""The same; etcd takes 1.5 MiB (`--max-request-bytes`)."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be done."""

    changes: tuple[Change, ...]
    """Sorted by service, then by key."""
    unchanged: int
    """Keys that are as they are to be."""
    problems: tuple[str, ...]
    """All that is refused; nothing may be written while there is any."""


def plan(
    snapshot: Snapshot,
    values: Mapping[str, bytes],
    places: Mapping[str, str],
    *,
    tree: str = "",
    prune: bool = False,
    force: bool = False,
) -> Plan:
    """Return how what is stored becomes `values`.

    `tree`: the name of the tree that they are, if it has one; `prune`: keys of that tree that are not in
    `values` go. `force`: also keys of publishers and of other trees. A key that stays as it is is not judged.
    """
    changes: list[Change] = []
    problems: list[str] = []
    own = f"{TREE}{tree}" if tree else ""
    for name, value in values.items():
        before = snapshot.items.get(name)
        try:
            key = _of_contract(name)
            after = _labelled(key, value, own)
            if before is not None and is_same(before.value, after):
                continue
            _judge(name, key, after, before, own, force=force)
            changes.append(Change(name, before, after))
        except ValueError as error:
            problems.append(f"{places.get(name, '')}: {name}: {error}")
    unchanged = len(values) - len(changes) - len(problems)
    if prune and own:
        gone = [
            item
            for name, item in snapshot.items.items()
            if name not in values and _owner(item) == own and _key(name) is not None
        ]
        changes += [Change(item.key, item, None) for item in gone]
    changes.sort(key=lambda change: in_order(change.key))
    return Plan(tuple(changes), unchanged, tuple(problems))


def service_of(name: str) -> ServiceId | None:
    """Return the service that a key is of; None for `settings/global`, and for a key of another kind."""
    key = _key(name)
    return key.service if key else None


def in_order(name: str) -> tuple[str, int, str]:
    """Return what sorts keys of the contract by service, the service's own first."""
    kind = name.partition("/")[0]
    return str(service_of(name) or ""), _KINDS.index(kind), name


def transactions(changes: Sequence[Change]) -> list[list[Change]]:
    """Return what to write together, in which order, so that every host serves well after each.

    All keys of a service are written together, and with it the services that take over a host, a path or a port
    from it. What is new comes first and what goes comes last. One group of services that is more than a
    transaction takes is written servers first, then who is reached, then routes, then what goes.
    """
    groups = sorted(_bound_together(changes), key=_rank)
    found: list[list[Change]] = []
    room_keys = room_bytes = 0
    for group in groups:
        size = sum(map(_bytes, group))
        if len(group) > MOST_KEYS or size > _MOST_BYTES:
            found += _split(sorted(group, key=_careful))
            room_keys = 0
        elif len(group) <= room_keys and size <= room_bytes:
            found[-1] += group
            room_keys, room_bytes = room_keys - len(group), room_bytes - size
        else:
            found.append(list(group))
            room_keys, room_bytes = MOST_KEYS - len(group), _MOST_BYTES - size
    return found


def _of_contract(name: str) -> Key:
    key = parse_key(name)
    if key is None:
        raise ValueError(
            "it is no key of the contract: these begin with services/, endpoints/, routes/ or settings/"
        )
    return key


def _labelled(key: Key, value: bytes, own: str) -> bytes:
    """Return the value as it is to be stored. Raises `ValueError`."""
    if not own or key.kind == "settings":
        return value
    parsed: Any = reading.plain(value)
    if not isinstance(parsed, dict):
        return value  # refused for that when it is judged
    if parsed.setdefault("source", own) != own:
        raise ValueError(f"source: it says {parsed['source']!r}, not {own!r}; take the field out")
    return msgspec.json.encode(parsed)


def _judge(
    name: str, key: Key, value: bytes, before: Item | None, own: str, *, force: bool
) -> None:
    """Raise `ValueError` for a value that agents refuse, and for a key that is somebody else's."""
    try:
        decode(name, key, value)
    except BadKey as error:
        raise ValueError(error.reason) from error
    owner = _owner(before) if before is not None else ""
    if not owner or force or owner == own or (owner.startswith(TREE) and owner == _source(value)):
        return
    if owner.startswith(TREE):
        raise ValueError(
            f"it belongs to {owner!r}; write it with --tree {owner.removeprefix(TREE)}, or take it over "
            "with --force"
        )
    raise ValueError(
        f"it belongs to {owner!r}, which would write its own version again; change it there, or use --force"
    )


def _owner(item: Item) -> str:
    return _source(item.value) if b'"source"' in item.value else ""


def _source(value: bytes) -> str:
    try:
        parsed = reading.plain(value)
    except reading.Unreadable:
        return ""
    found = parsed.get("source") if isinstance(parsed, dict) else None
    return found if isinstance(found, str) else ""


def _key(name: str) -> Key | None:
    try:
        return parse_key(name)
    except ValueError:
        return None


def _bound_together(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Yield the changes of services that take something over from each other, together."""
    of_service: dict[str, list[Change]] = {}
    for change in changes:
        of_service.setdefault(str(service_of(change.key) or ""), []).append(change)
    leader = {name: name for name in of_service}

    def lead(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    given_up: dict[str, str] = {}
    gained: list[tuple[str, str]] = []
    for name, own in of_service.items():
        for change in own:
            if change.key.startswith("services/"):
                old = _claims(change.before.value if change.before else None)
                new = _claims(change.after)
                given_up.update(dict.fromkeys(old - new, name))
                gained += [(name, claim) for claim in new - old]
    for name, claim in gained:
        if claim in given_up:
            leader[lead(name)] = lead(given_up[claim])
    groups: dict[str, list[Change]] = {}
    for name, own in of_service.items():
        groups.setdefault(lead(name), []).extend(own)
    yield from groups.values()


def _claims(value: bytes | None) -> set[str]:
    if value is None:
        return set()
    try:
        record = reading.total(lambda: decode("", Key("services", None), value, explain=False))
    except (reading.Unreadable, BadKey):
        return set()
    return set(routes_of(record)) if isinstance(record, ServiceRecord) else set()


def _rank(group: Sequence[Change]) -> tuple[int, str]:
    """Return what is new first, what goes last, and by name among these."""
    keys = [change for change in group if change.key.startswith("services/")] or group
    if any(change.before is None for change in keys):
        rank = 0
    else:
        rank = 1 if any(change.after is not None for change in keys) else 2
    return rank, group[0].key


def _careful(change: Change) -> tuple[int, str]:
    kinds = ("endpoints", "services", "routes", "settings")
    if change.after is None:
        return 9 - kinds.index(change.key.partition("/")[0]), change.key
    return kinds.index(change.key.partition("/")[0]), change.key


def _split(changes: Sequence[Change]) -> list[list[Change]]:
    found: list[list[Change]] = []
    size = 0
    for change in changes:
        own = _bytes(change)
        if not found or len(found[-1]) >= MOST_KEYS or size + own > _MOST_BYTES:
            found.append([])
            size = 0
        found[-1].append(change)
        size += own
    return found


def _bytes(change: Change) -> int:
    return 2 * len(change.key) + len(change.after or b"")
