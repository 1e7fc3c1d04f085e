"""The nodes that can be servers in nodeport mode."""

from collections.abc import Iterable

import msgspec

from lbsync.kube_objects import Node
from lbsync.publisher.translate.families import Family, family_of_address, ip_address
from lbsync.publisher.translate.options import Options
from lbsync.settings.publisher import NodeAddressKind
from lbsync.values.names import Address

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""Label: any value, even an empty one, excludes."""
GOING = "ToBeDeletedByClusterAutoscaler"
"""Taint that the cluster autoscaler sets before it drains a node."""
_KINDS: dict[NodeAddressKind, tuple[str, ...]] = {
    "InternalIP": ("InternalIP",),
    "ExternalIP": ("ExternalIP",),
    "ExternalFirst": ("ExternalIP", "InternalIP"),
}


class PoolNode(msgspec.Struct, frozen=True):
    """One node and its addresses, the first of each family and type."""

    name: str
    addresses: dict[tuple[Family, str], Address]

    def address(self, family: Family, kind: NodeAddressKind) -> Address | None:
        """Return the address of that family and kind, if the node has one."""
        for type_ in _KINDS[kind]:
            if found := self.addresses.get((family, type_)):
                return found
        return None


class NodePool(msgspec.Struct, frozen=True):
    """All nodes that may be servers, sorted by name. Make it once per change of the nodes."""

    nodes: tuple[PoolNode, ...] = ()


def node_pool(nodes: Iterable[Node], options: Options) -> NodePool:
    """Return the nodes that Kubernetes' own service controller would use.

    Those being deleted are left out, and those with the label `EXCLUDED` or the taint `GOING`. A
    node that is not ready stays (KEP-3458): its health check decides.
    """
    pool = [PoolNode(node.name, _addresses(node)) for node in nodes if _usable(node, options)]
    return NodePool(tuple(sorted(pool, key=lambda node: node.name)))


def _usable(node: Node, options: Options) -> bool:
    return (
        not node.deleting
        and EXCLUDED not in node.labels
        and not any(taint.key == GOING for taint in node.taints)
        and all(node.labels.get(key) == value for key, value in options.node_selector.items())
    )


def _addresses(node: Node) -> dict[tuple[Family, str], Address]:
    found: dict[tuple[Family, str], Address] = {}
    for entry in node.addresses:
        if entry.type not in ("InternalIP", "ExternalIP"):
            continue
        try:
            address = ip_address(entry.address)
        except ValueError:  # no address: as if the node had none, which is reported where it counts
            continue
        found.setdefault((family_of_address(address), entry.type), address)
    return found
