"""EndpointSlices to the endpoints that take traffic."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from lbsync.model.kube import Endpoint, EndpointSlice, Service
from lbsync.model.values import Address, is_name
from lbsync.publisher.translate.families import Family, family_of, ip_address
from lbsync.publisher.translate.placement import Placement
from lbsync.publisher.translate.ports import PortChoice
from lbsync.publisher.translate.report import Report, shown

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

    A Service that was deleted and made anew leaves slices that belong to its old self for a
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


def gather(
    slices: Iterable[EndpointSlice],
    port: PortChoice,
    families: tuple[Family, ...],
    group_of: Callable[[EndpointSlice, Endpoint | None], str | None],
    report: Report,
) -> Members:
    """Return the members of every group, each (address, port) once, sorted.

    An endpoint whose group cannot be told is left out. A group whose slices hold no endpoint is there,
    and empty. A group with no member up has those
    that are terminating and still serve as up, as kube-proxy does.
    """
    best: dict[str, dict[tuple[str, int], Member]] = {}
    for found in slices:
        family = family_of(found.address_type)
        if family is None:
            report.warn(
                f"EndpointSlice {found.name} has addresses of type {shown(found.address_type)}, "
                "which are not published",
                "use addresses of type IPv4 or IPv6, or a Service of type ExternalName",
            )
        if family not in families:
            continue
        number = _number(found, port, report)
        if (whole := group_of(found, None)) is not None:
            best.setdefault(whole, {})
        for endpoint in found.endpoints if number else ():
            member = _member(endpoint, number, family, report)
            group = group_of(found, endpoint) if member is not None else None
            if member is not None and group is not None:
                members = best.setdefault(group, {})
                place = (member.address, member.port)
                members[place] = _better(members.get(place), member)
    return {group: _promote(list(members.values())) for group, members in sorted(best.items())}


def _number(found: EndpointSlice, port: PortChoice, report: Report) -> int:
    """Return the number that this slice has for the port; 0: none.

    Two slices of one Service may have different numbers for one name, where pods differ in what
    they call it.
    """
    if not port.declared and not found.ports:
        return port.number
    named = [p for p in found.ports if p.protocol == "TCP" and 0 < p.port < 65536]
    for entry in named:
        if entry.name == port.name or (not port.declared and entry.port == port.number):
            return entry.port
    if found.endpoints:
        report.warn(
            f"EndpointSlice {found.name} has no TCP port {shown(port.name) if port.name else 'without a name'}",
            "its endpoints are left out; let the Service's targetPort name a port that the pods' containers "
            "have, or, in a slice made by hand, give its port the name of the Service's port",
        )
    return 0


def _member(endpoint: Endpoint, port: int, family: Family, report: Report) -> Member | None:
    """Return the endpoint as a member, or None where it takes no traffic."""
    if endpoint.ready:
        state: Literal["up", "drain"] = "up"
    elif endpoint.serving and endpoint.terminating:
        state = "drain"
    else:
        return None
    try:
        address = ip_address(endpoint.address)
    except ValueError as error:
        report.warn(f"an endpoint is left out: {error}", "correct its EndpointSlice")
        return None
    name = endpoint.target or endpoint.hostname or endpoint.node
    return Member(name, address, port, state, family, endpoint.node, endpoint.target_uid)


def _better(old: Member | None, new: Member) -> Member:
    """Return the one to keep of two for the same address and port."""
    if old is None:
        return new
    # An endpoint stands in two slices while the controller moves it; "up" is the newer truth.
    return min(old, new, key=lambda m: (m.state != "up", not m.uid, m.name, m.node, m.uid))


def _promote(members: list[Member]) -> list[Member]:
    members.sort(key=lambda member: (member.name, member.address, member.port))
    if any(member.state == "up" for member in members):
        return members
    return [msgspec.structs.replace(member, state="up") for member in members]


def grouping(
    placement: Placement, default: str, pod_labels: PodLabels, report: Report
) -> Callable[[EndpointSlice, Endpoint | None], str | None]:
    """Return the function that names the group of an endpoint, or of a slice as a whole.

    None where it cannot be told: the Pod is not known yet (its own event will come), or its label
    names no group, of which the owner is warned.

    The pod's label counts before its slice's. The endpoint slice controller gives slices the labels
    of their Service, so a slice's own label is of use on slices that others make.
    """
    fallback = placement.group or default
    label = placement.group_label

    def named(found: EndpointSlice, endpoint: Endpoint | None) -> str | None:
        if not label:
            return fallback
        is_pod = endpoint is not None and bool(endpoint.target)
        labels = pod_labels.get(endpoint.target) if endpoint is not None and is_pod else {}
        group = (labels or {}).get(label) or found.labels.get(label)
        if group is None and labels is None:
            return None
        group = group or fallback
        if not is_name(group):
            report.warn(
                f"label {shown(label)} is {shown(group)}, which cannot name a group; what bears it "
                "is left out",
                "use lower-case letters, digits, - and ., beginning and ending with a letter or digit",
            )
            return None
        return group

    return named
