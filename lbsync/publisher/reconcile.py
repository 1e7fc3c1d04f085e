"""The publisher's pass: who leads, what has changed, what to write; and that only a leader writes.

Nothing is published before everything that is needed was listed once, and a list that fails is never
taken for an empty one: the stores below keep what they have. A pass may be run at any time, twice; the
news from the cluster and from the store only say that it is worthwhile.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import lbsync
from lbsync.clients.kube import Change as KubeChange
from lbsync.clients.kube import Client, ClusterConfig, Timing
from lbsync.clients.source import Expect, Put, Source
from lbsync.errors import Exit
from lbsync.loop import Outcome
from lbsync.model.publishing import HeartbeatRecord, unread_sentence
from lbsync.publisher.alarm import Alarm, confirming, held_record
from lbsync.publisher.announce import Announcer
from lbsync.publisher.assembly import assemble
from lbsync.publisher.commit import Committer, LostLead, Written
from lbsync.publisher.dirty import Dirt, Dirty
from lbsync.publisher.election import Election, identity
from lbsync.publisher.heartbeat import Heartbeat
from lbsync.publisher.mirror import Change
from lbsync.publisher.origin import Origin, ask, authority_of
from lbsync.publisher.result import kept_out, outcome, stood_by
from lbsync.publisher.stored import Stored
from lbsync.publisher.units import State, Summary, Unit, summary
from lbsync.publisher.unlabelled import Unlabelled
from lbsync.publisher.unread import Unread, recorded
from lbsync.schema.confirming import Confirmations, confirmations
from lbsync.settings import Publisher as Settings
from lbsync.settings.claims import Claims
from lbsync.timestamps import stamp


class Publisher:
    """One replica. Its passes are run by one thread."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        cluster: ClusterConfig,
        *,
        name: str = "",
        adopt: bool = False,
        claims: Claims | None = None,
        clock: Callable[[], float] = time.monotonic,
        timing: Timing | None = None,
    ) -> None:
        """`name`: who this is, among the replicas; by default host and process. `adopt`: take the
        cluster's name over from another Kubernetes cluster."""
        self._settings = settings
        self._source = source
        self._clock = clock
        self._name = name or identity()
        self._wake: Callable[[], None] = lambda: None
        self._dirty = Dirty()
        self._watching, self._view, self._work = assemble(
            settings,
            claims or Claims(),
            cluster,
            on_change=self._note,
            on_state=self._remark,
            timing=timing,
            clock=clock,
        )
        self._stored = Stored(settings.cluster)
        self._client = Client(cluster, timing)
        self._origin = Origin(
            source,
            settings.cluster,
            cluster.server,
            lambda: ask(self._client),
            authority_of=lambda: authority_of(self._client),
            adopt=adopt,
        )
        ttl = round(settings.lease_ttl.seconds)
        self._election = Election(source, settings.cluster, self._name, ttl, clock=clock)
        self._committer = Committer(
            source, lambda: self._election.fence, self._election.fenced, self._wrote
        )
        self._heartbeat = Heartbeat(
            source, settings.cluster, settings.heartbeat.seconds, clock=clock
        )
        self._announcer = Announcer(self._watching.cluster) if settings.events else None
        self._leads = False
        self._next_full = 0.0
        self._synced_at = ""
        self._confirmed = Confirmations()
        self.written = Written(done=[], failed={})
        """What came of the last pass that wrote."""
        self._alarm = Alarm(clock)
        self._unread = Unread(self._announcer)
        self._unlabelled = Unlabelled(self._client, settings.namespaces, self._remark, clock=clock)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch the cluster; `wake` is called from other threads when something changed.

        The source is not started: whoever opened it decides whether it is watched.
        """
        self._wake = wake
        self._watching.start()
        self._unlabelled.start()

    def close(self) -> None:
        """End the watches, and hand over the lead at once. May be called twice."""
        self._election.resign()
        self._heartbeat.stop()
        if self._announcer is not None:
            self._announcer.close()
        self._unlabelled.close()
        self._client.close()
        self._watching.close()

    @property
    def missing(self) -> list[str]:
        """What has not been listed yet, without which nothing is published."""
        return self._watching.missing

    @property
    def waiting(self) -> list[str]:
        """Services that wait for a further kind of objects to be listed, after a pass."""
        return sorted(n for n, state in self.states.items() if state.standing == "waits")

    @property
    def states(self) -> dict[str, State]:
        """How all Services stand, as of the last pass."""
        return self._work.states

    @property
    def ingresses(self) -> dict[str, tuple[str, ...]]:
        """What the owners of Ingresses are told, as of the last pass."""
        return {name: report.warnings for name, report in self._work.ingresses.items()}

    @property
    def summary(self) -> Summary:
        """How all Services stand together, as of the last pass."""
        return summary(self.states, self._work.brake.hold)

    @property
    def unread(self) -> list[str]:
        """One sentence for each namespace that cannot be read."""
        return [unread_sentence(*found) for found in sorted(self._watching.unread.items())]

    @property
    def healthy(self) -> str:
        """Why the cluster is not watched right now; empty when it is."""
        return self._watching.trouble

    def run_pass(self) -> Outcome:
        """Bring the store to what the cluster says. Raises `Unavailable`."""
        if missing := self._watching.missing:
            return Outcome(
                f"waits for Kubernetes: not listed yet: {', '.join(missing)}",
                confirmed=False,
                exit_code=Exit.UNAVAILABLE,
            )
        self._take_namespaces()
        snapshot = self._source.snapshot()
        self._confirmed = confirmations(snapshot.items)
        self._dirty.mark(self._stored.update(snapshot))
        if refusal := self._origin.refusal(snapshot):
            return self._keep_out(refusal)
        fence = self._election.step(snapshot)
        if fence is None:
            return self._stand_by()
        self._origin.mark(snapshot, fence)
        now = self._clock()
        if not self._leads or now >= self._next_full:
            if not self._leads:
                self._work.reset()
            self._leads = True
            self._next_full = now + self._settings.full_compare.seconds
            self._dirty.mark_all()
            self._unlabelled.ask()
        return self._publish(fence, snapshot.revision)

    def look_around(self) -> None:
        """Look now for what no watch shows, for commands that do not wait for the next time."""
        self._unlabelled.look()

    def preview(self) -> list[Unit]:
        """Return what a leader would write now; nothing is. Raises `Unavailable`."""
        self._take_namespaces()
        snapshot = self._source.snapshot()
        self._confirmed = confirmations(snapshot.items)
        self._stored.update(snapshot)
        self._dirty.mark_all()
        return self._look(self._clock(), self._dirty.take())

    def _publish(self, fence: Expect, revision: int) -> Outcome:
        began = self._clock()
        dirt = self._dirty.take()
        is_done = False
        try:
            units = self._look(began, dirt)
            written = self._committer.write(units, self._meant())
            is_done = True
        except LostLead as error:
            self._leads = False
            return Outcome(str(error), confirmed=False, retry=True, exit_code=error.exit_code)
        finally:
            if not is_done:
                self._dirty.put_back(dirt)
        self.written = written
        self._work.done(written.done, self._stored)
        self._dirty.mark(written.failed)
        if self._announcer is not None:
            self._announcer.tell(written.done, self._view)
        found = self.summary
        self._beat(fence, found)
        ended = self._clock()
        return outcome(
            written,
            self.states,
            found,
            unread=self.unread,
            revision=revision,
            seconds=ended - began,
            again_in=self._again_in(ended),
        )

    def _keep_out(self, why: str) -> Outcome:
        self._step_down()
        self._election.resign()
        return kept_out(why)

    def _step_down(self) -> None:
        if self._leads:
            self._leads = False
            self._heartbeat.stop()

    def _stand_by(self) -> Outcome:
        self._step_down()
        return stood_by(self._election.leader, self._election.wait)

    def _take_namespaces(self) -> None:
        """Find out for the whole pass which namespaces are known."""
        self._view.unlabelled = self._unlabelled.found
        unlisted = self._watching.unlisted
        if unlisted != self._view.unlisted:
            self._view.unlisted = unlisted
            self._dirty.mark_all()

    def _look(self, now: float, dirt: Dirt) -> list[Unit]:
        return self._work.look(
            dirt,
            self._stored,
            now,
            stamp(),
            confirmed=self._confirmed,
        )

    def _beat(self, fence: Expect, found: Summary) -> None:
        self._alarm.tell(found.hold)
        unread = self._watching.unread
        self._unread.tell(unread)
        away = self.healthy
        if not away:
            self._synced_at = stamp()
        record = HeartbeatRecord(
            self._name,
            self._synced_at,
            services=found.published,
            every=self._settings.heartbeat.seconds,
            refused=len(found.refused),
            held=found.held,
            conflicts=len(found.conflicts),
            hold=held_record(self._work.brake.hold),
            hold_sentence=found.hold,
            kubernetes=away,
            lbsync=lbsync.__version__,
            unread=recorded(unread),
            notices=tuple(filter(None, (self._origin.notice,))),
        )
        self._heartbeat.beat(record, fence)

    def _meant(self) -> list[Put]:
        who = f"publisher of cluster {self._settings.cluster}"
        return confirming(self._source, self._work.brake.hold_id, self._work.let_go, who, stamp())

    def _again_in(self, now: float) -> float:
        due = [self._next_full - now, self._heartbeat.due(), self._work.brake.due(now)]
        due.append(self._work.keeping.due(stamp()))
        return max(0.01, min(seconds for seconds in due if seconds is not None))

    def _note(self, change: KubeChange[Any]) -> None:
        self._dirty.note(change)
        self._wake()

    def _remark(self, services: Collection[str] = ()) -> None:
        self._dirty.mark(services)
        self._wake()

    def _wrote(self, revision: int, changes: Sequence[Change]) -> None:
        self._stored.wrote(revision, [(change.key, change.after) for change in changes])
