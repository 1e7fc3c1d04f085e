"""Reports to the fleet what this host serves: `agents/<host>` on a lease, and `quarantine/…`.

A separate thread writes, so that a slow or absent etcd delays no pass. It only knows the newest status. Every
few seconds it compares the content of etcd with what should be there, so that a lost lease, a wiped etcd and a
key that somebody removed need no special treatment.
"""

import time
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from lbsync.agent.control import Control
from lbsync.agent.generations.store import Store
from lbsync.agent.orders import Orders
from lbsync.agent.report import fleet_records
from lbsync.agent.report.acknowledgement import Acknowledgement
from lbsync.agent.report.action_recorder import ActionRecorder
from lbsync.agent.report.explanations import Explanations
from lbsync.agent.report.host_record import HostRecord
from lbsync.agent.report.presence import Presence, instance
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.model.orders import OrderAnswer
from lbsync.model.records import AgentRecord
from lbsync.schema.health import WATCHERS, asked
from lbsync.schema.orders import ORDERS
from lbsync.settings import Settings
from lbsync.status import Status
from lbsync.threads import PeriodicThread
from lbsync.timestamps import stamp

_SILENT_S = 120.0
"""A pass ends every ten seconds or so; after this long without one, the agent hangs."""
#: Between two looks at whether etcd is back; they cost nothing.
_AWAY_S = 0.5
#: A store that does not answer must not hold up the agent's end; the lease expires by itself.
_JOIN_S = 3.0


class CurrentRecord:
    """What this host has to report now: its last pass, what the fast path has proved since, its orders.

    The thread of the passes notes, that of the reports reads.
    """

    def __init__(
        self, source: Source, presence: Presence, acknowledgement: Acknowledgement, orders: Orders
    ) -> None:
        """`presence` and `acknowledgement` complete the record."""
        self._source = source
        self._presence = presence
        self._acknowledgement = acknowledgement
        self._orders = orders
        self._order: OrderAnswer | UnsetType = UNSET
        self._ahead: tuple[Status | None, int] = None, 0
        self._noted_at = time.monotonic()
        self.status: Status | None = None
        """After the last pass; None: none has ended."""

    def note(self, status: Status) -> None:
        """Take in how a pass has ended."""
        self.status, self._noted_at = status, time.monotonic()

    def note_ahead(self, revision: int) -> bool:
        """Take in what the fast path has proved; see `FleetReporter.note_ahead`. Return whether it counts."""
        status = self.status
        if not revision or status is None or status.state != "confirmed":
            return False
        self._ahead = status, revision
        return True

    def is_awaited(self) -> bool:
        """Tell whether a client waits for the newest change, and it is not proved yet. From any thread."""
        try:
            there = self._source.leased(WATCHERS)
        except Unavailable:
            return False
        newest, status = there.followed_revision, self.status
        if status is None or (status.state == "confirmed" and status.revision >= newest):
            return False
        return self._ahead_of(status) < newest and any(
            revision >= newest > 0 for revision in asked(there).revisions
        )

    def take_orders(self, status: Status) -> None:
        """Take orders that are new; the record says how the last one stands."""
        self._order = self._orders.look(status)

    def record(self, status: Status) -> AgentRecord:
        """Return the record for a status. Raises `Unavailable`."""
        record = fleet_records.record_of(status)
        if (ahead := self._ahead_of(status)) > record.revision:
            record = msgspec.structs.replace(record, revision=ahead, seen=ahead)
        there = self._source.leased(WATCHERS)
        is_of_now = 0 < there.followed_revision <= record.revision
        if time.monotonic() - self._noted_at > _SILENT_S:
            # The lease is renewed by a thread of its own, whatever the passes do.
            error = f"no pass has ended since {stamp(status.written_at)}"
            record = msgspec.structs.replace(record, state="failing", error=error)
        return msgspec.structs.replace(
            record,
            instance=self._presence.instance,
            keys=there.followed_keys if is_of_now else 0,
            up_to=self._acknowledgement.up_to(record.revision, there),
            order=self._order,
            earlier=self._orders.earlier(status),
        )

    def _ahead_of(self, status: Status) -> int:
        of, revision = self._ahead
        return revision if of is status else 0


