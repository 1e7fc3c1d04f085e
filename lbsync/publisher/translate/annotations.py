"""What a Service's annotations ask for: the draft of its record, and where its servers are.

Order of precedence: the Service before its Ingresses, the oldest Ingress before the others, and
for one field lbsync's own annotation before those of other controllers.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lbsync.model.kube import Ingress, Service
from lbsync.publisher.translate.alias_policies import REWRITE_TARGET
from lbsync.publisher.translate.alias_tables import VENDORS
from lbsync.publisher.translate.aliases import PLACE, PLACING, Convert, NoCounterpart, Vendor
from lbsync.publisher.translate.fields import FIELDS, Path, read_value
from lbsync.publisher.translate.options import EVERY_HOST, HOSTS, PREFIX, PUBLISH_LABEL
from lbsync.publisher.translate.placement import PLACE_NAMES, Placement, read_placement
from lbsync.publisher.translate.report import Refused, Report, shown

ACCEPT = "accept-unprotected"
_OURS = (PREFIX, *(prefix for vendor in VENDORS for prefix in vendor.prefixes))
_ON_SERVICE_ONLY = frozenset({"hosts", "paths", "mode", "listen", "port"})
_OWN_NAMES = frozenset({*FIELDS, *PLACE_NAMES, ACCEPT})


_PLACE_DECIDES = frozenset(
    {
        *(PREFIX + name for name in (*PLACE_NAMES, *_ON_SERVICE_ONLY)),
        *(prefix + name for vendor in VENDORS for prefix in vendor.prefixes for name in PLACING),
    }
)


def decides_servers(name: str) -> bool:
    """Tell whether an annotation has a say in where servers are, or in which records they stand."""
    return name in _PLACE_DECIDES


class Said(msgspec.Struct, frozen=True):
    """One annotation that counts."""

    name: str
    """In full, with `of Ingress …` where it is not the Service's own."""
    text: str


class Wishes(msgspec.Struct):
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


def read_annotations(service: Service, ingresses: Iterable[Ingress], report: Report) -> Wishes:
    """Return what `service` and the Ingresses that lead to it ask for.

    Raises `Refused` for a value that cannot be meant and may decide where the servers are; others, and
    protection that nobody would give, are in `refused`.
    """
    said = _effective(service, ingresses, report)
    own = {name[len(PREFIX) :]: note for name, note in said.items() if name.startswith(PREFIX)}
    accepted = ACCEPT in own and own[ACCEPT].text.strip().lower() == "true"
    wishes = Wishes({}, {}, Placement())
    reader = _Reader(wishes, report, accepted)
    for vendor in VENDORS:
        reader.read_vendor(vendor, said)
    reader.read_own(own)
    place: dict[str, Any] = wishes.draft.pop(PLACE, {})
    wishes.rewrite_target = place.pop(REWRITE_TARGET, "")
    notes = {name: Said(wishes.origins[PLACE, name], text) for name, text in place.items()}
    wishes.placement = read_placement({**notes, **{n: own[n] for n in PLACE_NAMES if n in own}})
    return wishes


def _effective(service: Service, ingresses: Iterable[Ingress], report: Report) -> dict[str, Said]:
    """Return the annotations that count, by full name, in the order of their names."""
    found = {
        name: Said(name, _checked(name, text))
        for name, text in service.annotations.items()
        if name.startswith(_OURS)
    }
    for ingress in ingresses:
        where = f"Ingress {ingress.namespace}/{ingress.name}"
        for name, text in sorted(ingress.annotations.items()):
            if not name.startswith(_OURS):
                continue
            if name == HOSTS and text.strip() == EVERY_HOST:
                continue  # speaks of this Ingress' own rules without host
            if name.removeprefix(PREFIX) in _ON_SERVICE_ONLY:
                report.warn(f"annotation {name} has no effect on an Ingress",
                            "write it on the Service", where)  # fmt: skip
            elif name not in found:
                found[name] = Said(f"{name} of {where}", _checked(name, text))
            elif found[name].text != text and "Ingress" in found[name].name:
                report.warn(
                    f"annotation {name} differs from {found[name].name}, which counts",
                    "give both the same value, or write it on the Service", where,
                )  # fmt: skip
    return dict(sorted(found.items()))


