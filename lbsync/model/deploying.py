"""The records of deployments, one struct per kind of key; they lie beside the prefix, see `schema.deploying`.

Deployers read each other's and write them again, so a field that nobody knows is refused, as in the contract:
a deployment that a newer lbsync began is left to that one. Times are RFC 3339 in UTC, to the millisecond.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lbsync.model.record import Record
from lbsync.model.records import RouteRecord, Whole
from lbsync.values.basic import Duration, Pause
from lbsync.values.deploying import Require

Percent = Annotated[int, Meta(ge=0, le=100)]
Phase = Literal[
    "queued",
    "provisioned",
    "healthy",
    "staged",
    "switching",
    "converged",
    "drained",
    "reverting",
    "deployed",
    "failed",
    "rolled back",
    "cancelled",
    "removed",
]
"""What was verified last. On the way there: `queued` nothing yet; `provisioned` the new version is made; `healthy`
by its provider's word; `staged` by HAProxy's own check on every balancer, without traffic; `switching` the route
of a step is written; `converged` every balancer has verified the last one; `drained` the old version has no
session left. On the way back: `reverting`, then `failed`, `rolled back` or `cancelled`. Of a removal: `switching`
is the route that leads nowhere, and `removed` its end."""
WAY: tuple[Phase, ...] = (
    "queued", "provisioned", "healthy", "staged", "switching", "converged", "drained", "deployed",
)  # fmt: skip
"""The phases of a deployment that goes well."""
WAY_OUT: tuple[Phase, ...] = ("queued", "switching", "converged", "drained", "removed")
"""The phases of a removal that goes well."""
BEFORE_TRAFFIC = frozenset(WAY[: WAY.index("switching")])
ENDED: frozenset[Phase] = frozenset({"deployed", "failed", "rolled back", "cancelled", "removed"})
ProviderKind = Literal["groups", "kubernetes"]
"""What makes a version: nobody, its servers being in `endpoints/` already; or Kubernetes."""


class Limits(Record, frozen=True):
    """How the new version may do while it is watched; what is worse brings the old one back at once."""

    errors: Percent = 5
    """Percentage points of answers 5xx and broken connections above the old version's."""
    slower: Annotated[int, Meta(ge=1, le=1000)] = 5
    """So many times the old version's mean response time."""
    down: Percent = 0
    """Share of its servers that may be down."""
    requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    """Requests that it must have had before its answers are judged."""


class Strategy(Record, frozen=True):
    """How a deployment goes from the old version to the new one."""

    steps: Annotated[tuple[Annotated[int, Meta(ge=1, le=100)], ...], Meta(max_length=20)] = ()
    """Percent of the traffic, each step more than the one before; the last one, 100, need not be written.
    Left out: all at once."""
    pause: Pause = Pause(0)
    """After each step but the last."""
    manual: bool = False
    """Each step but the first waits until somebody promotes it."""
    preview: bool = False
    """The first step, too: until then clients that the service's `preview` names may see the new version."""
    watch: Pause = Pause(30_000)
    """How long the new version is watched after each step."""
    limits: Limits = Limits()
    require: Require = Require("all")
    ready_timeout: Duration = Duration(300_000)
    """For the new version to be made and healthy."""
    stage_timeout: Duration = Duration(120_000)
    """For every balancer to find its servers up."""
    converge_timeout: Duration = Duration(60_000)
    """For every balancer to verify a switch."""
    drain_timeout: Pause = Pause(300_000)
    """How long sessions of the old version are awaited."""
    keep_old: Pause = Pause(600_000)
    """How long the old version is kept after that, ready to take the traffic back."""

    @property
    def shares(self) -> tuple[int, ...]:
        """Percent of the traffic after each step; the last one is 100."""
        return (*(step for step in self.steps if step < 100), 100)


class VersionRecord(Record, frozen=True):
    """One version of an app."""

    group: str
    """The group of the service that its servers are in."""
    number: Whole = 0
    """Counted by lbsync; 0 if nobody counts, as for plain servers."""
    document: dict[str, Any] = msgspec.field(default_factory=dict)
    """What its provider made it of."""
    deployment: str = ""
    """Id of the deployment that brought it."""


class WarmRecord(Record, frozen=True):
    """A version without traffic that is kept for a while."""

    version: VersionRecord
    until: str
    unconfirmed: tuple[str, ...] = ()
    """Hosts that may still serve it: it stays until each has verified a route without it, or is forgotten."""


