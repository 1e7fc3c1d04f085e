"""The section for `lbsync publish`: [publisher]."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.addresses import HttpBind
from lbsync.values.basic import Duration, FilePath, LabelValue, Name, Pause

AddressMode = Literal["pod", "nodeport", "clusterip", "external-name", "lb-status"]
IpFamily = Literal["auto", "v4", "v6", "both"]
NodeAddressKind = Literal["InternalIP", "ExternalIP", "ExternalFirst"]
ExternalNames = Literal["never", "claimed", "annotated", "always"]


class Publisher(msgspec.Struct, frozen=True):
    """From which cluster `lbsync publish` takes Services, and what holds for those that do not say.
    The annotations that Services say it with are in docs/kubernetes.md."""

    cluster: Annotated[
        Name,
        Meta(description="Name of the cluster in the keys; every cluster that publishes below one "
             "prefix needs its own. Its publishers elect one leader."),
    ] = Name("default")  # fmt: skip
    kubeconfig: Annotated[
        FilePath | None,
        Meta(description="File that tells where the API server is. Empty: inside a pod its "
             "ServiceAccount, else what kubectl would use."),
    ] = None  # fmt: skip
    context: Annotated[
        str, Meta(description="Context of the kubeconfig. Empty: its current one.")
    ] = ""
    namespaces: Annotated[
        tuple[Name, ...],
        Meta(description="Only Services of these namespaces; a Role in each is enough for all but "
             "nodes. Empty: all namespaces, which needs a ClusterRole."),
    ] = ()  # fmt: skip
    address_mode: Annotated[
        AddressMode,
        Meta(description="What the servers of a Service are: `nodeport` node addresses with the node "
             "port, reachable from everywhere; `pod` pod addresses, where the pod network is routed."),
    ] = "nodeport"  # fmt: skip
    ip_family: Annotated[
        IpFamily, Meta(description="Which addresses; `auto`: the Service's first family.")
    ] = "auto"
    node_address: Annotated[
        NodeAddressKind, Meta(description="Which address of a node, in mode `nodeport`.")
    ] = "InternalIP"
    node_selector: Annotated[
        tuple[LabelValue, ...],
        Meta(description="Labels that a node must have to be a server. Empty: every node that is "
             "not excluded may be."),
    ] = ()  # fmt: skip
    group: Annotated[
        Name,
        Meta(description="Group of servers for Services that name none. Where another cluster has "
             "the same group of a service, `.CLUSTER` is appended."),
    ] = Name("default")  # fmt: skip
    external_names: Annotated[
        ExternalNames,
        Meta(description="Which Services of type ExternalName may send traffic to their DNS name: none; "
             "those whose namespace an entry of `[claims] servers` gives the name; those that say so in an "
             "annotation, which is the word of whoever wants it; or all. `[claims] servers` holds beside each."),
    ] = "claimed"  # fmt: skip
    ingress: Annotated[
        bool, Meta(description="Read Ingresses too, for hosts, paths and annotations.")
    ] = False
    ingress_class: Annotated[
        str,
        Meta(min_length=1,
             description="Ingresses of this class are read, and those of every IngressClass whose "
             "controller is `lbsync.io/publisher`."),
    ] = "lbsync"  # fmt: skip
    events: Annotated[
        bool,
        Meta(description="Tell refusals and warnings also as Kubernetes Events. The account needs "
             "`create` on `events` for it, the only right to write."),
    ] = False  # fmt: skip
    batch: Annotated[
        Pause,
        Meta(extra={"max": "1m"},
             description="Changes are written this long after the first one, all together. 100ms: a "
             "rollout changes several objects within that. `0`: at once."),
    ] = Pause(100)  # fmt: skip
    lease_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "5m"},
             description="A leader that is silent for this long is replaced. One that ends by itself "
             "hands over at once."),
    ] = Duration(5_000)  # fmt: skip
    heartbeat: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1h"},
             description="How often the leader says that all is in step, for `lbsync status`."),
    ] = Duration(30_000)  # fmt: skip
    full_compare: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often everything is compared with the store, changes or not."),
    ] = Duration(300_000)  # fmt: skip
    brake_service_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="When more than this share of a Service's servers would go at once, they "
             "stay for `brake_hold`, and an alarm is logged. Servers that were draining, and "
             "Services that are deleted, do not count. 100 switches it off."),
    ] = 50  # fmt: skip
    brake_total_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="The same when several Services together would lose more than this share of "
             "all servers. 100 switches it off."),
    ] = 20  # fmt: skip
    brake_hold: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"}, description="How long such a removal waits."),
    ] = Duration(30_000)  # fmt: skip
    claim_keep: Annotated[
        Pause,
        Meta(extra={"max": "1d"},
             description="How long the hosts, paths and ports of a Service that is deleted are kept for it: "
             "Services of other namespaces get them only afterwards. `0`: not at all."),
    ] = Pause(600_000)  # fmt: skip
    http_bind: Annotated[
        HttpBind | None,
        Meta(description="Where `/metrics`, `/healthz`, `/readyz` (for the probes of Kubernetes) and "
             "`/status` are answered: an address and port, or the path of a socket. Empty: nowhere."),
    ] = None  # fmt: skip
