"""What the cluster says of one Service, all that its translation reads, and when it may be read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    NODES,
    PODS,
    SERVICES,
    Kind,
)
from lbsync.clients.kube.kinds import Key
from lbsync.kube_objects import EndpointSlice, Ingress, Service
from lbsync.publisher.cluster.informers import Extra
from lbsync.publisher.cluster.work_queue import Work
from lbsync.publisher.translate import (
    IngressClasses,
    NodePool,
    Options,
    is_ours,
    is_published,
    node_pool,
    our_classes,
)
from lbsync.publisher.translate.ingress import backends
from lbsync.publisher.translate.options import PREFIX

T = TypeVar("T")
_MODE = f"{PREFIX}address-mode"
_GROUP_LABEL = f"{PREFIX}group-label"
_NO_NODES = NodePool()


class Objects(Protocol):
    """The stores of a cluster; `lbsync.clients.kube.Cluster` is one."""

    def objects(self, kind: Kind[T]) -> Mapping[Key, T]:
        """Return all known objects of a kind."""
        ...

    def get(self, kind: Kind[T], namespace: str, name: str) -> T | None:
        """Return one known object."""
        ...

    def group(self, kind: Kind[T], namespace: str, index: str) -> list[T]:
        """Return the known objects with this index."""
        ...


class Inputs(msgspec.Struct, frozen=True, eq=False):
    """All that one translation reads. Objects are kept as they are in the stores."""

    service: Service
    slices: tuple[EndpointSlice, ...]
    pool: NodePool
    ingresses: tuple[Ingress, ...]
    pods: Mapping[str, Mapping[str, str]]
    """Labels by name of Pod; only where a Service asks for them."""

    def same(self, other: "Inputs") -> bool:
        """Tell whether these are the very same objects: then the translation is the same too."""
        return (
            self.service is other.service
            and self.pool is other.pool
            and len(self.slices) == len(other.slices)
            and len(self.ingresses) == len(other.ingresses)
            and all(a is b for a, b in zip(self.slices, other.slices, strict=True))
            and all(a is b for a, b in zip(self.ingresses, other.ingresses, strict=True))
            and self.pods == other.pods
        )


class Lister:
    """The cluster as translations see it. Used by one thread."""

    def __init__(self, objects: Objects, options: Options, *, ingress: bool) -> None:
        self._objects = objects
        self._options = options
        self._ingress = ingress
        self._pool = _NO_NODES
        self._ingresses: dict[tuple[str, str], list[Ingress]] = {}
        self._remembered: dict[tuple[str, str], dict[str, Mapping[str, str]]] = {}
        self.nodes_lost = False
        """There are nodes, and none of them is ready; False where no nodes are watched."""
        self.ours: list[Ingress] = []
        """The Ingresses of our classes."""
        self.unlisted: Collection[str] = ()
        """Namespaces of which not everything was listed: what they hold is not known, and what was
        published of them stays as it is. Set before a look, for the whole of it."""
        self.classes = IngressClasses(frozenset())
        self.unlabelled: Mapping[str, Service] = {}
        """Services that bear the label's name as an annotation only, by `<ns>/<name>`; set before a
        look."""

    def refresh(self, work: Work) -> None:
        """Read again what all translations share, where it has changed."""
        if work.nodes or work.everything:
            nodes = self._objects.objects(NODES).values()
            self.nodes_lost = bool(nodes) and not any(node.ready for node in nodes)
            pool = node_pool(nodes, self._options)
            # The same object while it says the same: nothing is translated anew for a heartbeat.
            self._pool = self._pool if pool == self._pool else pool
        if self._ingress and (work.ingresses or work.everything):
            found_classes = self._objects.objects(INGRESS_CLASSES).values()
            self.classes = our_classes(found_classes, self._options)
            found = self._objects.objects(INGRESSES).values()
            self.ours = [
                ingress
                for ingress in found
                if ingress.namespace not in self.unlisted and is_ours(ingress, self.classes)
            ]
            self._ingresses = {}
            for ingress in self.ours:
                for name in {backend.service for backend in backends(ingress)}:
                    self._ingresses.setdefault((ingress.namespace, name), []).append(ingress)

    def is_listed(self, name: str) -> bool:
        """Tell whether what concerns an object, by `<ns>/<name>`, was listed: only then is what is not
        there gone."""
        return name.partition("/")[0] not in self.unlisted

    def services(self) -> set[str]:
        """Return the names of all known Services."""
        return {f"{ns}/{name}" for ns, name in self._objects.objects(SERVICES)}

    def service(self, name: str) -> Service | None:
        """Return one Service; its name is `<ns>/<name>`."""
        ns, _, own = name.partition("/")
        return self._objects.get(SERVICES, ns, own)

    def publishes(self, namespace: str, name: str) -> bool:
        """Tell whether a Service is there and asks to be published."""
        service = self.service(f"{namespace}/{name}")
        return service is not None and is_published(service)

    def leading_to(self, service: Service) -> tuple[Ingress, ...]:
        """Return the Ingresses of our classes that lead to a Service."""
        return tuple(self._ingresses.get((service.namespace, service.name), ()))

    def needs(self, service: Service, leading: Sequence[Ingress]) -> list[Extra]:
        """Return what must be watched, beyond the usual, for a Service; rather too much.

        `leading`: the Ingresses that lead to it.
        """
        notes = [service.annotations, *(ingress.annotations for ingress in leading)]
        modes = [found[_MODE].strip().lower() for found in notes if _MODE in found]
        if _MODE not in service.annotations:
            modes.append(self._options.address_mode)
        needed: list[Extra] = []
        if "nodeport" in modes:
            needed.append("nodes")
        if any(found.get(_GROUP_LABEL) for found in notes):
            needed.append("pods")
        if not service.selects and service.type != "ExternalName":
            needed.append("slices")
        return needed

    def inputs(self, service: Service, leading: tuple[Ingress, ...], needs: list[Extra]) -> Inputs:
        """Return what the translation of a Service reads."""
        slices = self._objects.group(ENDPOINT_SLICES, service.namespace, service.name)
        return Inputs(
            service,
            tuple(sorted(slices, key=lambda found: found.name)),
            self._pool if "nodes" in needs else _NO_NODES,
            leading,
            self._labels(service, slices) if "pods" in needs else {},
        )

    def _labels(
        self, service: Service, slices: list[EndpointSlice]
    ) -> dict[str, Mapping[str, str]]:
        """Return the labels of the Pods behind a Service, by name.

        A Pod goes before the slices stop to name it: its labels are remembered until then.
        """
        place = (service.namespace, service.name)
        known = self._remembered.get(place, {})
        found: dict[str, Mapping[str, str]] = {}
        for part in slices:
            for endpoint in part.endpoints:
                pod = self._objects.get(PODS, part.namespace, endpoint.target)
                labels = pod.labels if pod is not None else known.get(endpoint.target)
                if endpoint.target and labels is not None:
                    found[endpoint.target] = labels
        self._remembered.pop(place, None)
        if found:
            self._remembered[place] = found
        return found
