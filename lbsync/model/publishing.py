"""The records that publishers keep beside the contract's own: who leads, since when all is in step,
and what the owners of Kubernetes objects are told.

They bear no wanted state; agents pass them over, `lbsync status` and `lbsync explain` show them.
"""

import msgspec

from lbsync.kube_objects import Ingress
from lbsync.model.records import HoldRecord


class LeaderRecord(msgspec.Struct, frozen=True):
    """`publishers/<cluster>/leader`, on a lease: who writes for this cluster."""

    identity: str
    """Host (or pod) and process."""
    since: str
    """RFC 3339, UTC."""


class OriginRecord(msgspec.Struct, frozen=True):
    """`publishers/<cluster>/origin`: which Kubernetes cluster goes by this name."""

    uid: str
    """Of its Service `default/kubernetes`; empty: the account may not read it."""
    server: str
    """The API server's URL, as the publisher that wrote it was told."""
    authority: str = ""
    """SHA-256 of each authority that signs its certificate, in hex, with spaces between; empty: nobody
    knows."""


class HeartbeatRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """`publishers/<cluster>/heartbeat`, on a lease of its own: how the leader does."""

    identity: str
    synced_at: str
    """RFC 3339, UTC: when etcd was last found equal to what Kubernetes says."""
    services: int
    """Services of this cluster that are published."""
    every: float = 0.0
    """Seconds after which it is written again at the latest; beyond three times that, doubt it."""
    refused: int = 0
    """Services that are not published, or no longer followed; `reports/…` tell why."""
    held: int = 0
    """Services with a removal of servers that is held."""
    conflicts: int = 0
    """Keys of Services that somebody else wrote."""
    hold: HoldRecord | None = None
    """What is held, by the id that confirms it."""
    hold_sentence: str = ""
    """The same, for people."""
    kubernetes: str = ""
    """Why the watches are not open; empty: they are."""
    lbsync: str = ""
    """Version of the publisher."""
    unread: dict[str, str] = {}
    """The namespaces that cannot be read, with the reason; what was published of them stays."""
    notices: tuple[str, ...] = ()
    """What else whoever runs the publisher should know."""


class KeptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """`publishers/<cluster>/claims/<ns>/<name>`: what a Service that went has back when it returns."""

    routes: tuple[str, ...]
    """`host/path/`, or `:port/`."""
    until: str = ""
    """RFC 3339, UTC: until when it is kept; empty: the Service is there again, and keeps it."""


class Accepted(msgspec.Struct, frozen=True):
    """What said where a Service's servers are when it was last published as it stood."""

    annotations: dict[str, str] = {}
    ingresses: tuple[Ingress, ...] = ()


class ReportRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """`publishers/<cluster>/reports/<kind>/<ns>/<name>`: what the owner of one object is told."""

    since: str = ""
    """RFC 3339, UTC: when it was first said."""
    refused: str = ""
    """Why the object is not published, or no longer followed, with the cure; empty: it is."""
    conflicts: tuple[str, ...] = ()
    """Keys that somebody else owns, and what to do about it."""
    held: str = ""
    """A removal of servers that waits."""
    warnings: tuple[str, ...] = ()
    """What has no effect, or not the one that was meant."""
    accepted: Accepted | None = None
    """By what a refused Service is followed, for the publisher itself."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything that is said, the gravest first."""
        first = tuple(text for text in (self.refused, self.held) if text)
        return (*first, *self.conflicts, *self.warnings)


def unread_sentence(namespace: str, why: str) -> str:
    """Return what is told of a namespace that cannot be read."""
    return (
        f"namespace {namespace} cannot be read, and what was published of it stays as it is: {why}"
    )
