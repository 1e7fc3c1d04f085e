"""GET: one object, a page of a list, or a watch stream."""

import base64
import json
from collections.abc import Callable, Iterator

import msgspec

from harness.fake_kube import selectors, status
from harness.fake_kube.place import Place
from harness.fake_kube.resources import Resource
from harness.fake_kube.status import Json
from harness.fake_kube.storage import Key, Objects, Record, Storage
from harness.fake_kube.versions import outward

Query = dict[str, str]
_CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start"
    " a new list without the continue parameter, or use the continue token in this response to"
    " retrieve the remainder of the results. Continuing with the provided token results in an"
    " inconsistent list - objects that were created, modified, or deleted between the time the"
    " first chunk was returned and now may show up in the list."
)


def version_of(text: str) -> int:
    """Return a resourceVersion as number; the real server says 500 to what is none."""
    try:
        return int(text)
    except ValueError as error:
        raise status.ApiError(
            500,
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint:'
            f' parsing "{text}": invalid syntax',
        ) from error


def get_one(storage: Storage, place: Place) -> Json:
    """Return one object as shown. Raises 404."""
    resource = place.resource
    found = storage.get(resource, place.key)
    if found is None:
        raise status.not_found(
            resource.qualified, resource.group, resource.plural, place.name or ""
        )
    return shown(place, found)


def shown(place: Place, found: Json) -> Json:
    """Return an object with kind and apiVersion in front, in the version asked for."""
    resource = place.resource
    head = {"kind": resource.kind, "apiVersion": resource.api_version(place.version)}
    return head | outward(resource, place.version, found)


def list_page(storage: Storage, place: Place, query: Query, metadata_only: bool) -> Json:
    """Return a list; with `limit`, a page of it that names the next one."""
    resource = place.resource
    version, start, objects = _moment(storage, resource, query)
    keys = [key for key in objects if place.namespace is None or key[0] == place.namespace]
    keys.sort(key=lambda key: _position(place, key))
    matches = _selection(query)
    chosen = [key for key in keys if _position(place, key) >= start and matches(objects[key])]
    limit = int(query.get("limit") or 0)
    page = chosen[:limit] if limit else chosen
    meta: Json = {"resourceVersion": str(version)}
    if limit and len(chosen) > limit:
        meta["continue"] = _token(version, _position(place, page[-1]) + "\x00")
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = len(chosen) - limit
    items = [outward(resource, place.version, objects[key]) for key in page]
    kind, api_version = resource.kind, resource.api_version(place.version)
    if metadata_only:
        kind, api_version = "PartialObjectMetadata", "meta.k8s.io/v1"
        items = [{"metadata": item["metadata"]} for item in items]
    return {"kind": f"{kind}List", "apiVersion": api_version, "metadata": meta, "items": items}


def _moment(storage: Storage, resource: Resource, query: Query) -> tuple[int, str, Objects]:
    """Return the version that is listed, where the page starts, and all objects."""
    token = query.get("continue")
    if token:
        version, start = _read_token(token)
        if version < 0:
            return storage.version, start, storage.objects(resource)
        with storage.changed:
            if version < storage.oldest:
                raise status.expired(_CONTINUE_TOO_OLD, _token(-1, start))
            return version, start, storage.objects_at(resource, version)
    wanted = version_of(query.get("resourceVersion") or "0")
    with storage.changed:
        if query.get("resourceVersionMatch") == "Exact":
            if wanted < storage.oldest:
                raise status.expired("The resourceVersion for the provided list is too old.")
            return wanted, "", storage.objects_at(resource, wanted)
        if wanted > storage.version:
            raise status.too_large(wanted, storage.version)
        return storage.version, "", storage.objects(resource)


def _position(place: Place, key: Key) -> str:
    """Return where an object stands in the order of the store, below what is listed."""
    if place.namespace is not None or not place.resource.namespaced:
        return key[1]
    return f"{key[0]}/{key[1]}"


def _token(version: int, start: str) -> str:
    content = json.dumps(
        {"v": "meta.k8s.io/v1", "rv": version, "start": start}, separators=(",", ":")
    )
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error


def _selection(query: Query) -> Callable[[Json], bool]:
    by_label = selectors.labels(query.get("labelSelector", ""))
    by_field = selectors.fields(query.get("fieldSelector", ""))
    return lambda found: by_label(found) and by_field(found)


def check_watch(query: Query) -> None:
    """Refuse what this server's watch does not know (422), as kube-apiserver 1.20 words it."""
    if "resourceVersionMatch" not in query and "sendInitialEvents" not in query:
        return
    field, reason = "resourceVersionMatch", "FieldValueForbidden"
    causes = [(field, reason, "Forbidden: resourceVersionMatch is forbidden for watch")]
    if not query.get("resourceVersion"):
        message = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append((field, reason, f"Forbidden: {message}"))
    raise status.invalid("ListOptions", "meta.k8s.io", "", causes)


def watch(
    storage: Storage, place: Place, query: Query, metadata_only: bool, left: Callable[[], float]
) -> Iterator[bytes]:
    """Yield the lines of a watch stream; it ends when `left` (seconds) is used up."""
    check_watch(query)
    matches = _selection(query)
    wanted = version_of(query.get("resourceVersion") or "0")
    first: list[Json] = []
    with storage.changed:
        if wanted == 0:
            # Without a version: what there is comes first, each as ADDED.
            wanted = storage.version
            objects = storage.objects(place.resource)
            first = [found for key, found in objects.items() if _in(place, key)]
            first.sort(key=lambda found: int(found["metadata"]["resourceVersion"]))
        elif wanted < storage.oldest:
            yield _error_line(status.too_old(wanted, storage.oldest))
            return
    for found in first:
        if matches(found):
            yield _line("ADDED", _object(place, found, metadata_only))
    bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
    for record in storage.follow(place.resource, wanted, left):
        if record is None:
            if bookmarks:
                yield _line("BOOKMARK", _bookmark(place, storage.version))
            continue
        told = _told(record, matches) if _in(place, record.key) else None
        if told is not None:
            yield _line(told[0], _object(place, told[1], metadata_only))


def _in(place: Place, key: Key) -> bool:
    inside = place.namespace is None or key[0] == place.namespace
    return inside and (place.name is None or key[1] == place.name)


def _told(record: Record, matches: Callable[[Json], bool]) -> tuple[str, Json] | None:
    """Return what a watch with a selector hears of a write."""
    before = record.before is not None and matches(record.before)
    after = record.after is not None and matches(record.after)
    if after:
        return ("MODIFIED" if before else "ADDED"), record.shown
    if not before:
        return None
    if record.after is None or record.before is None:
        return "DELETED", record.shown
    # Left the selection: the old object, with the new version (recorded).
    meta = record.before["metadata"] | {"resourceVersion": str(record.version)}
    return "DELETED", record.before | {"metadata": meta}


def _object(place: Place, found: Json, metadata_only: bool) -> Json:
    if metadata_only:
        head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return head | {"metadata": found["metadata"]}
    return shown(place, found)


def _bookmark(place: Place, version: int) -> Json:
    empty = {"metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
    return shown(place, empty | {"spec": {}, "status": {}})


def _error_line(error: status.ApiError) -> bytes:
    return _line("ERROR", error.body)


def _line(kind: str, found: Json) -> bytes:
    return msgspec.json.encode({"type": kind, "object": found}) + b"\n"
