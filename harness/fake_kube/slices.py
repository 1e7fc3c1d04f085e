"""Service + Pods → EndpointSlices, as the real controller was seen to write them."""

import secrets
from typing import TYPE_CHECKING, Any

from harness.fake_kube.status import Json
from harness.fake_kube.workloads import is_ready, owner_of, reference, selects

if TYPE_CHECKING:
    from harness.fake_kube.server import FakeKube

SERVICE = "kubernetes.io/service-name"
MANAGED = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
_HEADLESS = "service.kubernetes.io/headless"

Content = tuple[Any, list[Json]]
"""Ports and endpoints of a slice."""


def sync(fake: "FakeKube", service: Json, size: int) -> None:
    """Bring the slices of one Service up to date; slices that fit are not written again."""
    spec, namespace = service["spec"], service["metadata"]["namespace"]
    if not spec.get("selector") or spec["type"] == "ExternalName":
        return
    have = {s["metadata"]["name"]: s for s in _slices_of(fake, service)}
    wanted: dict[str, Content] = {}
    for ports, endpoints in _endpoints(fake, service):
        fitting = {name: s for name, s in have.items() if s.get("ports") == ports}
        for name, kept in _spread(endpoints, fitting, size):
            wanted[name or _new_name(service)] = (ports, kept)
    if not wanted:
        # That there are no endpoints is a statement too: one slice stays.
        wanted[next(iter(have), "") or _new_name(service)] = (None, [])
    for name, content in wanted.items():
        fake.put(_slice(service, name, content))
    for name in have.keys() - wanted.keys():
        fake.delete("EndpointSlice", namespace, name)


def sweep(fake: "FakeKube") -> None:
    """Remove slices whose Service is gone, or is another one by now."""
    uids = {s["metadata"]["uid"] for s in fake.objects("Service")}
    for found in fake.objects("EndpointSlice"):
        if _managed(found) and owner_of(found) not in uids:
            meta = found["metadata"]
            fake.delete("EndpointSlice", meta["namespace"], meta["name"])


def _spread(
    endpoints: list[Json], fitting: dict[str, Json], size: int
) -> list[tuple[str, list[Json]]]:
    """Spread endpoints over slices: each stays where it is, new ones go where there is room.

    A slice without a name is a new one; slices that would be empty are left out.
    """
    left = {_target(e): e for e in endpoints}
    contents: list[tuple[str, list[Json]]] = []
    for name, found in fitting.items():
        targets = [_target(e) for e in found.get("endpoints") or []]
        contents.append((name, [left.pop(t) for t in targets if t in left]))
    for endpoint in left.values():
        room = next((kept for _, kept in contents if len(kept) < size), None)
        if room is None:
            room = []
            contents.append(("", room))
        room.append(endpoint)
    return [(name, kept) for name, kept in contents if kept]


def _slice(service: Json, name: str, content: Content) -> Json:
    meta, (ports, endpoints) = service["metadata"], content
    labels = (meta.get("labels") or {}) | {SERVICE: meta["name"], MANAGED: CONTROLLER}
    if service["spec"].get("clusterIP") == "None":
        labels[_HEADLESS] = ""
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [reference(service, "v1")],
        },
        "addressType": (service["spec"].get("ipFamilies") or ["IPv4"])[0],
        "endpoints": endpoints or None,
        "ports": ports,
    }


def _endpoints(fake: "FakeKube", service: Json) -> list[tuple[Any, list[Json]]]:
    """Return the endpoints by the ports they resolve to; named ports may differ from pod to pod."""
    spec, namespace = service["spec"], service["metadata"]["namespace"]
    groups: list[tuple[Any, list[Json]]] = []
    for pod in fake.objects("Pod"):
        same = pod["metadata"]["namespace"] == namespace and selects(spec["selector"], pod)
        if not same or not (pod.get("status") or {}).get("podIP"):
            continue
        ports = _ports(spec, pod)
        group = next((endpoints for known, endpoints in groups if known == ports), None)
        if group is None:
            group = []
            groups.append((ports, group))
        group.append(_endpoint(fake, spec, pod))
    return groups


def _endpoint(fake: "FakeKube", spec: Json, pod: Json) -> Json:
    meta = pod["metadata"]
    terminating = bool(meta.get("deletionTimestamp"))
    serving = is_ready(pod)
    ready = (serving and not terminating) or bool(spec.get("publishNotReadyAddresses"))
    found: Json = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
    name = pod["spec"].get("nodeName")
    if name:
        found["nodeName"] = name
        node = fake.get("Node", "", name) or {"metadata": {}}
        labels = node["metadata"].get("labels") or {}
        if "topology.kubernetes.io/zone" in labels:
            found["zone"] = labels["topology.kubernetes.io/zone"]
    return found


def _ports(spec: Json, pod: Json) -> Any:
    """Resolve the Service's ports for one pod; null when the Service has none (recorded)."""
    resolved = []
    for port in spec.get("ports") or []:
        number = port.get("targetPort", port["port"])
        if isinstance(number, str):
            containers = pod["spec"].get("containers") or []
            named = [p for c in containers for p in c.get("ports") or [] if p.get("name") == number]
            if not named:
                continue
            number = named[0]["containerPort"]
        entry = {"name": port.get("name", ""), "port": number, "protocol": port["protocol"]}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        resolved.append(entry)
    return resolved or None


def _slices_of(fake: "FakeKube", service: Json) -> list[Json]:
    uid = service["metadata"]["uid"]
    return [s for s in fake.objects("EndpointSlice") if _managed(s) and owner_of(s) == uid]


def _managed(found: Json) -> bool:
    return (found["metadata"].get("labels") or {}).get(MANAGED) == CONTROLLER


def _target(endpoint: Json) -> str:
    return str(endpoint["targetRef"]["uid"])


def _new_name(service: Json) -> str:
    return f"{service['metadata']['name']}-{secrets.token_hex(3)[:5]}"
