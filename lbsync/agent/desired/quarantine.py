"""What is quarantined, and why: services, raw keys, the settings for all, certificates. Pure.

An entry is identified by what is *stored* for it, byte by byte, never by what a stage of the pass made of
that: a stage may put something else in its place, and the entry would no longer match.
"""

import time
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import SETTINGS_GLOBAL, ServiceId

Kind = Literal["key", "certificate", "settings", "service"]

#: How many due entries are released at once, the others in the next passes. One `haproxy -c` can name
#: as many again: it gives up at 50 errors (measured, 2.6 to 2.8).
_MOST_TRIED_AGAIN = 50


class Suspect(msgspec.Struct, frozen=True, order=True):
    """Something that can be quarantined on its own."""

    kind: Kind
    name: str
    """`<ns>/<name>` of a service, a key as it is stored, the file name of a certificate."""

    @property
    def service(self) -> ServiceId | None:
        """The service, if it is one."""
        return ServiceId.parse(self.name) if self.kind == "service" else None

    @property
    def family(self) -> str:
        """What suspects of one writer most likely share: the namespace of a service, the first two parts
        of a key that has more (`svc/shop` of `svc/shop/up/1`), else the first."""
        if self.kind == "service":
            return self.name.partition("/")[0]
        if self.kind == "key":
            parts = [part for part in self.name.split("/") if part]
            return "/".join(parts[: 2 if len(parts) > 2 else 1])
        return ""


SETTINGS = Suspect("settings", SETTINGS_GLOBAL)

Identity = tuple[tuple[str, int, bytes], ...]
"""Name, revision and bytes of everything that is stored for a suspect; empty: nothing is."""


class QuarantineEntry(msgspec.Struct, frozen=True):
    """Why something that decodes well stays at its last good version."""

    identity: Identity
    """What was refused; the entry is dropped as soon as something else is stored."""
    reason: str
    """In HAProxy's words, or the template's."""
    line: int = 0
    """Line of the refused configuration that HAProxy named; else 0."""
    until: float = float("inf")
    """When it is tried again even if unchanged, on the clock of `time.monotonic`."""
    out: bool = False
    """Left out altogether, as its last good version is refused, too."""


def a_service(service: ServiceId) -> Suspect:
    """Return the suspect that a service is."""
    return Suspect("service", str(service))


def stored(snapshot: Snapshot, suspects: Iterable[Suspect]) -> dict[Suspect, Identity]:
    """Return what is stored for each of these, which are not certificates."""
    found: dict[Suspect, list[tuple[str, int, bytes]]] = {suspect: [] for suspect in suspects}
    for name, item in snapshot.items.items():
        for suspect in _concerned(name):
            if suspect in found:
                found[suspect].append((name, item.mod_revision, item.value))
    return {suspect: tuple(sorted(items)) for suspect, items in found.items()}


def _concerned(key: str) -> tuple[Suspect, ...]:
    kind, _, rest = key.partition("/")
    mine = Suspect("key", key)
    if kind in ("services", "routes"):
        return mine, Suspect("service", rest)
    if kind == "endpoints":
        return mine, Suspect("service", rest.rpartition("/")[0])
    return (mine, SETTINGS) if key == SETTINGS_GLOBAL else (mine,)


class Quarantine:
    """All quarantined suspects."""

    def __init__(self) -> None:
        self.entries: dict[Suspect, QuarantineEntry] = {}
        self._followed: Snapshot | None = None

    def put(self, suspect: Suspect, entry: QuarantineEntry) -> None:
        """Quarantine something, replacing an earlier entry."""
        self.entries[suspect] = entry

    def names(self, kind: Kind) -> set[str]:
        """Return the names of the quarantined suspects of one kind."""
        return {suspect.name for suspect in self.entries if suspect.kind == kind}

    def try_again(self) -> None:
        """Release entries whose time is up, the oldest first, not too many at once."""
        now = time.monotonic()
        due = sorted((each.until, s) for s, each in self.entries.items() if each.until <= now)
        for _, suspect in due[:_MOST_TRIED_AGAIN]:
            del self.entries[suspect]

    def follow(self, snapshot: Snapshot) -> None:
        """Release all for which something else is stored now, except for certificates."""
        if snapshot is self._followed:
            return
        self._followed = snapshot
        suspects = [suspect for suspect in self.entries if suspect.kind != "certificate"]
        if suspects:
            now = stored(snapshot, suspects)
            self._drop(suspects, now.__getitem__)

    def follow_certificates(self, identify: Callable[[str], Identity]) -> None:
        """The same for certificates: `identify` returns what is stored under a name."""
        suspects = [suspect for suspect in self.entries if suspect.kind == "certificate"]
        self._drop(suspects, lambda suspect: identify(suspect.name))

    def _drop(self, suspects: list[Suspect], identify: Callable[[Suspect], Identity]) -> None:
        for suspect in suspects:
            if identify(suspect) != self.entries[suspect].identity:
                del self.entries[suspect]
