"""POST, PUT, PATCH and DELETE, with versions, generations, finalizers and owners of fields."""

import copy
import datetime
import json
import random
import string
import uuid
from collections.abc import Callable
from typing import Any

import yaml

from harness.fake_kube import patches, status
from harness.fake_kube.admission import Defaults, check
from harness.fake_kube.declared import refuse_undeclared
from harness.fake_kube.patches import Owned
from harness.fake_kube.place import Place
from harness.fake_kube.reading import Query, get_one, shown
from harness.fake_kube.resources import Resource, of_kind
from harness.fake_kube.status import Json
from harness.fake_kube.storage import Key, Storage
from harness.fake_kube.versions import inward

Answer = tuple[int, Json]
_PATCHES = {
    "application/merge-patch+json": patches.merge,
    "application/strategic-merge-patch+json": patches.strategic,
    "application/json-patch+json": patches.json_patch,
}
_NAMESPACES = of_kind("Namespace")
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion")


def now() -> str:
    """Return the time as the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """All writes to a storage go through here; the mini controllers' too."""

    def __init__(self, storage: Storage, minor: int) -> None:
        self._storage = storage
        self._defaults = Defaults(minor)
        self._owned: dict[tuple[Resource, Key], Owned] = {}

    def create(self, place: Place, body: Json, manager: str) -> Answer:
        """Store a new object: 201, or 409 when there is one."""
        resource = place.resource
        found = inward(resource, place.version, _bare(body))
        meta = dict(found.get("metadata") or {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + _suffix()
        where = place.namespace
        if resource.namespaced and meta.setdefault("namespace", where) != where:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the"
                " request"
            )
        key = (meta.get("namespace", "") if resource.namespaced else "", meta.get("name", ""))
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        meta.pop("resourceVersion", None)
        meta.pop("deletionTimestamp", None)
        if resource.has_generation:
            meta["generation"] = 1
        with self._storage.changed:
            self._need_namespace(resource, key[0])
            if self._storage.get(resource, key) is not None:
                raise status.already_exists(
                    resource.qualified, resource.group, resource.plural, key[1]
                )
            filled = self._defaults.fill(resource, found | {"metadata": meta})
            check(resource, filled)
            self._owned[resource, key] = {manager: set(patches.leaves(filled))}
            return 201, shown(place, self._storage.write(resource, key, filled))

    def update(self, place: Place, body: Json, manager: str) -> Answer:
        """Replace an object (PUT)."""
        with self._storage.changed:
            current = self._current(place)
            wanted = inward(place.resource, place.version, _bare(body))
            self._check_version(place, current, wanted)
            return 200, self._store(place, current, wanted, manager)

    def patch(self, place: Place, body: bytes, kind: str, query: Query, manager: str) -> Answer:
        """Change an object (PATCH)."""
        if kind == "application/apply-patch+yaml":
            return self._apply(place, body, query)
        if kind not in _PATCHES:
            raise status.ApiError(
                415,
                "the body of the request was in an unknown format - accepted media types include:"
                f" {', '.join([*_PATCHES, 'application/apply-patch+yaml'])}",
                "UnsupportedMediaType",
            )
        patch = read_json(body)
        with self._storage.changed:
            current = self._current(place)
            wanted = _PATCHES[kind](current, patch)
            self._check_version(place, current, wanted)
            return 200, self._store(place, current, wanted, manager)

    def delete(self, place: Place, body: bytes, query: Query) -> Answer:
        """Delete an object, or mark it where a finalizer or a grace period holds it."""
        options = read_json(body) if body.strip() else {}
        with self._storage.changed:
            current = self._current(place)
            meta = current["metadata"]
            wanted = options.get("preconditions") or {}
            if (uid := wanted.get("uid")) and uid != meta["uid"]:
                raise _other_uid(place, uid, current)
            if (read := wanted.get("resourceVersion")) and read != meta["resourceVersion"]:
                raise _other_version(place, read, current)
            grace = options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
            if grace is None:
                grace = 30 if place.resource.kind == "Pod" else 0
            if meta.get("finalizers") or (int(grace) > 0 and place.resource.kind == "Pod"):
                if meta.get("deletionTimestamp"):
                    return 200, shown(place, current)
                marked = meta | {
                    "deletionTimestamp": now(),
                    "deletionGracePeriodSeconds": int(grace),
                }
                stored = self._storage.write(
                    place.resource, place.key, current | {"metadata": marked}
                )
                return 200, shown(place, stored)
            self._remove(place)
        group = {"group": place.resource.group} if place.resource.group else {}
        details = {"name": place.name} | group
        return 200, status.success(details | {"kind": place.resource.plural, "uid": meta["uid"]})

    def _remove(self, place: Place) -> Json:
        self._owned.pop((place.resource, place.key), None)
        return self._storage.write(place.resource, place.key, None)

    def _apply(self, place: Place, body: bytes, query: Query) -> Answer:
        manager = query.get("fieldManager")
        if not manager:
            raise status.bad_request("PatchOptions.meta.k8s.io is invalid: fieldManager: Required")
        wanted = yaml.safe_load(body)
        if not isinstance(wanted, dict) or not (wanted.get("metadata") or {}).get("name"):
            raise status.bad_request("metadata.name is required for apply patch requests")
        refuse_undeclared(place, wanted)
        wanted = inward(place.resource, place.version, wanted)
        force = query.get("force") == "true"
        with self._storage.changed:
            current = self._storage.get(place.resource, place.key)
            if current is None:
                if uid := (wanted.get("metadata") or {}).get("uid"):
                    raise _no_such_uid(place, uid)
                code, made = self.create(place, wanted, manager)
                self._owned[place.resource, place.key] = {manager: set(patches.leaves(wanted))}
                return code, made
            self._check_version(place, current, wanted)
            owned = self._owned.setdefault((place.resource, place.key), {})
            result = patches.apply(current, wanted, manager, owned, force)
            return 200, self._store(place, current, result, None)

    def _current(self, place: Place) -> Json:
        get_one(self._storage, place)
        found = self._storage.get(place.resource, place.key)
        assert found is not None
        return found

    def dry(self, write: Callable[[], Answer]) -> Answer:
        """Return what a write would answer, and leave all as it is (`dryRun=All`)."""
        with self._storage.changed:
            backup, owned = self._storage.backup(), copy.deepcopy(self._owned)
            try:
                return write()
            finally:
                self._storage.restore(backup)
                self._owned = owned

    def _check_version(self, place: Place, current: Json, wanted: Json) -> None:
        given = (wanted.get("metadata") or {}).get("resourceVersion")
        uid = (wanted.get("metadata") or {}).get("uid")
        if uid and uid != current["metadata"]["uid"]:
            raise _other_uid(place, uid, current)
        if given and given != current["metadata"]["resourceVersion"]:
            resource = place.resource
            raise status.modified(
                resource.qualified, resource.group, resource.plural, place.name or ""
            )

    def _store(self, place: Place, current: Json, wanted: Json, manager: str | None) -> Json:
        """Store a change; nothing happens when it changes nothing (recorded: the version stays)."""
        resource, before = place.resource, current["metadata"]
        wanted = _bare(wanted)
        if place.sub == "status":
            wanted = current | {"status": wanted.get("status", {})}
        elif resource.has_status and "status" in current:
            wanted = wanted | {"status": current["status"]}
        meta = {k: v for k, v in (wanted.get("metadata") or {}).items() if k not in _KEPT}
        meta |= {name: before[name] for name in _KEPT if name in before}
        meta["name"] = before["name"]
        filled = self._defaults.fill(resource, wanted | {"metadata": meta})
        check(resource, filled)
        if resource.has_generation and _spec(filled) != _spec(current):
            meta["generation"] = before.get("generation", 1) + 1
        if filled == current:
            return shown(place, current)
        if manager is not None:
            self._own(resource, place.key, current, filled, manager)
        if before.get("deletionTimestamp") and not meta.get("finalizers"):
            self._storage.write(resource, place.key, filled)
            return shown(place, self._remove(place))
        return shown(place, self._storage.write(resource, place.key, filled))

    def _own(self, resource: Resource, key: Key, before: Json, after: Json, manager: str) -> None:
        """Give what a write changed to its writer, as the server does for every write."""
        old, new = patches.leaves(before), patches.leaves(after)
        changed = {path for path in new if old.get(path) != new[path]}
        owned = self._owned.setdefault((resource, key), {})
        for paths in owned.values():
            paths.difference_update(changed)
        owned.setdefault(manager, set()).update(changed)

    def _need_namespace(self, resource: Resource, namespace: str) -> None:
        if resource.namespaced and self._storage.get(_NAMESPACES, ("", namespace)) is None:
            raise status.not_found("namespaces", "", "namespaces", namespace)


def _other_uid(place: Place, uid: str, current: Json) -> status.ApiError:
    return status.ApiError(
        409,
        f'Operation cannot be fulfilled on {place.resource.qualified} "{place.name}": Precondition'
        f" failed: UID in precondition: {uid}, UID in object meta: {current['metadata']['uid']}",
        "Conflict",
        {"name": place.name},
    )


def _no_such_uid(place: Place, uid: str) -> status.ApiError:
    return status.ApiError(
        409,
        f'Operation cannot be fulfilled on {place.resource.qualified} "{place.name}": uid mismatch: the'
        f" provided object specified uid {uid}, and no existing object was found",
        "Conflict",
        {"name": place.name},
    )


def _other_version(place: Place, read: str, current: Json) -> status.ApiError:
    there = current["metadata"]["resourceVersion"]
    return status.ApiError(
        409,
        f'Operation cannot be fulfilled on {place.resource.qualified} "{place.name}": Precondition'
        f" failed: ResourceVersion in precondition: {read}, ResourceVersion in object meta: {there}",
        "Conflict",
        {"name": place.name},
    )


def read_json(body: bytes) -> Any:
    """Parse a request's body. Raises 400."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error


def _bare(found: Json) -> Json:
    return {key: value for key, value in found.items() if key not in ("kind", "apiVersion")}


def _spec(found: Json) -> Json:
    return {key: value for key, value in found.items() if key not in ("metadata", "status")}


def _suffix() -> str:
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
