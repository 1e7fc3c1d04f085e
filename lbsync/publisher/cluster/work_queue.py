"""Which Services must be looked at again, collected from threads that watch."""

import threading
from collections.abc import Iterable
from typing import Any

import msgspec

from lbsync.clients.kube import Change
from lbsync.kube_objects import EndpointSlice, Ingress, IngressClass, Node, Pod, Service
from lbsync.publisher.translate.ingress import backends
from lbsync.publisher.translate.translation import is_published


class Work(msgspec.Struct, frozen=True):
    """What has changed since the last look."""

    services: frozenset[str] = frozenset()
    """`<ns>/<name>`."""
    namespaces: frozenset[str] = frozenset()
    """Namespaces in which Pods have changed."""
    nodes: bool = False
    ingresses: bool = False
    """An Ingress or an IngressClass has changed."""
    everything: bool = False
    deleted: frozenset[str] = frozenset()
    """Services that somebody was seen to delete, or to take out of publication."""


class WorkQueue:
    """Filled by any thread, emptied by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: set[str] = set()
        self._namespaces: set[str] = set()
        self._deleted: set[str] = set()
        self._nodes = self._ingresses = self._everything = True

    def note(self, change: Change[Any]) -> None:
        """Take note of a change in the cluster."""
        with self._lock:
            for found in (change.before, change.after):
                self._note(found)
            if isinstance(change.before or change.after, Service):
                name = f"{change.namespace}/{change.name}"
                if change.after is not None and is_published(change.after):
                    self._deleted.discard(name)
                elif change.after is not None or not change.compared:
                    self._deleted.add(name)

    def mark(self, services: Iterable[str]) -> None:
        """Have a look at these Services."""
        with self._lock:
            self._services.update(services)

    def mark_all(self) -> None:
        """Have a look at every Service."""
        with self._lock:
            self._everything = True

    def put_back(self, work: Work) -> None:
        """Take back what could not be dealt with."""
        with self._lock:
            self._services |= work.services
            self._namespaces |= work.namespaces
            self._nodes |= work.nodes
            self._ingresses |= work.ingresses
            self._everything |= work.everything
            self._deleted |= work.deleted

    def take(self) -> Work:
        """Return everything noted, and start again."""
        with self._lock:
            work = Work(
                frozenset(self._services),
                frozenset(self._namespaces),
                self._nodes,
                self._ingresses,
                self._everything,
                frozenset(self._deleted),
            )
            for found in (self._services, self._namespaces, self._deleted):
                found.clear()
            self._nodes = self._ingresses = self._everything = False
            return work

    def _note(self, found: object) -> None:
        match found:
            case Service():
                self._services.add(f"{found.namespace}/{found.name}")
            case EndpointSlice():
                self._services.add(f"{found.namespace}/{found.service}")
            case Ingress():
                self._ingresses = True
                self._services.update(
                    f"{found.namespace}/{backend.service}" for backend in backends(found)
                )
            case Node():
                self._nodes = True
            case IngressClass():
                self._ingresses = self._everything = True
            case Pod():
                self._namespaces.add(found.namespace)
