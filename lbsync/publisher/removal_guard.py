"""Whether a removal of servers is intended. Pure; the caller passes the time.

A rollout takes servers away a few at a time, and those that end by themselves drain first. When many
go at once it may be the cluster's own fault (a control plane that restarts, a network that is cut in
two), and the servers may be healthy. So such a removal waits a while, and somebody is told. One that would
leave no server at all waits until somebody says that it is meant, and so does any while no node is ready:
then it is the control plane that is blind, and Kubernetes itself evicts nothing either.

What counts is how many fewer servers take new requests: one that was replaced is not lost, and one
that was draining had gone before.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.translate.translation import MAX_SERVERS
from lbsync.schema.confirming import Confirmations

_NAMED = 3
Records = Mapping[str, ServiceRecord | EndpointsRecord]


class Loss(msgspec.Struct, frozen=True):
    """How the number of a Service's servers would change."""

    before: int
    after: int
    gone: bool = False
    """The Service itself is no longer there: held only together with many others."""
    meant: bool = False
    """The Service was seen to be deleted, or taken out of publication: never held."""
    revision: int = 0
    """Of the newest of the Service's endpoints keys: a confirmation that is older is of servers that went
    before, and is used up."""
    left: Mapping[str, int] = {}
    """Each service of the store that loses servers, or goes, to the number it would keep. A Service may be
    several, `shop/cart` and `shop/cart.2`; confirmations speak of these, as agents know no others."""

    @property
    def lost(self) -> int:
        """How many fewer there would be."""
        return max(0, self.before - self.after)

    def with_result(self, now: "Loss") -> "Loss":
        """Return this loss, of when a hold began, with what it would come to now.

        Servers that come in while it is held write the key anew and change the number before; neither
        makes it another removal. Revisions are lower after a restore of etcd.
        """
        result = msgspec.structs.replace(self, after=now.after, left=now.left)
        return result.written_at(now.revision)

    def written_at(self, revision: int) -> "Loss":
        """Return this loss as of an earlier revision of the keys, where this one is earlier."""
        return msgspec.structs.replace(self, revision=min(self.revision, revision))


class Limits(msgspec.Struct, frozen=True):
    """When to hold, and for how long; 100 percent: never."""

    service_percent: int
    total_percent: int
    seconds: float


class GuardContext(msgspec.Struct, frozen=True):
    """What beside the losses decides whether a removal is held."""

    nodes_lost: bool = False
    """There are nodes, and none of them is ready."""
    confirmed: Confirmations = Confirmations()
    """What people said that is meant."""


class Hold(msgspec.Struct, frozen=True):
    """All removals that are held at one time."""

    id: str
    """Names exactly these; a confirmation of others does not let them go."""
    losses: Mapping[str, Loss]
    total: int
    """Servers of all Services, the held ones included."""
    until: str
    """What ends it, beside a confirmation."""

    def __str__(self) -> str:
        """One sentence, however many Services there are."""
        names = sorted(self.losses)
        more = f" and {len(names) - _NAMED} more services" if len(names) > _NAMED else ""
        lost = sum(loss.lost for loss in self.losses.values())
        return (
            f"{lost} of {self.total} servers would go at once ({', '.join(names[:_NAMED])}{more}); they "
            f"stay {self.until}, or until 'lbsync confirm --fleet {self.id}'"
        )