def _checked(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"annotation {shown(name)} is no text in UTF-8", "write it anew") from error
    return text


def _wrong(note: Said, error: ValueError) -> Refused:
    # What stands in an annotation about passwords is not for logs and records.
    text = "" if note.name.startswith(f"{PREFIX}auth") else f"{shown(note.text)}: "
    return Refused(f"annotation {note.name}: {text}{error}", "correct or remove it")


class _Reader(msgspec.Struct, frozen=True):
    """Takes annotations over into `wishes`."""

    wishes: Wishes
    report: Report
    accepted: bool
    """The owner accepts to be served without protection that lbsync cannot give."""

    def read_own(self, own: Mapping[str, Said]) -> None:
        """Take lbsync's own annotations over, wholes before their parts."""
        for name in own.keys() - _OWN_NAMES:
            self._report_strange(name)
        for name in sorted(own.keys() & FIELDS.keys(), key=lambda name: FIELDS[name].path):
            try:
                value = read_value(FIELDS[name].kind, own[name].text)
            except ValueError as error:
                self._refuse(_wrong(own[name], error))
                continue
            _put(self.wishes, FIELDS[name].path, value, own[name].name)

    def _refuse(self, why: Refused) -> None:
        self.wishes.refused = self.wishes.refused or why

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
        for prefix in reversed(vendor.prefixes):
            mine = {n[len(prefix) :]: note for n, note in said.items() if n.startswith(prefix)}
            for name in sorted(notes.keys() & mine.keys()):
                if notes[name].text != mine[name].text:
                    self._second(notes[name], mine[name].name)
            notes |= mine
        siblings = {name: note.text for name, note in notes.items()}
        for name, note in sorted(notes.items()):
            if convert := vendor.given.get(name):
                self._give(convert, note, siblings)
            else:
                self._report_missing(vendor, name, note)

    def _give(self, convert: Convert, note: Said, siblings: Mapping[str, str]) -> None:
        try:
            sets = convert(note.text, siblings)
        except NoCounterpart as error:
            self.report.warn(f"annotation {note.name} has no effect: {error}", "take it out")
            return
        except ValueError as error:
            raise _wrong(note, error) from error
        for path, value in sets.items():
            before = self.wishes.origins.get(path)
            if before is None:
                _put(self.wishes, path, value, note.name)
            elif _get(self.wishes.draft, path) != value:
                self._second(note, before)

    def _second(self, note: Said, first: str) -> None:
        self.report.warn(
            f"annotation {note.name} differs from {first}, which counts", "keep one of them"
        )

    def _report_missing(self, vendor: Vendor, name: str, note: Said) -> None:
        """Report what is not done; refuse where leaving it out would let anybody in."""
        cure = vendor.lacking.get(name)
        if cure is None:
            self.report.warn(f"annotation {shown(note.name)} is not known", "correct or remove it")
            return
        asked = note.text.strip().lower() not in ("", "false", "off")
        if name in vendor.protecting and asked and not self.accepted:
            self._refuse(
                Refused(
                    f"annotation {note.name} protects, and lbsync does not do that: without it the "
                    "service would be less safe than its owner wants",
                    f'{cure}, or accept that with annotation {PREFIX}{ACCEPT}: "true"',
                )
            )
            return
        self.report.warn(f"annotation {note.name} has no effect", cure)


def _get(draft: dict[str, Any], path: Path) -> Any:
    here: Any = draft
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    return here


def _put(wishes: Wishes, path: Path, value: Any, origin: str) -> None:
    """Set a field of the draft; what lay below it, or was no object above it, is gone."""
    here = wishes.draft
    for step in path[:-1]:
        below = here.get(step)
        if not isinstance(below, dict):
            below = here[step] = {}
        here = below
    here[path[-1]] = value
    for old in [known for known in wishes.origins if known[: len(path)] == path]:
        del wishes.origins[old]
    wishes.origins[path] = origin
