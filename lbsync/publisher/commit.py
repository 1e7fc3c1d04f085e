"""Writes what must be written, in few transactions, each behind the leader's fence.

All keys of one Service are in one transaction as long as one holds them, and many Services share one.
What is too much for one transaction is written in several, in the order of `store.diff.changes`, in which each
step may be the last: servers come before the services key that leads to them, and go after it.

Each change is guarded by all that it rests on, at its own key and at others. When somebody was faster with
a single one, the Services of that transaction are tried one by one, so that only one of them has to wait:
it is looked at again, which is no trouble of anybody's unless it happens again and again.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from lbsync import log
from lbsync.clients.source import Expect, Guard, Put, Source
from lbsync.errors import Conflict, Rejected
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Change

MAX_OPS = 100
"""Writes in one transaction: etcd takes 128 by default."""
MAX_GUARDS = 127
"""etcd takes as many as it takes writes; the fence is one more."""
MAX_BYTES = 1_000_000
"""etcd takes 1.5 MiB a request by default. A single value may be larger: that is for etcd to judge."""
_AROUND = 40
"""What the framing of one operation and its guard takes, beside the key in each and the value."""
RACE_S = 10.0
"""A Service that somebody else was faster with for so long is told as a fault: two of them undo each
other's writes, or the store's news come no more."""


class LostLead(Conflict):
    """Raised when another one leads, or this one is no longer sure to: nothing more is written."""


class Written(msgspec.Struct):
    """Which changes were written, and why others were not."""

    revision: int = 0
    """Of the last transaction; 0: there was none."""
    transactions: int = 0
    done: list[ServiceChanges] = []
    failed: dict[str, str] = {}
    """Name of a Service or Ingress to the reason."""
    raced: list[str] = []
    """Names of those with which somebody else was faster just now: to be looked at again."""


class Committer:
    """Writes units of work."""

    def __init__(
        self,
        source: Source,
        fence: Callable[[], Expect | None],
        fenced: Callable[[], bool],
        wrote: Callable[[int, Sequence[Change]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fence` returns the leader's guard; `fenced` tells after a lost race whether it was that
        which did not hold. `wrote` is told what each transaction has written."""
        self._source = source
        self._fence = fence
        self._fenced = fenced
        self._wrote = wrote
        self._clock = clock
        self._raced_since: dict[str, float] = {}
        self._beside: Sequence[Put] = ()

    def write(self, units: Iterable[ServiceChanges], beside: Sequence[Put] = ()) -> Written:
        """Write everything that can be. Raises `LostLead` and `Unavailable`.

        `beside` goes into each transaction: what must not be older than what it speaks of. Where this
        account may not write it, the rest is written without it.
        """
        self._beside = beside
        result = Written(done=[], failed={}, raced=[])
        before, self._raced_since = self._raced_since, {}
        for pack in packs(units, *self._taken()):
            try:
                self._commit(pack, result)
            except (Conflict, Rejected) as error:
                self._refuse_lost(error)
                self._singly(pack, result, error, before)
        return result

    def _singly(
        self,
        pack: list[ServiceChanges],
        result: Written,
        error: Exception,
        before: Mapping[str, float],
    ) -> None:
        if len(pack) == 1:
            self._note(pack[0].name, result, error, before)
            return
        for unit in pack:
            try:
                self._commit([unit], result)
            except (Conflict, Rejected) as problem:
                self._refuse_lost(problem)
                self._note(unit.name, result, problem, before)

    def _note(
        self, name: str, result: Written, error: Exception, before: Mapping[str, float]
    ) -> None:
        if isinstance(error, Conflict):
            now = self._clock()
            since = self._raced_since[name] = before.get(name, now)
            if now - since < RACE_S:
                result.raced.append(name)
                return
        result.failed[name] = str(error)

    def _refuse_lost(self, error: Exception) -> None:
        if isinstance(error, LostLead):
            raise error
        if isinstance(error, Conflict) and self._fenced():
            raise LostLead("another publisher leads now; nothing more is written") from error

    def _commit(self, pack: list[ServiceChanges], result: Written) -> None:
        for part in parts((change for unit in pack for change in unit.all), *self._taken()):
            revision = self._put(part)
            self._wrote(revision, part)
            result.revision = revision
            result.transactions += 1
        result.done += pack

    def _taken(self) -> tuple[int, int]:
        """Return how many operations and bytes of each transaction are not free for changes."""
        return len(self._beside), sum(map(_put_size, self._beside))

    def _put(self, part: Sequence[Change]) -> int:
        fence = self._fence()
        if fence is None:
            raise LostLead("the lease ran out; nothing more is written")
        expect = [fence, *_guards(part)]
        ops = [change.op for change in part]
        try:
            return self._source.commit(expect, [*ops, *self._beside])
        except Rejected as error:
            if not self._beside:
                raise
            log.get().warning("agents cannot be told that a removal is meant", error=str(error))
            self._beside = ()
            return self._source.commit(expect, ops)


def _size(change: Change) -> int:
    """Return what a change takes of a transaction, in bytes."""
    beside = sum(len(_place(guard)) + _AROUND for guard in change.rests_on)
    return 2 * len(change.key.encode()) + len(change.after or b"") + _AROUND + beside


def _place(guard: Guard) -> bytes:
    return (guard.key if isinstance(guard, Expect) else guard.folder).encode()


def _guards(part: Iterable[Change]) -> list[Guard]:
    """Return the guards of changes that are written together, each of them once."""
    return list(dict.fromkeys(guard for change in part for guard in change.guards))


def _put_size(put: Put) -> int:
    return len(put.key.encode()) + len(put.value) + _AROUND


def parts(
    changes: Iterable[Change], beside: int = 0, bytes_beside: int = 0
) -> Iterator[list[Change]]:
    """Divide changes into transactions, in their order. `beside`: how many operations else each of them
    holds, and of how many bytes."""
    part: list[Change] = []
    most_ops, most_bytes = MAX_OPS - beside, MAX_BYTES - bytes_beside
    taken = 0
    guards: set[Guard] = set()
    for change in changes:
        more = _size(change)
        is_full = len(part) >= most_ops or len(guards.union(change.guards)) > MAX_GUARDS
        if part and (is_full or taken + more > most_bytes):
            yield part
            part, taken, guards = [], 0, set()
        part.append(change)
        taken += more
        guards.update(change.guards)
    if part:
        yield part


def packs(
    units: Iterable[ServiceChanges], beside: int = 0, bytes_beside: int = 0
) -> Iterator[list[ServiceChanges]]:
    """Put units together, as many as one transaction takes; one that is larger stands alone. The rest as
    for `parts`."""
    pack: list[ServiceChanges] = []
    ops = size = guards = 0
    most_ops, most_bytes = MAX_OPS - beside, MAX_BYTES - bytes_beside
    for unit in units:
        more, bytes_ = len(unit.all), sum(map(_size, unit.all))
        guarded = len(_guards(unit.all))
        is_full = ops + more > most_ops or guards + guarded > MAX_GUARDS
        if pack and (is_full or size + bytes_ > most_bytes):
            yield pack
            pack, ops, size, guards = [], 0, 0, 0
        pack.append(unit)
        ops, size, guards = ops + more, size + bytes_, guards + guarded
    if pack:
        yield pack
