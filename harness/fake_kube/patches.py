"""The patch types of the API: merge (RFC 7386), JSON (RFC 6902), strategic merge, and apply."""

import copy
from typing import Any

from harness.fake_kube.status import ApiError, Json, bad_request

Path = tuple[str, ...]
Owned = dict[str, set[Path]]
"""Field manager → the leaves it set."""

_MERGE_KEYS = {
    "ports": ("port", "containerPort"),
    "containers": ("name",),
    "env": ("name",),
    "conditions": ("type",),
    "addresses": ("type",),
    "taints": ("key",),
    "ownerReferences": ("uid",),
}
"""Lists that a strategic merge patch merges by a key; it replaces all others."""


def merge(target: Any, patch: Any) -> Any:
    """Return RFC 7386: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any) -> Any:
    """Return a merge that goes into the lists of `_MERGE_KEYS`; enough for `kubectl apply`."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif key in _MERGE_KEYS and isinstance(value, list):
            result[key] = _merge_list(result.get(key) or [], value, _MERGE_KEYS[key])
        else:
            result[key] = strategic(result.get(key), value)
    return result


def _merge_list(target: list[Any], patch: list[Any], keys: tuple[str, ...]) -> list[Any]:
    result = list(target)
    for item in patch:
        name = next((key for key in keys if key in item), keys[0])
        at = next((i for i, old in enumerate(result) if old.get(name) == item.get(name)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(item)
        else:
            result[at] = strategic(result[at], item)
    return result


def json_patch(target: Json, operations: Any) -> Json:
    """Return RFC 6902. Raises 422 when an operation cannot be done."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    result: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(
                422, f"the server rejected our request due to an error in our request: {error!r}",
                "Invalid", {},
            ) from error  # fmt: skip
    return result  # type: ignore[no-any-return]


def _operate(document: Any, operation: Json) -> None:
    kind, path = operation["op"], _pointer(operation["path"])
    if kind == "test":
        if _look(document, path) != operation["value"]:
            raise ValueError(f"testing value {operation['path']} failed")
    elif kind == "remove":
        _remove(document, path)
    elif kind == "replace":
        _look(document, path)
        _remove(document, path)
        _insert(document, path, operation["value"])
    elif kind == "add":
        _insert(document, path, operation["value"])
    elif kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_look(document, source))
        if kind == "move":
            _remove(document, source)
        _insert(document, path, value)
    else:
        raise ValueError(f"unknown operation {kind}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _look(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _remove(document: Any, path: list[str]) -> None:
    parent = _look(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]


def _insert(document: Any, path: list[str], value: Any) -> None:
    parent = _look(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    else:
        parent[path[-1]] = value


def leaves(found: Any, path: Path = ()) -> dict[Path, Any]:
    """Return the leaves of an object; a list is one leaf. Identity is nobody's field."""
    if not isinstance(found, dict) or not found:
        return {path: found}
    result: dict[Path, Any] = {}
    for key, value in found.items():
        at = (*path, key)
        if at in _IDENTITY:
            continue
        result |= leaves(value, at)
    return result


_IDENTITY = {("apiVersion",), ("kind",), ("status",)} | {
    ("metadata", name)
    for name in (
        *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation"),
        *("managedFields", "deletionTimestamp", "selfLink"),
    )
}


def apply(current: Json, wanted: Json, manager: str, owned: Owned, force: bool) -> Json:
    """Return the server-side apply of `wanted`, and note in `owned` who owns what.

    Raises 409 naming each leaf that another manager set to something else, unless `force`.
    """
    there, asked = leaves(current), leaves(wanted)
    conflicts = [
        (other, path)
        for path, value in asked.items()
        for other in sorted(owned)
        if other != manager and path in owned[other] and there.get(path) != value
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    for other, path in conflicts:
        owned[other].discard(path)
    result = merge(current, wanted)
    for path in owned.get(manager, set()) - asked.keys():
        if not any(path in paths for other, paths in owned.items() if other != manager):
            _forget(result, path)
    owned[manager] = set(asked)
    return result  # type: ignore[no-any-return]


def _forget(document: Json, path: Path) -> None:
    """Remove a leaf, and the parents that this leaves empty."""
    if len(path) > 1 and isinstance(document.get(path[0]), dict):
        child = document[path[0]] = dict(document[path[0]])
        _forget(child, path[1:])
        if not child:
            del document[path[0]]
    else:
        document.pop(path[0], None)


def _conflict(conflicts: list[tuple[str, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{other}"',
            "field": "." + ".".join(path),
        }
        for other, path in conflicts
    ]
    told = [f"{cause['message']}: {cause['field']}" for cause in causes]
    count = "1 conflict" if len(told) == 1 else f"{len(told)} conflicts"
    message = f"Apply failed with {count}: {', '.join(told)}"
    return ApiError(409, message, "Conflict", {"causes": causes})
