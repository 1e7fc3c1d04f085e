"""What is asked of an API server: lists, single objects, watches, logs, and writes."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.errors import Expired, NotFound
from lbsync.clients.kube.kinds import Entry, Kind, Page
from lbsync.clients.kube.last_contact import LastContact
from lbsync.clients.kube.stream import WatchStream
from lbsync.clients.kube.timing import Timing
from lbsync.clients.kube.transport import Request, Transport
from lbsync.clients.kube.workloads.events import ObjectReference, new_event
from lbsync.errors import Rejected

T = TypeVar("T")
PAGE = 500
"""Objects a page, as client-go's pager asks for."""

_STRICT = {"fieldValidation": "Strict"}
"""Fields that the API does not know are refused (since 1.25; older servers drop them), not dropped."""
_DRY_RUN = {"dryRun": "All"}
_MOST_LOG = 65_536


class Listing(msgspec.Struct, Generic[T]):
    """A whole list, consistent at one version."""

    version: str
    entries: list[Entry[T]]


class Client:
    """One API server, spoken to by one user. Thread-safe.

    Every method raises `ApiUnavailable` when the server does not answer or cannot now, `Forbidden`
    and `Unauthorized` when it will not, `NotFound`, and `Expired` where said; all are
    `lbsync.errors.Unavailable` or `lbsync.errors.Rejected`.
    """

    def __init__(
        self, config: ClusterConfig, timing: Timing | None = None, shared: LastContact | None = None
    ) -> None:
        """`shared` is told, too, whenever something comes from the server."""
        self.config = config
        self.last_contact = LastContact()
        """When this client last heard the server."""
        self._shared = shared or LastContact()
        self._timing = timing or Timing()
        self._transport = Transport(config, self._timing, self._heard)
        self._served: dict[str, str] = {}

    def close(self) -> None:
        """End all requests, also those of other threads. May be called twice."""
        self._transport.close()

    def drop(self) -> None:
        """End all requests; new ones get new connections. From any thread."""
        self._transport.drop()

    def _heard(self) -> None:
        self.last_contact.note()
        self._shared.note()

    def list_all(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        selector: str = "",
        *,
        fields: str = "",
        limit: int = PAGE,
        keep: Callable[[Entry[T]], Entry[T]] = lambda entry: entry,
    ) -> Listing[T]:
        """Return all objects of a kind; namespace None means all of them.

        Asked for in pages of `limit`; when a page comes too late (410 on `continue`), once more in
        one piece. Finds out which of the kind's API versions the server serves. `fields` is a selector
        by fields; `keep` says what to keep of each entry while the pages come in.
        """
        query = _query(selector) | ({"fieldSelector": fields} if fields else {})
        try:
            return self._pages(kind, namespace, query | {"limit": str(limit)}, keep)
        except Expired:
            return self._pages(kind, namespace, query, keep)

    def version(self, kind: Kind[T], namespace: str | None = None, selector: str = "") -> str:
        """Return the resourceVersion a list would have now; costs one object."""
        what, path = self._place("list", kind, namespace)
        query = _query(selector) | {"limit": "1"}
        body = self._transport.fetch(Request(what=what, path=path, query=query, accept=kind.accept))
        return kind.page(body, what).version

    def get(self, kind: Kind[T], namespace: str, name: str) -> T:
        """Return one object. Raises `Rejected` when it cannot be read."""
        return self.get_at(kind, namespace, name)[0]

    def get_at(self, kind: Kind[T], namespace: str, name: str) -> tuple[T, str]:
        """Return one object, and the resourceVersion it was read at. Raises as `get`."""
        what, path = self._place("get", kind, namespace or None, name)
        entry = kind.read(self._transport.fetch(Request(what=what, path=path, accept=kind.accept)))
        if entry.value is None:
            raise Rejected(f"{what}: {entry.problem}")
        return entry.value, entry.version

    def watch(
        self,
        kind: Kind[T],
        version: str,
        namespace: str | None = None,
        selector: str = "",
        seconds: float = 300,
    ) -> WatchStream[T]:
        """Open a stream of what changes after `version`; the server ends it after `seconds`."""
        what, path = self._place("watch", kind, namespace)
        query = _query(selector) | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        patience = seconds + self._timing.watch_slack
        deadline = time.monotonic() + patience
        request = Request(what=what, path=path, query=query, accept=kind.accept_watch)
        response = self._transport.open(request, patience)
        return WatchStream(response, kind, what, deadline, self._heard)

    def post_event(self, about: ObjectReference, *, reason: str, message: str, kind: str) -> None:
        """Attach an Event to an object, for `kubectl describe`.

        `reason` is one CamelCase word; `kind` is Normal or Warning. Needs `create` on `events`.
        """
        namespace = about.namespace or "default"
        event = new_event(about, reason=reason, message=message, kind=kind)
        request = Request(
            what=f"create an event in namespace {namespace}",
            path=f"/api/v1/namespaces/{quote(namespace, safe='')}/events",
            method="POST",
            body=msgspec.json.encode(event),
        )
        self._transport.fetch(request)

    def create(
        self, kind: Kind[T], namespace: str, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> T:
        """Make an object, with no field that the API does not know. `dry_run`: only find out whether it could
        be made. Raises `Conflict` if it is there, `Rejected` where it is refused."""
        what, path = self._place("create", kind, namespace)
        query = _STRICT | (_DRY_RUN if dry_run else {})
        return self._write(kind, Request(what=what, path=path, query=query, method="POST",
                                         body=msgspec.json.encode(body)))  # fmt: skip

    def apply(
        self,
        kind: Kind[T],
        namespace: str,
        body: Mapping[str, Any],
        *,
        manager: str,
        dry_run: bool = False,
    ) -> T:
        """Make an object, or bring it to what `body` says, by server-side apply: what `body` said before under
        the same `manager`, and does not say any more, goes; fields of others stay.

        With a `uid` in `body` only that very object is changed, with a `resourceVersion` only as long as it is as
        it was read; else it raises `Conflict`. Raises `Disputed`, naming the fields, where somebody else has set
        one of them.
        """
        name = body["metadata"]["name"]
        what, path = self._place("apply", kind, namespace, name)
        query = _STRICT | {"fieldManager": manager} | (_DRY_RUN if dry_run else {})
        return self._write(kind, Request(what=what, path=path, query=query, method="PATCH",
                                         content_type="application/apply-patch+yaml",
                                         body=msgspec.json.encode(body)))  # fmt: skip

    def patch(
        self,
        kind: Kind[T],
        namespace: str,
        name: str,
        change: Mapping[str, Any],
        *,
        manager: str,
    ) -> T:
        """Change an object by a merge patch (RFC 7386). `uid` and `resourceVersion` in it are as in `apply`."""
        what, path = self._place("patch", kind, namespace, name)
        return self._write(kind, Request(what=what, path=path, query={"fieldManager": manager},
                                         method="PATCH", content_type="application/merge-patch+json",
                                         body=msgspec.json.encode(change)))  # fmt: skip

    def delete(self, kind: Kind[T], namespace: str, name: str, uid: str, version: str) -> None:
        """Delete this very object, if it is as it was read at this resourceVersion; what it owns is deleted by the
        cluster afterwards. Raises `Conflict` if it is not."""
        what, path = self._place("delete", kind, namespace, name)
        preconditions = {"uid": uid, "resourceVersion": version}
        options = {"propagationPolicy": "Background", "preconditions": preconditions}
        body = msgspec.json.encode({"kind": "DeleteOptions", "apiVersion": "v1"} | options)
        self._transport.fetch(Request(what=what, path=path, method="DELETE", body=body))

    def log(self, namespace: str, pod: str, container: str, *, lines: int, previous: bool) -> str:
        """Return the last lines that a container wrote; `previous`: before it was started anew."""
        query: dict[str, str | int] = {
            "container": container,
            "tailLines": lines,
            "limitBytes": _MOST_LOG,
        }
        return self._transport.fetch(
            Request(
                what=f"read the log of pod {pod} in namespace {namespace}",
                path=f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log",
                query=query | ({"previous": "true"} if previous else {}),
                accept="*/*",
            )
        ).decode("utf-8", "replace")

    def _write(self, kind: Kind[T], request: Request) -> T:
        entry = kind.read(self._transport.fetch(request))
        if entry.value is None:
            raise Rejected(f"{request.what}: {entry.problem}")
        return entry.value

    def _pages(
        self,
        kind: Kind[T],
        namespace: str | None,
        query: dict[str, str],
        keep: Callable[[Entry[T]], Entry[T]],
    ) -> Listing[T]:
        page = self._first_page(kind, namespace, query)
        entries = [keep(entry) for entry in page.entries]
        what, path = self._place("list", kind, namespace)
        while page.token:
            request = Request(
                what=what, path=path, query=query | {"continue": page.token}, accept=kind.accept
            )
            page = kind.page(self._transport.fetch(request), what)
            entries += [keep(entry) for entry in page.entries]
        return Listing(page.version, entries)

    def _first_page(self, kind: Kind[T], namespace: str | None, query: dict[str, str]) -> Page[T]:
        """Return the first page, of the first API version that is served; remember which."""
        refused: NotFound | None = None
        for version in kind.versions:
            what, path = self._place("list", kind, namespace, version=version)
            request = Request(what=what, path=path, query=query, accept=kind.accept)
            try:
                page = kind.page(self._transport.fetch(request), what)
            except NotFound as error:
                refused = error
                continue
            self._served[kind.plural] = version
            return page
        raise NotFound(
            f"{refused}; this server serves no {kind.plural} of {' or '.join(kind.versions)}"
        ) from refused

    def _place(
        self,
        verb: str,
        kind: Kind[T],
        namespace: str | None,
        name: str | None = None,
        version: str | None = None,
    ) -> tuple[str, str]:
        """Return a request's name for messages, and its path."""
        version = version or self._served.get(kind.plural, kind.versions[0])
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        shown = kind.plural if "/" not in version else f"{kind.plural}.{version.split('/')[0]}"
        where = ""
        if namespace is not None and kind.namespaced:
            path += f"/namespaces/{quote(namespace, safe='')}"
            where = f" in namespace {namespace}"
        path += f"/{kind.plural}"
        if name is not None:
            path += f"/{quote(name, safe='')}"
            shown += f" {name}"
        return f"{verb} {shown}{where}", path


def _query(selector: str) -> dict[str, str]:
    return {"labelSelector": selector} if selector else {}
