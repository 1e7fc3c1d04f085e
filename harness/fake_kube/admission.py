"""What the API server fills in and refuses, for the kinds that the fake serves."""

import random
import re

from harness.fake_kube.resources import Resource
from harness.fake_kube.status import ApiError, Json, invalid

Causes = list[tuple[str, str, str]]
_NODE_PORTS = range(30000, 32768)
_LABEL = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def check(resource: Resource, found: Json) -> None:
    """Refuse an object that the real server would refuse (422), in its words where recorded."""
    name = found["metadata"].get("name", "")
    causes: Causes = []
    pattern = _LABEL if resource.is_dns_label else _SUBDOMAIN
    if not pattern.match(name) or len(name) > 253:
        kind = "DNS-1035 label" if resource.is_dns_label else "RFC 1123 subdomain"
        message = f'Invalid value: "{name}": a {kind} must consist of lower case alphanumeric'
        causes.append(("metadata.name", "FieldValueInvalid", f"{message} characters or '-'"))
    if resource.kind == "Service":
        causes += _check_service(found["spec"])
    if resource.kind == "EndpointSlice":
        causes += _check_slice(found)
    if causes:
        raise invalid(resource.kind, resource.group, name, causes)


def _check_service(spec: Json) -> Causes:
    causes: Causes = []
    kind, ports = spec["type"], spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        causes.append(("spec.ports", "FieldValueRequired", "Required value"))
    if kind == "ExternalName" and not spec.get("externalName"):
        causes.append(("spec.externalName", "FieldValueRequired", "Required value"))
    for index, port in enumerate(ports):
        number = port.get("port")
        if not isinstance(number, int) or not 1 <= number <= 65535:
            message = f"Invalid value: {number}: must be between 1 and 65535, inclusive"
            causes.append((f"spec.ports[{index}].port", "FieldValueInvalid", message))
        if len(ports) > 1 and not port.get("name"):
            causes.append((f"spec.ports[{index}].name", "FieldValueRequired", "Required value"))
    if kind not in ("NodePort", "LoadBalancer") and spec.get("externalTrafficPolicy"):
        # Recorded in the notes of a real server: Local on ClusterIP is rejected.
        value = spec["externalTrafficPolicy"]
        message = f'Invalid value: "{value}": ExternalTrafficPolicy can only be set on NodePort'
        message += " and LoadBalancer service"
        causes.append(("spec.externalTrafficPolicy", "FieldValueInvalid", message))
    return causes


def _check_slice(found: Json) -> Causes:
    causes: Causes = []
    if found.get("addressType") not in ("IPv4", "IPv6", "FQDN"):
        message = f'Unsupported value: "{found.get("addressType", "")}"'
        causes.append(("addressType", "FieldValueNotSupported", message))
    for index, endpoint in enumerate(found.get("endpoints") or []):
        if not endpoint.get("addresses"):
            where = f"endpoints[{index}].addresses"
            causes.append((where, "FieldValueRequired", "must contain at least 1 address"))
    return causes


class Defaults:
    """Fills in what clients leave out; keeps the pools of addresses and node ports."""

    def __init__(self, minor: int) -> None:
        self._minor = minor
        self._taken: set[int] = set()
        self._addresses = 0
        self._random = random.Random(4)

    def fill(self, resource: Resource, found: Json) -> Json:
        """Return the object with the server's defaults."""
        if resource.kind == "Service":
            return self._service(found)
        if resource.kind == "EndpointSlice":
            # The API's lists without omitempty: null is what comes out when they are left out.
            return {"endpoints": None, "ports": None} | found
        if resource.kind in ("Pod", "Deployment", "ReplicaSet", "Node", "Ingress"):
            return {"spec": {}, "status": {}} | found
        return found

    def _service(self, found: Json) -> Json:
        spec: Json = dict(found.get("spec") or {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "ClientIP":
            spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
        outside = spec["type"] in ("NodePort", "LoadBalancer")
        if outside:
            spec.setdefault("externalTrafficPolicy", "Cluster")
        elif spec.get("externalTrafficPolicy") == "Cluster":
            # A Service that was outside before: the server takes its own default away again.
            del spec["externalTrafficPolicy"]
        if spec["type"] != "ExternalName":
            self._cluster_ip(spec)
        gives_ports = spec.get("allocateLoadBalancerNodePorts") is not False
        wants = outside and (gives_ports or spec["type"] == "NodePort")
        if spec.get("ports"):
            spec["ports"] = [self._port(port, wants) for port in spec["ports"]]
        if spec["type"] == "LoadBalancer" and spec["externalTrafficPolicy"] == "Local":
            spec.setdefault("healthCheckNodePort", self._node_port())
        return found | {"spec": spec, "status": found.get("status") or {"loadBalancer": {}}}

    def _cluster_ip(self, spec: Json) -> None:
        if not spec.get("clusterIP"):
            self._addresses += 1
            spec["clusterIP"] = f"10.96.{self._addresses // 250}.{self._addresses % 250 + 1}"
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        if self._minor >= 21:
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
            spec.setdefault("internalTrafficPolicy", "Cluster")

    def _port(self, port: Json, outside: bool) -> Json:
        filled: Json = {"protocol": "TCP", "targetPort": port.get("port")} | port
        if outside and not filled.get("nodePort"):
            filled["nodePort"] = self._node_port()
        if not outside:
            filled.pop("nodePort", None)
        if filled.get("nodePort"):
            self._taken.add(filled["nodePort"])
        return filled

    def _node_port(self) -> int:
        free = [port for port in _NODE_PORTS if port not in self._taken]
        if not free:
            raise ApiError(500, "failed to allocate a nodePort: range is full", "InternalError", {})
        number = self._random.choice(free)
        self._taken.add(number)
        return number
