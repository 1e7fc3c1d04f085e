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
    """The cluster whose Services `lbsync publish` publishes, and the defaults for Services without annotations.
    docs/kubernetes.md lists the annotations."""

    cluster: Annotated[
        Name,
        Meta(description="Name of the cluster in the keys. Each cluster that publishes below one prefix needs its "
             "own name. Its publishers elect one leader."),
    ] = Name("default")  # fmt: skip
    kubeconfig: Annotated[
        FilePath | None,
        Meta(description="Kubeconfig file for the API server. Empty: inside a pod its ServiceAccount, otherwise "
             "the same file as kubectl."),
    ] = None  # fmt: skip
    context: Annotated[
        str, Meta(description="Context in the kubeconfig. Empty: the current one.")
    ] = ""
    namespaces: Annotated[
        tuple[Name, ...],
        Meta(description="Only publish Services in these namespaces; a Role in each is sufficient, except for "
             "nodes. Empty: all namespaces, which needs a ClusterRole."),
    ] = ()  # fmt: skip
    address_mode: Annotated[
        AddressMode,
        Meta(description="What the servers of a Service are: `nodeport`: node addresses with the node port, "
             "reachable from everywhere; `pod`: pod addresses, if the pod network is routed."),
    ] = "nodeport"  # fmt: skip
    ip_family: Annotated[
        IpFamily, Meta(description="Which addresses to use; `auto`: the Service's first IP family.")
    ] = "auto"
    node_address: Annotated[
        NodeAddressKind, Meta(description="Which address of a node to use in mode `nodeport`.")
    ] = "InternalIP"
    node_selector: Annotated[
        tuple[LabelValue, ...],
        Meta(description="Labels that a node must have to be used as a server. Empty: every node that is not "
             "excluded."),
    ] = ()  # fmt: skip
    group: Annotated[
        Name,
        Meta(description="Server group for Services that do not name one. If another cluster has the same group of "
             "a service, `.CLUSTER` is appended."),
    ] = Name("default")  # fmt: skip
    external_names: Annotated[
        ExternalNames,
        Meta(description="Which Services of type ExternalName may send traffic to their DNS name: none (`never`); "
             "those whose namespace is given the name by an entry in `[claims] servers` (`claimed`); "
             "those with an annotation that says so, which the owner of the Service can set "
             "(`annotated`); or all (`always`). `[claims] servers` applies in every case."),
    ] = "claimed"  # fmt: skip
    ingress: Annotated[
        bool, Meta(description="Also read Ingresses, for hosts, paths and annotations.")
    ] = False
    ingress_class: Annotated[
        str,
        Meta(min_length=1,
             description="Read Ingresses of this class, and those of every IngressClass whose controller is "
             "`lbsync.io/publisher`."),
    ] = "lbsync"  # fmt: skip
    events: Annotated[
        bool,
        Meta(description="Also report refusals and warnings as Kubernetes Events. The account needs `create` on "
             "`events` for this, which is its only write permission."),
    ] = False  # fmt: skip
    batch: Annotated[
        Pause,
        Meta(extra={"max": "1m"},
             description="Changes are written together, this long after the first one. 100ms: a rollout changes "
             "several objects within that time. `0`: at once."),
    ] = Pause(100)  # fmt: skip
    lease_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "5m"},
             description="A leader that does not respond for this long is replaced. A leader that exits hands over "
             "at once."),
    ] = Duration(5_000)  # fmt: skip
    heartbeat: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1h"},
             description="How often the leader reports that everything is published, for `lbsync status`."),
    ] = Duration(30_000)  # fmt: skip
    full_compare: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often everything is compared with the store, even without changes."),
    ] = Duration(300_000)  # fmt: skip
    brake_service_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="If more than this share of a Service's servers would be removed at once, they are kept "
             "for `brake_hold` and an error is logged. Servers that were draining and Services that "
             "are deleted do not count. 100 disables it."),
    ] = 50  # fmt: skip
    brake_total_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="The same if several Services together would lose more than this share of all servers. "
             "100 disables it."),
    ] = 20  # fmt: skip
    brake_hold: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"}, description="How long such a removal waits."),
    ] = Duration(30_000)  # fmt: skip
    claim_keep: Annotated[
        Pause,
        Meta(extra={"max": "1d"},
             description="How long the hosts, paths and ports of a deleted Service stay reserved for it: Services "
             "of other namespaces get them only afterwards. `0`: not at all."),
    ] = Pause(600_000)  # fmt: skip
    http_bind: Annotated[
        HttpBind | None,
        Meta(description="Address and port, or path of a socket, that serves `/metrics`, `/healthz`, `/readyz` "
             "(for Kubernetes probes) and `/status`. Empty: disabled."),
    ] = None  # fmt: skip
