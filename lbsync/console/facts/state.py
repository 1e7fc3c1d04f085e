"""The data for all pages at one revision: updated with each snapshot, at a cost proportional to the change."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Decoder
from lbsync.agent.desired.last_good import restore_routes
from lbsync.fleet import TargetRevision
from lbsync.model.desired import Desired, Service
from lbsync.model.publishing import HeartbeatRecord
from lbsync.model.records import HoldRecord, QuarantineRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet, publishing
from lbsync.schema.fleet import Census
from lbsync.schema.publishing import Known


class Hold(msgspec.Struct, frozen=True):
    """A removal that waits for a confirmation, and who holds it."""

    id: str
    services: dict[str, int]
    """Service to the number of servers it would be left with."""
    holders: tuple[str, ...]
    since: str
    """RFC 3339, UTC."""
    more: int = 0
    """How many services are not named."""


class State(msgspec.Struct, frozen=True, eq=False):
    """What etcd says at one revision."""

    snapshot: Snapshot
    desired: Desired
    """What the keys ask for. Hosts may refuse some of it by their own settings, and say so."""
    services: Mapping[str, Service]
    """The same by `<ns>/<name>`."""
    owners: Mapping[str, str]
    """Route key to the http service that has it."""
    census: Census
    quarantined: Mapping[str, QuarantineRecord]
    """Service to why hosts do not serve it as it is written."""
    publishers: Mapping[str, Known]
    holds: Mapping[str, Hold]
    """By their id."""
    lags: Mapping[str, int]
    """Host to the number of revisions by which it is behind, at most."""

    @property
    def revision(self) -> int:
        """The revision of etcd."""
        return self.snapshot.revision


class _NoHistory:
    """Asks etcd for nothing: what an agent's record tells has to do."""

    def at(self, revision: int) -> Snapshot | None:  # noqa: ARG002 (see `History`)
        """Return None: forgotten."""
        return None

    def count_at(self, revision: int, without: object) -> int | None:  # noqa: ARG002 (see `History`)
        """Return None: forgotten."""
        return None


class StateBuilder:
    """Builds states; remembers what was decoded. Not safe for several threads at once."""

    def __init__(self, reserved_ports: frozenset[int]) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._decoder = Decoder()
        self._assembler = Assembler(reserved_ports)

    def build(self, snapshot: Snapshot) -> State:
        """Return the state of one snapshot. Raises nothing, whatever the keys hold."""
        resolved = self._decoder.resolve(snapshot, {})
        entries = resolved.entries
        problems = (*resolved.problems, *restore_routes(entries, {}, resolved.routes))
        desired = self._assembler.assemble(entries, snapshot.revision, problems)
        census = fleet.census(snapshot)
        publishers = publishing.known(snapshot.items)
        return State(
            snapshot,
            desired,
            {service.id: service for service in desired.services},
            {
                route: service.id
                for service in desired.services
                if service.record.mode == "http"
                for route in service.routes
            },
            census,
            fleet.quarantines(snapshot.items),
            publishers,
            _holds(census, publishers),
            _lags(census, snapshot),
        )


def _holds(census: Census, publishers: Mapping[str, Known]) -> dict[str, Hold]:
    told: list[tuple[str, HoldRecord]] = [
        (host, record.hold)
        for host, record in census.live.items()
        if record is not None and record.hold is not UNSET
    ]
    for cluster, known in publishers.items():
        beat: HeartbeatRecord | None = known.heartbeat
        if beat is not None and beat.hold is not None:
            told.append((f"publisher {cluster}", beat.hold))
    found: dict[str, Hold] = {}
    for holder, hold in told:
        before = found.get(hold.id)
        if before is None:
            found[hold.id] = Hold(hold.id, dict(hold.services), (holder,), hold.since, hold.more)
            continue
        found[hold.id] = Hold(
            hold.id,
            before.services | hold.services,
            (*before.holders, holder),
            min(filter(None, (before.since, hold.since)), default=""),
            max(before.more, hold.more),
        )
    return found


def _lags(census: Census, snapshot: Snapshot) -> dict[str, int]:
    target = TargetRevision(_NoHistory(), snapshot.revision, snapshot)
    return {
        host: target.behind(record.revision, record.keys) if record is not None else 0
        for host, record in census.live.items()
    }
