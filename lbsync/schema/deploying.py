"""The keys of deployments, and how they are read.

They lie beside the prefix, where no agent hears of them: for `/lbsync/` below `/lbsync-deploy/`. All names in
keys are those of services (`schema.keys`).
"""

import contextlib
import re
from collections.abc import Mapping
from typing import TypeVar

from lbsync.errors import BadKey
from lbsync.model.deploying import (
    AppRecord,
    DeploymentRecord,
    EventRecord,
    LockRecord,
    RepeatRecord,
    VersionsRecord,
)
from lbsync.model.snapshot import Item
from lbsync.schema.decode import decode_as
from lbsync.schema.keys import ServiceId
from lbsync.schema.reading import one_line

APPS, VERSIONS, DEPLOYMENTS, EVENTS, LOCKS = (
    "apps/",
    "versions/",
    "deployments/",
    "events/",
    "locks/",
)
SERVERS = "servers/"
"""On a lease, one key for each process that carries out what nobody waits for."""
REPEATS = "repeats/"
"""On a lease of a day, what became of requests with a key of their own."""
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}\Z")
R = TypeVar("R", AppRecord, VersionsRecord, DeploymentRecord, EventRecord, LockRecord, RepeatRecord)


def deploy_prefix(prefix: str) -> str:
    """Return what all keys of deployments begin with, in a store whose other keys begin with `prefix`."""
    return f"{prefix.rstrip('/')}-deploy/"


def app_key(app: ServiceId) -> str:
    """Return the key of the desired state of an app."""
    return f"{APPS}{app}"


def versions_key(app: ServiceId) -> str:
    """Return the key that tells which versions of an app there are."""
    return f"{VERSIONS}{app}"


def lock_key(app: ServiceId) -> str:
    """Return the key whose writer carries out the app's deployment."""
    return f"{LOCKS}{app}"


def deployments_folder(app: ServiceId) -> str:
    """Return what the keys of all deployments of an app begin with."""
    return f"{DEPLOYMENTS}{app}/"


def deployment_key(app: ServiceId, deployment: str) -> str:
    """Return the key of one deployment."""
    return f"{DEPLOYMENTS}{app}/{deployment}"


def events_folder(app: ServiceId, deployment: str) -> str:
    """Return what the keys of a deployment's events begin with; they sort by time."""
    return f"{EVENTS}{app}/{deployment}/"


def event_key(app: ServiceId, deployment: str, number: int) -> str:
    """Return the key of a deployment's event, counted from 0."""
    return f"{events_folder(app, deployment)}{number:06}"


def is_id(text: str) -> bool:
    """Tell whether this is the id of a deployment."""
    return _ID.match(text) is not None


def read(kind: type[R], item: Item) -> R:
    """Return the record of one key. Raises `BadKey`, naming field and cure, and nothing else."""
    record = decode_as(kind, item.key, item.value)
    name = getattr(record, "id", None)  # that of a deployment alone has one
    if name is not None and name != item.key.rpartition("/")[2]:
        raise BadKey(item.key, f"id: it is the record of {one_line(name)}, under another key")
    if name is not None and not is_id(name):
        raise BadKey(item.key, f"id: no deployment is called {one_line(name)!r}; remove the key")
    return record


def owner(key: str) -> ServiceId | None:
    """Return the app that a key of deployments is about; None for a key of another form."""
    _, _, rest = key.partition("/")
    try:
        return ServiceId.parse("/".join(rest.split("/")[:2]))
    except ValueError:
        return None


def by_app(kind: type[R], items: Mapping[str, Item], folder: str) -> dict[ServiceId, R]:
    """Return the records below `folder` of which each app has one. What cannot be read is left out, and so is what
    stands under a key that no app has: nothing could be done about it."""
    found: dict[ServiceId, R] = {}
    for name, record in readable(kind, items, folder).items():
        with contextlib.suppress(ValueError):
            found[ServiceId.parse(name)] = record
    return found


def readable(kind: type[R], items: Mapping[str, Item], folder: str) -> dict[str, R]:
    """Return the records below `folder`, sorted by key (here without it). What cannot be read is left out: it is
    of a version of lbsync that is yet to come, or of nobody."""
    found: dict[str, R] = {}
    for key in sorted(key for key in items if key.startswith(folder)):
        try:
            found[key.removeprefix(folder)] = read(kind, items[key])
        except BadKey:
            continue
    return found
