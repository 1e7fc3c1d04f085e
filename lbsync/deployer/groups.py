"""Plain servers: a version is an existing group in `endpoints/`. Nothing is created or removed."""

from collections.abc import Mapping
from typing import Any, Literal

from lbsync.deployer.provider import Fence, Gate, GateView
from lbsync.errors import Rejected
from lbsync.model.deploying import VersionRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId
from lbsync.values.kubernetes import Image

_THERE = GateView(is_made=True, is_done=True)


class _Open:
    """That servers are up, the balancers tell by their own checks."""

    def look(self) -> GateView:
        return _THERE


class Groups:
    """The provider of servers that somebody else runs."""

    kind: Literal["groups"] = "groups"

    def check(
        self,
        _app: ServiceId,
        _document: Mapping[str, Any],
        _snapshot: Snapshot,
        _coming: Mapping[ServiceId, Mapping[str, Any]] | None = None,
        /,
    ) -> list[str]:
        """Return no warnings: there is no document."""
        return []

    def refuse_claimed(
        self,
        _app: ServiceId,
        _document: Mapping[str, Any],
        _snapshot: Snapshot,
        _coming: Mapping[ServiceId, Mapping[str, Any]],
        /,
    ) -> None:
        """Do nothing: the service is there already."""

    def provision(
        self,
        _app: ServiceId,
        _version: VersionRecord,
        _fence: Fence,
        _live: VersionRecord | None = None,
        /,
    ) -> None:
        """Do nothing: the servers are there."""

    def gate(self, _app: ServiceId, _version: VersionRecord, /) -> Gate:
        """Return a gate that is open."""
        return _Open()

    def publish(
        self,
        _app: ServiceId,
        _version: VersionRecord,
        _fence: Fence,
        _live: VersionRecord | None = None,
        /,
    ) -> None:
        """Do nothing: the service's record is its owner's."""

    def remove(self, _app: ServiceId, _version: VersionRecord, _fence: Fence, /) -> bool:
        """Return True: the servers go on, without traffic, for whoever runs them."""
        return True

    def remove_app(self, _app: ServiceId, _fence: Fence, /) -> bool:
        """Return True, as `remove` does."""
        return True

    def image(self, app: ServiceId, _version: VersionRecord, /) -> Image:
        """Raise `Rejected`: plain servers run no image that anybody knows of."""
        raise Rejected(
            f"{app}: its versions are groups of plain servers, of which no image is known; an app on Kubernetes has one"
        )
