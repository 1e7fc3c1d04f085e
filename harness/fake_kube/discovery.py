"""What the server says about itself; kubectl reads it before anything else."""

from harness.fake_kube.resources import RESOURCES, Resource, groups
from harness.fake_kube.status import Json

CHECKS = ("ping", "log", "etcd", "informer-sync", "shutdown")


def answer(path: str, minor: int) -> Json | None:
    """Return the answer to a path of discovery; None when it is none, or not served."""
    match [part for part in path.split("/") if part]:
        case ["version"]:
            found: Json | None = version(minor)
        case ["api"]:
            found = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", "v1"]:
            found = _resources("", "v1", minor)
        case ["apis"]:
            listed = [about for name in groups() if (about := _group(name, minor))]
            found = {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group]:
            about = _group(group, minor)
            found = about and {"kind": "APIGroup", "apiVersion": "v1"} | about
        case ["apis", group, api_version]:
            found = _resources(group, api_version, minor)
        case _:
            found = None
    return found


def version(minor: int) -> Json:
    """Return what /version says."""
    return {
        "major": "1",
        "minor": str(minor),
        "gitVersion": f"v1.{minor}.2",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2024-01-01T00:00:00Z",
        "goVersion": "go1.22",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def readyz() -> str:
    """Return what /readyz?verbose says."""
    return "".join(f"[+]{check} ok\n" for check in CHECKS) + "readyz check passed\n"


def _group(name: str, minor: int) -> Json | None:
    served = [r.versions(minor) for r in RESOURCES if r.group == name]
    versions = [
        {"groupVersion": f"{name}/{v}", "version": v}
        for v in ("v1", "v1beta1")
        if any(v in found for found in served)
    ]
    if not versions:
        return None
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, api_version: str, minor: int) -> Json | None:
    listed = [
        entry
        for resource in RESOURCES
        if resource.group == group and api_version in resource.versions(minor)
        for entry in _entries(resource)
    ]
    if not listed:
        return None
    head: Json = {"kind": "APIResourceList"}
    # Recorded: the core group's answer has no apiVersion, the others have.
    head |= {"apiVersion": "v1"} if group else {}
    shown = f"{group}/{api_version}" if group else api_version
    return head | {"groupVersion": shown, "resources": listed}


def _entries(resource: Resource) -> list[Json]:
    entry: Json = {
        "name": resource.plural,
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.in_all:
        entry["categories"] = ["all"]
    if not resource.has_status:
        return [entry]
    below = entry | {"name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"]}
    below.pop("shortNames", None)
    below.pop("categories", None)
    return [entry, below]
