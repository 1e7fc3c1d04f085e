"""What people order hosts to do through the store, and who did what; one struct per kind of key.

Programs of several versions read each other's, so a field that is not known is passed over.
"""

from typing import Literal

import msgspec

from lbsync.model.record import Record

Action = Literal["drain", "undrain", "release", "rollback", "rollback-release"]
"""`drain`: answer 503 to the health check of the load balancer in front; `undrain`: the end of that;
`release`: undo what was set by hand on the running HAProxy; `rollback`: serve an earlier generation and stay
with it; `rollback-release`: the end of that."""


class OrderRecord(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """`orders/<id>`, on a lease of who orders: these hosts are to do this once."""

    action: Action
    hosts: tuple[str, ...]
    reason: str = ""
    """Of a drain; shown by `lbsync status`."""
    by: str = ""
    """User and host; for people."""
    at: str = ""
    """RFC 3339, UTC; for people: the lease decides how long it stands."""
    generations: dict[str, str] = msgspec.field(default_factory=dict)
    """Of a rollback: host to the digest of the generation that it is to serve, or how that begins."""


class OrderAnswer(Record, frozen=True, forbid_unknown_fields=False, omit_defaults=False):
    """In `agents/<host>`: what became of the order that the host took last."""

    id: str
    state: Literal["begun", "done", "failed"] = "begun"
    """`done` is what was read back."""
    why: str = ""
    """Of a failure."""


class HistoryRecord(Record, frozen=True, forbid_unknown_fields=False):
    """`history/<moment>-<random>`: somebody did something."""

    at: str
    """RFC 3339, UTC."""
    by: str
    """User and machine."""
    action: str
    """In the words of the command: `service put`, `drain`, `confirm` …"""
    what: str = ""
    """Service, server or hosts."""
    detail: str = ""
    """What was changed, in one line."""
    host: str = ""
    """Where it was done on one host alone; empty: for all."""
