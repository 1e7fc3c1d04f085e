"""EndpointSlices to the endpoints that take traffic."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from lbsync.kube_objects import Endpoint, EndpointSlice, Service
from lbsync.publisher.translate.families import Family, family_of, ip_address
from lbsync.publisher.translate.placement import Placement
from lbsync.publisher.translate.ports import PortChoice
from lbsync.publisher.translate.report import Report, shown
from lbsync.values.names import Address, is_name

PodLabels = Mapping[str, Mapping[str, str]]
"""Labels of the pods of one namespace, by pod name; needed for groups by pod label only."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One endpoint that takes traffic, or finishes what it has."""

    name: str
    address: Address
    port: int
    state: Literal["up", "drain"]
    family: Family
    node: str
    uid: str
    """Of the pod; the same for both addresses of a dual-stack pod."""


Members = dict[str, list[Member]]
"""By group."""


def slices_of(service: Service, slices: Iterable[EndpointSlice]) -> list[EndpointSlice]:
    """Return the slices of `service`, sorted by name.

    A Service that was deleted and created again leaves slices that belong to its old self for a
    moment: their owner's uid is another one. A slice made by hand has no owner.
    """
    mine = [
        found
        for found in slices
        if found.service == service.name
        and found.namespace == service.namespace
        and found.owner_uid in ("", service.uid)
    ]
    return sorted(mine, key=lambda found: found.name)


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one endpoint."""

    slice: EndpointSlice
    endpoint: Endpoint
    group: str = ""
    member: Member | None = None
    """None: it is left out."""
    why: str = ""
    """Why it is left out."""


GroupOf = Callable[[EndpointSlice, Endpoint | None], tuple[str | None, str]]
"""The group of an endpoint, or of a slice as a whole; None, and why, where it cannot be told."""


def gather(
    slices: Iterable[EndpointSlice],
    port: PortChoice,
    families: tuple[Family, ...],
    group_of: GroupOf,
    report: Report,
) -> Members:
    """Return the members of every group, each (address, port) once, sorted.

    An endpoint whose group cannot be told is left out. A group whose slices hold no endpoint is there,
    and empty. A group with no member up has those that are terminating and still serve as up, as
    kube-proxy does.
    """
    groups: dict[str, list[Member]] = {}
    judged: list[Judged] = []
    for found in slices:
        if family_of(found.address_type) in families:
            whole, _ = group_of(found, None)
            if whole is not None:
                groups.setdefault(whole, [])
        judged += judge(found, port, families, group_of, report)
    for one in settled(judged):
        if one.member is not None:
            groups.setdefault(one.group, []).append(one.member)
    for members in groups.values():
        members.sort(key=lambda member: (member.name, member.address, member.port))
    return dict(sorted(groups.items()))


def settled(judged: Iterable[Judged]) -> list[Judged]:
    """Return what becomes of endpoints beside each other: of two for one address and port one counts,
    and where nobody is up those that drain are."""
    best: dict[tuple[str, str, int], Judged] = {}
    found = list(judged)
    for one in found:
        if one.member is not None:
            place = (one.group, one.member.address, one.member.port)
            best[place] = _better(best.get(place), one)
    with_up = {one.group for one in best.values() if one.member and one.member.state == "up"}
    return [_beside(one, best, with_up) for one in found]


def _beside(
    one: Judged, best: Mapping[tuple[str, str, int], Judged], with_up: Collection[str]
) -> Judged:
    if one.member is None:
        return one
    chosen = best[one.group, one.member.address, one.member.port]
    if chosen is not one:
        why = f"it stands in EndpointSlice {chosen.slice.name} too, which counts"
        return msgspec.structs.replace(one, member=None, why=why)
    if one.group in with_up:
        return one
    return msgspec.structs.replace(one, member=msgspec.structs.replace(one.member, state="up"))


def judge(
    found: EndpointSlice,
    port: PortChoice,
    families: tuple[Family, ...],
    group_of: GroupOf,
    report: Report,
) -> Iterator[Judged]:
    """Yield what becomes of each endpoint of one slice, and warn of what its owner can mend."""
    family, why, number = family_of(found.address_type), "", 0
    if family is None:
        why = f"addresses of type {shown(found.address_type)} are not published"
        report.warn(
            f"EndpointSlice {found.name} has addresses of type {shown(found.address_type)}, "
            "which are not published",
            "use addresses of type IPv4 or IPv6, or a Service of type ExternalName",
        )
    elif family not in families:
        why = f"it has an IP{family} address, and IP{' and IP'.join(families)} is published"
    else:
        number = _number(found, port)
        if not number:
            why = f"its slice has no TCP port {_named(port)}"
            if found.endpoints:
                _warn_of_port(found, port, report)
    for endpoint in found.endpoints:
        if why or family is None:
            yield Judged(found, endpoint, why=why)
        else:
            yield _judged(found, endpoint, number, family, group_of=group_of, report=report)


def _judged(
    found: EndpointSlice,
    endpoint: Endpoint,
    number: int,
    family: Family,
    *,
    group_of: GroupOf,
    report: Report,
) -> Judged:
    if endpoint.ready:
        state: Literal["up", "drain"] = "up"
    elif endpoint.serving and endpoint.terminating:
        state = "drain"
    elif endpoint.terminating:
        return Judged(found, endpoint, why="it is terminating and serves no more")
    else:
        return Judged(found, endpoint, why="it is not ready")
    try:
        address = ip_address(endpoint.address)
    except ValueError as error:
        report.warn(f"an endpoint is left out: {error}", "correct its EndpointSlice")
        return Judged(found, endpoint, why=str(error))
    group, why = group_of(found, endpoint)
    if group is None:
        return Judged(found, endpoint, why=why)
    name = endpoint.target or endpoint.hostname or endpoint.node
    member = Member(name, address, number, state, family, endpoint.node, endpoint.target_uid)
    return Judged(found, endpoint, group, member)


def _number(found: EndpointSlice, port: PortChoice) -> int:
    """Return the number that this slice has for the port; 0: none.

    Two slices of one Service may have different numbers for one name, where pods differ in what
    they call it. A port without a number, and a slice without ports, stand for all ports (API
    reference, `EndpointPort.port`): then the Service's own `targetPort` says which.
    """
    if not found.ports:
        return port.target
    tcp = [entry for entry in found.ports if entry.protocol == "TCP"]
    for entry in tcp:
        is_it = entry.name == port.name or (not port.declared and entry.port == port.number)
        if is_it and 0 < entry.port < 65536:
            return entry.port
    if any(entry.port == 0 and entry.name in (port.name, "") for entry in tcp):
        return port.target
    return 0


def _named(port: PortChoice) -> str:
    return shown(port.name) if port.name else "without a name"


def _warn_of_port(found: EndpointSlice, port: PortChoice, report: Report) -> None:
    report.warn(
        f"EndpointSlice {found.name} has no TCP port {_named(port)}",
        "its endpoints are left out; let the Service's targetPort name a port that the pods' containers "
        "have, or, in a slice made by hand, give its port the name of the Service's port",
    )


def _better(old: Judged | None, new: Judged) -> Judged:
    """Return the one to keep of two for the same address and port."""
    if old is None:
        return new

    def rank(one: Judged) -> tuple[bool, bool, str, str, str]:
        # An endpoint stands in two slices while the controller moves it; "up" is the newer truth.
        m = one.member
        return (
            (m.state != "up", not m.uid, m.name, m.node, m.uid) if m else (True, True, "", "", "")
        )

    return min(old, new, key=rank)


def grouping(placement: Placement, default: str, pod_labels: PodLabels, report: Report) -> GroupOf:
    """Return the function that names the group of an endpoint, or of a slice as a whole.

    None where it cannot be told: the Pod is not known yet (its own event will come), or its label
    names no group, of which the owner is warned.

    The pod's label counts before its slice's. The endpoint slice controller gives slices the labels
    of their Service, so a slice's own label is of use on slices that others make.
    """
    fallback = placement.group or default
    label = placement.group_label

    def named(found: EndpointSlice, endpoint: Endpoint | None) -> tuple[str | None, str]:
        if not label:
            return fallback, ""
        is_pod = endpoint is not None and bool(endpoint.target)
        labels = pod_labels.get(endpoint.target) if endpoint is not None and is_pod else {}
        group = (labels or {}).get(label) or found.labels.get(label)
        if group is None and labels is None:
            return None, f"its Pod, whose label {shown(label)} names its group, is not known yet"
        group = group or fallback
        if not is_name(group):
            report.warn(
                f"label {shown(label)} is {shown(group)}, which cannot name a group; what bears it "
                "is left out",
                "use lower-case letters, digits, - and ., beginning and ending with a letter or digit",
            )
            return None, f"its label {shown(label)} is {shown(group)}, which cannot name a group"
        return group, ""

    return named
