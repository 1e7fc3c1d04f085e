"""The kinds of objects the fake serves, and how discovery describes them."""

from dataclasses import dataclass

_ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@dataclass(frozen=True)
class Resource:
    """One resource of one API group."""

    group: str
    """"" for the core group."""
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    has_generation: bool = False
    is_dns_label: bool = False
    """The name must be a DNS label (Services) and not only a DNS subdomain."""
    in_all: bool = False
    """Belongs to the category `all`."""
    no_collection_delete: bool = False
    v1beta1_until: int = 0
    """Minor version of the last server that also has v1beta1 (0: none that matters here)."""
    v1_since: int = 0

    def versions(self, minor: int) -> list[str]:
        """Return the versions that a server of this minor version serves, the best first."""
        served = ["v1"] if minor >= self.v1_since else []
        return served + (["v1beta1"] if minor <= self.v1beta1_until else [])

    @property
    def qualified(self) -> str:
        """As errors name it: `leases.coordination.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def verbs(self) -> list[str]:
        """What can be done with it."""
        return [
            v for v in _ALL_VERBS if not (v == "deletecollection" and self.no_collection_delete)
        ]

    def api_version(self, version: str) -> str:
        """Return `apiVersion` for one of its versions."""
        return f"{self.group}/{version}" if self.group else version


RESOURCES = (
    Resource(
        "", "namespaces", "Namespace", False, ("ns",), has_status=True, no_collection_delete=True
    ),
    Resource("", "nodes", "Node", False, ("no",), has_status=True),
    Resource(
        "",
        "services",
        "Service",
        True,
        ("svc",),
        has_status=True,
        is_dns_label=True,
        in_all=True,
        no_collection_delete=True,
    ),
    Resource("", "pods", "Pod", True, ("po",), has_status=True, in_all=True),
    Resource("", "configmaps", "ConfigMap", True, ("cm",)),
    Resource("", "events", "Event", True, ("ev",)),
    Resource(
        "discovery.k8s.io",
        "endpointslices",
        "EndpointSlice",
        has_generation=True,
        v1beta1_until=24,
        v1_since=21,
    ),
    Resource(
        "apps",
        "deployments",
        "Deployment",
        True,
        ("deploy",),
        has_status=True,
        has_generation=True,
        in_all=True,
    ),
    Resource(
        "apps",
        "replicasets",
        "ReplicaSet",
        True,
        ("rs",),
        has_status=True,
        has_generation=True,
        in_all=True,
    ),
    Resource(
        "networking.k8s.io",
        "ingresses",
        "Ingress",
        True,
        ("ing",),
        has_status=True,
        has_generation=True,
    ),
    Resource("networking.k8s.io", "ingressclasses", "IngressClass", False, has_generation=True),
    Resource("coordination.k8s.io", "leases", "Lease"),
)


def find(group: str, plural: str) -> Resource | None:
    """Return a resource by its place in a path."""
    return next((r for r in RESOURCES if r.group == group and r.plural == plural), None)


def of_kind(kind: str) -> Resource:
    """Return a resource by its kind."""
    return next(r for r in RESOURCES if r.kind == kind)


def groups() -> list[str]:
    """Return the named API groups, each once."""
    return sorted({r.group for r in RESOURCES if r.group})
