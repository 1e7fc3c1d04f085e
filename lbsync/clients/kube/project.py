"""From an object as it travels to the small value that is kept. Pure; nothing can fail here."""

import sys

from lbsync import kube_objects as objects
from lbsync.clients.kube import wire
from lbsync.kube_objects import Labels

SERVICE_LABEL = "kubernetes.io/service-name"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_NODE = "kubernetes.io/hostname"
_ZONE = "topology.kubernetes.io/zone"
_BULKY = "kubectl.kubernetes.io/last-applied-configuration"
"""A second copy of the whole object: the most of a Service's bytes, and nobody's decision."""
_NO_TOPOLOGY: dict[str, str | None] = {}
_EVERYTHING_NULL = wire.Conditions()
_NO_TARGET = wire.Target()


def labels(found: wire.Map) -> Labels:
    """Return labels or annotations; they repeat from object to object, so they are shared."""
    return {
        sys.intern(key): sys.intern(value or "")
        for key, value in (found or {}).items()
        if key != _BULKY
    }


def service(wired: wire.Service) -> objects.Service:
    """Keep of a Service what translation reads; absent parts become empty ones."""
    meta, spec = wired.metadata, wired.spec or wire.ServiceSpec()
    status = wired.status or wire.ServiceStatus()
    affinity = spec.session_affinity_config or wire.AffinityConfig()
    balancer = status.load_balancer or wire.LoadBalancer()
    ips = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
    return objects.Service(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        created=meta.creation_timestamp or "",
        deleting=bool(meta.deletion_timestamp),
        labels=labels(meta.labels),
        annotations=labels(meta.annotations),
        type=sys.intern(spec.type or "ClusterIP"),
        ports=tuple(_service_port(port) for port in spec.ports or ()),
        selects=bool(spec.selector),
        cluster_ips=tuple(ips),
        ip_families=tuple(sys.intern(family) for family in spec.ip_families or ()),
        external_name=spec.external_name or "",
        external_ips=tuple(spec.external_ips or ()),
        external_traffic_policy=sys.intern(spec.external_traffic_policy or ""),
        health_check_node_port=spec.health_check_node_port or 0,
        session_affinity=sys.intern(spec.session_affinity or "None"),
        affinity_timeout=(affinity.client_ip and affinity.client_ip.timeout_seconds) or 0,
        publish_not_ready=bool(spec.publish_not_ready_addresses),
        allocates_node_ports=spec.allocate_load_balancer_node_ports is not False,
        source_ranges=tuple(spec.load_balancer_source_ranges or ()),
        load_balancer=tuple(
            place.ip or place.hostname or ""
            for place in balancer.ingress or ()
            if place.ip or place.hostname
        ),
    )


def _service_port(port: wire.ServicePort) -> objects.ServicePort:
    return objects.ServicePort(
        name=sys.intern(port.name or ""),
        port=port.port or 0,
        node_port=port.node_port or 0,
        protocol=sys.intern(port.protocol or "TCP"),
        app_protocol=sys.intern(port.app_protocol or ""),
        target_port=_target_port(port),
    )


def _target_port(port: wire.ServicePort) -> int:
    target = port.target_port
    if isinstance(target, str):  # a name, which each pod gives a number of its own
        return 0
    return target or port.port or 0


def endpoint_slice(wired: wire.EndpointSlice) -> objects.EndpointSlice:
    """Keep of an EndpointSlice what translation reads."""
    meta = wired.metadata
    found = labels(meta.labels)
    owners = meta.owner_references or ()
    return objects.EndpointSlice(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        service=found.get(SERVICE_LABEL, ""),
        owner_uid=next((owner.uid or "" for owner in owners if owner.kind == "Service"), ""),
        labels=found,
        address_type=sys.intern(wired.address_type or ""),
        ports=tuple(_slice_port(port) for port in wired.ports or ()),
        # An endpoint without an address is against the API's own rules, and reaches nobody.
        endpoints=tuple(
            _endpoint(endpoint, endpoint.addresses[0])
            for endpoint in wired.endpoints or ()
            if endpoint.addresses
        ),
        deleting=bool(meta.deletion_timestamp),
    )


