"""What a deployer made of a version that was over by then: it was frozen, or cut off, while it asked for it.

Nothing can stop a request to make what is not there. So whoever finds that another process has gone on, and ended the
deployment meanwhile, looks at what it has left.
"""

from msgspec import UNSET

from lbsync.deployer.ledger import Ledger, released
from lbsync.deployer.page import Page
from lbsync.deployer.provider import Provider
from lbsync.deployer.routing import takes_traffic
from lbsync.errors import Conflict
from lbsync.model.deploying import VersionRecord
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId


def remove_leftovers(
    ledger: Ledger, provider: Provider, app: ServiceId, version: VersionRecord, ttl: float
) -> bool:
    """Remove the remains of a version that is not needed, and of an app without versions; return whether
    nothing is left to do. Raises `Unavailable`, and `Rejected` as the provider does."""
    versions = ledger.page(app).versions()
    page = ledger.page(app, versions.active)
    if page.lock is not None:
        return False
    kept, route = _kept(page), page.route
    if version.group in kept or (route is not None and takes_traffic(route, version.group)):
        return True
    hold, guards, ops = ledger.hold(app, "", round(ttl))
    try:
        expect = [*guards, page.as_read(deploying.versions_key(app)), page.as_read(page.keys.route)]
        hold.revision = ledger.commit(expect, ops)
        fence = ledger.fence_outside(app, hold)
        if kept or route is not None:
            return provider.remove(app, version, fence)
        return provider.remove_app(app, fence)
    except Conflict:
        return False  # somebody begins something: what then holds decides
    finally:
        released(hold)


def _kept(page: Page) -> set[str]:
    """Return the groups of all versions that are live, warm, or part of a deployment that is in progress."""
    versions = page.versions()
    found = [versions.live, *(one.version for one in versions.warm)]
    if versions.active and (record := page.deployment(versions.active)) is not None:
        found += [record.version, record.old]
    return {one.group for one in found if one is not UNSET}
