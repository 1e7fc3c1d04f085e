"""Deployment → ReplicaSet → Pods, one pod at a time."""

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from harness.fake_kube.status import Json

if TYPE_CHECKING:
    from harness.fake_kube.server import FakeKube

HASH = "pod-template-hash"


def is_ready(pod: Json) -> bool:
    """Return a pod's condition Ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def selects(selector: Json | None, found: Json) -> bool:
    """Say whether the `matchLabels` or the plain map of a selector choose an object."""
    wanted = (selector or {}).get("matchLabels", selector) or {}
    return bool(wanted) and wanted.items() <= (found["metadata"].get("labels") or {}).items()


def deployments(fake: "FakeKube") -> None:
    """Make the ReplicaSets of each Deployment: the new one grows before the old ones shrink."""
    sets = fake.objects("ReplicaSet")
    for deployment in fake.objects("Deployment"):
        meta, spec = deployment["metadata"], deployment["spec"]
        owned = [s for s in sets if owner_of(s) == meta["uid"]]
        digest = _digest(spec["template"])
        current = next((s for s in owned if s["metadata"]["labels"][HASH] == digest), None)
        if current is None:
            fake.put(_replica_set(deployment, digest))
            continue
        old = [s for s in owned if s is not current]
        _roll(fake, spec.get("replicas", 1), current, old)
        _report(fake, deployment, current, owned)


def _roll(fake: "FakeKube", wanted: int, current: Json, old: list[Json]) -> None:
    """Do one step of a rolling update with maxSurge 1 and maxUnavailable 0."""
    new, total = _replicas(current), _replicas(current) + sum(map(_replicas, old))
    ready = sum(_ready(s) for s in [current, *old])
    if new > wanted:
        _scale(fake, current, wanted)
    elif new < wanted and total < wanted + 1:
        _scale(fake, current, new + 1 if any(map(_replicas, old)) else wanted)
    elif ready > wanted or (new >= wanted and _ready(current) >= wanted):
        for replica_set in old:
            if _replicas(replica_set) > 0:
                _scale(fake, replica_set, _replicas(replica_set) - 1)
                return


def collect(fake: "FakeKube") -> None:
    """Delete the ReplicaSets and pods whose owner is gone, as the garbage collector does."""
    for kind, owner in (("ReplicaSet", "Deployment"), ("Pod", "ReplicaSet")):
        there = {found["metadata"]["uid"] for found in fake.objects(owner)} | {""}
        for found in fake.objects(kind):
            meta = found["metadata"]
            if owner_of(found) not in there and not meta.get("deletionTimestamp"):
                fake.delete(kind, meta["namespace"], meta["name"], grace=30)


def replica_sets(fake: "FakeKube", refused: str = "") -> None:
    """Make the pods of each ReplicaSet, unless they are `refused`, and report how many are ready."""
    pods = [p for p in fake.objects("Pod") if not p["metadata"].get("deletionTimestamp")]
    for replica_set in fake.objects("ReplicaSet"):
        meta = replica_set["metadata"]
        owned = [p for p in pods if owner_of(p) == meta["uid"]]
        wanted = _replicas(replica_set)
        missing = wanted - len(owned)
        for _ in range(0 if refused else missing):
            fake.put(_pod(replica_set))
        # Those that are not ready go first, as with the real controller.
        for pod in sorted(owned, key=is_ready)[: max(0, len(owned) - wanted)]:
            fake.delete("Pod", meta["namespace"], pod["metadata"]["name"], grace=30)
        ready = sum(map(is_ready, owned))
        status: Json = {"replicas": len(owned), "readyReplicas": ready, "availableReplicas": ready}
        if refused and missing > 0:
            failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
            status["conditions"] = [failure | {"message": refused}]
        _set_status(fake, "ReplicaSet", replica_set, status)


def _replica_set(deployment: Json, digest: str) -> Json:
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels", {}) | {HASH: digest}
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [reference(deployment, "apps/v1")],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": template | {"metadata": {"labels": labels}},
        },
    }


def _pod(replica_set: Json) -> Json:
    meta, template = replica_set["metadata"], replica_set["spec"]["template"]
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-{secrets.token_hex(3)[:5]}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [reference(replica_set, "apps/v1")],
        },
        "spec": template.get("spec", {}),
    }


def _report(fake: "FakeKube", deployment: Json, current: Json, owned: list[Json]) -> None:
    count = sum(_status(s, "replicas") for s in owned)
    ready = sum(map(_ready, owned))
    status: Json = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": count,
        "updatedReplicas": _status(current, "replicas"),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    # What keeps a ReplicaSet from making pods is said of its Deployment, too.
    if conditions := (current.get("status") or {}).get("conditions"):
        status["conditions"] = conditions
    _set_status(fake, "Deployment", deployment, status)


def _set_status(fake: "FakeKube", kind: str, found: Json, status: Json) -> None:
    latest = fake.get(kind, found["metadata"]["namespace"], found["metadata"]["name"])
    if latest is not None and latest.get("status") != status:
        fake.put_status(latest | {"kind": kind, "status": status})


def _scale(fake: "FakeKube", replica_set: Json, replicas: int) -> None:
    meta = replica_set["metadata"]
    change = {"spec": {"replicas": replicas}}
    fake.patch("ReplicaSet", meta["namespace"], meta["name"], change)


def _replicas(replica_set: Json) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def _ready(replica_set: Json) -> int:
    return _status(replica_set, "readyReplicas")


def _status(found: Json, name: str) -> int:
    return int((found.get("status") or {}).get(name, 0))


def owner_of(found: Json) -> str:
    """Return the uid of an object's first owner, or ""."""
    owners = found["metadata"].get("ownerReferences") or [{"uid": ""}]
    return str(owners[0]["uid"])


def reference(owner: Json, api_version: str) -> Json:
    """Return an owner reference."""
    return {
        "apiVersion": api_version,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _digest(template: Any) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]
