"""The port to whatever creates new versions.

All methods are called from the runner's thread, may block for some seconds, and may be called again at any
time, also by another process: what exists already stays unchanged. They raise `Unavailable` if an external
system does not answer, and are then called again; and `Rejected` if trying again is useless, and the deployment
fails with this message.

Methods that change something take a `Fence`: a process that was suspended or disconnected until another one
continued with the app must not change anything any more. So the fence is checked between reading an object and
changing it, an object is changed only in the state in which it was read, and a process that continues marks the
objects that it relies on, so that they differ from what others have read.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from lbsync.model.deploying import ProviderKind, VersionRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.keys import ServiceId
from lbsync.values.kubernetes import Image


class Fence(Protocol):
    """Whether this process is still the one that works on an app."""

    @property
    def token(self) -> str:
        """What marks objects; nobody else who ever worked on the app has the same."""
        ...

    def check(self) -> None:
        """Raise `Conflict` where it is not, `Unavailable` where nobody can tell."""
        ...


class GateView(msgspec.Struct, frozen=True):
    """How far a new version has come to be healthy."""

    is_made: bool
    """All of it is there; it may still have to start."""
    is_done: bool
    """It is healthy: all that was wanted is ready, and the app's own probe was content."""
    detail: str = ""
    """How far it is, for people: `2 of 3 pods are ready`."""
    failed: str = ""
    """Why it will never be; empty: it may be yet."""
    servers: int = 0
    """How many servers its group has to have before balancers are believed; 0: as many as are written."""
    log: tuple[str, ...] = ()
    """What else explains a failure: its last lines of log, and events."""


class Gate(Protocol):
    """One deployment's way to a healthy version."""

    def look(self) -> GateView:
        """Look once more. Called about once a second, until it is done or failed, or the time is up."""
        ...


class Provider(Protocol):
    """Makes versions of an app, and takes them away."""

    @property
    def kind(self) -> ProviderKind:
        """As records name it."""
        ...

    def check(
        self,
        app: ServiceId,
        document: Mapping[str, Any],
        snapshot: Snapshot,
        coming: Mapping[ServiceId, Mapping[str, Any]] | None = None,
        /,
    ) -> list[str]:
        """Return warnings about a document. Raises `Rejected` where nothing can come of it: it is said before
        anything begins. `coming`: documents of apps that are being deployed, and may not be published yet."""
        ...

    def refuse_claimed(
        self,
        app: ServiceId,
        document: Mapping[str, Any],
        snapshot: Snapshot,
        coming: Mapping[ServiceId, Mapping[str, Any]],
        /,
    ) -> None:
        """Raise `Rejected` where what a document claims belongs to another service; the part of `check` that other
        deployments may change."""
        ...

    def provision(
        self,
        app: ServiceId,
        version: VersionRecord,
        fence: Fence,
        live: VersionRecord | None = None,
        /,
    ) -> None:
        """Have the version made, beside those that are there. `live`: another version that has to stay meanwhile."""
        ...

    def gate(self, app: ServiceId, version: VersionRecord, /) -> Gate:
        """Return what tells when the version is healthy."""
        ...

    def publish(
        self,
        app: ServiceId,
        version: VersionRecord,
        fence: Fence,
        live: VersionRecord | None = None,
        /,
    ) -> None:
        """Put what the version says of its service in force (hosts, checks, …): once it is healthy, and before
        balancers are asked; of the old version, when the new one is taken back. `live`: another version that serves
        meanwhile. Raises `Rejected` where that one would not survive it."""
        ...

    def remove(self, app: ServiceId, version: VersionRecord, fence: Fence, /) -> bool:
        """Have all of the version removed; return whether nothing of it is left."""
        ...

    def remove_app(self, app: ServiceId, fence: Fence, /) -> bool:
        """Have all of the app removed; return whether nothing of it is left."""
        ...

    def image(self, app: ServiceId, version: VersionRecord, /) -> Image:
        """Return what the version runs, by digest. Raises `Rejected` where that is not known."""
        ...
