"""Takes annotations over into the draft of a record: lbsync's own, and those of other controllers."""

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.publisher.translate.fields import FIELDS, Path, read_value
from lbsync.publisher.translate.options import PREFIX, PUBLISH_LABEL
from lbsync.publisher.translate.placement import PLACE_NAMES, Placement
from lbsync.publisher.translate.report import Refused, Report, shown
from lbsync.publisher.translate.vendors.aliases import (
    Convert,
    NoCounterpart,
    Unprotected,
    Vendor,
)
from lbsync.publisher.translate.vendors.foreign import (
    asks,
    bare,
    controller_of,
    is_raw_protection,
    protects,
)

ACCEPT = "accept-unprotected"
PROTECTION = frozenset({"allow", "deny", "auth", "rate_limit", "backend_tls"})
"""Fields that keep somebody out, or prove who a server is: of two that differ, none may be left out."""
_OWN_NAMES = frozenset({*FIELDS, *PLACE_NAMES, ACCEPT})


class Said(msgspec.Struct, frozen=True):
    """One annotation that counts."""

    name: str
    """In full, with `of Ingress …` where it is not the Service's own."""
    text: str
    place: str = ""
    """`Ingress <ns>/<name>`; empty: the Service itself."""


class AnnotationValues(msgspec.Struct):
    """All that the annotations of one Service say."""

    draft: dict[str, Any]
    """Fields of `services/…` as JSON would hold them; not validated yet."""
    origins: dict[Path, str]
    """Which annotation set a field, by the field's path."""
    placement: Placement
    rewrite_target: str = ""
    """What stands in the place of the path that matched, which only the record's paths tell."""
    refused: Refused | None = None
    """The first thing that cannot be meant of what does not decide where the servers are."""
    unsafe: Refused | None = None
    """The first wish for protection that would not be fulfilled."""

    def refuse(self, why: Refused, *, unsafe: bool = False) -> None:
        """Note why the Service cannot be published so; what is noted already stays."""
        self.refused = self.refused or why
        if unsafe:
            self.unsafe = self.unsafe or why


def at_odds(one: str, other: str, field: str) -> Refused:
    """Return why two differing wishes for protection refuse a Service."""
    return Refused(
        f"{one} and {other} differ in what protects, and only one of them could be done",
        f"write what is meant into annotation {PREFIX}{field.replace('_', '-')} of the Service",
    )


def _wrong(note: Said, error: ValueError) -> Refused:
    # What stands in an annotation about passwords is not for logs and records.
    text = "" if note.name.startswith(f"{PREFIX}auth") else f"{shown(note.text)}: "
    return Refused(f"annotation {note.name}: {text}{error}", "correct or remove it")


