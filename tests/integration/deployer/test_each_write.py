"""A deployer dies, or freezes, at each thing that it writes on the way there and back, in etcd and in the cluster.

Another one goes on, and the first one thaws once that is done: all is as the record of the app's versions says, and
nothing is left over.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.etcd import Etcd
from harness.wait import wait_until
from lbsync.deployer import requests
from lbsync.errors import Conflict, Rejected
from lbsync.schema.keys import ServiceId
from tests.integration.deployer.deployers import Deployer, Point, Site, Strike

THERE = [
    Point("queued", "services"),
    Point("queued", "deployments"), Point("queued", "etcd"), Point("provisioned", "etcd"),
    Point("healthy", "services"), Point("healthy", "etcd"), Point("staged", "etcd"),
    Point("switching", "etcd"), Point("converged", "etcd"), Point("drained", "etcd"),
]  # fmt: skip
BACK = [Point("reverting", what) for what in ("services", "deployments", "etcd")]
AT_ONCE = 5


@pytest.fixture(scope="module")
def site(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(etcd, tmp_path_factory.mktemp("each-write"))
    try:
        yield site
    finally:
        site.close()


def _cancelled(site: Site, app: ServiceId, deployment: str) -> None:
    try:
        requests.command(site.ledger, app, deployment, "cancel", "ann")
    except (Conflict, Rejected):
        return  # it has ended, or is on its way back


def _attempt(site: Site, point: Point, *, is_first: bool, dies: bool, goes_back: bool) -> str:
    """Return what is wrong in the end; empty: nothing is."""
    app = site.new_app()
    if not is_first:
        site.carried_out(app, site.apply(app, "one")[0])
    first = Deployer(site, "A", Strike(point, dies=dies))
    deployment, hold = site.apply(app, "two", first, manual=goes_back and point in BACK)
    first.begin(app, deployment, hold)
    if goes_back and point in BACK:
        wait_until("the step", lambda: site.ledger.page(app, deployment).route, timeout=30)
        _cancelled(site, app, deployment)
    wait_until(f"{point}", first.strike.struck.is_set, timeout=30)
    site.time_is_up(first)
    if goes_back:
        _cancelled(site, app, deployment)
    ended = site.carried_out(app, deployment)
    first.strike.thawed.set()
    assert first.ended.wait(60), point
    with contextlib.suppress(TimeoutError):
        wait_until("nothing to be left", lambda: not site.faults(app))
    wrong = site.faults(app)
    return f"{point}: {ended}, {first.fault}, {wrong}" if wrong or first.fault else ""


def _all(site: Site, points: list[Point], **how: bool) -> list[str]:
    """Try all points, some of them at once; return what is wrong."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda point: _attempt(site, point, **how), points))
    return [wrong for wrong in found if wrong]


def test_who_dies_after_any_write_is_followed_to_the_end(site: Site) -> None:
    assert _all(site, THERE, is_first=True, dies=True, goes_back=False) == []
    assert _all(site, BACK, is_first=False, dies=True, goes_back=True) == []


def test_who_freezes_before_any_write_changes_nothing_that_was_undone_meanwhile(site: Site) -> None:
    assert _all(site, THERE, is_first=True, dies=False, goes_back=True) == []
    assert _all(site, BACK, is_first=False, dies=False, goes_back=True) == []
