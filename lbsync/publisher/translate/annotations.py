"""What a Service's annotations ask for: the draft of its record, and where its servers are.

Order of precedence: the Service before its Ingresses, the oldest Ingress before the others, and
for one field lbsync's own annotation before those of other controllers. Of what protects nothing may be
lost by that: who speaks for a Service has to say the same, or the Service itself decides.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from lbsync.kube_objects import Ingress, Service
from lbsync.publisher.translate.fields import FIELDS
from lbsync.publisher.translate.options import EVERY_HOST, HOSTS, PREFIX
from lbsync.publisher.translate.placement import PLACE_NAMES, Placement, read_placement
from lbsync.publisher.translate.reader import (
    ACCEPT,
    PROTECTION,
    AnnotationValues,
    Reader,
    Said,
    at_odds,
    put,
)
from lbsync.publisher.translate.report import Refused, Report, shown
from lbsync.publisher.translate.vendors.aliases import PLACE, PLACING
from lbsync.publisher.translate.vendors.foreign import concerns, is_restrictive
from lbsync.publisher.translate.vendors.policies import REWRITE_TARGET
from lbsync.publisher.translate.vendors.tables import VENDORS

_OURS = (PREFIX, *(prefix for vendor in VENDORS for prefix in vendor.prefixes))
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
"""What `spec.loadBalancerSourceRanges` was before it was a field."""
_ON_SERVICE_ONLY = frozenset({"hosts", "paths", "mode", "listen", "port"})

_PLACE_DECIDES = frozenset(
    {
        *(PREFIX + name for name in (*PLACE_NAMES, *_ON_SERVICE_ONLY)),
        *(prefix + name for vendor in VENDORS for prefix in vendor.prefixes for name in PLACING),
    }
)


def decides_servers(name: str) -> bool:
    """Tell whether an annotation has a say in where servers are, or in which records they stand."""
    return name in _PLACE_DECIDES


def read_annotations(
    service: Service, ingresses: Iterable[Ingress], report: Report
) -> AnnotationValues:
    """Return what `service` and the Ingresses that lead to it ask for.

    Raises `Refused` for a value that cannot be meant and may decide where the servers are; others, and
    protection that nobody would give, are in `refused`.
    """
    ingresses = list(ingresses)
    said = _effective(service, ingresses, report)
    accepting = frozenset(_accepting(service, ingresses))
    values = _values(service, said, report, accepting)
    place: dict[str, Any] = values.draft.pop(PLACE, {})
    values.rewrite_target = place.pop(REWRITE_TARGET, "")
    notes = {name: Said(values.origins[PLACE, name], text) for name, text in place.items()}
    own = _own(said)
    values.placement = read_placement({**notes, **{n: own[n] for n in PLACE_NAMES if n in own}})
    if ingresses and values.refused is None:
        values.refused = _lost_protection(service, ingresses, values, accepting)
    return values


def set_aside(values: AnnotationValues) -> str:
    """Return why Ingress rules do not count, or nothing where they do."""
    if values.draft.get("mode") == "tcp":
        return "a tcp service has no hosts and paths"
    for field in ("hosts", "paths"):
        if origin := values.origins.get((field,)):
            return f"annotation {origin} says it"
    return ""


def _values(
    service: Service, said: Mapping[str, Said], report: Report, accepting: frozenset[str]
) -> AnnotationValues:
    """Return what these annotations say, and the source ranges of the Service. Raises `Refused`."""
    own = _own(said)
    values = AnnotationValues({}, {}, Placement())
    reader = Reader(values, report, accepting, _decided(own))
    for vendor in VENDORS:
        reader.read_vendor(vendor, said)
    for name, note in said.items():
        if not name.startswith(_OURS) and name != SOURCE_RANGES:
            reader.report_foreign(name, note)
    if "allow" not in own:
        _read_ranges(values, service, said.get(SOURCE_RANGES))
    reader.read_own(own)
    return values


def _own(said: Mapping[str, Said]) -> dict[str, Said]:
    """Return lbsync's own annotations, by their names without the prefix."""
    return {name[len(PREFIX) :]: note for name, note in said.items() if name.startswith(PREFIX)}


def _decided(own: Mapping[str, Said]) -> frozenset[str]:
    """Return the fields that protect and that lbsync's own annotations set."""
    return frozenset(FIELDS[name].path[0] for name in own.keys() & FIELDS.keys()) & PROTECTION


def _accepting(service: Service, ingresses: Iterable[Ingress]) -> Iterator[str]:
    """Yield where the owner accepts to be served without protection; the Service itself is `""`."""
    named = [("", service.annotations), *((_place(one), one.annotations) for one in ingresses)]
    for place, annotations in named:
        if annotations.get(PREFIX + ACCEPT, "").strip().lower() == "true":
            yield place


