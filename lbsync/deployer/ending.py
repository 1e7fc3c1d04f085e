"""An app's versions after a deployment has ended. Pure."""

import msgspec
from msgspec import UNSET

from lbsync.model.deploying import DeploymentRecord, VersionRecord, VersionsRecord, WarmRecord
from lbsync.timestamps import stamp


def versions_after(
    versions: VersionsRecord,
    record: DeploymentRecord,
    now: float,
    *,
    leaves: tuple[str, ...] | None,
) -> VersionsRecord:
    """Return the versions after the end of a deployment. `leaves`: its new version was not removed, since a balancer
    may still serve it, and these of them report; None: there is nothing left of it."""
    until = stamp(now + record.strategy.keep_old.seconds, milliseconds=True)
    changes: dict[str, object] = {"active": "" if versions.active == record.id else versions.active}
    warm = versions.warm
    if record.phase == "deployed":
        warm = _without(warm, record.version)
        changes["live"] = record.version
        if record.old is not UNSET and record.old.group != record.version.group:
            warm = (*_without(warm, record.old), WarmRecord(record.old, until))
    elif record.phase == "removed":
        changes["live"], warm = UNSET, ()
    elif leaves is not None:
        kept = WarmRecord(record.version, until, leaves)
        warm = (*_without(warm, record.version), kept)
    return msgspec.structs.replace(versions, warm=warm, **changes)


def _without(warm: tuple[WarmRecord, ...], version: VersionRecord) -> tuple[WarmRecord, ...]:
    return tuple(one for one in warm if one.version.group != version.group)