class FleetReporter:
    """Writes what this host has to report, in a thread of its own."""

    def __init__(self, settings: Settings, source: Source) -> None:
        """Nothing is written before `start`; `source` must be watching by then."""
        host, state_dir = str(settings.host), Path(settings.state_dir)
        store = Store(state_dir, settings.agent.keep_generations)
        presence = Presence(source, host, instance(state_dir))
        acknowledgement = Acknowledgement(source, host)
        self._source = source
        self._orders = Orders(source, Control(state_dir), host, store)
        self.current = CurrentRecord(source, presence, acknowledgement, self._orders)
        """What there is to report."""
        self._record = HostRecord(source, host, presence, acknowledgement)
        self._explanations = Explanations(source, host)
        self.actions = ActionRecorder(source, host)
        """What operators had this host do."""
        self._is_away = True
        self._thread = PeriodicThread(self._turn, "fleet", finish=self._finish)
        for folder in (WATCHERS, ORDERS):
            source.listen(folder, self._thread.wake)
        self.follow(settings)

    def follow(self, settings: Settings) -> None:
        """Take over new settings."""
        self._wanted = settings.agent.report and self._source.shared
        self._record.ttl_s = settings.agent.report_ttl.seconds
        self._record.interval_s = settings.agent.report_interval.seconds
        self._orders.guard_percent = settings.agent.guard_percent
        self._thread.wake()

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def note(self, status: Status) -> None:
        """Take in how a pass has ended. Never blocks; only the newest status is reported."""
        self.current.note(status)
        self._thread.wake()

    def note_ahead(self, revision: int) -> None:
        """Take in up to which revision HAProxy was proved to serve everything, before the pass that writes the
        file; 0: it was not. Valid until that pass has ended, and only beside a status without trouble."""
        if self.current.note_ahead(revision):
            self._thread.wake()

    def close(self) -> None:
        """Remove the record and end the thread, as far as etcd answers in time."""
        self._thread.close(_JOIN_S)

    def _turn(self) -> float:
        """Write what is due; return in how many seconds to look again even if nothing is heard."""
        status = self.current.status
        if not self._wanted:
            self._record.withdraw(for_good=True)
        elif status is not None and self._is_reachable():
            self._write(status)
        return self._due() - time.monotonic()

    def _finish(self) -> None:
        # Also after a fault of ours: a record that is only kept alive would be a lie.
        if self._is_reachable():
            self._record.withdraw(for_good=not self._wanted)

    def _is_reachable(self) -> bool:
        """Tell whether etcd answers; while it does not, the watch logs that, and retries."""
        if not self._source.health().ok:
            self._is_away = True
        elif self._is_away:
            self._is_away = False
            self._record.retry()
            self._explanations.retry()
        return not self._is_away

    def _due(self) -> float:
        status = self.current.status
        if status is None or not self._wanted:
            return time.monotonic() + self._record.ttl_s
        if self._is_away:
            return time.monotonic() + _AWAY_S
        record_due = self._record.due(self.current.record(status))
        return min(self._record.check_at, record_due, self._explanations.due)

    def _write(self, status: Status) -> None:
        if time.monotonic() >= self._record.check_at:
            self._explanations.look_again()
            self._record.check()
        self.current.take_orders(status)
        record = self.current.record(status)
        if not self._record.is_written:
            # Before anything else: what a host without a record writes does not count.
            self._record.write(record)
        if status.revision_seen:
            refused = fleet_records.refusals(status)
            self._explanations.update(refused, status.revision_seen, self._record.check_at)
        # After the explanations: whoever waited for the record finds them.
        self._record.acknowledge(record)
        self._record.write(record)
        self.actions.write()
