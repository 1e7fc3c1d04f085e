"""What a Service's annotations ask for: the draft of its record, and where its servers are.

Order of precedence: the Service before its Ingresses, the oldest Ingress before the others, and
for one field lbsync's own annotation before those of other controllers.
"""

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lbsync.kube_objects import Ingress, Service
from lbsync.publisher.translate.fields import FIELDS, Path, read_value
from lbsync.publisher.translate.options import EVERY_HOST, HOSTS, PREFIX, PUBLISH_LABEL
from lbsync.publisher.translate.placement import PLACE_NAMES, Placement, read_placement
from lbsync.publisher.translate.report import Refused, Report, shown
from lbsync.publisher.translate.vendors.aliases import (
    PLACE,
    PLACING,
    Convert,
    NoCounterpart,
    Vendor,
)
from lbsync.publisher.translate.vendors.foreign import (
    asks,
    controller_of,
    is_raw_protection,
    is_restrictive,
    protects,
)
from lbsync.publisher.translate.vendors.policies import REWRITE_TARGET
from lbsync.publisher.translate.vendors.tables import VENDORS

ACCEPT = "accept-unprotected"
_OURS = (PREFIX, *(prefix for vendor in VENDORS for prefix in vendor.prefixes))
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
"""What `spec.loadBalancerSourceRanges` was before it was a field."""
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


def read_annotations(
    service: Service, ingresses: Iterable[Ingress], report: Report
) -> AnnotationValues:
    """Return what `service` and the Ingresses that lead to it ask for.

    Raises `Refused` for a value that cannot be meant and may decide where the servers are; others, and
    protection that nobody would give, are in `refused`.
    """
    said = _effective(service, ingresses, report)
    own = {name[len(PREFIX) :]: note for name, note in said.items() if name.startswith(PREFIX)}
    accepted = ACCEPT in own and own[ACCEPT].text.strip().lower() == "true"
    values = AnnotationValues({}, {}, Placement())
    reader = _Reader(values, report, accepted)
    for vendor in VENDORS:
        reader.read_vendor(vendor, said)
    for name, note in said.items():
        if not name.startswith(_OURS) and name != SOURCE_RANGES:
            reader.report_foreign(name, note)
    if "allow" not in own:
        reader.read_ranges(service, said.get(SOURCE_RANGES))
    reader.read_own(own)
    place: dict[str, Any] = values.draft.pop(PLACE, {})
    values.rewrite_target = place.pop(REWRITE_TARGET, "")
    notes = {name: Said(values.origins[PLACE, name], text) for name, text in place.items()}
    values.placement = read_placement({**notes, **{n: own[n] for n in PLACE_NAMES if n in own}})
    return values


def _effective(service: Service, ingresses: Iterable[Ingress], report: Report) -> dict[str, Said]:
    """Return the annotations that count, by full name, in the order of their names."""
    found = {
        name: Said(name, _checked(name, text))
        for name, text in service.annotations.items()
        if _counts(name)
    }
    for ingress in ingresses:
        where = f"Ingress {ingress.namespace}/{ingress.name}"
        for name, text in sorted(ingress.annotations.items()):
            # `hosts: "*"` speaks of this Ingress' own rules without host.
            if not _counts(name) or (name == HOSTS and text.strip() == EVERY_HOST):
                continue
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


def _counts(name: str) -> bool:
    """Tell whether an annotation is ours, or of a controller whose users it may protect."""
    return name.startswith(_OURS) or bool(controller_of(name))


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
    """Takes annotations over into `values`."""

    values: AnnotationValues
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
            _put(self.values, FIELDS[name].path, value, own[name].name)

    def _refuse(self, why: Refused) -> None:
        self.values.refused = self.values.refused or why

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
            before = self.values.origins.get(path)
            if before is None:
                _put(self.values, path, value, note.name)
            elif _get(self.values.draft, path) != value:
                self._second(note, before)

    def _second(self, note: Said, first: str) -> None:
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
        if protects(name.partition("/")[2], note.text):
            self._refuse_unprotected(note, "write it in annotations of lbsync, and take it out")
        else:
            whose = controller_of(name)
            self.report.warn(
                f"annotation {shown(note.name, 200)} is {f'of {whose}' if whose else 'not known'}, "
                "and has no effect",
                "take it out, or write what it stands for in annotations of lbsync",
            )

    def _refuse_unprotected(self, note: Said, cure: str) -> None:
        if self.accepted:
            self.report.warn(f"annotation {shown(note.name, 200)} protects, and is not done", cure)
            return
        self._refuse(
            Refused(
                f"annotation {note.name} protects, and lbsync does not do that: without it the "
                "service would be less safe than its owner wants",
                f'{cure}, or accept that with annotation {PREFIX}{ACCEPT}: "true"',
            )
        )

    def read_ranges(self, service: Service, note: Said | None) -> None:
        """Take the API's own allow list over; the annotation counts where there is no field, as there."""
        ranges, origin = service.source_ranges, "spec.loadBalancerSourceRanges"
        if not ranges and note is not None:
            ranges = tuple(filter(None, (part.strip() for part in note.text.split(","))))
            origin = note.name
        if not is_restrictive(ranges):
            return
        allow = [_network(text) for text in ranges]
        before = self.values.origins.get(("allow",))
        if before is None:
            _put(self.values, ("allow",), allow, origin)
        elif self.values.draft["allow"] != allow:
            # Neither may be widened by the other, and who meant which is not known.
            self._refuse(
                Refused(
                    f"{origin} and annotation {before} let in different clients",
                    f"write those that are meant into annotation {PREFIX}allow",
                )
            )


def _network(text: str) -> str:
    """Return a range without bits beyond its length, which the API takes and the contract does not."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        return text


def _get(draft: dict[str, Any], path: Path) -> Any:
    here: Any = draft
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    return here


def _put(values: AnnotationValues, path: Path, value: Any, origin: str) -> None:
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
