"""EndpointSlices as v1beta1 tells them: node and zone stand in `topology` (Kubernetes 1.20)."""

from harness.fake_kube.resources import Resource
from harness.fake_kube.status import Json

_NODE = "kubernetes.io/hostname"
_ZONE = "topology.kubernetes.io/zone"


def outward(resource: Resource, version: str, found: Json) -> Json:
    """Return an object, stored as v1, as a version shows it."""
    if resource.kind != "EndpointSlice" or version != "v1beta1" or not found.get("endpoints"):
        return found
    return found | {"endpoints": [_to_topology(endpoint) for endpoint in found["endpoints"]]}


def inward(resource: Resource, version: str, found: Json) -> Json:
    """Return an object, sent in a version, as it is stored."""
    if resource.kind != "EndpointSlice" or version != "v1beta1" or not found.get("endpoints"):
        return found
    return found | {"endpoints": [_from_topology(endpoint) for endpoint in found["endpoints"]]}


def _to_topology(endpoint: Json) -> Json:
    shown = {k: v for k, v in endpoint.items() if k not in ("nodeName", "zone")}
    topology = {}
    if endpoint.get("nodeName"):
        topology[_NODE] = endpoint["nodeName"]
    if endpoint.get("zone"):
        topology[_ZONE] = endpoint["zone"]
    return shown | ({"topology": topology} if topology else {})


def _from_topology(endpoint: Json) -> Json:
    topology = endpoint.get("topology") or {}
    kept = {k: v for k, v in endpoint.items() if k != "topology"}
    if _NODE in topology:
        kept["nodeName"] = topology[_NODE]
    if _ZONE in topology:
        kept["zone"] = topology[_ZONE]
    return kept