class RemovalGuard:
    """Remembers which removals are held since when."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: dict[str, float] = {}
        self._first: dict[str, Loss] = {}
        self._on_its_way: dict[str, Loss] = {}
        """What was let go because it was confirmed, as long as no server has come back: pods that roll may
        be ready for a moment on the way to what was confirmed, and that is one removal."""
        self._until = self._timed = f"for {limits.seconds:g} s in case that is not meant"
        self.hold: Hold | None = None
        """What is held, as of the last decision."""
        self.confirmed: dict[str, Loss] = {}
        """What the last decision let go because it was confirmed; `hold_id` names it."""
        self.hold_id = ""

    @property
    def waiting(self) -> frozenset[str]:
        """The Services of which a removal is, or was just, held: to be looked at in each pass."""
        return frozenset(self._since)

    def due(self, now: float) -> float | None:
        """Return in how many seconds the next removal goes through by itself; None: none does."""
        if self._until != self._timed:
            return None
        left = [since + self._limits.seconds - now for since in self._since.values()]
        return min((seconds for seconds in left if seconds > 0), default=None)

    def decide(
        self,
        losses: Mapping[str, Loss],
        total: int,
        now: float,
        context: GuardContext = GuardContext(),  # noqa: B008 - frozen
    ) -> dict[str, str]:
        """Return the Services whose removal is held, with the reason.

        `losses` are those of the Services looked at in this pass; `total` the servers of all.
        """
        for service, loss in losses.items():
            if not loss.lost or loss.meant:
                self._since.pop(service, None)
                self._first.pop(service, None)
            let_go = self._on_its_way.get(service, loss)
            if loss.after > min(loss.before, let_go.after):
                self._on_its_way.pop(service, None)
        self._judge(losses, total, now, context)
        fresh = {s: x for s, x in losses.items() if x.lost and not x.meant and s not in self._since}
        without_end = self._until != self._timed
        for service in fresh if without_end else self._too_many(fresh, total):
            self._since[service] = now
            begun = self._on_its_way.get(service, losses[service])
            self._first[service] = losses[service].written_at(begun.revision)
        held = {
            service: self._first[service].with_result(losses[service])
            for service, since in self._since.items()
            if service in losses and (without_end or now < since + self._limits.seconds)
        }
        passing = {s: loss for s, loss in losses.items() if loss.lost and s not in held}
        held = self._unconfirmed(held, passing, context.confirmed)
        self.hold = Hold(_id(held), held, total, self._until) if held else None
        return {service: self._reason(self._first[service]) for service in held}

    def clear(self) -> None:
        """Drop everything: somebody else decides now."""
        self._since.clear()
        self._first.clear()
        self._on_its_way.clear()
        self._until, self.hold, self.confirmed = self._timed, None, {}

    def _judge(
        self, losses: Mapping[str, Loss], total: int, now: float, context: GuardContext
    ) -> None:
        """Find out whether time alone may end a hold."""
        lost = {s: loss for s, loss in losses.items() if loss.lost and not loss.meant}
        left = total - sum(loss.before - loss.after for loss in losses.values())
        before, self._until = self._until, self._timed
        if lost and self._limits.total_percent < 100:
            if context.nodes_lost:
                self._until = "while no node of the cluster is ready"
            elif left <= 0 and not _is_one_deleted(lost):
                self._until = "as no server would be left anywhere"
        if before != self._timed == self._until:
            # What is still missing has its time from here on: it may well be on its way back.
            self._since = dict.fromkeys(self._since, now)

    def _unconfirmed(
        self, held: dict[str, Loss], passing: dict[str, Loss], confirmed: Confirmations
    ) -> dict[str, Loss]:
        """Return what is not confirmed, and note what is; also of what goes by itself (`passing`): what somebody
        announced is small enough here, and may be too much for the agents' guard, which is told with the
        removal."""
        newest = max((loss.revision for loss in held.values()), default=0)
        whole = bool(held) and confirmed.names(_id(held), newest)
        self.confirmed = {
            service: loss for service, loss in held.items() if whole or _is_covered(loss, confirmed)
        }
        self.confirmed |= {s: loss for s, loss in passing.items() if _is_covered(loss, confirmed)}
        self.hold_id = _id(held or self.confirmed)
        self._on_its_way |= self.confirmed
        return {s: loss for s, loss in held.items() if s not in self.confirmed}

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
        return f"{loss.lost} of {loss.before} servers would go at once, and stay {self._until}"


def _is_covered(loss: Loss, confirmed: Confirmations) -> bool:
    """Tell whether all that a Service would lose is meant, in each service of the store."""
    kept = loss.left.items()
    return bool(kept) and all(confirmed.covers(name, n, loss.revision) for name, n in kept)


def _is_one_deleted(lost: Mapping[str, Loss]) -> bool:
    """Tell whether all that is lost is one Service that is not there any more: somebody has deleted it
    while nobody watched."""
    return len(lost) == 1 and all(loss.gone for loss in lost.values())


def _id(losses: Mapping[str, Loss]) -> str:
    named = sorted((service, loss.before, loss.after) for service, loss in losses.items())
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:12]


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


def left_of(before: Records, wanted: Records) -> dict[str, int]:
    """Return with how many servers each service of the store that loses some, or goes, is left."""
    then, now = _by_service(before), _by_service(wanted)
    left = {service: count(now.get(service, {})) for service in then}
    return {s: n for s, n in left.items() if s not in now or n < count(then[s])}


def _by_service(records: Records) -> dict[str, dict[str, EndpointsRecord]]:
    found: dict[str, dict[str, EndpointsRecord]] = {}
    for key, record in records.items():
        if isinstance(record, EndpointsRecord):
            service = key.partition("/")[2].rpartition("/")[0]
            found.setdefault(service, {})[key] = record
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
