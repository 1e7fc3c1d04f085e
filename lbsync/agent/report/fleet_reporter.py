"""Reports to the fleet what this host serves: `agents/<host>` on a lease, and `quarantine/…`.

A separate thread writes, so that a slow or absent etcd delays no pass. It only knows the newest status. Every
few seconds it compares the content of etcd with what should be there, so that a lost lease, a wiped etcd and a
key that somebody removed need no special treatment.
"""

import contextlib
import threading
import time
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from lbsync import log
from lbsync.agent.control import Control
from lbsync.agent.generations.store import Store
from lbsync.agent.orders import Orders
from lbsync.agent.report import fleet_records
from lbsync.agent.report.acknowledgement import Acknowledgement
from lbsync.agent.report.action_recorder import ActionRecorder
from lbsync.agent.report.explanations import Explanations
from lbsync.agent.report.fleet_records import PublishedRecord
from lbsync.agent.report.presence import NameTaken, Presence, instance
from lbsync.agent.report.trouble import OnDemandLease, Trouble
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.model.orders import OrderAnswer
from lbsync.model.records import AgentRecord
from lbsync.schema.decode import encode
from lbsync.schema.fleet import agent_key
from lbsync.schema.health import WATCHERS, asked
from lbsync.schema.orders import ORDERS
from lbsync.schema.reading import one_line
from lbsync.settings import Settings
from lbsync.status import Status
from lbsync.threads import SupervisedThread
from lbsync.timestamps import stamp

#: Between two writes of a record while somebody waits for what is new; else `agent.report_interval`, since
#: every host hears every other one, and etcd keeps each revision until it is compacted.
_AWAITED_APART_S = 0.1
#: The same for what somebody has to act on: a removal that is held, a drain, passes that fail.
_PRESSING_APART_S = 1.0
#: Between two writes for the sake of the times alone: etcd keeps every revision until it is compacted, and
#: that the agent lives, the lease tells.
_TIMES_EVERY_S = 600.0
_SILENT_S = (
    120.0  #: A pass ends every ten seconds or so; after this long without one the agent hangs.
)
#: How often within one time to live what was told is compared with what stands there.
_LOOKS = 3
#: By when a watch that is open has surely shown our own write.
_SETTLED_S = 1.0
#: Between two looks at whether etcd is back; they cost nothing.
_AWAY_S = 0.5
#: A store that does not answer must not hold up the agent's end; the lease runs out by itself.
_JOIN_S = 3.0


