"""An Event that is attached to an object."""

import time
from typing import Any

import msgspec

from lbsync.timestamps import stamp

_MOST_NAME = 220
"""Of an Event's name, which holds 253 characters: what is left is for a dot and the time."""


class ObjectReference(msgspec.Struct, frozen=True, kw_only=True):
    """What an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


def new_event(about: ObjectReference, *, reason: str, message: str, kind: str) -> dict[str, Any]:
    """Return an Event as it travels. `reason` is one CamelCase word; `kind` is Normal or Warning."""
    now = stamp()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # The name is how client-go makes it: object, dot, time in hexadecimal.
        "metadata": {
            "name": f"{about.name[:_MOST_NAME]}.{time.time_ns():x}",
            "namespace": about.namespace or "default",
        },
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "reason": reason,
        "message": message[:1024],
        "type": kind,
        "source": {"component": "lbsync"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
