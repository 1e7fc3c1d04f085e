"""The servers of a Service, by address mode."""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from lbsync.kube_objects import Service
from lbsync.publisher.translate.families import Family, family_of_address, ip_address
from lbsync.publisher.translate.names import Draft
from lbsync.publisher.translate.nodes import NodePool
from lbsync.publisher.translate.options import Options
from lbsync.publisher.translate.placement import Placement
from lbsync.publisher.translate.ports import PortChoice
from lbsync.publisher.translate.report import Refused, Report, shown
from lbsync.publisher.translate.slices import Members
from lbsync.settings.publisher import AddressMode, NodeAddressKind
from lbsync.values.names import Address

MAX_WEIGHT = 256
"""HAProxy's limit (manual 5.2, `weight`)."""


class ServerContext(msgspec.Struct, frozen=True):
    """All that decides about the servers of one Service and one of its ports."""

    service: Service
    port: PortChoice
    families: tuple[Family, ...]
    members: Members
    pool: NodePool
    placement: Placement
    options: Options
    report: Report

    @property
    def node_address(self) -> NodeAddressKind:
        """Which of a node's addresses counts."""
        return self.placement.node_address or self.options.node_address


Drafts = dict[str, list[Draft]]


def _suffix(context: ServerContext, family: Family) -> str:
    """Return what tells a server's second address from its first where both are published."""
    return "-v6" if len(context.families) > 1 and family == "v6" else ""


def _share(context: ServerContext, addresses: int) -> int:
    """Return the weight of one address, so that two of one pod or node count as one server."""
    return 2 if len(context.families) > 1 and addresses == 1 else 1


def pod(context: ServerContext) -> Drafts:
    """Every pod's own address; needs routes from the HAProxy hosts to the pods."""
    if context.service.type == "ExternalName":
        raise Refused(
            "it is of type ExternalName and has no pods",
            "set annotation lbsync.io/address-mode: external-name",
        )
    found: Drafts = {}
    for group, members in context.members.items():
        seen = Counter(member.uid for member in members if member.uid)
        found[group] = [
            Draft(
                member.name + _suffix(context, member.family) if member.name else "",
                member.address,
                member.port,
                _share(context, seen.get(member.uid, 1)),
                member.state,
            )
            for member in members
        ]
    return found or {context.placement.group or context.options.default_group: []}


def _only_group(context: ServerContext) -> str:
    """Return the one group of a mode whose servers stand for all pods at once."""
    if context.placement.group_label:
        raise Refused(
            "groups by label need the pods' own addresses",
            "set annotation lbsync.io/address-mode: pod, or take lbsync.io/group-label out",
        )
    return context.placement.group or context.options.default_group


def nodeport(context: ServerContext) -> Drafts:
    """Every usable node at the Service's nodePort.

    externalTrafficPolicy Local: only nodes with endpoints of their own, as much as these are, since
    the others drop what comes. Cluster: all nodes, as long as anything can answer behind them.
    """
    group = _only_group(context)
    _require_node_port(context)
    count = _count(context)
    local = context.service.external_traffic_policy == "Local"
    kind = context.node_address
    drafts: list[Draft] = []
    missing: list[str] = []
    for node in context.pool.nodes:
        addresses = {family: node.address(family, kind) for family in context.families}
        share = _share(context, sum(address is not None for address in addresses.values()))
        if None in addresses.values():
            missing.append(node.name)
        for family, address in addresses.items():
            place = node.name if local else ""
            up, all_here = count["up", family, place], count["any", family, place]
            if address is not None and (up or (local and all_here)):
                weight = min(MAX_WEIGHT, (up or 1) * share) if local else share
                name = node.name + _suffix(context, family)
                state: Literal["up", "drain"] = "up" if up else "drain"
                drafts.append(Draft(name, address, context.port.node_port, weight, state))
    if missing:
        context.report.warn(
            f"{len(missing)} nodes have no {kind} of the wanted family, among them {missing[0]}",
            "set annotation lbsync.io/node-address or lbsync.io/ip-family",
        )
    return {group: drafts}


def _require_node_port(context: ServerContext) -> None:
    service, port = context.service, context.port
    if service.type not in ("NodePort", "LoadBalancer"):
        raise Refused(
            "address mode nodeport needs a Service of type NodePort or LoadBalancer, not "
            f"{shown(service.type)}",
            "set annotation lbsync.io/address-mode: external-name"
            if service.type == "ExternalName"
            else "change its type, or set annotation lbsync.io/address-mode: pod or clusterip",
        )
    if not 0 < port.node_port < 65536:
        raise Refused(
            f"port {port.name or port.number} has no nodePort",
            "set allocateLoadBalancerNodePorts: true, or annotation lbsync.io/address-mode: pod",
        )


