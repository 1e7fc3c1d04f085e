"""Raw keys, for templates that read them as stored; a bad one is replaced by its last good value. Pure."""

import re
from collections.abc import Iterator, Mapping

from lbsync.agent.desired.quarantine import QuarantineEntry, Suspect
from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.render.confd import gopath
from lbsync.model.desired import Problem
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import TRANSIENT

Raw = Mapping[str, bytes]
"""Key, without the prefix, to value."""

#: A shorter value may be part of a word by chance.
_TELLING = 4


def is_shown(key: str) -> bool:
    """Tell whether templates see a key. What lbsync itself writes is not input, and they do not see it."""
    return key.lstrip("/").partition("/")[0] not in TRANSIENT


def read(snapshot: Snapshot, good: Raw, quarantined: Mapping[str, bool]) -> Raw:
    """Return the keys to render from: as stored, except for those in quarantine.

    `good`: the keys as they were last served; `quarantined`: key to whether it is left out altogether.
    """
    raw = {key: item.value for key, item in snapshot.items.items() if is_shown(key)}
    for key, is_out in quarantined.items():
        value = None if is_out else last_good(good, key)
        if value is not None:
            raw[key] = value
        else:
            raw.pop(key, None)
    return raw


def last_good(good: Raw, key: str) -> bytes | None:
    """Return the last served value of a key; None: there is none."""
    return good.get(key)


def changed(snapshot: Snapshot, good: Raw) -> Iterator[tuple[int, str]]:
    """Yield the keys that differ from what was last served, also removed ones, with their revisions."""
    for key, item in snapshot.items.items():
        if is_shown(key) and good.get(key) != item.value:
            yield item.mod_revision, key
    for key in good:
        if key not in snapshot.items:
            yield snapshot.revision, key


def as_stored(snapshot: Snapshot, path: str) -> str:
    """Return the stored key that a template calls `path`; empty: none."""
    for key in (path, path.removeprefix("/")):
        if key in snapshot.items:
            return key
    spelled = (key for key in snapshot.items if gopath.clean("/" + key.lstrip("/")) == path)
    return next(spelled, "")


def problems(entries: Mapping[Suspect, QuarantineEntry], good: Raw) -> Iterator[Problem]:
    """Yield a problem for each quarantined key."""
    for suspect, entry in entries.items():
        if suspect.kind == "key":
            is_kept = not entry.out and last_good(good, suspect.name) is not None
            instead = "its last good value stays" if is_kept else "it is left out"
            yield Problem(suspect.name, "", f"{entry.reason}; {instead}", entry.line)


def printed_on(line: str, section: str, values: Mapping[str, str]) -> str:
    """Return the key from which a line of haproxy.cfg was printed; empty: unknown.

    The line holds the key's value, and the line or its `section`'s name holds parts of the key. Of several
    such keys it is the one with the most parts there. `values`: key to value.
    """
    found = words(line)
    names = {part for word in found for part in (word, *word.split("/"))}
    fits: dict[str, int] = {}
    for key, value in values.items():
        if value and (value in found or (len(value) >= _TELLING and _is_in(line, value))):
            parts = set(key.split("/")) - {""}
            fits[key] = sum(part in names or _is_in(section, part) for part in parts)
    most = max(fits.values(), default=0)
    best = [key for key, count in fits.items() if count == most]
    return best[0] if most and len(best) == 1 else ""


def _is_in(text: str, part: str) -> bool:
    """Tell whether the part occurs in the text as whole words."""
    if part not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])", text) is not None
