"""The input for decisions on a deployment: the state of balancers, route and provider at one moment. Values only."""

from collections.abc import Mapping

import msgspec

from lbsync.deployer.provider import GateView
from lbsync.model.health import GroupHealth
from lbsync.model.records import RouteRecord


class Host(msgspec.Struct, frozen=True):
    """One balancer whose agent reports."""

    revision: int = 0
    """Of etcd, that it has verified; 0 if it serves nobody knows what."""
    why: str = ""
    """Where it stands, for people."""
    refused: str = ""
    """Why it does not serve this service as it is written; empty: it does."""
    groups: Mapping[str, GroupHealth] | None = None
    """How the service's groups do there; None: it has not answered what is asked now."""
    doubt: str = ""
    """Why its answer is not whole; empty: it is."""


class Observed(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    hosts: Mapping[str, Host] = {}
    silent: Mapping[str, str] = {}
    """Host of the fleet that does not report to what is known of it."""
    route: RouteRecord | None = None
    route_revision: int = 0
    wanted: Mapping[str, tuple[str, ...]] = {}
    """Group to the names of its servers that are to take traffic."""
    written: int = 0
    """The newest revision that wrote the service or the new group."""
    kept: frozenset[str] = frozenset()
    """Groups of versions that are kept warm after an earlier deployment."""
    gate: GateView | None = None
    """How the provider's gate stands; None: it was not asked yet."""
    done: frozenset[str] = frozenset()
    """Acts of this phase that were done."""
    failed_act: str = ""
    """Why the last act can never be done; empty: none failed."""

    @property
    def fleet(self) -> int:
        """How many hosts there are."""
        return len(self.hosts) + len(self.silent)
