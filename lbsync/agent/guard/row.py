"""What one service reached, and how much of it would be lost; sums over many. Pure."""

import msgspec

from lbsync.agent.guard.reach import NOWHERE, Loss, Place, Reach, loss
from lbsync.model.desired import Service
from lbsync.schema.publishing import SOURCE_PREFIX


class PastReach(msgspec.Struct, frozen=True):
    """What was reached at some time within the window."""

    until: float
    """When it leaves the window."""
    reach: Reach


class SavedReach(msgspec.Struct, frozen=True):
    """What is saved of a service for the next start."""

    past: tuple[PastReach, ...]
    untried: tuple[tuple[Place, float], ...]
    """Untried servers, and when they will count as tried."""


class Row:
    """What one service reaches, and has reached within the window."""

    __slots__ = ("base", "before", "loss", "now", "past", "running", "source", "untried", "wanted")

    def __init__(self) -> None:
        self.running: tuple[Service, Reach] | None = None
        self.wanted: tuple[Service, Reach] | None = None
        self.past: list[PastReach] = []
        """The oldest first. Most services have none, and an empty deque takes 600 bytes."""
        self.untried: dict[Place, float] = {}
        self.base = self.before = self.now = NOWHERE
        """The most within the window; what runs; the desired state."""
        self.loss = Loss()
        """Of the desired state, compared with the most within the window."""
        self.source = ""

    @property
    def at_once(self) -> Loss:
        """The loss against what runs."""
        return loss(self.before, self.now, self.knows(self.now))

    def knows(self, wanted: Reach) -> bool:
        """Tell whether some server that would take requests was tried. Also true if there was none
        before, and for pods, which Kubernetes says are ready."""
        if wanted.source.startswith(SOURCE_PREFIX):
            return True
        untried = self.untried
        tried = self.base.ready - untried.keys() if untried else self.base.ready
        return not tried or not tried.isdisjoint(wanted.places)

    def weigh(self) -> None:
        """Recompute the base and the loss."""
        base = self.before
        for past in self.past:
            base = base.most(past.reach)
        self.base = base
        self.compare()

    def compare(self) -> None:
        """Recompute the loss, compared with each time by itself: hosts of one time do not make up for
        those of another."""
        known = self.knows(self.now)
        found = [loss(past.reach, self.now, known) for past in self.past]
        found.append(loss(self.before, self.now, known))
        gone = max(each.gone for each in found)
        self.loss = Loss(gone, max(each.gone + each.strange for each in found) - gone)


class Sums:
    """Servers of many services: how many there were, and how many of them are lost."""

    __slots__ = ("gone", "strange", "strangers", "total")

    def __init__(self) -> None:
        self.total = self.gone = self.strange = self.strangers = 0

    def add(self, row: Row, sign: int = 1) -> None:
        """Count one service in, or out."""
        self.total += sign * row.base.servers
        self.gone += sign * row.loss.gone
        self.strange += sign * row.loss.strange
        self.strangers += sign * (row.loss.strange > 0)
