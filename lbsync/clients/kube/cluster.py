"""All that is watched of one cluster, as one thing that starts, is synced, and ends."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from lbsync import log
from lbsync.clients.kube.api import Client
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.availability import Availability
from lbsync.clients.kube.health import Health
from lbsync.clients.kube.kinds import Key, Kind
from lbsync.clients.kube.liveness_probe import LivenessProbe
from lbsync.clients.kube.reflector import Reflector
from lbsync.clients.kube.resource_version import Stats
from lbsync.clients.kube.store import Change
from lbsync.clients.kube.timing import Timing
from lbsync.clients.kube.workloads.events import ObjectReference

T = TypeVar("T")


class Watch(msgspec.Struct, Generic[T], frozen=True):
    """One kind of objects to be watched, and which of them."""

    kind: Kind[T]
    namespace: str | None = None
    """None: all namespaces, which needs a ClusterRole; else a Role in that namespace is enough."""
    selector: str = ""
    """Label selector, applied by the server: `lbsync.io/publish=true`."""
    is_needed: bool = True
    """False: that it cannot be watched is nobody's trouble, and not logged."""


class Cluster:
    """Reflectors over one API server, sharing its credentials and its reachability."""

    def __init__(
        self,
        config: ClusterConfig,
        watches: Sequence[Watch[Any]],
        on_change: Callable[[Change[Any]], None],
        *,
        on_state: Callable[[], None] = lambda: None,
        timing: Timing | None = None,
    ) -> None:
        """`on_change` and `on_state` as in `Reflector`, from several threads."""
        self._timing = timing or Timing()
        self._since = time.time()
        self._availability = Availability(config.server, self._timing)
        self._client = Client(config, self._timing, self._availability.last_contact)
        self._on_change = on_change
        self._on_state = on_state
        self._started = False
        self.config = config
        self.reflectors: list[Reflector[Any]] = []
        self._liveness = LivenessProbe(config, self._availability, self.reflectors, self._timing)
        for watch in watches:
            self.add(watch)

    def add(self, watch: Watch[T]) -> Reflector[T]:
        """Watch something more, from now on or from `start` on. One thread may do this."""
        reflector = Reflector(
            Client(self.config, self._timing, self._availability.last_contact),
            watch.kind,
            self._on_change,
            namespace=watch.namespace,
            selector=watch.selector,
            availability=self._availability,
            timing=self._timing,
            on_state=self._on_state,
            is_needed=watch.is_needed,
        )
        self.reflectors.append(reflector)
        if self._started:
            reflector.start()
        return reflector

    def start(self) -> None:
        """Begin to list and watch."""
        self._started = True
        for reflector in self.reflectors:
            reflector.start()
        self._liveness.start()

    @property
    def synced(self) -> bool:
        """True when every reflector has taken in one complete list: before that, nothing that is
        not in a store may be taken for gone."""
        return all(reflector.synced for reflector in self.reflectors)

    def health(self) -> Health:
        """Return the newest trouble there is; ok only when every watch is open and the server was
        heard lately."""
        return self.health_of(self.reflectors)

    def health_of(self, reflectors: Sequence[Reflector[Any]]) -> Health:
        """Return the same of some of the watches."""
        bad = [found for found in reflectors if not found.health().ok]
        if bad:
            since = min(found.health().since for found in bad)
            newest = max(bad, key=lambda found: found.told)
            return Health(
                ok=False, detail=self._availability.away or newest.health().detail, since=since
            )
        states = [found.health() for found in reflectors]
        since = max((state.since for state in states), default=self._since)
        silence = self._availability.last_contact.silence
        if states and silence > self._timing.silent:
            detail = f"{self.config.server} has given no sign of life for {log.span(silence)}"
            return Health(ok=False, detail=detail, since=time.time() - silence)
        detail = f"{len(states)} watches on {self.config.server} are open"
        return Health(ok=True, detail=detail, since=since)

    def stats(self) -> dict[str, Stats]:
        """Return the counters by what is watched."""
        return {reflector.name: reflector.stats for reflector in self.reflectors}

    def objects(self, kind: Kind[T]) -> dict[Key, T]:
        """Return all known objects of a kind, of all namespaces that are watched."""
        found: dict[Key, T] = {}
        for reflector in self._of(kind):
            found.update(reflector.store.snapshot())
        return found

    def get(self, kind: Kind[T], namespace: str, name: str) -> T | None:
        """Return one known object."""
        found = (reflector.store.get((namespace, name)) for reflector in self._of(kind))
        return next((value for value in found if value is not None), None)

    def group(self, kind: Kind[T], namespace: str, index: str) -> list[T]:
        """Return the known objects with this `Kind.index`: the slices of one Service."""
        found: dict[Key, T] = {}
        # Two watches may overlap: one by label, one of everything.
        for reflector in self._of(kind):
            found |= reflector.store.group(namespace, index)
        return list(found.values())

    def post_event(self, about: ObjectReference, *, reason: str, message: str, kind: str) -> None:
        """See `Client.post_event`."""
        self._client.post_event(about, reason=reason, message=message, kind=kind)

    def close(self) -> None:
        """End all watches and their threads. May be called twice."""
        self._liveness.close()
        self._client.close()
        for reflector in self.reflectors:
            reflector.stop()
        for reflector in self.reflectors:
            reflector.close()

    def _of(self, kind: Kind[T]) -> list[Reflector[T]]:
        matching = [r for r in self.reflectors if r.kind.plural == kind.plural]
        return cast("list[Reflector[T]]", matching)
