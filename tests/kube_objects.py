"""Kubernetes objects for tests, with the fields that a test is not about filled in."""

import json
from pathlib import Path
from typing import Any

import msgspec

from lbsync.clients.kube import project, wire
from lbsync.kube_objects import (
    Backend,
    Endpoint,
    EndpointSlice,
    Ingress,
    IngressPath,
    IngressRule,
    Node,
    NodeAddress,
    Service,
    ServicePort,
    SlicePort,
    Taint,
)

RECORDED = Path(__file__).parent / "data" / "kube-apiserver-1.20.2.jsonl"
HTTP = ServicePort("http", 80, 30080, "TCP", "")


def recorded_slices() -> list[EndpointSlice]:
    """The slices that a real API server (1.20, discovery v1beta1) listed."""
    for line in RECORDED.read_text().splitlines():
        answer = json.loads(line)
        if answer["path"] == "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices":
            items = answer["body"][0]["items"]
            return [project.endpoint_slice(msgspec.convert(i, wire.EndpointSlice)) for i in items]
    raise AssertionError(f"{RECORDED} holds no list of slices")


def recorded_services() -> list[Service]:
    """The Services that a real API server (1.20) listed."""
    for line in RECORDED.read_text().splitlines():
        answer = json.loads(line)
        if answer["case"] == "list":
            items = answer["body"][0]["items"]
            return [project.service(msgspec.convert(item, wire.Service)) for item in items]
    raise AssertionError(f"{RECORDED} holds no list of Services")


def service(name: str = "cart", **fields: Any) -> Service:
    """A published Service of type NodePort, in namespace shop."""
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "uid": "service-uid",
        "created": "2026-01-01T00:00:00Z",
        "deleting": False,
        "labels": {"lbsync.io/publish": "true"},
        "annotations": {},
        "type": "NodePort",
        "ports": (HTTP,),
        "selects": True,
        "cluster_ips": ("10.96.0.7",),
        "ip_families": ("IPv4",),
        "external_name": "",
        "external_ips": (),
        "external_traffic_policy": "Cluster",
        "health_check_node_port": 0,
        "session_affinity": "None",
        "affinity_timeout": 0,
        "publish_not_ready": False,
        "allocates_node_ports": True,
        "source_ranges": (),
        "load_balancer": (),
    }
    return Service(**{**given, **fields})


def endpoint(address: str, target: str = "", **fields: Any) -> Endpoint:
    """A ready endpoint on node-1."""
    given: dict[str, Any] = {
        "ready": True,
        "serving": True,
        "terminating": False,
        "target": target,
        "target_uid": f"uid-of-{target}" if target else "",
        "hostname": "",
        "node": "node-1",
        "zone": "",
    }
    return Endpoint(address=address, **{**given, **fields})


READY: dict[str, bool] = {}
UNREADY = {"ready": False, "serving": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def slice_(*endpoints: Endpoint, name: str = "cart-a", **fields: Any) -> EndpointSlice:
    """A slice of the Service cart with port http 8080."""
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-of-{name}",
        "service": "cart",
        "owner_uid": "service-uid",
        "labels": {"kubernetes.io/service-name": "cart"},
        "address_type": "IPv4",
        "ports": (SlicePort("http", 8080, "TCP", ""),),
        "deleting": False,
    }
    return EndpointSlice(endpoints=endpoints, **{**given, **fields})


def node(
    name: str, *addresses: tuple[str, str], labels: dict[str, str] | None = None, taint: str = "",
    deleting: bool = False,
) -> Node:  # fmt: skip
    """A node with these (type, address) pairs."""
    return Node(
        namespace="",
        name=name,
        uid=f"uid-of-{name}",
        labels=labels or {},
        addresses=tuple(NodeAddress(*pair) for pair in (*addresses, ("Hostname", name))),
        taints=(Taint(taint, "", "NoSchedule"),) if taint else (),
        deleting=deleting,
    )


def rule(host: str, *paths: str, to: str = "cart", port: str | int = "http") -> IngressRule:
    """A rule with prefix paths to one port of one Service."""
    backend = Backend(to, "", port) if isinstance(port, int) else Backend(to, port, 0)
    return IngressRule(host, tuple(IngressPath(path, "Prefix", backend) for path in paths))


def ingress(*rules: IngressRule, name: str = "web", **fields: Any) -> Ingress:
    """An Ingress of class lbsync in namespace shop."""
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-of-{name}",
        "created": "2026-01-02T00:00:00Z",
        "deleting": False,
        "labels": {},
        "annotations": {},
        "class_name": "lbsync",
        "default_backend": None,
        "tls_hosts": (),
    }
    return Ingress(rules=rules, **{**given, **fields})
