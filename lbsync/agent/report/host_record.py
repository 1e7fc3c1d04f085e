"""The record of this host in etcd, `agents/<host>`: written on a lease when it is due, compared with what is
stored, and removed at the end."""

import contextlib
import time

from lbsync import log
from lbsync.agent.report import fleet_records
from lbsync.agent.report.acknowledgement import Acknowledgement
from lbsync.agent.report.fleet_records import PublishedRecord
from lbsync.agent.report.lease_writes import OnDemandLease, WriteRetry
from lbsync.agent.report.presence import NameTaken, Presence
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError
from lbsync.model.records import AgentRecord
from lbsync.schema.decode import encode
from lbsync.schema.fleet import agent_key
from lbsync.schema.health import WATCHERS, asked
from lbsync.schema.reading import one_line

#: Between two writes of a record while somebody waits for what is new; else `agent.report_interval`, since
#: every host hears every other one, and etcd keeps each revision until it is compacted.
_AWAITED_APART_S = 0.1
#: The same for what somebody has to act on: a removal that is held, a drain, passes that fail.
_PRESSING_APART_S = 1.0
#: Between two writes for the sake of the times alone: etcd keeps every revision until it is compacted, and
#: the lease shows that the agent lives.
_TIMES_EVERY_S = 600.0
#: How often within one time to live the record is compared with what is stored.
_CHECKS = 3
#: By when an open watch has surely shown our own write.
_SETTLED_S = 1.0


class HostRecord:
    """Knows which record was written last, and when the next one is due. Used by one thread."""

    def __init__(
        self, source: Source, host: str, presence: Presence, acknowledgement: Acknowledgement
    ) -> None:
        """`source` must be watching before the first write."""
        self._source = source
        self._host = host
        self._key = agent_key(host)
        self._presence = presence
        self._acknowledgement = acknowledgement
        self._lease = OnDemandLease()
        self._retry = WriteRetry("tell the fleet what this host serves")
        self._rival = ""
        self._written: PublishedRecord | None = None
        self.ttl_s = self.interval_s = 0.0
        """`agent.report_ttl` and `agent.report_interval`."""
        self.check_at = 0.0
        """When to compare it with what is stored again; monotonic clock."""

    @property
    def is_written(self) -> bool:
        """Whether the record is stored, as far as is known. Nothing else that this host writes counts before."""
        return self._written is not None

    def retry(self) -> None:
        """Check and write at once: etcd is back."""
        self._retry.until = self.check_at = 0.0

    def check(self) -> None:
        """Find out whether what was written is still stored."""
        self.check_at = time.monotonic() + self.ttl_s / _CHECKS
        written = self._written
        if written is None or time.monotonic() - written.at < _SETTLED_S:
            return
        item = self._source.snapshot().items.get(self._key)
        if item is not None and item.value == written.value:
            self._rival = ""
            return
        self._written = None
        is_newer = item is not None and item.mod_revision > written.revision
        if item is not None and is_newer and not self._presence.is_ours(item):
            self._presence.reclaims = item.mod_revision
            self._note_rival(item.value.decode(errors="replace"))

    def due(self, record: AgentRecord) -> float:
        """Return when this record is to be written; monotonic clock."""
        return max(self._due(record), self._retry.until)

    def write(self, record: AgentRecord) -> None:
        """Write the record if it is due. Failures are logged, and retried later."""
        now, written = time.monotonic(), self._written
        is_stored = written is not None and written.record == record and self._lease.current
        if now < self.due(record) or is_stored:
            return
        value = encode(record)
        try:
            with self._retry.attempt(self._source, self._lease):
                # What hung on a lease that has ended is gone, perhaps with all that was stored.
                first = self._written is None or self._lease.current is None
                lease = self._lease.of(self._source, self.ttl_s)
                revision = self._presence.write(record, value, lease, first=first)
                self._written = PublishedRecord(record, value, revision, time.monotonic())
                self._acknowledgement.said = None
                self._rival = "" if first else self._rival
        except NameTaken as taken:
            self._retry.until = now + self.ttl_s / _CHECKS
            self._note_rival(str(taken))

    def acknowledge(self, record: AgentRecord) -> None:
        """Send the record to clients that wait for what it says, without waiting until it is due."""
        if self._written is not None and (lease := self._lease.current) is not None:
            self._acknowledgement.say(self._written.record, record, lease)

    def withdraw(self, *, for_good: bool) -> None:
        """Remove the record, as far as etcd answers. `for_good`: this host does not report any more."""
        lease, written = self._lease.forget(), self._written
        self._written = self._acknowledgement.said = None
        if lease is None:
            return
        if written is not None:
            with contextlib.suppress(LbsyncError):
                self._presence.leave(for_good=for_good)
        lease.end()

    def _due(self, record: AgentRecord) -> float:
        """Return when it is to be written if nothing fails."""
        written = self._written
        if written is None or self._lease.current is None:
            return 0.0
        there = self._source.leased(WATCHERS)
        awaited = asked(there).revisions
        told = self._acknowledgement.said or written.record
        if fleet_records.answers_waiter(told, record, awaited):
            return written.at + _AWAITED_APART_S
        kind = fleet_records.news(written.record, record, there.followed_revision)
        if kind == "none":
            return self.check_at
        if kind == "times":
            return written.at + _TIMES_EVERY_S
        if fleet_records.is_pressing(written.record, record, awaited):
            return written.at + min(_PRESSING_APART_S, self.interval_s)
        return max(
            written.at + self.interval_s, self._acknowledgement.report_after(self.interval_s)
        )

    def _note_rival(self, rival: str) -> None:
        """Log, once, that another agent writes under this name."""
        if not self._rival:
            log.get().error(
                f"another agent reports as host {self._host}; give each its own name (host in the "
                "settings), or the fleet sees only one of them",
                record=one_line(rival),
            )
        self._rival = rival
