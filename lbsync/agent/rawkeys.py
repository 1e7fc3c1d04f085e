"""Keys as they are stored, for templates that read them so: a bad one is replaced by its last good value. Pure."""

from collections.abc import Iterator, Mapping

from lbsync.agent.quarantine import Bar, Suspect
from lbsync.agent.render import gopath
from lbsync.model.desired import Problem
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import TRANSIENT

Raw = Mapping[str, bytes]
"""Key, without the prefix, to value."""


def is_shown(key: str) -> bool:
    """Tell whether templates see a key. What lbsync itself writes they do not: it is no input, and would
    come back into every list of "all that is there"."""
    return key.lstrip("/").partition("/")[0] not in TRANSIENT


def read(snapshot: Snapshot, good: Raw, held: Mapping[str, bool]) -> Raw:
    """Return the keys to render from: as stored, but for those that are held back.

    `good`: the keys as they were last served; `held`: key to whether it is left out altogether.
    """
    raw = {key: item.value for key, item in snapshot.items.items() if is_shown(key)}
    for key, is_out in held.items():
        value = None if is_out else last_good(good, key)
        if value is not None:
            raw[key] = value
        else:
            raw.pop(key, None)
    return raw


def last_good(good: Raw, key: str) -> bytes | None:
    """Return the value that a key had when it was last served; None: it had none."""
    return good.get(key)


def changed(snapshot: Snapshot, good: Raw) -> Iterator[tuple[int, str]]:
    """Yield the keys that are not as they were last served, those that are gone included, each with
    its revision."""
    for key, item in snapshot.items.items():
        if is_shown(key) and good.get(key) != item.value:
            yield item.mod_revision, key
    for key in good:
        if key not in snapshot.items:
            yield snapshot.revision, key


def as_stored(snapshot: Snapshot, path: str) -> str:
    """Return the stored key that a template calls `path`; empty: there is none."""
    for key in (path, path.removeprefix("/")):
        if key in snapshot.items:
            return key
    spelled = (key for key in snapshot.items if gopath.clean("/" + key.lstrip("/")) == path)
    return next(spelled, "")


def problems(bars: Mapping[Suspect, Bar], good: Raw) -> Iterator[Problem]:
    """Yield a problem for each key that is not as it stands in the store."""
    for suspect, bar in bars.items():
        if suspect.kind == "key":
            is_kept = not bar.out and last_good(good, suspect.name) is not None
            instead = "its last good value stays" if is_kept else "it is left out"
            yield Problem(suspect.name, "", f"{bar.reason}; {instead}", bar.line)