class Reader(msgspec.Struct, frozen=True):
    """Takes annotations over into `values`."""

    values: AnnotationValues
    report: Report
    accepting: frozenset[str]
    """Where the owner accepts to be served without protection that lbsync cannot give; of the Service
    itself (`""`): whoever wants it."""
    decided: frozenset[str]
    """Those of `PROTECTION` of which the Service's own annotations of lbsync say what is meant."""

    def accepts(self, place: str) -> bool:
        """Tell whether protection that is wanted in this place may be left out."""
        return not self.accepting.isdisjoint({"", place})

    def read_own(self, own: Mapping[str, Said]) -> None:
        """Take lbsync's own annotations over, wholes before their parts."""
        for name in own.keys() - _OWN_NAMES:
            self._report_strange(name)
        for name in sorted(own.keys() & FIELDS.keys(), key=lambda name: FIELDS[name].path):
            try:
                value = read_value(FIELDS[name].kind, own[name].text)
            except ValueError as error:
                self.values.refuse(_wrong(own[name], error))
                continue
            if not value and FIELDS[name].kind in ("list", "map") and name != "hosts":
                # Left out it is a default that may well let in more: every path, nobody denied.
                self.values.refuse(_wrong(own[name], ValueError("it is empty: write a value")))
            put(self.values, FIELDS[name].path, value, own[name].name)

    def _report_strange(self, name: str) -> None:
        if PREFIX + name == PUBLISH_LABEL:
            self.report.warn(f"{PUBLISH_LABEL} is a label, not an annotation", "take it out here")
        else:
            near = difflib.get_close_matches(name, sorted(_OWN_NAMES), n=1, cutoff=0.5)
            cure = f"did you mean {PREFIX}{near[0]}?" if near else "take it out"
            self.report.warn(f"there is no annotation {shown(PREFIX + name)}", cure)

    def read_vendor(self, vendor: Vendor, said: Mapping[str, Said]) -> None:
        """Take another controller's annotations over; what is set already stays."""
        notes: dict[str, Said] = {}
        doubles: list[tuple[str, Said, Said]] = []
        for prefix in reversed(vendor.prefixes):
            mine = {n[len(prefix) :]: note for n, note in said.items() if n.startswith(prefix)}
            for name in sorted(notes.keys() & mine.keys()):
                if notes[name].text != mine[name].text:
                    doubles.append((name, mine[name], notes[name]))
            notes |= mine
        siblings = {name: note.text for name, note in notes.items()}
        for name, note in sorted(notes.items()):
            if convert := vendor.given.get(name):
                self._give(convert, note, siblings)
            else:
                self._report_missing(vendor, name, note)
        for name, first, note in doubles:
            paths = [path for path, origin in self.values.origins.items() if origin == first.name]
            self._second(note, first.name, *paths)
            if name not in vendor.given:
                self._report_missing(vendor, name, note)

    def _give(self, convert: Convert, note: Said, siblings: Mapping[str, str]) -> None:
        try:
            sets = convert(note.text, siblings)
        except Unprotected as error:
            self._refuse_unprotected(note, str(error))
            return
        except NoCounterpart as error:
            self.report.warn(f"annotation {note.name} has no effect: {error}", "take it out")
            return
        except ValueError as error:
            raise _wrong(note, error) from error
        for path, value in sets.items():
            before = self.values.origins.get(path)
            if before is None:
                put(self.values, path, value, note.name)
            elif _get(self.values.draft, path) != value:
                self._second(note, before, path)

    def _second(self, note: Said, first: str, *paths: Path) -> None:
        """Report the second of two that say different things of one field; refuse where it may be the one
        that keeps somebody out."""
        doubtful = {path[0] for path in paths} & PROTECTION - self.decided
        if doubtful and not self.accepts(note.place):
            self.values.refuse(at_odds(note.name, first, min(doubtful)), unsafe=True)
            return
        self.report.warn(
            f"annotation {note.name} differs from {first}, which counts", "keep one of them"
        )

    def _report_missing(self, vendor: Vendor, name: str, note: Said) -> None:
        """Report what is not done; refuse where leaving it out would let anybody in."""
        cure = vendor.lacking.get(name)
        if cure is None:
            self.report_foreign(note.name.partition(" ")[0], note)
        elif (name in vendor.protecting and asks(note.text)) or is_raw_protection(name, note.text):
            self._refuse_unprotected(note, cure)
        else:
            self.report.warn(f"annotation {note.name} has no effect", cure)

    def report_foreign(self, name: str, note: Said) -> None:
        """Report an annotation that no table knows; refuse where it looks as if it protected."""
        if protects(bare(name), note.text):
            self._refuse_unprotected(note, "write it in annotations of lbsync, and take it out")
        else:
            whose = controller_of(name)
            self.report.warn(
                f"annotation {shown(note.name, 200)} is {f'of {whose}' if whose else 'not known'}, "
                "and has no effect",
                "take it out, or write what it stands for in annotations of lbsync",
            )

    def _refuse_unprotected(self, note: Said, cure: str) -> None:
        if self.accepts(note.place):
            self.report.warn(f"annotation {shown(note.name, 200)} protects, and is not done", cure)
            return
        why = Refused(
            f"annotation {note.name} protects, and lbsync does not do that: without it the service would "
            "be less safe than its owner wants",
            f'{cure}, or accept that with annotation {PREFIX}{ACCEPT}: "true"',
        )
        self.values.refuse(why, unsafe=True)


def _get(draft: dict[str, Any], path: Path) -> Any:
    here: Any = draft
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    return here


def put(values: AnnotationValues, path: Path, value: Any, origin: str) -> None:
    """Set a field of the draft; what lay below it, or was no object above it, is gone."""
    here = values.draft
    for step in path[:-1]:
        below = here.get(step)
        if not isinstance(below, dict):
            below = here[step] = {}
        here = below
    here[path[-1]] = value
    for old in [known for known in values.origins if known[: len(path)] == path]:
        del values.origins[old]
    values.origins[path] = origin
