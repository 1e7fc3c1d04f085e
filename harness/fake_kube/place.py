"""What a path of the API names, and who may go there."""

from dataclasses import dataclass, field

from harness.fake_kube import status
from harness.fake_kube.resources import Resource, find


@dataclass(frozen=True)
class Place:
    """A resource, one of its objects, or a subresource of that."""

    resource: Resource
    version: str
    namespace: str | None
    """None: the resource is cluster-wide, or all namespaces are asked for."""
    name: str | None
    sub: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Where the object is stored."""
        return self.namespace or "", self.name or ""


def locate(path: str, minor: int) -> Place:
    """Return what a path names. Raises 404 for what a server of this version does not serve."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise status.no_such_resource()
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = find(group, rest[0])
    fits = resource is not None and (resource.namespaced or namespace is None)
    if resource is None or not fits or version not in resource.versions(minor) or len(rest) > 3:
        raise status.no_such_resource()
    rest += [""] * (3 - len(rest))
    return Place(resource, version, namespace, rest[1] or None, rest[2] or None)


@dataclass
class User:
    """Somebody with a token."""

    name: str
    allowed: set[tuple[str, str]] | None = field(default=None)
    """Pairs of verb and plural; None: everything, as cluster-admin."""
    barred: set[tuple[str, str, str]] = field(default_factory=set)
    """Namespace, verb and plural of what is not allowed all the same; `*` stands for every verb or
    every resource."""

    def check(self, verb: str, place: Place) -> None:
        """Raise 403 when the user may not do this."""
        resource = place.resource
        plural = f"{resource.plural}/log" if place.sub == "log" else resource.plural
        is_allowed = self.allowed is None or (verb, plural) in self.allowed
        is_barred = resource.namespaced and any(
            place.namespace == namespace and barred in (verb, "*") and named in (plural, "*")
            for namespace, barred, named in self.barred
        )
        if is_allowed and not is_barred:
            return
        shown = resource.qualified + (f' "{place.name}"' if place.name else "")
        where = f'in the namespace "{place.namespace}"' if place.namespace else ""
        details: status.Json = {"name": place.name} if place.name else {}
        details |= {"group": resource.group} if resource.group else {}
        raise status.ApiError(
            403,
            f'{shown} is forbidden: User "{self.name}" cannot {verb} resource "{plural}"'
            f' in API group "{resource.group}" {where or "at the cluster scope"}',
            "Forbidden",
            details | {"kind": resource.plural},
        )
