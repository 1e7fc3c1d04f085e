"""Writes what has to be written, in few transactions, each behind the leader's fence.

All keys of one Service are in one transaction, and many Services share one. When somebody was faster
with a single key of it, its Services are tried one by one, so that only that one has to wait.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from lbsync import log
from lbsync.clients.source import Expect, Put, Source
from lbsync.errors import Conflict, Rejected
from lbsync.publisher.mirror import Change
from lbsync.publisher.units import Unit

MAX_OPS = 100
"""etcd takes 128 by default; the fence is one more guard."""
MAX_BYTES = 1_000_000
"""etcd takes 1.5 MiB a request by default."""


class LostLead(Conflict):
    """Raised when another one leads, or this one is no longer sure to: nothing more is written."""


class Written(msgspec.Struct):
    """What came of it."""

    revision: int = 0
    """Of the last transaction; 0: there was none."""
    transactions: int = 0
    done: list[Unit] = []
    failed: dict[str, str] = {}
    """Name of a Service or Ingress to the reason."""


class Committer:
    """Writes units of work."""

    def __init__(
        self,
        source: Source,
        fence: Callable[[], Expect | None],
        fenced: Callable[[], bool],
        wrote: Callable[[int, Sequence[Change]], None],
    ) -> None:
        """`fence` returns the leader's guard; `fenced` tells after a lost race whether it was that
        which did not hold. `wrote` is told what each transaction has written."""
        self._source = source
        self._fence = fence
        self._fenced = fenced
        self._wrote = wrote
        self._beside: Sequence[Put] = ()

    def write(self, units: Iterable[Unit], beside: Sequence[Put] = ()) -> Written:
        """Write everything that can be. Raises `LostLead` and `Unavailable`.

        `beside` goes into each transaction: what must not be older than what it speaks of. Where this
        account may not write it, the rest is written without it.
        """
        self._beside = beside
        result = Written(done=[], failed={})
        for pack in packs(units):
            try:
                self._commit(pack, result)
            except (Conflict, Rejected) as error:
                self._refuse_lost(error)
                self._singly(pack, result, error)
        return result

    def _singly(self, pack: list[Unit], result: Written, error: Exception) -> None:
        if len(pack) == 1:
            result.failed[pack[0].name] = str(error)
            return
        for unit in pack:
            try:
                self._commit([unit], result)
            except (Conflict, Rejected) as problem:
                self._refuse_lost(problem)
                result.failed[unit.name] = str(problem)

    def _refuse_lost(self, error: Exception) -> None:
        if isinstance(error, LostLead):
            raise error
        if isinstance(error, Conflict) and self._fenced():
            raise LostLead("another publisher leads now; nothing more is written") from error

    def _commit(self, pack: list[Unit], result: Written) -> None:
        changes = [change for unit in pack for change in unit.all]
        for start in range(0, len(changes), MAX_OPS):
            part = changes[start : start + MAX_OPS]
            revision = self._put(part)
            self._wrote(revision, part)
            result.revision = revision
            result.transactions += 1
        result.done += pack

    def _put(self, part: Sequence[Change]) -> int:
        fence = self._fence()
        if fence is None:
            raise LostLead("the lease ran out; nothing more is written")
        expect = [fence, *(change.expect for change in part)]
        ops = [change.op for change in part]
        try:
            return self._source.commit(expect, [*ops, *self._beside])
        except Rejected as error:
            if not self._beside:
                raise
            log.get().warning("agents cannot be told that a removal is meant", error=str(error))
            self._beside = ()
            return self._source.commit(expect, ops)


def packs(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Put units together, as many as one transaction takes; one that is larger stands alone."""
    pack: list[Unit] = []
    ops = size = 0
    for unit in units:
        more, bytes_ = len(unit.all), sum(len(change.after or b"") for change in unit.all)
        if pack and (ops + more > MAX_OPS or size + bytes_ > MAX_BYTES):
            yield pack
            pack, ops, size = [], 0, 0
        pack.append(unit)
        ops, size = ops + more, size + bytes_
    if pack:
        yield pack
