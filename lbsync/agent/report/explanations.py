"""Reports to the owners of services why they are quarantined: `quarantine/…`, one key for all hosts that refuse
the same."""

import contextlib
import time
from collections.abc import Iterable
from itertools import islice

from lbsync.agent.report import fleet_records
from lbsync.agent.report.fleet_records import GuardedWrite, Refusal
from lbsync.agent.report.lease_writes import WriteRetry
from lbsync.clients.source import Source
from lbsync.errors import Conflict, LbsyncError
from lbsync.model.snapshot import Snapshot

#: Writes between two looks at the host's own record: many bad keys must not keep an acknowledgement waiting.
_MOST_AT_ONCE = 50
#: Until what is left of them is looked for again; the mirror has seen our own writes by then.
_AGAIN_S = 0.05


class Explanations:
    """Keeps `quarantine/…` in step with what this host refuses. Used by the thread of the reports."""

    def __init__(self, source: Source, host: str) -> None:
        """Nothing is written yet."""
        self._source = source
        self._host = host
        self._told: dict[str, Refusal] | None = None
        self._look_at = 0.0
        self._floor = 0
        """Revision of our own last write."""
        self._retry = WriteRetry("tell the owners of services why they are quarantined")

    @property
    def due(self) -> float:
        """When to call `update` even if nothing has changed; monotonic clock."""
        return max(self._look_at, self._retry.until)

    def look_again(self) -> None:
        """Compare with what is stored in the next `update`, whatever was written."""
        self._look_at, self._floor = 0.0, 0

    def retry(self) -> None:
        """Try again at once what has failed: etcd is back."""
        self._retry.until = 0.0

    def update(self, refused: dict[str, Refusal], revision: int, look_at: float) -> None:
        """Write what this host refuses at a revision to `quarantine/`; what is too much for one call follows in the
        next ones.

        `look_at`: when to compare again if nothing changes; monotonic clock.
        """
        now = time.monotonic()
        if now < self._retry.until or (refused == self._told and now < self._look_at):
            return
        self._told, self._look_at = refused, look_at
        try:
            snapshot = self._source.snapshot()
            todo = list(islice(self._todo(snapshot, refused, revision), _MOST_AT_ONCE + 1))
            for write in todo[:_MOST_AT_ONCE]:
                with contextlib.suppress(Conflict):  # somebody was faster; the next look tells
                    self._floor = self._source.commit(write.guards, [write.op])
        except LbsyncError as error:
            self._told = None
            self._retry.failed(error, is_logged=self._source.health().ok)
            return
        self._retry.succeeded()
        if len(todo) > _MOST_AT_ONCE or snapshot.revision < self._floor:
            self._look_at = now + _AGAIN_S

    def _todo(
        self, snapshot: Snapshot, refused: dict[str, Refusal], revision: int
    ) -> Iterable[GuardedWrite]:
        """Return what is to be written; nothing while the mirror has not seen our own last write."""
        if snapshot.revision < self._floor:
            return ()
        return fleet_records.pending_writes(refused, snapshot.items, self._host, revision)
