"""Which kinds of objects are watched: some always, some from the first Service on that needs them."""

import time
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


_MOST_PLACES = 16
"""In how many namespaces something more is watched one by one; from then on in all at once, where this
account may."""
PATIENCE_S = 30.0
"""How long the namespaces that are listed wait for the others, as long as nobody refuses these."""


class Informers:
    """The watches on one cluster.

    Each namespace that is named in the settings stands for itself: where one may not be read, the others
    go on, and of that one nothing is known, which is not the same as nothing being there.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        namespaces: tuple[str, ...],
        ingress: bool,
        on_change: Callable[[Change[Any]], None],
        on_state: Callable[[], None],
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`namespaces`: only these; none: all, which needs a ClusterRole."""
        self._places: tuple[str | None, ...] = namespaces or (None,)
        self._extras: dict[tuple[Extra, str | None], Reflector[Any]] = {}
        self._clock = clock
        self._started = clock()
        self.cluster = Cluster(config, (), on_change, on_state=on_state, timing=timing)
        kinds: list[tuple[Kind[Any], str]] = [
            (SERVICES, PUBLISH_LABEL),
            (ENDPOINT_SLICES, SELECTOR),
            *([(INGRESSES, "")] if ingress else []),
        ]
        if ingress and not namespaces:
            # Cluster-wide: who may read single namespaces only goes by the name of the class.
            kinds.append((INGRESS_CLASSES, ""))
        self._needed = {
            place: [self.cluster.add(Watch(kind, place, selector)) for kind, selector in kinds]
            for place in self._places
        }

    def start(self) -> None:
        """Start all watches; their first lists come in by and by. Once only."""
        self._started = self._clock()
        self.cluster.start()

    def close(self) -> None:
        """End all watches, and wait for their threads."""
        self.cluster.close()

    @property
    def missing(self) -> list[str]:
        """What has not been listed yet, without which nothing may be published.

        A namespace that is refused is not waited for, as long as another one is there.
        """
        unlisted = [found for found in self._all if not found.synced]
        if len(self.unlisted) == len(self._places):
            return [found.name for found in unlisted]
        if self._clock() - self._started >= PATIENCE_S:
            return []
        return [found.name for found in unlisted if not found.refusal]

    @property
    def unlisted(self) -> frozenset[str]:
        """The namespaces of which not all has been listed: what is in them, nobody knows."""
        return frozenset(
            place or ""
            for place, found in self._needed.items()
            if not all(reflector.synced for reflector in found)
        )

    @property
    def unread(self) -> dict[str, str]:
        """The namespaces that cannot be read right now though the server answers, with the reason."""
        told: dict[str, str] = {}
        for place, found in self._needed.items():
            if place is None:
                continue
            refused = [reflector for reflector in found if reflector.refusal]
            silent = [reflector for reflector in found if not reflector.synced]
            if refused:
                # "list services in namespace bank: services is forbidden: …"
                rights = [one.refusal.partition(" in namespace ")[0] for one in refused[1:]]
                more = f", and {', '.join(rights)} as well" if rights else ""
                told[place] = (
                    f"{refused[0].refusal}{more}; or take the namespace out of [publisher] namespaces"
                )
            elif silent:
                told[place] = silent[0].health().detail
        return told

    @property
    def trouble(self) -> str:
        """Why the cluster is not watched right now; empty: it is, except for what `unread` says.

        Of what only some Services need, as long as it cannot be read at all, their reports tell.
        """
        unread = self.unread
        if len(unread) == len(self._places):
            unread = {}
        needed = [
            found for place in self._places if place not in unread for found in self._needed[place]
        ]
        extras = [found for found in self._extras.values() if found.synced and not found.refusal]
        health = self.cluster.health_of([*needed, *extras])
        return "" if health.ok else health.detail

    def watch_optional(self, extra: Extra) -> None:
        """Watch something more that nobody needs: without a word where it may not be read."""
        if (extra, None) not in self._extras:
            self._extras[extra, None] = self._add(extra, None, is_needed=False)

    def demand(self, extra: Extra, namespace: str) -> str:
        """Watch something more for the Services of a namespace, unless it is already; return why it cannot
        be read yet, or ""."""
        place = self._place(extra, namespace)
        if (extra, place) not in self._extras:
            self._extras[extra, place] = self._add(extra, place)
        found = self._extras[extra, place]
        return "" if found.synced else found.health().detail

    def _place(self, extra: Extra, namespace: str) -> str | None:
        """Return where something more is watched for a namespace; None: everywhere."""
        if not _KINDS[extra].namespaced:
            return None
        is_known = (extra, namespace) in self._extras
        many = sum(kind == extra for kind, _ in self._extras) >= _MOST_PLACES
        return None if many and not is_known and self._places == (None,) else namespace

    @property
    def counts(self) -> dict[str, int]:
        """Kind, as the API's plural, to how many objects of it are known."""
        kinds = {found.kind.plural: found.kind for found in self.cluster.reflectors}
        return {plural: len(self.cluster.objects(kind)) for plural, kind in sorted(kinds.items())}

    @property
    def _all(self) -> list[Reflector[Any]]:
        return [reflector for found in self._needed.values() for reflector in found]

    def _add(self, extra: Extra, place: str | None, *, is_needed: bool = True) -> Reflector[Any]:
        return self.cluster.add(Watch(_KINDS[extra], place, "", is_needed))
