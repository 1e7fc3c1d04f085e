"""Objects as they travel: camelCase, every list and every part possibly null or absent.

Only the fields that `project` reads are declared; msgspec skips all others without building them.
The names and meanings are those of the Kubernetes API reference.
"""

import msgspec

Text = str | None
Number = int | None
Map = dict[str, str | None] | None


class Part(msgspec.Struct, rename="camel", gc=False):
    """Anything inside an object. Decoded, read once, dropped: the collector need not follow it."""


class Owner(Part):
    """One of `metadata.ownerReferences`."""

    kind: Text = None
    uid: Text = None


class Meta(Part):
    """`metadata` of any object; the name is the one field without which there is no object."""

    name: str
    namespace: Text = None
    uid: Text = None
    resource_version: Text = None
    creation_timestamp: Text = None
    deletion_timestamp: Text = None
    labels: Map = None
    annotations: Map = None
    owner_references: list[Owner] | None = None


class Object(Part):
    """Any object, reduced to its metadata."""

    metadata: Meta


class ServicePort(Part):
    """`Service.spec.ports[]`."""

    name: Text = None
    port: Number = None
    target_port: int | str | None = None
    node_port: Number = None
    protocol: Text = None
    app_protocol: Text = None


class ClientIP(Part):
    """`Service.spec.sessionAffinityConfig.clientIP`."""

    timeout_seconds: Number = None


class AffinityConfig(Part):
    """`Service.spec.sessionAffinityConfig`."""

    client_ip: ClientIP | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(Part):
    """`Service.spec`."""

    type: Text = None
    ports: list[ServicePort] | None = None
    selector: Map = None
    cluster_ip: Text = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: list[str] | None = None
    external_name: Text = None
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")
    external_traffic_policy: Text = None
    health_check_node_port: Number = None
    session_affinity: Text = None
    session_affinity_config: AffinityConfig | None = None
    publish_not_ready_addresses: bool | None = None
    allocate_load_balancer_node_ports: bool | None = None
    load_balancer_source_ranges: list[str] | None = None


class LoadBalancerIngress(Part):
    """`Service.status.loadBalancer.ingress[]`."""

    ip: Text = None
    hostname: Text = None


class LoadBalancer(Part):
    """`Service.status.loadBalancer`."""

    ingress: list[LoadBalancerIngress] | None = None


class ServiceStatus(Part):
    """`Service.status`."""

    load_balancer: LoadBalancer | None = None


class Service(Object):
    """A Service (core/v1) as far as it is read."""

    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class SlicePort(Part):
    """`EndpointSlice.ports[]`."""

    name: Text = None
    port: Number = None
    protocol: Text = None
    app_protocol: Text = None


class Conditions(Part):
    """`EndpointSlice.endpoints[].conditions`."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Target(Part):
    """`EndpointSlice.endpoints[].targetRef`."""

    kind: Text = None
    name: Text = None
    uid: Text = None


class Endpoint(Part):
    """`EndpointSlice.endpoints[]`; `topology` is how v1beta1 tells node and zone."""

    addresses: list[str] | None = None
    conditions: Conditions | None = None
    hostname: Text = None
    target_ref: Target | None = None
    node_name: Text = None
    zone: Text = None
    topology: Map = None


class EndpointSlice(Object):
    """An EndpointSlice of v1 or v1beta1."""

    address_type: Text = None
    endpoints: list[Endpoint] | None = None
    ports: list[SlicePort] | None = None


class Taint(Part):
    """`Node.spec.taints[]`."""

    key: Text = None
    value: Text = None
    effect: Text = None


class NodeSpec(Part):
    """`Node.spec`."""

    taints: list[Taint] | None = None


class NodeAddress(Part):
    """`Node.status.addresses[]`."""

    type: Text = None
    address: Text = None


class NodeCondition(Part):
    """`Node.status.conditions[]`."""

    type: Text = None
    status: Text = None


class NodeStatus(Part):
    """`Node.status`."""

    addresses: list[NodeAddress] | None = None
    conditions: list[NodeCondition] | None = None


class Node(Object):
    """A Node (core/v1) as far as it is read."""

    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class BackendPort(Part):
    """`Ingress` backend `service.port`."""

    name: Text = None
    number: Number = None


class BackendService(Part):
    """`Ingress` backend `service`."""

    name: Text = None
    port: BackendPort | None = None


class Backend(Part):
    """`Ingress` backend."""

    service: BackendService | None = None


class Path(Part):
    """`Ingress.spec.rules[].http.paths[]`."""

    path: Text = None
    path_type: Text = None
    backend: Backend | None = None


class Http(Part):
    """`Ingress.spec.rules[].http`."""

    paths: list[Path] | None = None


class Rule(Part):
    """`Ingress.spec.rules[]`."""

    host: Text = None
    http: Http | None = None


class Tls(Part):
    """`Ingress.spec.tls[]`."""

    hosts: list[str] | None = None


class IngressSpec(Part):
    """`Ingress.spec`."""

    ingress_class_name: Text = None
    default_backend: Backend | None = None
    rules: list[Rule] | None = None
    tls: list[Tls] | None = None


class Ingress(Object):
    """An Ingress (networking.k8s.io/v1) as far as it is read."""

    spec: IngressSpec | None = None


class ClassParameters(Part):
    """`IngressClass.spec.parameters`: an object with more settings, of any kind."""

    kind: Text = None
    name: Text = None
    namespace: Text = None


class IngressClassSpec(Part):
    """`IngressClass.spec`."""

    controller: Text = None
    parameters: ClassParameters | None = None


class IngressClass(Object):
    """An IngressClass (networking.k8s.io/v1) as far as it is read."""

    spec: IngressClassSpec | None = None