def _slice_port(port: wire.SlicePort) -> objects.SlicePort:
    return objects.SlicePort(
        sys.intern(port.name or ""),
        port.port or 0,
        sys.intern(port.protocol or "TCP"),
        sys.intern(port.app_protocol or ""),
    )


def _endpoint(endpoint: wire.Endpoint, address: str) -> objects.Endpoint:
    state = endpoint.conditions or _EVERYTHING_NULL
    target = endpoint.target_ref or _NO_TARGET
    topology = endpoint.topology or _NO_TOPOLOGY
    ready = state.ready is not False
    # Positional: this runs once for every pod of the cluster.
    return objects.Endpoint(
        address,
        ready,
        ready if state.serving is None else state.serving,
        state.terminating is True,
        (target.name or "") if target.kind in (None, "Pod") else "",
        target.uid or "",
        endpoint.hostname or "",
        sys.intern(endpoint.node_name or topology.get(_NODE) or ""),
        sys.intern(endpoint.zone or topology.get(_ZONE) or ""),
    )


def node(wired: wire.Node) -> objects.Node:
    """Keep of a Node what translation reads."""
    meta = wired.metadata
    spec, status = wired.spec or wire.NodeSpec(), wired.status or wire.NodeStatus()
    return objects.Node(
        namespace="",
        name=meta.name,
        uid=meta.uid or "",
        labels=labels(meta.labels),
        addresses=tuple(
            objects.NodeAddress(address.type or "", address.address)
            for address in status.addresses or ()
            if address.address
        ),
        taints=tuple(
            objects.Taint(taint.key or "", taint.value or "", taint.effect or "")
            for taint in spec.taints or ()
        ),
        deleting=bool(meta.deletion_timestamp),
        ready=all(
            condition.status == "True"
            for condition in status.conditions or ()
            if condition.type == "Ready"
        ),
    )


def ingress(wired: wire.Ingress) -> objects.Ingress:
    """Keep of an Ingress what translation reads."""
    meta, spec = wired.metadata, wired.spec or wire.IngressSpec()
    return objects.Ingress(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        created=meta.creation_timestamp or "",
        deleting=bool(meta.deletion_timestamp),
        labels=labels(meta.labels),
        annotations=labels(meta.annotations),
        class_name=spec.ingress_class_name or "",
        default_backend=_backend(spec.default_backend) if spec.default_backend else None,
        rules=tuple(_rule(rule) for rule in spec.rules or ()),
        tls_hosts=tuple(host for tls in spec.tls or () for host in tls.hosts or ()),
    )


def _rule(rule: wire.Rule) -> objects.IngressRule:
    http = rule.http or wire.Http()
    return objects.IngressRule(
        rule.host or "",
        tuple(
            objects.IngressPath(path.path or "", path.path_type or "", _backend(path.backend))
            for path in http.paths or ()
        ),
    )


def _backend(backend: wire.Backend | None) -> objects.Backend:
    service = (backend and backend.service) or wire.BackendService()
    port = service.port or wire.BackendPort()
    return objects.Backend(service.name or "", port.name or "", port.number or 0)


def ingress_class(wired: wire.IngressClass) -> objects.IngressClass:
    """Keep of an IngressClass what translation reads."""
    spec = wired.spec or wire.IngressClassSpec()
    return objects.IngressClass(
        namespace="",
        name=wired.metadata.name,
        uid=wired.metadata.uid or "",
        controller=spec.controller or "",
        is_default=labels(wired.metadata.annotations).get(_DEFAULT_CLASS) == "true",
        parameters=_parameters(spec.parameters),
    )


def _parameters(found: wire.ClassParameters | None) -> str:
    if found is None:
        return ""
    place = f"{found.namespace}/" if found.namespace else ""
    return f"{found.kind or 'an object'} {place}{found.name or ''}".rstrip()


def pod(wired: wire.Object) -> objects.Pod:
    """Reduce a Pod, which was asked for as metadata only."""
    meta = wired.metadata
    return objects.Pod(
        namespace=meta.namespace or "",
        name=meta.name,
        uid=meta.uid or "",
        labels=labels(meta.labels),
    )
