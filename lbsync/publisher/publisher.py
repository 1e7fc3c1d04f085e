"""The publisher's pass: who leads, what has changed, what to write; and that only a leader writes.

Nothing is published before everything that is needed was listed once, and a list that fails is never
taken for an empty one: the stores below keep what they have. A pass may be run at any time, twice; the
news from the cluster and from the store only say that it is worthwhile.
"""

import time
from collections.abc import Callable, Sequence

from lbsync.clients.kube import ClusterConfig, Timing
from lbsync.clients.source import Expect, Put, Source
from lbsync.errors import Exit
from lbsync.loop import Outcome
from lbsync.model.permission import Permission
from lbsync.model.publishing import unread_sentence
from lbsync.publisher.assembly import ClusterSide, sync_of
from lbsync.publisher.cluster.identity import ClusterIdentity, ask, authority_of
from lbsync.publisher.cluster.informers import Informers
from lbsync.publisher.cluster.work_queue import Work
from lbsync.publisher.commit import Committer, LostLead, Written
from lbsync.publisher.report.alarm import confirming
from lbsync.publisher.report.leader import LeaderReport
from lbsync.publisher.report.outcome import kept_out, outcome, standby_outcome
from lbsync.publisher.service_changes import ServiceChanges, State, Summary, summary
from lbsync.publisher.store.diff import Change
from lbsync.publisher.store.election import Election, identity
from lbsync.publisher.store.index import StoreIndex
from lbsync.schema.confirming import Confirmations, confirmations
from lbsync.settings import Publisher as Settings
from lbsync.timestamps import stamp
from lbsync.values.claims import Claims


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
        permission: Permission | None = None,
        clock: Callable[[], float] = time.monotonic,
        timing: Timing | None = None,
    ) -> None:
        """`name`: who this is, among the replicas; by default host and process. `adopt`: take the
        cluster's name over from another Kubernetes cluster. `permission`: by default what `claims` say alone."""
        self._settings = settings
        self._source = source
        self._clock = clock
        self.name = name or identity()
        claims = claims or Claims()
        self._side = ClusterSide(settings, claims, cluster, timing=timing, clock=clock)
        self._sync = sync_of(settings, claims, self._side, permission or Permission(claims))
        self._stored = StoreIndex(settings.cluster)
        client = self._side.client
        self._identity = ClusterIdentity(
            source,
            settings.cluster,
            cluster.server,
            lambda: ask(client),
            authority_of=lambda: authority_of(client),
            adopt=adopt,
        )
        ttl = round(settings.lease_ttl.seconds)
        self.election = Election(source, settings.cluster, self.name, ttl, clock=clock)
        self._committer = Committer(
            source, lambda: self.election.fence, self.election.fenced, self._wrote, clock
        )
        self._report = LeaderReport(settings, source, self._side.informers, self.name, clock)
        self._full_compare_at: float | None = None
        """When everything is compared next, as `clock` counts; None: this replica does not lead."""
        self.written = Written(done=[], failed={})
        """What came of the last pass that wrote."""

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch the cluster; `wake` is called from other threads when something changed.

        The source is not started: whoever opened it decides whether it is watched.
        """
        self._side.start(wake)

    def close(self) -> None:
        """End the watches, and hand over the lead at once. May be called twice."""
        self.election.resign()
        self._report.close()
        self._side.close()

    @property
    def informers(self) -> Informers:
        """What is watched in the cluster."""
        return self._side.informers

    @property
    def missing(self) -> list[str]:
        """What has not been listed yet, without which nothing is published."""
        return self.informers.missing

    @property
    def waiting(self) -> list[str]:
        """Services that wait for a further kind of objects to be listed, after a pass."""
        return sorted(n for n, state in self.states.items() if state.status == "waits")

    @property
    def states(self) -> dict[str, State]:
        """How all Services stand, as of the last pass."""
        return self._sync.states

    @property
    def ingresses(self) -> dict[str, tuple[str, ...]]:
        """What the owners of Ingresses are told, as of the last pass."""
        return {name: report.warnings for name, report in self._sync.ingresses.items()}

    @property
    def summary(self) -> Summary:
        """How all Services stand together, as of the last pass."""
        return summary(self.states, self._sync.guard.hold)

    @property
    def unread(self) -> list[str]:
        """One sentence for each namespace that cannot be read."""
        return [unread_sentence(*found) for found in sorted(self.informers.unread.items())]

    @property
    def healthy(self) -> str:
        """Why the cluster is not watched right now; empty when it is."""
        return self.informers.trouble

    def run_pass(self) -> Outcome:
        """Bring the store to what the cluster says. Raises `Unavailable`."""
        if missing := self.informers.missing:
            return Outcome(
                f"waits for Kubernetes: not listed yet: {', '.join(missing)}",
                confirmed=False,
                exit_code=Exit.UNAVAILABLE,
            )
        self._side.take_namespaces()
        snapshot = self._source.snapshot()
        self._side.queue.mark(self._stored.update(snapshot))
        if refusal := self._identity.refusal(snapshot):
            return self._keep_out(refusal)
        fence = self.election.step(snapshot)
        if fence is None:
            return self._stand_by()
        self._identity.mark(snapshot, fence)
        now = self._clock()
        if self._full_compare_at is None or now >= self._full_compare_at:
            if self._full_compare_at is None:
                self._sync.reset()
            self._full_compare_at = now + self._settings.full_compare.seconds
            self._side.queue.mark_all()
            self._side.unlabelled.ask()
        return self._publish(fence, snapshot.revision, confirmations(snapshot.items))

    def look_for_unlabelled(self) -> None:
        """Look now for what no watch shows, for commands that do not wait for the next time."""
        self._side.unlabelled.look()

    def preview(self) -> list[ServiceChanges]:
        """Return what a leader would write now; nothing is. Raises `Unavailable`."""
        self._side.take_namespaces()
        snapshot = self._source.snapshot()
        self._stored.update(snapshot)
        self._side.queue.mark_all()
        confirmed = confirmations(snapshot.items)
        return self._look(self._clock(), self._side.queue.take(), confirmed)

    def _publish(self, fence: Expect, revision: int, confirmed: Confirmations) -> Outcome:
        began = self._clock()
        work = self._side.queue.take()
        is_done = False
        try:
            units = self._look(began, work, confirmed)
            written = self._committer.write(units, self._meant())
            is_done = True
        except LostLead as error:
            self._full_compare_at = None
            return Outcome(str(error), confirmed=False, retry=True, exit_code=error.exit_code)
        finally:
            if not is_done:
                self._side.queue.put_back(work)
        self.written = written
        self._sync.done(written.done, self._stored)
        self._side.queue.mark([*written.failed, *written.raced])
        self._report.wrote(written.done, self._side.lister)
        found = self.summary
        self._report.beat(fence, found, self._sync.guard.hold, self._identity.notice)
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
        self.election.resign()
        return kept_out(why)

    def _step_down(self) -> None:
        if self._full_compare_at is not None:
            self._full_compare_at = None
            self._report.stop()

    def _stand_by(self) -> Outcome:
        self._step_down()
        return standby_outcome(self.election.leader, self.election.wait)

    def _look(self, now: float, work: Work, confirmed: Confirmations) -> list[ServiceChanges]:
        return self._sync.look(work, self._stored, now, stamp(), confirmed=confirmed)

    def _meant(self) -> list[Put]:
        who = f"publisher of cluster {self._settings.cluster}"
        return confirming(self._source, self._sync.guard.hold_id, self._sync.let_go, who, stamp())

    def _again_in(self, now: float) -> float:
        due = [self._report.due(), self._sync.guard.due(now), self._sync.keeping.due(stamp())]
        if self._full_compare_at is not None:
            due.append(self._full_compare_at - now)
        return max(0.01, min(seconds for seconds in due if seconds is not None))

    def _wrote(self, revision: int, changes: Sequence[Change]) -> None:
        self._stored.wrote(revision, [(change.key, change.after) for change in changes])
