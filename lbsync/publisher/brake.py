"""Is this removal of servers meant? Pure; the caller brings the time.

A rollout takes servers away a few at a time, and those that end by themselves drain first. When many
go at once it may be the cluster's own fault (a control plane that restarts, a network that is cut in
two), and the servers may be well. So such a removal waits a while, and somebody is told.

What counts is how many fewer servers take new requests: one that was replaced is not lost, and one
that was draining had gone before.
"""

from collections.abc import Mapping

import msgspec

from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.translate.translation import MAX_SERVERS

Records = Mapping[str, ServiceRecord | EndpointsRecord]


class Loss(msgspec.Struct, frozen=True):
    """How the number of a Service's servers would change."""

    before: int
    after: int
    gone: bool = False
    """The Service itself is no longer there: held only together with many others."""
    meant: bool = False
    """The Service was seen to be deleted, or taken out of publication: never held."""

    @property
    def lost(self) -> int:
        """How many fewer there would be."""
        return max(0, self.before - self.after)


class Limits(msgspec.Struct, frozen=True):
    """When to hold, and for how long; 100 percent: never."""

    service_percent: int
    total_percent: int
    seconds: float


class Brake:
    """Remembers which removals are held since when."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    @property
    def waiting(self) -> frozenset[str]:
        """The Services of which a removal is, or was just, held: to be looked at in each pass."""
        return frozenset(self._since)

    def due(self, now: float) -> float | None:
        """Return in how many seconds the next removal goes through; None: none is held."""
        left = [since + self._limits.seconds - now for since in self._since.values()]
        return min((seconds for seconds in left if seconds > 0), default=None)

    def decide(self, losses: Mapping[str, Loss], total: int, now: float) -> dict[str, str]:
        """Return the Services whose removal is held, with the reason.

        `losses` are those of the Services looked at in this pass; `total` the servers of all.
        """
        for service, loss in losses.items():
            if not loss.lost or loss.meant:
                self._since.pop(service, None)
                self._reasons.pop(service, None)
        fresh = {s: x for s, x in losses.items() if x.lost and not x.meant and s not in self._since}
        for service in self._too_many(fresh, total):
            self._since[service] = now
            # Said once and for all: servers that come in meanwhile change the numbers.
            self._reasons[service] = self._reason(losses[service])
        return {
            service: self._reasons[service]
            for service, since in self._since.items()
            if service in losses and now < since + self._limits.seconds
        }

    def clear(self) -> None:
        """Drop everything: somebody else decides now."""
        self._since.clear()
        self._reasons.clear()

    def _too_many(self, fresh: Mapping[str, Loss], total: int) -> list[str]:
        lost = sum(loss.lost for loss in fresh.values())
        # Of a single Service its own limit decides: else in a small cluster one pod would be many.
        if len(fresh) > 1 and lost * 100 > total * self._limits.total_percent:
            return list(fresh)
        limit = self._limits.service_percent
        return [
            service
            for service, loss in fresh.items()
            if loss.lost * 100 > loss.before * limit and not loss.gone
        ]

    def _reason(self, loss: Loss) -> str:
        return (
            f"{loss.lost} of {loss.before} servers would go at once, and stay for "
            f"{self._limits.seconds:g} s in case that is not meant"
        )


def count(records: Records) -> int:
    """Return how many servers take new requests; one in several records of a Service is one."""
    return len(
        {
            (server.address, server.port)
            for record in records.values()
            if isinstance(record, EndpointsRecord)
            for server in record.servers
            if server.state == "up" and server.weight > 0
        }
    )


def kept(before: Records, wanted: Records) -> dict[str, ServiceRecord | EndpointsRecord]:
    """Return `wanted` with the servers of `before` that would go: new ones come in all the same."""
    found = dict(wanted)
    for key, record in before.items():
        other = wanted.get(key)
        if other is None:
            found[key] = record
        elif isinstance(record, EndpointsRecord) and isinstance(other, EndpointsRecord):
            found[key] = _united(record, other)
    return found


def _united(old: EndpointsRecord, new: EndpointsRecord) -> EndpointsRecord:
    names = {server.name for server in new.servers}
    places = {(server.address, server.port) for server in new.servers}
    stay = [
        server
        for server in old.servers
        if server.name not in names and (server.address, server.port) not in places
    ]
    del stay[MAX_SERVERS - len(new.servers) :]
    together = sorted((*new.servers, *stay), key=lambda server: server.name)
    return msgspec.structs.replace(new, servers=tuple(together))
