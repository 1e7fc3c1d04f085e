"""Which kinds of objects are watched: some always, some from the first Service on that needs them."""

from collections.abc import Callable
from typing import Any, Literal

from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    NODES,
    PODS,
    SERVICES,
    Change,
    Cluster,
    ClusterConfig,
    Kind,
    Reflector,
    Timing,
    Watch,
)
from lbsync.publisher.translate.options import PUBLISH_LABEL

Extra = Literal["nodes", "pods", "slices"]
"""`slices`: those without the label too. The cluster's own controller hands a Service's labels on to
its slices; who makes slices by hand may not."""
SELECTOR = f"{PUBLISH_LABEL}=true"
_KINDS: dict[Extra, Kind[Any]] = {"nodes": NODES, "pods": PODS, "slices": ENDPOINT_SLICES}


class Watching:
    """The watches on one cluster."""

    def __init__(
        self,
        config: ClusterConfig,
        *,
        namespaces: tuple[str, ...],
        ingress: bool,
        on_change: Callable[[Change[Any]], None],
        on_state: Callable[[], None],
        timing: Timing | None = None,
    ) -> None:
        """`namespaces`: only these; none: all, which needs a ClusterRole."""
        self._places: tuple[str | None, ...] = namespaces or (None,)
        self._extras: dict[Extra, list[Reflector[Any]]] = {}
        self.cluster = Cluster(config, (), on_change, on_state=on_state, timing=timing)
        self._needed = [*self._add(SERVICES, PUBLISH_LABEL), *self._add(ENDPOINT_SLICES, SELECTOR)]
        if ingress:
            self._needed += self._add(INGRESSES)
        if ingress and not namespaces:
            # Cluster-wide: who may read single namespaces only goes by the name of the class.
            self._needed += self._add(INGRESS_CLASSES)

    def start(self) -> None:
        """Begin."""
        self.cluster.start()

    def close(self) -> None:
        """End all watches."""
        self.cluster.close()

    @property
    def missing(self) -> list[str]:
        """What has not been listed yet, without which nothing may be published."""
        return [reflector.name for reflector in self._needed if not reflector.synced]

    @property
    def trouble(self) -> str:
        """Why the cluster is not watched right now; empty: it is.

        Of what only some Services need, as long as it cannot be read at all, their reports tell.
        """
        extras = [found for extra in self._extras.values() for found in extra if found.synced]
        health = self.cluster.health_of([*self._needed, *extras])
        return "" if health.ok else health.detail

    def hope(self, extra: Extra) -> None:
        """Watch something more that nobody needs: without a word where it may not be read."""
        if extra not in self._extras:
            self._extras[extra] = self._add(_KINDS[extra], is_needed=False)

    def demand(self, extra: Extra) -> str:
        """Watch something more, unless it is already; return why it cannot be read yet, or ""."""
        if extra not in self._extras:
            self._extras[extra] = self._add(_KINDS[extra])
        waiting = [found for found in self._extras[extra] if not found.synced]
        return waiting[0].health().detail if waiting else ""

    def _add(
        self, kind: Kind[Any], selector: str = "", *, is_needed: bool = True
    ) -> list[Reflector[Any]]:
        places = self._places if kind.namespaced else (None,)
        return [self.cluster.add(Watch(kind, place, selector, is_needed)) for place in places]