class AppRecord(Record, frozen=True):
    """`apps/<ns>/<app>`: what somebody wants to be deployed, as written last."""

    provider: ProviderKind
    document: dict[str, Any] = msgspec.field(default_factory=dict)
    by: str = ""
    at: str = ""


class VersionsRecord(Record, frozen=True):
    """`versions/<ns>/<app>`: which versions of an app there are. Changed together with a deployment that begins
    or ends, so at most one is in progress."""

    next: Annotated[int, Meta(ge=1)] = 1
    """The number of the next version; it never goes back, also where the app is removed."""
    active: str = ""
    """Id of the deployment that is in progress; empty: none is."""
    live: VersionRecord | UnsetType = UNSET
    """What gets the traffic, as the last deployment left it."""
    warm: tuple[WarmRecord, ...] = ()


class Baseline(Record, frozen=True):
    """What one host had counted of a group when it began to be watched."""

    requests: Whole = 0
    errors: Whole = 0


class DeploymentRecord(Record, frozen=True):
    """`deployments/<ns>/<app>/<id>`: one deployment, from its beginning to its end."""

    id: str
    provider: ProviderKind
    action: Literal["deploy", "switch", "rollback", "remove"]
    version: VersionRecord
    """What is to get the traffic; of a removal: what has it."""
    strategy: Strategy = Strategy()
    by: str = ""
    created_at: str = ""
    old: VersionRecord | UnsetType = UNSET
    """What was live before; left out: nothing was."""
    previous: RouteRecord | UnsetType = UNSET
    """The route before, which is put back when it goes wrong; left out: there was none."""
    route: RouteRecord | UnsetType = UNSET
    """The route as this deployment wrote it last; left out: it has written none yet."""
    phase: Phase = "queued"
    phase_at: str = ""
    step: Whole = 0
    """Which step's route is written, counted from 1; 0: none is."""
    step_at: str = ""
    """When every balancer had verified it; empty: they have not yet."""
    promoted: Whole = 0
    """Up to which step somebody said to go on."""
    paused: str = ""
    """Who holds it; empty: nobody does."""
    wish: Literal["", "cancel", "rollback"] = ""
    """Why it turns back, where somebody said so."""
    abandoned: str = ""
    """Who said, on the way back, that it is to end as it stands; empty: nobody did."""
    reason: str = ""
    """Why it turned back, or ended as it did."""
    outcome: Literal["", "failed", "rolled back", "cancelled"] = ""
    """How it is to end once all is put back; empty: it goes on."""
    waits: str = ""
    """What is awaited now, for people."""
    ended_at: str = ""
    revisions: dict[str, Whole] = msgspec.field(default_factory=dict)
    """Phase (with `switching`, also each step: `switching 1`) to the revision of etcd that it was written at."""
    servers: Whole = 0
    """How many servers the new group had when this step was written."""
    baseline: dict[str, Baseline] = msgspec.field(default_factory=dict)
    """Host to what it had counted of the new group before this step."""
    baseline_old: dict[str, Baseline] = msgspec.field(default_factory=dict)
    """Host to what it had counted of the old groups before the first step."""
    events: Whole = 0
    """How many there are."""
    notices: tuple[str, ...] = ()
    """What else is to be known of it."""

    @property
    def is_ended(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.phase in ENDED

    @property
    def is_removal(self) -> bool:
        """Whether it takes the app away."""
        return self.action == "remove"

    @property
    def way(self) -> tuple[Phase, ...]:
        """The phases that it passes when it goes well."""
        return WAY_OUT if self.is_removal else WAY

    @property
    def purpose(self) -> str:
        """What it is for, in a few words: `switch to green`."""
        group = self.version.group
        return f"removal of {group}" if self.is_removal else f"{self.action} to {group}"


class EventRecord(Record, frozen=True):
    """`events/<ns>/<app>/<id>/<number>`: something happened to a deployment."""

    at: str
    phase: Phase
    text: str
    by: str = ""
    """Who did it; empty: the deployer."""


class RepeatRecord(Record, frozen=True):
    """`repeats/<ns>/<app>/<hash of a key>`, on a lease: what became of a request, for when it comes again."""

    deployment: str
    request: str
    """SHA-256 of its body, in hex."""
    warnings: tuple[str, ...] = ()
    at: str = ""


class LockRecord(Record, frozen=True):
    """`locks/<ns>/<app>`, on a lease: which process carries out the deployment of this app."""

    holder: str
    deployment: str
    since: str = ""
