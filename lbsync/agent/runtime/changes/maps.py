"""Map files and pattern lists: what HAProxy makes of them, and how one becomes another. Pure."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes.change_set import Phase, PlanBuilder
from lbsync.agent.runtime.changes.server_words import sendable
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    DelEntry,
    FileKind,
    ReplaceEntries,
    SetEntry,
)

_BY_TREE = frozenset(("", "str", "beg", "ip"))
"""Matches that look a key up in a tree: the order of the file does not count, and `beg` and `ip`
take the longest (configuration manual, section 7.3.1, "map"). All others try line by line."""
_PATH = re.compile(r"[A-Za-z0-9._/-]+")
_WHOLE_FROM = 100
"""Fewer changes than this are made one by one: at 7 µs each (measured) that is always fast."""
_WHOLE_SHARE = 3
"""A new version of a whole map costs 2 µs an entry (measured), so it pays from a third on."""
_MOST_BY_KEY = 500
_MOST_VISITS = 5_000_000
"""HAProxy finds a key that is to go, or to change, by a walk through the whole map, 13 ns an entry
(measured on 2.6; `pat_ref_delete`, `pat_ref_set`), and that thread serves nobody meanwhile. Beyond so
many walks, or entries on the way, a new version of the whole map costs less, and comes in small pieces."""


class Lookup(msgspec.Struct, frozen=True):
    """How the configuration uses a file."""

    kind: FileKind
    ordered: bool
    """The first line that matches wins, so order counts."""


def lookups(sections: Iterable[Section]) -> dict[str, Lookup | None]:
    """Return each file that maps and ACLs load; None where it cannot be told how."""
    found: dict[str, Lookup | None] = {}
    for section in sections:
        if not section.files:
            continue
        for path, match in section.maps:
            _note(found, path, Lookup("map", match not in _BY_TREE))
        for path in (*section.lists, *section.errorfiles):
            # `-M` reads a map for its keys alone; an errorfile is no list at all.
            odd = section.keys_of_maps or path in section.errorfiles
            _note(found, path, None if odd else Lookup("acl", False))
    return found


def _note(found: dict[str, Lookup | None], path: str, use: Lookup | None) -> None:
    old = found.setdefault(path, use)
    if old is None or use is None or old.kind != use.kind:
        found[path] = None
    elif use.ordered:
        found[path] = use


class Entries:
    """What HAProxy makes of a file."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`pairs`: key and value in the order of the file; the value is empty for a list."""
        listed = list(pairs)
        self.values: dict[str, str] = {}
        """Key to value, in order; the first of a repeated key counts."""
        for key, value in listed:
            self.values.setdefault(key, value)
        self._repeated = listed if len(self.values) != len(listed) else None

    @property
    def unique(self) -> bool:
        """No key is repeated."""
        return self._repeated is None

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """Every entry in order."""
        return list(self.values.items()) if self._repeated is None else self._repeated

    def changed(self, gone: Iterable[str], come: Iterable[tuple[str, str]]) -> "Entries":
        """Return the entries without some keys, and with new ones or new values."""
        values = dict(self.values)
        for key in gone:
            values.pop(key, None)
        values.update(come)
        return Entries(values.items())

    def __len__(self) -> int:
        return len(self.values) if self._repeated is None else len(self._repeated)


def read(data: bytes, kind: FileKind) -> Entries:
    """Read a file as HAProxy does (its pattern loader; measured): `#` opens a comment only at the
    very start of a line, blanks around key and value are dropped, a list's line is one pattern."""
    text = data.decode(errors="surrogateescape")
    lines = (line for line in text.split("\n") if not line.startswith("#"))
    if "\r" in text:
        lines = (line.partition("\r")[0] for line in lines)
    stripped = (line.lstrip(" \t") for line in lines)
    if kind == "acl":
        return Entries((line, "") for line in stripped if line)
    if "\t" in text:
        parts = (re.split(r"[ \t]+", line, maxsplit=1) for line in stripped if line)
        return Entries((cut[0], cut[1].rstrip(" \t") if cut[1:] else "") for cut in parts)
    halves = (line.partition(" ") for line in stripped if line)
    return Entries((key, value.strip(" ")) for key, _, value in halves)


class Change(msgspec.Struct, frozen=True):
    """One file of entries, and how it is used."""

    file: str
    lookup: Lookup
    leads: bool
    """Its values name backends, so its entries come before others and go after them."""


