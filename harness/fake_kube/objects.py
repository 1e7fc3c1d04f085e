"""Objects to fill the fake with, saying only what a test is about."""

from typing import Any

from harness.fake_kube.status import Json

PUBLISH = {"lbsync.io/publish": "true"}


def service(name: str, namespace: str = "default", **spec: Any) -> Json:
    """Return a Service with one port 80; `labels` and `annotations` go to its metadata."""
    meta = _meta(name, namespace, spec)
    return {
        "kind": "Service",
        "metadata": meta,
        "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": name}} | spec,
    }


def endpoint(address: str, *, ready: bool | None = True, pod: str = "", **more: Any) -> Json:
    """Return an endpoint; `serving`, `terminating`, `nodeName` and `zone` may be given."""
    conditions: Json = {} if ready is None else {"ready": ready}
    for name in ("serving", "terminating"):
        if name in more:
            conditions[name] = more.pop(name)
    target = {"targetRef": {"kind": "Pod", "name": pod, "uid": f"uid-{pod}"}} if pod else {}
    return {"addresses": [address], "conditions": conditions} | target | more


def endpoint_slice(
    name: str, service_name: str, endpoints: list[Json], namespace: str = "default", **more: Any
) -> Json:
    """Return a slice of a Service, one port http 8080."""
    labels = {"kubernetes.io/service-name": service_name} | more.pop("labels", {})
    annotations = more.pop("annotations", {})
    return {
        "kind": "EndpointSlice",
        "metadata": _meta(name, namespace, {"labels": labels, "annotations": annotations}),
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    } | more


def node(name: str, address: str, **more: Any) -> Json:
    """Return a Node with an InternalIP."""
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": more.pop("labels", {})},
        "spec": more,
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def deployment(name: str, namespace: str = "default", *, replicas: int = 1, **more: Any) -> Json:
    """Return a Deployment of pods `app=name` with port http 8080; `version` changes the template.

    `port` is the container's port, `labels` are added to the pods'.
    """
    labels = {"app": name} | more.pop("labels", {})
    port = {"name": "http", "containerPort": more.pop("port", 8080)}
    container = {"name": "main", "image": f"{name}:{more.pop('version', 1)}", "ports": [port]}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _meta(name: str, namespace: str, more: Json) -> Json:
    meta: Json = {"name": name, "namespace": namespace}
    for part in ("labels", "annotations"):
        found = more.pop(part, None)
        if found:
            meta[part] = found
    return meta
