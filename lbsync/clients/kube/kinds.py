"""The kinds of objects that can be listed and watched, and how each is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from lbsync import kube_objects as objects
from lbsync.clients.kube import project, wire
from lbsync.clients.kube.errors import UNREADABLE, ApiUnavailable
from lbsync.decoders import decode
from lbsync.errors import Rejected

T = TypeVar("T")
W = TypeVar("W", bound=wire.Object)
Key = tuple[str, str]
"""Namespace ("" for cluster-wide kinds) and name."""


class ListMeta(msgspec.Struct, rename={"token": "continue", "version": "resourceVersion"}):
    """`metadata` of a list."""

    version: str
    token: str | None = None


class _Page(msgspec.Struct, Generic[W]):
    """One page. No field has a default: what lacks one of them is no list, and not an empty one."""

    kind: str
    metadata: ListMeta
    items: list[W] | None


class Entry(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One object as read: its place, its version, and what it says."""

    key: Key
    version: str
    """resourceVersion."""
    value: T | None
    """None when it has a name but cannot be read; `problem` tells why."""
    problem: str = ""


class Page(msgspec.Struct, Generic[T]):
    """One page of a list, read."""

    version: str
    token: str | None
    """What to continue with; None on the last page."""
    entries: list[Entry[T]]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """One kind of object. Compared and hashed by identity of its fields; see the constants below."""

    name: str
    """As in `kind:`."""
    plural: str
    versions: tuple[str, ...]
    """`v1` or `group/version`, the best first; the first one that the server serves is used."""
    namespaced: bool
    value: type[T]
    _wire: type[wire.Object]
    _project: Callable[[Any], T]
    index: Callable[[T], str] | None = None
    """What a `Store` can be asked for besides the key, such as a slice's Service."""
    metadata_only: bool = False
    """Ask for metadata alone (PartialObjectMetadata): a Pod is large, its labels are not."""

    @property
    def accept(self) -> str:
        """The `Accept` header of a list."""
        return self._as("PartialObjectMetadataList")

    @property
    def accept_watch(self) -> str:
        """The `Accept` header of a watch: `as` names what each event's object is turned into. A server
        takes the first clause it knows; asked to make a list of one object it ends the stream."""
        return self._as("PartialObjectMetadata")

    def _as(self, form: str) -> str:
        if not self.metadata_only:
            return "application/json"
        return f"application/json;as={form};g=meta.k8s.io;v=v1,application/json"

    def page(self, body: bytes, what: str) -> Page[T]:
        """Read one page of a list. Raises `ApiUnavailable` when it is none."""
        try:
            page = decode(body, _Page[self._wire])  # type: ignore[name-defined]
            entries = [self._entry(wired) for wired in page.items or ()]
        except msgspec.ValidationError:
            return self._page_with_faults(body, what)
        except UNREADABLE as error:
            raise ApiUnavailable(f"{what}: the answer is no JSON: {error}") from error
        return self._page(page.kind, page.metadata, entries, what)

    def _page_with_faults(self, body: bytes, what: str) -> Page[T]:
        """Read item by item, so that one strange object does not hide all the others."""
        try:
            page = decode(body, _RawPage)
        except UNREADABLE as error:
            raise ApiUnavailable(f"{what}: the answer is no list: {error}") from error
        entries = [self.read(raw) for raw in page.items or ()]
        return self._page(page.kind, page.metadata, entries, what)

    def _page(self, kind: str, meta: ListMeta, entries: list[Entry[T]], what: str) -> Page[T]:
        wanted = "PartialObjectMetadata" if self.metadata_only else self.name
        if kind not in (f"{wanted}List", f"{self.name}List"):
            raise ApiUnavailable(f"{what}: the answer is a {kind!r}, wanted {wanted}List")
        return Page(meta.version, meta.token or None, entries)

    def read(self, raw: bytes | msgspec.Raw) -> Entry[T]:
        """Read one object. Raises `Rejected` when it has not even a name."""
        try:
            return self._entry(decode(raw, self._wire))
        except UNREADABLE as error:
            return self._without_value(raw, str(error))

    def _without_value(self, raw: bytes | msgspec.Raw, problem: str) -> Entry[T]:
        try:
            meta = decode(raw, _Named).metadata
        except UNREADABLE as error:
            raise Rejected(f"{self.name}: an object without a name: {error}") from error
        return Entry((meta.namespace or "", meta.name), meta.version or "", None, problem)

    def _entry(self, wired: wire.Object) -> Entry[T]:
        meta = wired.metadata
        key = (meta.namespace or "", meta.name)
        return Entry(key, meta.resource_version or "", self._project(wired))


class _RawPage(msgspec.Struct):
    kind: str
    metadata: ListMeta
    items: list[msgspec.Raw] | None


class _Name(msgspec.Struct, rename={"version": "resourceVersion"}):
    name: str
    namespace: str | None = None
    version: str | None = None


class _Named(msgspec.Struct):
    metadata: _Name


SERVICES: Kind[objects.Service] = Kind(
    "Service", "services", ("v1",), True, objects.Service, wire.Service, project.service
)
ENDPOINT_SLICES: Kind[objects.EndpointSlice] = Kind(
    "EndpointSlice",
    "endpointslices",
    # v1 came with 1.21 and v1beta1 left with 1.25.
    ("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"),
    True,
    objects.EndpointSlice,
    wire.EndpointSlice,
    project.endpoint_slice,
    index=lambda found: found.service,
)
NODES: Kind[objects.Node] = Kind(
    "Node", "nodes", ("v1",), False, objects.Node, wire.Node, project.node
)
INGRESSES: Kind[objects.Ingress] = Kind(
    "Ingress",
    "ingresses",
    ("networking.k8s.io/v1",),
    True,
    objects.Ingress,
    wire.Ingress,
    project.ingress,
)
INGRESS_CLASSES: Kind[objects.IngressClass] = Kind(
    "IngressClass",
    "ingressclasses",
    ("networking.k8s.io/v1",),
    False,
    objects.IngressClass,
    wire.IngressClass,
    project.ingress_class,
)
PODS: Kind[objects.Pod] = Kind(
    "Pod", "pods", ("v1",), True, objects.Pod, wire.Object, project.pod, metadata_only=True
)
