"""The few fields of Kubernetes objects that decide what is published.

Each struct is a projection: msgspec skips what is not named here, so a list of 5,000 slices costs
the memory of these fields only, and an object that changed in other fields alone (a Node's
heartbeat, managedFields) compares equal once `resource_version` is left out. Every field may be
missing or null: the API server does send `endpoints: null` and `ports: null` (measured on 1.20),
and the items of a list carry neither kind nor apiVersion.

Field meanings: Kubernetes API reference, core/v1, discovery.k8s.io/v1 (and v1beta1, whose fields
are the same but for `topology`). Ingress and IngressClass: `lbsync.model.kube_ingress`.
"""

import msgspec


class KubeObject(msgspec.Struct, frozen=True, rename="camel", gc=False, omit_defaults=True):
    """Base: frozen, JSON names in camelCase, unknown fields skipped.

    `gc=False`: these hold only strings, numbers, tuples and each other, so there are no cycles.
    """


class OwnerReference(KubeObject, frozen=True):
    """Who an object belongs to; `uid` tells a recreated owner from its predecessor."""

    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class ObjectMeta(KubeObject, frozen=True):
    """What every object has."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    """For the reflector only: never part of a published value."""
    generation: int | None = None
    creation_timestamp: str | None = None
    """RFC 3339, UTC, whole seconds."""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class ServicePort(KubeObject, frozen=True):
    """One port of a Service. `targetPort` is left out: slices carry the resolved number."""

    name: str | None = None
    protocol: str | None = None
    """Null: TCP."""
    port: int | None = None
    node_port: int | None = None
    app_protocol: str | None = None


class ClientIPConfig(KubeObject, frozen=True):
    """How long a client stays on its pod."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(KubeObject, frozen=True):
    """Details of `sessionAffinity: ClientIP`."""

    client_ip: ClientIPConfig | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(KubeObject, frozen=True):
    """What a Service asks for."""

    type: str | None = None
    """ClusterIP (null), NodePort, LoadBalancer or ExternalName."""
    ports: tuple[ServicePort, ...] | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    """`None` (the word) for a headless Service."""
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: tuple[str, ...] | None = None
    external_name: str | None = None
    external_traffic_policy: str | None = None
    health_check_node_port: int | None = None
    """Exists only for type LoadBalancer with externalTrafficPolicy Local (measured)."""
    session_affinity: str | None = None
    session_affinity_config: SessionAffinityConfig | None = None
    publish_not_ready_addresses: bool | None = None


class LoadBalancerPort(KubeObject, frozen=True):
    """One port of a load balancer, or why it has none."""

    port: int | None = None
    protocol: str | None = None
    error: str | None = None


class LoadBalancerIngress(KubeObject, frozen=True):
    """One address that a load balancer answers at: an IP or a host name."""

    ip: str | None = None
    hostname: str | None = None
    ports: tuple[LoadBalancerPort, ...] | None = None


class LoadBalancerStatus(KubeObject, frozen=True):
    """Where a load balancer answers."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(KubeObject, frozen=True):
    """What the cluster says of a Service."""

    load_balancer: LoadBalancerStatus | None = None


class Service(KubeObject, frozen=True):
    """core/v1 Service."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class TargetRef(KubeObject, frozen=True):
    """The object behind an endpoint, most often a Pod."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class EndpointConditions(KubeObject, frozen=True):
    """The state of an endpoint; `ready` null counts as true, `serving` null as `ready`."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(KubeObject, frozen=True):
    """One endpoint of a slice."""

    addresses: tuple[str, ...] | None = None
    """All of one endpoint; only the first is to be used (API reference, `addresses`)."""
    conditions: EndpointConditions | None = None
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: TargetRef | None = None
    topology: dict[str, str] | None = None
    """v1beta1 only: node name under `kubernetes.io/hostname`, zone beside it."""


class EndpointPort(KubeObject, frozen=True):
    """One port of a slice; the name is that of the Service's port."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(KubeObject, frozen=True):
    """discovery.k8s.io/v1 (and v1beta1) EndpointSlice."""

    metadata: ObjectMeta = ObjectMeta()
    address_type: str | None = None
    """IPv4, IPv6 or FQDN."""
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class Taint(KubeObject, frozen=True):
    """A reason not to use a node."""

    key: str | None = None
    value: str | None = None
    effect: str | None = None


class NodeSpec(KubeObject, frozen=True):
    """What a Node is set to."""

    taints: tuple[Taint, ...] | None = None


class NodeAddress(KubeObject, frozen=True):
    """One address of a Node; `type` is InternalIP, ExternalIP, Hostname, InternalDNS, …"""

    type: str | None = None
    address: str | None = None


class NodeStatus(KubeObject, frozen=True):
    """What a Node reports; its conditions are left out, health checks decide."""

    addresses: tuple[NodeAddress, ...] | None = None


class Node(KubeObject, frozen=True):
    """core/v1 Node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec | None = None
    status: NodeStatus | None = None
