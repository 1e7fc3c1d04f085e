"""What a leader says of its cluster: the heartbeat in etcd, Events, and lines in the log."""

from collections.abc import Callable, Sequence

import lbsync
from lbsync.clients.source import Expect, Source
from lbsync.model.publishing import HeartbeatRecord
from lbsync.publisher.cluster.informers import Informers
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.removal_guard import Hold
from lbsync.publisher.report.alarm import Alarm, held_record
from lbsync.publisher.report.events import EventRecorder
from lbsync.publisher.report.unread import Unread, recorded
from lbsync.publisher.service_changes import ServiceChanges, Summary
from lbsync.publisher.store.heartbeat import Heartbeat
from lbsync.settings import Publisher as Settings
from lbsync.timestamps import stamp


class LeaderReport:
    """Reports how the cluster is published, each thing once. Used by one thread."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        informers: Informers,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        """`name`: who says it, among the replicas."""
        self._name = name
        self._every = settings.heartbeat.seconds
        self._informers = informers
        self._heartbeat = Heartbeat(source, settings.cluster, self._every, clock=clock)
        self._events = EventRecorder(informers.cluster) if settings.events else None
        self._alarm = Alarm(clock)
        self._unread = Unread(self._events)
        self._synced_at = ""

    def wrote(self, done: Sequence[ServiceChanges], lister: Lister) -> None:
        """Tell the owners of Services what has become of them."""
        if self._events is not None:
            self._events.tell(done, lister)

    def beat(self, fence: Expect, found: Summary, hold: Hold | None, notice: str) -> None:
        """Say how all stands after a pass. `notice`: what else the operator should know; empty: nothing.
        Raises `Unavailable`."""
        self._alarm.tell(found.hold)
        unread = self._informers.unread
        self._unread.tell(unread)
        away = self._informers.trouble
        if not away:
            self._synced_at = stamp()
        record = HeartbeatRecord(
            self._name,
            self._synced_at,
            services=found.published,
            every=self._every,
            refused=len(found.refused),
            held=found.held,
            conflicts=len(found.conflicts),
            hold=held_record(hold),
            hold_sentence=found.hold,
            kubernetes=away,
            lbsync=lbsync.__version__,
            unread=recorded(unread),
            notices=tuple(filter(None, (notice,))),
        )
        self._heartbeat.beat(record, fence)

    def due(self) -> float:
        """Return in how many seconds the next heartbeat should be written."""
        return self._heartbeat.due()

    def stop(self) -> None:
        """Remove the heartbeat: another replica leads, or none."""
        self._heartbeat.stop()

    def close(self) -> None:
        """Remove the heartbeat, and post no more Events. May be called twice."""
        self.stop()
        if self._events is not None:
            self._events.close()
