"""Reports the health of services on request: one key for this host, beside the prefix, on a lease.

Without a request, nothing is read, nothing is written, and there is no connection. While there are requests,
HAProxy is read once for all of them, and an answer is written when it differs, at most once a second. It is
written less often if the answers are large, the hosts many, or HAProxy slow, so that a forgotten watch neither
fills the store nor occupies a core.
"""

import time
from collections.abc import Callable

import msgspec

from lbsync.agent.report.health_reader import HealthReader
from lbsync.agent.report.lease_writes import OnDemandLease, WriteRetry
from lbsync.clients.source import Put, Source
from lbsync.errors import Unavailable
from lbsync.model.health import HealthRecord
from lbsync.schema.decode import encode
from lbsync.schema.fleet import AGENTS
from lbsync.schema.health import STALE_S, WATCHERS, Asked, asked
from lbsync.settings import Settings
from lbsync.threads import PeriodicThread

_EVERY_S = 1.0
#: Bytes a second of all hosts' answers together. etcd keeps each revision until it is compacted: with the
#: usual hour, a watch that stands for ever costs 240 MB of its quota of 2 GB.
_FLEET_BYTES_S = 64 << 10
#: A reading and its answer take at most this share of one core.
_SHARE = 0.01
#: HAProxy is busy for at most this share of the time with being read.
_SHARE_OF_HAPROXY = 0.2
_MOST_EVERY_S = 60.0
_JOIN_S = 3.0
#: Nobody may have asked for hours; should a change of a question ever be missed, it is seen by then.
_LOOK_S = 30.0


class _Answer:
    """The answer of this host as it is stored, beside the prefix and on a lease. Used by one thread."""

    def __init__(self, host: str, source: Source, open_answers: Callable[[], Source]) -> None:
        """`open_answers` opens the store of answers, when one is written."""
        self._host = host
        self._source = source
        self._open = open_answers
        self._store: Source | None = None
        self._lease = OnDemandLease()
        self._retry = WriteRetry("tell who watches how services do")
        self._written: HealthRecord | None = None
        self.written_at = float("-inf")
        """Monotonic clock."""

    @property
    def retry_at(self) -> float:
        """When a failed write is to be tried again; monotonic clock."""
        return self._retry.until

    def write(self, record: HealthRecord, value: bytes, ttl_s: float) -> None:
        """Write an answer that differs from the last one, or replaces one that becomes stale."""
        now = time.monotonic()
        is_same = self._written is not None and _without_time(self._written) == _without_time(
            record
        )
        if is_same and self._lease.current and now - self.written_at < STALE_S - _EVERY_S:
            return
        with self._retry.attempt(self._source, self._lease):
            store = self._store = self._store or self._open()
            lease = self._lease.of(store, ttl_s)
            store.commit([], [Put(self._host, value, lease.id)])
            self._written, self.written_at = record, now

    def withdraw(self) -> None:
        """Remove the answer, and close the connection."""
        store, lease = self._store, self._lease.forget()
        self._store = self._written = None
        self.written_at = float("-inf")
        if lease is not None:
            lease.end()
        if store is not None:
            store.close()


class HealthReporter:
    """Answers clients that watch services, in a thread of its own."""

    def __init__(
        self, settings: Settings, source: Source, open_answers: Callable[[], Source]
    ) -> None:
        """Nothing is done before `start`. `open_answers` opens the store of answers for writing."""
        self._source = source
        self._answer = _Answer(str(settings.host), source, open_answers)
        self._reader = HealthReader(settings, source)
        self._every = _EVERY_S
        self._due_at = 0.0
        self._was_asked = Asked()
        self._thread = PeriodicThread(self._turn, "health", finish=self._withdraw)
        source.listen(WATCHERS, self._thread.wake)
        self.follow(settings)

    def follow(self, settings: Settings) -> None:
        """Take over new settings."""
        self._wanted = settings.agent.report and self._source.shared
        self._ttl = settings.agent.report_ttl.seconds
        self._reader.follow(settings)
        self._thread.wake()

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def close(self) -> None:
        """Remove the answer and end the thread, as far as etcd answers in time."""
        self._thread.close(_JOIN_S)

    def _turn(self) -> float:
        """Answer if that is due; return in how many seconds to look again."""
        try:
            there = self._source.leased(WATCHERS)
        except Unavailable:
            return _LOOK_S
        questions = asked(there) if self._wanted else Asked()
        if not questions.health:
            self._withdraw()
            return _LOOK_S
        now = time.monotonic()
        if questions != self._was_asked:
            # A new question need not wait for what the last answer cost.
            self._due_at = min(self._due_at, self._answer.written_at + _EVERY_S)
            self._was_asked = questions
        due_at = max(self._due_at, self._answer.retry_at)
        if now < due_at:
            return due_at - now
        began = time.thread_time()
        record = self._reader.record(questions, self._every)
        value = encode(record)
        hosts = len(self._source.leased(AGENTS).items)
        self._answer.write(record, value, self._ttl)
        every = max(
            _EVERY_S,
            len(value) * hosts / _FLEET_BYTES_S,
            (time.thread_time() - began) / _SHARE,
            (time.monotonic() - now) / _SHARE_OF_HAPROXY,
        )
        self._every = min(every, _MOST_EVERY_S)
        self._due_at = now + self._every
        return self._every

    def _withdraw(self) -> None:
        """Remove the answer, and forget what was asked."""
        self._was_asked = Asked()
        self._reader.forget()
        self._answer.withdraw()


def _without_time(record: HealthRecord) -> HealthRecord:
    """Return what an answer says, without what changes with every second that passes."""
    services = {
        service: {
            name: msgspec.structs.replace(
                group,
                servers=tuple(msgspec.structs.replace(one, since_s=0) for one in group.servers),
            )
            for name, group in groups.items()
        }
        for service, groups in record.services.items()
    }
    return msgspec.structs.replace(record, at="", every_s=0.0, services=services)