def _lost_protection(
    service: Service,
    ingresses: list[Ingress],
    values: AnnotationValues,
    accepting: frozenset[str],
) -> Refused | None:
    """Return why the Service would be less safe than one of those wants that speak for it."""
    if set_aside(values) and "" not in accepting:
        # Their hosts do not go with these Ingresses, so what protects may not either.
        for path, origin in sorted(values.origins.items()):
            if path[0] in PROTECTION and " of Ingress " in origin:
                return Refused(
                    f"annotation {origin} protects, and its rules are not used: without the Ingress the "
                    "service would be open",
                    f"write it on the Service, which names its hosts itself: {PREFIX}"
                    f"{path[0].replace('_', '-')}",
                )
    spoken = [("", _of_service(service)), *((_place(one), _of_ingress(one)) for one in ingresses)]
    if sum(bool(said) for _, said in spoken) + bool(service.source_ranges) < 2:
        return None
    decided = _decided(_own(_of_service(service)))
    first: dict[str, tuple[str, Any]] = {}
    bare = msgspec.structs.replace(service, source_ranges=())
    for place, said in spoken:
        try:
            alone = _values(bare if place else service, said, Report(place), accepting)
        except Refused:
            continue  # what cannot be meant is refused where it counts
        if alone.unsafe is not None:
            return alone.unsafe
        wanted = {
            field: _comparable(alone.draft[field])
            for field in sorted(alone.draft.keys() & PROTECTION - decided)
        }
        if (why := _at_odds(place, wanted, values, first, accepting)) is not None:
            return why
    return None


def _at_odds(
    place: str,
    wanted: Mapping[str, Any],
    values: AnnotationValues,
    first: dict[str, tuple[str, Any]],
    accepting: frozenset[str],
) -> Refused | None:
    """Return why what is wanted in this place does not go with what counts, or with what was wanted in another one
    before; `first` remembers."""
    shown_place = place or "the Service"
    for field, value in wanted.items():
        if field not in values.draft and accepting.isdisjoint({"", place}):
            # Another one lets in everybody, which no field says.
            return at_odds(f"{field} of {shown_place}", "what counts instead", field)
        before, known = first.setdefault(field, (place, value))
        if known != value and "" not in accepting and not accepting >= {before, place}:
            shown_first = f"{field.replace('_', ' ')} of {before or 'the Service'}"
            return at_odds(shown_first, f"that of {shown_place}", field)
    return None


def _effective(service: Service, ingresses: Iterable[Ingress], report: Report) -> dict[str, Said]:
    """Return the annotations that count, by full name, in the order of their names."""
    found = _of_service(service)
    for ingress in ingresses:
        where = _place(ingress)
        for name, text in sorted(ingress.annotations.items()):
            # `hosts: "*"` speaks of this Ingress' own rules without host.
            if _is_for_services(name) and (name != HOSTS or text.strip() != EVERY_HOST):
                report.warn(f"annotation {name} has no effect on an Ingress",
                            "write it on the Service", where)  # fmt: skip
        for name, note in sorted(_of_ingress(ingress).items()):
            first = found.setdefault(name, note)
            if first.text != note.text and first.place and name != PREFIX + ACCEPT:
                report.warn(
                    f"annotation {name} differs from {first.name}, which counts",
                    "give both the same value, or write it on the Service", where,
                )  # fmt: skip
    return dict(sorted(found.items()))


def _of_service(service: Service) -> dict[str, Said]:
    return {
        name: Said(name, _checked(name, text))
        for name, text in sorted(service.annotations.items())
        if name.startswith(_OURS) or concerns(name, text)
    }


def _of_ingress(ingress: Ingress) -> dict[str, Said]:
    where = _place(ingress)
    return {
        name: Said(f"{name} of {where}", _checked(name, text), where)
        for name, text in sorted(ingress.annotations.items())
        if (name.startswith(_OURS) or concerns(name, text)) and not _is_for_services(name)
    }


def _is_for_services(name: str) -> bool:
    return name.startswith(PREFIX) and name[len(PREFIX) :] in _ON_SERVICE_ONLY


def _place(ingress: Ingress) -> str:
    return f"Ingress {ingress.namespace}/{ingress.name}"


def _checked(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"annotation {shown(name)} is no text in UTF-8", "write it anew") from error
    return text


def _read_ranges(values: AnnotationValues, service: Service, note: Said | None) -> None:
    """Take the API's own allow list over; the annotation counts where there is no field, as there."""
    ranges, origin = service.source_ranges, "spec.loadBalancerSourceRanges"
    if not ranges and note is not None:
        ranges = tuple(filter(None, (part.strip() for part in note.text.split(","))))
        origin = note.name
    if not is_restrictive(ranges):
        return
    allow = [_network(text) for text in ranges]
    before = values.origins.get(("allow",))
    if before is None:
        put(values, ("allow",), allow, origin)
    elif _comparable(values.draft["allow"]) != _comparable(allow):
        # Neither may be widened by the other, and who meant which is not known.
        why = Refused(
            f"{origin} and annotation {before} let in different clients",
            f"write those that are meant into annotation {PREFIX}allow",
        )
        values.refuse(why, unsafe=True)


def _comparable(value: Any) -> Any:
    """Return a list of networks without regard to order and spelling; anything else as it is."""
    return {_network(str(one)) for one in value} if isinstance(value, list) else value


def _network(text: str) -> str:
    """Return a range without bits beyond its length, which the API takes and the contract does not."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        return text
