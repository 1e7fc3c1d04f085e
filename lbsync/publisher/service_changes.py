"""The values that pass through a look at the Services: what is known, and what is to be written."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from lbsync.model.publishing import Accepted
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.cluster.lister import Inputs
from lbsync.publisher.removal_guard import Hold, Loss
from lbsync.publisher.store.diff import Change
from lbsync.publisher.store.index import Held, Keys

Records = Mapping[str, ServiceRecord | EndpointsRecord]
Status = Literal["published", "refused", "waits", "gone"]
"""`refused` and `waits`: what was published before stays as it is."""


class ServiceChanges(msgspec.Struct, frozen=True):
    """What is written together: all keys of one Service, and what its owner is told."""

    kind: Literal["service", "ingress"]
    name: str
    """`<ns>/<name>`."""
    changes: tuple[Change, ...]
    report: Change | None = None
    kept: Change | None = None
    """What is kept for it, once it is gone."""

    @property
    def all(self) -> tuple[Change, ...]:
        """Every key to write or to remove."""
        beside = (change for change in (self.report, self.kept) if change is not None)
        return (*self.changes, *beside)


class State(msgspec.Struct):
    """How one Service stood when it was last looked at."""

    status: Status
    inputs: Inputs | None = None
    """What its translation read."""
    stored: int = 0
    """Fingerprint of the keys that were stored."""
    servers: int = 0
    """How many servers of it take requests, held ones included."""
    held: str = ""
    """Why a removal of servers waits."""
    refused: str = ""
    waits: str = ""
    """What must be listed before it can be published."""
    conflicts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    accepted: Accepted | None = None
    """What it was last accepted with, while it is refused."""
    in_step: bool = False
    """Nothing was to be written, or it has been."""


class Summary(msgspec.Struct, frozen=True):
    """How all Services stand."""

    published: int
    refused: tuple[str, ...]
    """One sentence for each that is refused, or waits for long."""
    held: int
    """How many Services have a removal of servers that waits."""
    hold: str
    """One sentence about all of these."""
    conflicts: tuple[str, ...] = ()
    """One sentence for each key that somebody else wrote."""


def summary(states: Mapping[str, State], hold: Hold | None) -> Summary:
    """Return how all Services stand."""
    published = 0
    troubled = []
    for name, state in states.items():
        published += state.status == "published" and not state.conflicts
        if state.refused or state.held or state.conflicts:
            troubled.append(name)
    found = [states[name] for name in sorted(troubled)]
    return Summary(
        published,
        tuple(state.refused for state in found if state.refused),
        sum(bool(state.held) for state in found),
        str(hold) if hold is not None else "",
        tuple(sentence for state in found for sentence in state.conflicts),
    )


class Draft(msgspec.Struct):
    """One Service on its way through a look."""

    name: str
    state: State
    stored: Keys
    before: int = 0
    """Servers that take requests, as stored."""
    after: int = 0
    """The same, as wanted."""
    wanted: Records = {}
    """Kept only where servers would be lost: the records of thousands of Services are large."""
    left: Mapping[str, int] = {}
    """As in `Loss`."""
    changes: tuple[Change, ...] = ()

    def loss(self, *, meant: bool) -> Loss:
        """Return how its number of servers would change. `meant`: it was seen to be deleted."""
        gone = self.state.status == "gone"
        return Loss(
            self.before, self.after, gone=gone, meant=meant, revision=self._revision, left=self.left
        )

    @property
    def _revision(self) -> int:
        """The revision that wrote servers last."""
        found = (x.item.mod_revision for k, x in self.stored.items() if k.startswith("endpoints/"))
        return max(found, default=0)


def fingerprint(stored: Keys, report: Held | None, told: tuple[str, ...]) -> int:
    """Return a number that is another one as soon as any of these keys, or of `told`, is."""
    marks = [(key, held.item.mod_revision) for key, held in stored.items()]
    return hash((frozenset(marks), report.item.mod_revision if report else 0, told))