class Fleet:
    """The voice of this host."""

    def __init__(self, settings: Settings, source: Source) -> None:
        """Nothing is written before `start`; `source` must be watching by then."""
        self._source = source
        self._host = str(settings.host)
        self._presence = Presence(source, self._host, instance(Path(settings.state_dir)))
        self._status: Status | None = None
        self._ahead: tuple[Status | None, int] = None, 0
        self._lease = OnDemandLease()
        self._told: PublishedRecord | None = None
        self._noted_at = time.monotonic()
        self._check_at = 0.0
        self._rival = ""
        self._is_away = True
        self._speaking = Trouble("tell the fleet what this host serves")
        self._explanations = Explanations(source, self._host)
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = SupervisedThread(self._run, "fleet")
        state = Path(settings.state_dir)
        store = Store(state, settings.agent.keep_generations)
        self._orders = Orders(source, Control(state), self._host, store)
        self._ack = Acknowledgement(source, self._host)
        self.actions = ActionRecorder(source, self._host)
        self._order: OrderAnswer | UnsetType = UNSET
        for folder in (WATCHERS, ORDERS):
            source.listen(folder, self._woken.set)
        self.follow(settings)

    def follow(self, settings: Settings) -> None:
        """Take over new settings."""
        self._wanted = settings.agent.report and self._source.shared
        self._ttl = settings.agent.report_ttl.seconds
        self._apart = settings.agent.report_interval.seconds
        self._orders.guard_percent = settings.agent.guard_percent
        self._woken.set()

    def start(self) -> None:
        """Begin, in a thread of its own. Once only."""
        self._thread.start()

    def note(self, status: Status) -> None:
        """Take in what is to be told after a pass. Never blocks; only the newest is told."""
        self._status, self._noted_at = status, time.monotonic()
        self._woken.set()

    def note_ahead(self, revision: int) -> None:
        """Take in up to which revision HAProxy was proved to serve all, ahead of the pass that will write the file;
        0: not so. It holds until that pass has ended, and adds to nothing but a status without trouble."""
        status = self._status
        if revision and status is not None and status.state == "confirmed":
            self._ahead = status, revision
            self._woken.set()

    def is_awaited(self) -> bool:
        """Tell whether somebody waits for the newest change of all, which is not proved yet. From any thread; never
        blocks."""
        try:
            there = self._source.leased(WATCHERS)
        except Unavailable:
            return False
        newest, status = there.followed_revision, self._status
        if status is None or (status.state == "confirmed" and status.revision >= newest):
            return False
        return self._ahead_of(status) < newest and any(
            revision >= newest > 0 for revision in asked(there).revisions
        )

    def _ahead_of(self, status: Status) -> int:
        of, revision = self._ahead
        return revision if of is status else 0

    def close(self) -> None:
        """Take the record back and end the thread, as far as etcd answers in time."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._turn()
                self._woken.wait(max(0.0, self._due() - time.monotonic()))
                self._woken.clear()
        finally:
            # Also after a fault of ours: a record that is only kept alive would be a lie.
            if self._is_reachable():
                self._fall_silent()

    def _turn(self) -> None:
        status = self._status
        if not self._wanted:
            self._fall_silent()
        elif status is not None and self._is_reachable():
            self._round(status)

    def _is_reachable(self) -> bool:
        """Tell whether etcd answers; while it does not, the watch logs that, and retries."""
        if not self._source.health().ok:
            self._is_away = True
        elif self._is_away:
            self._is_away = False
            self._speaking.until = self._check_at = 0.0
            self._explanations.retry()
        return not self._is_away

    def _due(self) -> float:
        """Return when there is something to do although nothing is heard."""
        if self._status is None or not self._wanted:
            return time.monotonic() + self._ttl
        if self._is_away:
            return time.monotonic() + _AWAY_S
        speak_at = max(self._speak_at(self._record(self._status)), self._speaking.until)
        return min(self._check_at, speak_at, self._explanations.due)

    def _round(self, status: Status) -> None:
        if time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + self._ttl / _LOOKS
            self._explanations.look_again()
            self._look()
        self._order = self._orders.look(status)
        record = self._record(status)
        if self._told is None:
            # Before anything else: the word of a host without a record does not count.
            self._speak(record)
        if status.revision_seen:
            refused = fleet_records.refusals(status)
            self._explanations.update(refused, status.revision_seen, self._check_at)
        # After the reasons: whoever waited for the record finds them.
        if self._told is not None and (lease := self._lease.current) is not None:
            self._ack.say(self._told.record, record, lease)
        self._speak(record)
        self.actions.write()

    def _record(self, status: Status) -> AgentRecord:
        record = fleet_records.record_of(status)
        if (ahead := self._ahead_of(status)) > record.revision:
            record = msgspec.structs.replace(record, revision=ahead, seen=ahead)
        there = self._source.leased(WATCHERS)
        is_of_now = 0 < there.followed_revision <= record.revision
        if time.monotonic() - self._noted_at > _SILENT_S:
            # The lease is kept by a thread of its own, whatever the passes do.
            error = f"no pass has ended since {stamp(status.written_at)}"
            record = msgspec.structs.replace(record, state="failing", error=error)
        return msgspec.structs.replace(
            record,
            instance=self._presence.instance,
            keys=there.followed_keys if is_of_now else 0,
            up_to=self._ack.up_to(record.revision, there),
            order=self._order,
            earlier=self._orders.earlier(status),
        )

    def _look(self) -> None:
        """Find out whether what was told still stands in the store."""
        told = self._told
        if told is None or time.monotonic() - told.at < _SETTLED_S:
            return
        item = self._source.snapshot().items.get(agent_key(self._host))
        if item is not None and item.value == told.value:
            self._rival = ""
            return
        self._told = None
        is_newer = item is not None and item.mod_revision > told.revision
        if item is not None and is_newer and not self._presence.is_ours(item):
            self._presence.reclaims = item.mod_revision
            self._meet(item.value.decode(errors="replace"))

    def _meet(self, rival: str) -> None:
        """Say once that somebody else writes under this name."""
        if not self._rival:
            log.get().error(
                f"another agent reports as host {self._host}; give each its own name (host in the "
                "settings), or the fleet sees only one of them",
                record=one_line(rival),
            )
        self._rival = rival

    def _speak_at(self, record: AgentRecord) -> float:
        """Return when this record is due, should nothing fail."""
        if self._told is None or self._lease.current is None:
            return 0.0
        there = self._source.leased(WATCHERS)
        awaited = asked(there).revisions
        if fleet_records.answers_waiter(self._ack.said or self._told.record, record, awaited):
            return self._told.at + _AWAITED_APART_S
        kind = fleet_records.news(self._told.record, record, there.followed_revision)
        if kind == "none":
            return self._check_at
        if kind == "times":
            return self._told.at + _TIMES_EVERY_S
        if fleet_records.is_pressing(self._told.record, record, awaited):
            return self._told.at + min(_PRESSING_APART_S, self._apart)
        return max(self._told.at + self._apart, self._ack.report_after(self._apart))

    def _speak(self, record: AgentRecord) -> None:
        now = time.monotonic()
        is_said = self._told is not None and self._told.record == record and self._lease.current
        if now < max(self._speak_at(record), self._speaking.until) or is_said:
            return
        value = encode(record)
        try:
            with self._speaking.trying(self._source, self._lease):
                # What hung on a lease that has ended is gone, perhaps with all that was stored.
                first = self._told is None or self._lease.current is None
                lease = self._lease.of(self._source, self._ttl)
                revision = self._presence.write(record, value, lease, first=first)
                self._told = PublishedRecord(record, value, revision, time.monotonic())
                self._ack.said = None
                self._rival = "" if first else self._rival
        except NameTaken as taken:
            self._speaking.until = now + self._ttl / _LOOKS
            self._meet(str(taken))

    def _fall_silent(self) -> None:
        lease, told = self._lease.forget(), self._told
        self._told = self._ack.said = None
        if lease is None:
            return
        if told is not None:
            with contextlib.suppress(LbsyncError):
                self._presence.leave(for_good=not self._wanted)
        lease.end()
