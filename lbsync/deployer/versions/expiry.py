"""Removes old versions that were kept warm, once their time has passed.

This is done in small steps, each under the app's lock: a deployment that starts meanwhile waits for
milliseconds, and one that needs the old version again finds it complete or has it created again.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from lbsync.clients.source import Put
from lbsync.deployer import gates
from lbsync.deployer.ledger import Ledger, released
from lbsync.deployer.page import Page, observe
from lbsync.deployer.provider import Provider
from lbsync.deployer.routing import takes_traffic
from lbsync.errors import Conflict
from lbsync.model.deploying import ProviderKind, VersionsRecord, WarmRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds

Providers = Mapping[ProviderKind, Callable[[], Provider]]


def is_due(versions: VersionsRecord, now: float) -> bool:
    """Tell whether a version's time has passed, and no deployment is in progress that may need it."""
    return not versions.active and any(seconds(one.until) <= now for one in versions.warm)


def end_old_versions(ledger: Ledger, providers: Providers, app: ServiceId, ttl: float) -> bool:
    """Do one step for the versions of an app whose time is up; return whether more is to be done.

    Raises `Unavailable`, and `Rejected` as the provider does.
    """
    now = time.time()
    page = ledger.page(app)
    versions = page.versions()
    if not is_due(versions, now) or page.lock is not None:
        return False
    due = [one for one in versions.warm if seconds(one.until) <= now]
    # What somebody routed by hand since then is left to them.
    routed = [one for one in due if takes_traffic(page.route, one.version.group)]
    ending = [one for one in due if one not in routed and not _may_be_served(page, one)]
    hold, guards, ops = ledger.hold(app, "", round(ttl))
    name = deploying.versions_key(app)
    try:
        expect = [*guards, page.as_read(name), page.as_read(page.keys.route)]
        hold.revision = ledger.commit(expect, [*ops, *_announced(ledger, page, ending)])
        provider = providers[_kind(page)]()
        fence = ledger.fence_outside(app, hold)
        gone = [one for one in ending if provider.remove(app, one.version, fence)]
        left = tuple(one for one in versions.warm if one not in (*gone, *routed))
        if left != versions.warm:
            after = msgspec.structs.replace(versions, warm=left)
            ledger.commit([ledger.fence(app, hold), page.as_read(name)], [Put(name, encode(after))])
        return len(gone) < len(ending)
    except Conflict:
        return True  # somebody begins something: what then holds decides
    finally:
        released(hold)


def _may_be_served(page: Page, one: WarmRecord) -> bool:
    """Tell whether a host that had not confirmed the route without a version still has not."""
    seen = observe(page, one.version.group, None, 0)
    late = gates.unconfirmed(seen)
    return any(name in late or name in seen.silent for name in one.unconfirmed)


def _announced(ledger: Ledger, page: Page, ending: list[WarmRecord]) -> list[Put]:
    """Return the write that says that these servers are meant to go, so that nobody holds it; none once they went."""
    groups = {one.version.group for one in ending}
    up = {
        name: sum(server.state == "up" for server in found.servers)
        for name, found in page.groups().items()
    }
    if not any(up.get(group) for group in groups):
        return []
    left = sum(count for name, count in up.items() if name not in groups)
    by, brought = f"deployer {ledger.holder}", ending[0].version.deployment
    return [ledger.confirmation_put(page.keys.app, left, by, brought)]


def _kind(page: Page) -> ProviderKind:
    wanted = page.wanted
    return "groups" if wanted is None else wanted.provider