def _count(context: ServerContext) -> Counter[tuple[str, Family, str]]:
    """Count the members up and all, by family, per node and (node "") altogether."""
    count: Counter[tuple[str, Family, str]] = Counter()
    is_node_unknown = False
    for members in context.members.values():
        for member in members:
            is_node_unknown = is_node_unknown or not member.node
            for place in {"", member.node}:
                count["any", member.family, place] += 1
                count["up", member.family, place] += member.state == "up"
    if is_node_unknown and context.service.external_traffic_policy == "Local":
        context.report.warn(
            "an endpoint names no node, and externalTrafficPolicy is Local",
            "set nodeName in its EndpointSlice, or externalTrafficPolicy: Cluster",
        )
    return count


def clusterip(context: ServerContext) -> Drafts:
    """The Service's own address; needs routes from the HAProxy hosts to the service network."""
    service = context.service
    group = _only_group(context)
    addresses = [ip for ip in service.cluster_ips if ip and ip != "None"]
    if service.type == "ExternalName" or not addresses:
        raise Refused(
            "address mode clusterip needs a Service with a cluster IP",
            "set annotation lbsync.io/address-mode: pod (headless) or external-name (ExternalName)",
        )
    up = {m.family for ms in context.members.values() for m in ms if m.state == "up"}
    drafts = []
    for text in addresses:
        family = family_of_address(text)
        if family in context.families and family in up:
            name = service.name + _suffix(context, family)
            drafts.append(Draft(name, _address(text, ip_address), context.port.number))
    return {group: drafts}


def _external_refusal(context: ServerContext) -> str:
    """Return what it takes for this name to be allowed; empty if it is."""
    namespace, name = context.service.namespace, context.service.external_name.lower().rstrip(".")
    match context.options.external_names:
        case "never":
            return "this publisher allows none"
        case "claimed" if not any(
            owner in (namespace, "*") and _takes_in(what, name)
            for owner, what in context.options.given_names
        ):
            return f'let the operator of lbsync add "{namespace}={name}" to [claims] servers'
        case "annotated" if not context.placement.allow_external_name:
            return 'set annotation lbsync.io/allow-external-name: "true"'
    return ""


def _takes_in(what: str, name: str) -> bool:
    """Tell whether a name, wildcard or network takes a name (or address) in."""
    if what.startswith("*."):
        return name.endswith(what[1:])
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(what)
    except ValueError:
        return what in ("*", name)


def external_name(context: ServerContext) -> Drafts:
    """A DNS name outside the cluster."""
    service = context.service
    group = _only_group(context)
    if service.type != "ExternalName":
        raise Refused(
            f"address mode external-name needs a Service of type ExternalName, not "
            f"{shown(service.type)}",
            "take annotation lbsync.io/address-mode out, or set it to pod, nodeport or clusterip",
        )
    if cure := _external_refusal(context):
        raise Refused("traffic to a name outside the cluster is not allowed", cure)
    address = _address(service.external_name)
    return {group: [Draft(service.name, address, context.port.number)]}


def lb_status(context: ServerContext) -> Drafts:
    """Where the cluster's own load balancer answers: HAProxy in front of it."""
    service = context.service
    group = _only_group(context)
    if service.type != "LoadBalancer":
        raise Refused(
            f"address mode lb-status needs a Service of type LoadBalancer, not "
            f"{shown(service.type)}",
            "change its type, or take annotation lbsync.io/address-mode out",
        )
    if not service.load_balancer:
        context.report.warn("its load balancer has no address yet", "wait, or see what holds it up")
    drafts = []
    for text in sorted(set(service.load_balancer)):
        address = _address(text)
        if address.is_name or family_of_address(address) in context.families:
            drafts.append(Draft("", address, context.port.number))
    return {group: drafts}


def _address(text: str, parse: Callable[[str], Address] = Address.parse) -> Address:
    try:
        return parse(text)
    except ValueError as error:
        raise Refused(f"its address cannot be a server's: {error}", "use one that can") from error


MODES: dict[AddressMode, Callable[[ServerContext], Drafts]] = {
    "pod": pod,
    "nodeport": nodeport,
    "clusterip": clusterip,
    "external-name": external_name,
    "lb-status": lb_status,
}


def local_check(service: Service) -> dict[str, Any] | None:
    """Return the check that kube-proxy offers for externalTrafficPolicy Local, if there is one.

    It answers 200 on a node with endpoints and 503 on the others, and exists only for type
    LoadBalancer (measured); a NodePort Service is checked by connecting.
    """
    if service.external_traffic_policy != "Local" or not 0 < service.health_check_node_port < 65536:
        return None
    return {"type": "http", "path": "/healthz", "port": service.health_check_node_port}
