"""The Kubernetes door: what the cluster says, as small values, kept fresh by watches.

`Cluster` is what the publisher uses: a set of reflectors over one API server, their stores and
their health. Below it: `Client` (one HTTP client), `auth` (where and as whom), `lbsync.kube_objects` (what
an object is reduced to). A cluster is only read, except for `Client.post_event` and what the deployer does with
`Client`; `workloads` has what it looks at.

No exception of urllib3, msgspec or the operating system leaves this package; see `errors`.
"""

from lbsync.clients.kube.api import Client
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.auth.config import load
from lbsync.clients.kube.cluster import Cluster, Watch
from lbsync.clients.kube.kinds import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    NODES,
    PODS,
    SERVICES,
    Entry,
    Kind,
)
from lbsync.clients.kube.reflector import Reflector
from lbsync.clients.kube.resource_version import Stats
from lbsync.clients.kube.store import Change, Store
from lbsync.clients.kube.timing import Timing
from lbsync.clients.kube.workloads.events import ObjectReference
from lbsync.clients.kube.workloads.kinds import DEPLOYMENTS, EVENTS, POD_STATES

__all__ = [
    "Cluster",
    "Watch",
    "Change",
    "Store",
    "Reflector",
    "Stats",
    "Timing",
    "Client",
    "ObjectReference",
    "ClusterConfig",
    "load",
    "Kind",
    "Entry",
    "SERVICES",
    "ENDPOINT_SLICES",
    "NODES",
    "INGRESSES",
    "INGRESS_CLASSES",
    "PODS",
    "POD_STATES",
    "DEPLOYMENTS",
    "EVENTS",
]
