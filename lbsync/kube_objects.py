"""What Kubernetes objects are reduced to: only what decides how traffic flows, in small values.

Values, not documents: two that are equal make no difference to a balancer, so a change that leaves
them equal (a heartbeat, a managedFields entry, another resourceVersion) is not reported at all.
Absent and null are the same here: empty tuple, empty string, empty dict, 0.

Field meanings are those of the Kubernetes API reference; only what differs is described.
"""

from collections.abc import Mapping

import msgspec

Labels = Mapping[str, str]


class ServicePort(msgspec.Struct, frozen=True, gc=False):
    """One of `spec.ports`."""

    name: str
    """"" for the only, unnamed port."""
    port: int
    node_port: int
    """0 when none was given."""
    protocol: str
    app_protocol: str
    target_port: int = 0
    """`targetPort` where it is a number, else `port` where it was left out; 0: it is a name."""


class Service(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A v1 Service."""

    namespace: str
    name: str
    uid: str
    created: str
    """RFC 3339 in UTC, so comparing text compares time."""
    deleting: bool
    labels: Labels
    annotations: Labels
    """Without kubectl's copy of the whole object."""
    type: str
    ports: tuple[ServicePort, ...]
    selects: bool
    """True when `spec.selector` chooses pods; False: slices are made by hand, or mirrored."""
    cluster_ips: tuple[str, ...]
    """`("None",)` for a headless Service."""
    ip_families: tuple[str, ...]
    external_name: str
    external_ips: tuple[str, ...]
    external_traffic_policy: str
    health_check_node_port: int
    session_affinity: str
    affinity_timeout: int
    """Seconds; 0 when session_affinity is None."""
    publish_not_ready: bool
    allocates_node_ports: bool
    source_ranges: tuple[str, ...]
    """`spec.loadBalancerSourceRanges`: whom a load balancer lets in; empty: everybody."""
    load_balancer: tuple[str, ...]
    """Addresses and host names of `status.loadBalancer.ingress`, in the order given."""


class SlicePort(msgspec.Struct, frozen=True, gc=False):
    """One of a slice's `ports`."""

    name: str
    port: int
    """0 stands for null: "all ports"."""
    protocol: str
    app_protocol: str


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """One of a slice's `endpoints`. Conditions are filled in as the API reference demands."""

    address: str
    """The first of `addresses`; the API says that the others stand for the same thing."""
    ready: bool
    """Null counts as true."""
    serving: bool
    """Null counts as `ready`."""
    terminating: bool
    """Null counts as false."""
    target: str
    """Name of the Pod behind it, or ""."""
    target_uid: str
    hostname: str
    node: str
    zone: str


class EndpointSlice(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A discovery.k8s.io EndpointSlice, v1 or v1beta1."""

    namespace: str
    name: str
    uid: str
    service: str
    """Label `kubernetes.io/service-name`, or ""."""
    owner_uid: str
    """uid of the Service among its owners, or ""."""
    labels: Labels
    address_type: str
    ports: tuple[SlicePort, ...]
    endpoints: tuple[Endpoint, ...]
    deleting: bool


class Taint(msgspec.Struct, frozen=True, gc=False):
    """One of a Node's `spec.taints`."""

    key: str
    value: str
    effect: str


class NodeAddress(msgspec.Struct, frozen=True, gc=False):
    """One of a Node's `status.addresses`."""

    type: str
    address: str


class Node(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A v1 Node; its heartbeats leave this unchanged."""

    namespace: str
    """Always "": nodes are cluster-wide."""
    name: str
    uid: str
    labels: Labels
    addresses: tuple[NodeAddress, ...]
    taints: tuple[Taint, ...]
    deleting: bool
    ready: bool = True
    """False while the condition `Ready` is there and not true."""


class Backend(msgspec.Struct, frozen=True, gc=False):
    """Where an Ingress sends a request."""

    service: str
    """"" when the backend is another kind of resource."""
    port_name: str
    port_number: int
    """0 when the port is named."""


class IngressPath(msgspec.Struct, frozen=True, gc=False):
    """One path of an Ingress rule."""

    path: str
    path_type: str
    backend: Backend


class IngressRule(msgspec.Struct, frozen=True, gc=False):
    """One rule of an Ingress; host "" means every host."""

    host: str
    paths: tuple[IngressPath, ...]


class Ingress(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A networking.k8s.io/v1 Ingress."""

    namespace: str
    name: str
    uid: str
    created: str
    deleting: bool
    labels: Labels
    annotations: Labels
    class_name: str
    """`spec.ingressClassName`; the old annotation is among `annotations`."""
    default_backend: Backend | None
    rules: tuple[IngressRule, ...]
    tls_hosts: tuple[str, ...]


class IngressClass(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A networking.k8s.io/v1 IngressClass."""

    namespace: str
    """Always "": classes are cluster-wide."""
    name: str
    uid: str
    controller: str
    is_default: bool
    parameters: str = ""
    """Kind and name of the object in `spec.parameters`."""


class Pod(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A Pod's metadata; its state is in the slices."""

    namespace: str
    name: str
    uid: str
    labels: Labels


class Deployment(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An apps/v1 Deployment, as far as a rollout is followed by it."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    annotations: Labels
    replicas: int
    generation: int
    observed: int
    """`status.observedGeneration`: the controller has seen this generation."""
    refused: str
    """Why pods cannot be made (condition `ReplicaFailure`: a quota, an admission); "" while they can."""
    deleting: bool


class ContainerState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One of a Pod's containers, as its kubelet reports it."""

    name: str
    image_id: str
    """With the digest, once it is pulled."""
    restarts: int
    waiting: str
    """Reason why it does not run (`ImagePullBackOff`, `CrashLoopBackOff`, …), or ""."""
    message: str
    """What the kubelet says of that."""
    last_end: str
    """Reason why it ended the last time (`Error`, `OOMKilled`, …), or ""."""
    last_code: int
    """Its exit code then."""


class PodState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A Pod, and how it does."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    address: str
    """The first of its addresses; "" before it has one."""
    phase: str
    ready: bool
    deleting: bool
    unschedulable: str
    """Why no node takes it; "" where one has, or nobody has looked yet."""
    containers: tuple[ContainerState, ...]
    """Those that prepare it first."""


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A v1 Event."""

    namespace: str
    name: str
    about: str
    """Name of the object."""
    type: str
    """Normal or Warning."""
    reason: str
    message: str
    at: str
    """RFC 3339 in UTC: when it happened last; "" where nobody said."""
