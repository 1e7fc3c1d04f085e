"""What is asked of an API server: lists, single objects, watches, and one kind of write."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.errors import Expired, NotFound
from lbsync.clients.kube.kinds import Entry, Kind, Page
from lbsync.clients.kube.pulse import Pulse
from lbsync.clients.kube.stream import WatchStream
from lbsync.clients.kube.timing import Timing
from lbsync.clients.kube.transport import Request, Transport
from lbsync.errors import Rejected
from lbsync.timestamps import stamp

T = TypeVar("T")
PAGE = 500
"""Objects a page, as client-go's pager asks for."""

_MOST_NAME = 220
"""Of an Event's name, which holds 253 characters: what is left is for a dot and the time."""


class Listing(msgspec.Struct, Generic[T]):
    """A whole list, consistent at one version."""

    version: str
    entries: list[Entry[T]]


class ObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    """What an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


class Client:
    """One API server, spoken to by one user. Thread-safe.

    Every method raises `ApiUnavailable` when the server does not answer or cannot now, `Forbidden`
    and `Unauthorized` when it will not, `NotFound`, and `Expired` where said; all are
    `lbsync.errors.Unavailable` or `lbsync.errors.Rejected`.
    """

    def __init__(
        self, config: ClusterConfig, timing: Timing | None = None, shared: Pulse | None = None
    ) -> None:
        """`shared` is told, too, whenever something comes from the server."""
        self.config = config
        self.pulse = Pulse()
        """When this client last heard the server."""
        self._shared = shared or Pulse()
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
        self.pulse.beat()
        self._shared.beat()

    def list_all(
        self,
        kind: Kind[T],
        namespace: str | None = None,
        selector: str = "",
        *,
        limit: int = PAGE,
        keep: Callable[[Entry[T]], Entry[T]] = lambda entry: entry,
    ) -> Listing[T]:
        """Return all objects of a kind; namespace None means all of them.

        Asked for in pages of `limit`; when a page comes too late (410 on `continue`), once more in
        one piece. Finds out which of the kind's API versions the server serves. `keep` says what
        to keep of each entry while the pages come in.
        """
        try:
            return self._pages(kind, namespace, _query(selector) | {"limit": str(limit)}, keep)
        except Expired:
            return self._pages(kind, namespace, _query(selector), keep)

    def version(self, kind: Kind[T], namespace: str | None = None, selector: str = "") -> str:
        """Return the resourceVersion a list would have now; costs one object."""
        what, path = self._place("list", kind, namespace)
        query = _query(selector) | {"limit": "1"}
        body = self._transport.fetch(Request(what=what, path=path, query=query, accept=kind.accept))
        return kind.page(body, what).version

    def get(self, kind: Kind[T], namespace: str, name: str) -> T:
        """Return one object. Raises `Rejected` when it cannot be read."""
        what, path = self._place("get", kind, namespace or None, name)
        entry = kind.read(self._transport.fetch(Request(what=what, path=path, accept=kind.accept)))
        if entry.value is None:
            raise Rejected(f"{what}: {entry.problem}")
        return entry.value

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
        now = stamp()
        namespace = about.namespace or "default"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            # The name is how client-go makes it: object, dot, time in hexadecimal.
            "metadata": {
                "name": f"{about.name[:_MOST_NAME]}.{time.time_ns():x}",
                "namespace": namespace,
            },
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "reason": reason,
            "message": message[:1024],
            "type": kind,
            "source": {"component": "lbsync"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        request = Request(
            what=f"create an event in namespace {namespace}",
            path=f"/api/v1/namespaces/{quote(namespace, safe='')}/events",
            method="POST",
            body=msgspec.json.encode(event),
        )
        self._transport.fetch(request)

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