def plan_entries(draft: PlanBuilder, change: Change, old: Entries, new: Entries) -> None:
    """Plan what leads from one content to the other."""
    if equal(change.lookup, old, new):
        return
    by_key = not change.lookup.ordered and old.unique and new.unique
    gone = [key for key in old.values if key not in new.values]
    come = [(key, value) for key, value in new.values.items() if key not in old.values]
    other = [(k, v) for k, v in new.values.items() if old.values.get(k, v) != v]
    count = len(gone) + len(come) + len(other)
    whole = count > _WHOLE_FROM and count * _WHOLE_SHARE > len(old) + len(new)
    whole = whole or is_slow_by_key(len(gone) + len(other), len(old))
    if by_key and not whole:
        plan_changes(draft, change, gone, come, other)
    elif why := _unfit(change, [key for key, _ in old.pairs], new.pairs):
        draft.reload(why)
    elif not by_key:
        draft.do(Phase.REORDER, _whole(change, new.pairs))
    elif whole:
        plan_whole(draft, change, old, new)


def is_slow_by_key(walks: int, entries: int) -> bool:
    """Tell whether so many keys of a map of so many entries should not be looked up one by one."""
    return walks > _MOST_BY_KEY or walks * entries > _MOST_VISITS


def _whole(change: Change, pairs: Iterable[tuple[str, str]]) -> ReplaceEntries:
    return ReplaceEntries(change.lookup.kind, change.file, tuple(pairs))


def plan_whole(draft: PlanBuilder, change: Change, old: Entries, new: Entries) -> None:
    """Change most of a map: first to what it shall hold besides what goes, then without that.

    In one go, a key would leave before the maps that lead to it had changed, or come after them.
    """
    first, last = _first_and_last(change.leads)
    goes = [(key, value) for key, value in old.pairs if key not in new.values]
    draft.do(first, _whole(change, (*new.pairs, *goes)))
    if goes:
        draft.do(last, _whole(change, new.pairs))


def _first_and_last(leads: bool) -> tuple[Phase, Phase]:
    return (Phase.ROUTE, Phase.UNROUTE) if leads else (Phase.OFFER, Phase.WITHDRAW)


def plan_changes(
    draft: PlanBuilder,
    change: Change,
    gone: Sequence[str],
    come: Sequence[tuple[str, str]],
    other: Sequence[tuple[str, str]],
) -> None:
    """Plan changes of single keys: those that go, that come, that get another value."""
    if why := _unfit(change, gone, (*come, *other)):
        draft.reload(why)
        return
    first, last = _first_and_last(change.leads)
    file, kind = change.file, change.lookup.kind
    draft.do(first, *(AddEntry(kind, file, key, value) for key, value in come))
    draft.do(
        Phase.RAISE if change.leads else Phase.OFFER,
        *(SetEntry(file, key, value) for key, value in other),
    )
    draft.do(last, *(DelEntry(kind, file, key) for key in gone))


def _unfit(change: Change, keys: Iterable[str], pairs: Sequence[tuple[str, str]]) -> str:
    """Return why this cannot be said over the runtime API; empty: it can."""
    if not _PATH.fullmatch(change.file):
        return f"{change.file}: it changed, and its name cannot be written into a command"
    for key in (*keys, *(key for key, _ in pairs)):
        if not sendable(key) or key.startswith("#"):
            return f"{change.file}: {key!r} cannot be written into a command"
    if change.lookup.kind == "acl":
        return ""
    for key, value in pairs:
        if not value:
            return f"{change.file}: '{key}' has no value, which HAProxy takes only when it starts"
        if not sendable(value):
            return f"{change.file}: {value!r} cannot be written into a command"
    return ""


def changed_pairs(
    gone: Iterable[tuple[str, str]], come: Iterable[tuple[str, str]]
) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Sort lines that left and lines that came into keys that go, come and change."""
    before, after = dict(gone), dict(come)
    goes = [key for key in before if key not in after]
    comes = [(key, value) for key, value in after.items() if key not in before]
    other = [(k, v) for k, v in after.items() if before.get(k, v) != v]
    return goes, comes, other


def equal(lookup: Lookup, one: Entries, other: Entries) -> bool:
    """Tell whether two contents answer every question alike."""
    if not lookup.ordered and one.unique and other.unique:
        return one.values == other.values
    return one.pairs == other.pairs


def difference(wanted: Entries, now: Entries) -> tuple[str, str]:
    """Return in words what was wanted and what is, of the first key that differs."""
    for key, value in wanted.pairs:
        if now.values.get(key) != value:
            running = f"'{now.values[key]}'" if key in now.values else "absent"
            return f"'{key}' leading to '{value}'", running
    for key, value in now.pairs:
        if key not in wanted.values:
            return f"'{key}' absent", f"'{value}'"
    return f"{len(wanted)} in order", f"{len(now)}"
