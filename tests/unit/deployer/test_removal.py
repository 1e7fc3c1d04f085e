"""An app that is taken away: requests first, then its pods, and until those go all of it can be undone."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from lbsync.deployer import commands
from lbsync.deployer.beginning import Begun, way_back
from lbsync.deployer.decision import Decision
from lbsync.deployer.ending import versions_after
from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.page import Keys, Page
from lbsync.deployer.phases import decide
from lbsync.deployer.versions.removal import remove, under_way
from lbsync.errors import Conflict, Rejected
from lbsync.model.deploying import (
    AppRecord,
    DeploymentRecord,
    VersionRecord,
    VersionsRecord,
    WarmRecord,
)
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.model.record import Record
from lbsync.model.records import RouteRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds

CART = ServiceId("shop", "cart")
ID = "20260131-120000-abc123"
LIVE = VersionRecord("v3", 3, {"image": "cart:3"}, "20260130-120000-abc123")
OPEN, CLOSED = RouteRecord({"v3": 100}), RouteRecord({"v3": 0, "none": 1})
DOCUMENT = {"image": "cart:3", "strategy": {"drain_timeout": "20s", "steps": [10], "manual": True}}
NOW = 1_769_860_800.0
DONE = frozenset({"remove app"})


def page(**more: Record) -> Page:
    kept: dict[str, Record] = {
        "apps/shop/cart": AppRecord("kubernetes", DOCUMENT),
        "versions/shop/cart": VersionsRecord(4, live=LIVE),
        "/lbsync/routes/shop/cart": OPEN,
        **more,
    }
    items = {key: Item(key, encode(record), 1, 7) for key, record in kept.items()}
    return Page(Keys("/lbsync/", CART), Snapshot(9, 0, items))


def begun(**changes: Any) -> DeploymentRecord:
    record = remove(page(), Begun(ID, "ann", NOW))
    return msgspec.structs.replace(record, **changes)


def seen(
    route: RouteRecord | None = CLOSED, revision: int = 9, *, sessions: int = 0, **more: Any
) -> Observed:
    health = {"v3": GroupHealth(1, 1, (ServerHealth("s", "UP", "L7OK"),), sessions=sessions)}
    told: dict[str, Any] = {
        "hosts": {"lb-1": Host(revision, "at revision 8", groups=health)},
        "route": route,
    }
    fields: dict[str, Any] = {
        "route_revision": 9,
        "wanted": {"v3": ("s",), "none": ()},
        "written": 7,
    }
    return Observed(**(fields | told | more))


def then(record: DeploymentRecord, there: Observed, later: float = 1.0) -> Decision:
    return decide(record, there, NOW + later)


def closed(phase: str, **changes: Any) -> DeploymentRecord:
    at = begun().phase_at
    return begun(phase=phase, phase_at=at, step=1, route=CLOSED, **changes)


def test_requests_go_first_then_sessions_then_pods_then_the_route() -> None:
    first = then(begun(), seen(OPEN))
    assert (first.record.phase, first.route, first.act) == ("switching", CLOSED, "")
    waits = then(first.record, seen(revision=8))
    assert (waits.record, waits.waits) == (
        first.record,
        "0 of 1 converged; lb-1: at revision 8",
    )
    converged = then(first.record, seen(sessions=2)).record
    assert converged.phase == "converged"
    assert "2 sessions are left" in then(converged, seen(sessions=2)).waits
    drained = then(converged, seen()).record
    assert (drained.phase, then(drained, seen()).act) == ("drained", "remove app")
    published = then(drained, seen(done=DONE))
    assert published.record == drained
    assert "a publisher to take it out of etcd" in published.waits
    end = then(drained, seen(done=DONE, written=0))
    assert (end.record.phase, end.drops_route, end.record.is_ended) == ("removed", True, True)


def test_sessions_are_named_when_the_time_for_them_is_up() -> None:
    late = then(closed("converged"), seen(sessions=2), 21.0).record
    assert late.phase == "drained"
    assert late.notices == ("after 20s 2 sessions are left: 2 on lb-1 v3",)


def test_one_that_a_balancer_does_not_verify_leaves_everything_as_it_was() -> None:
    back = then(closed("switching"), seen(revision=8), 61.0)
    assert (back.record.phase, back.route) == ("reverting", OPEN)
    assert then(back.record, seen(OPEN, 8)).record.phase == "reverting"
    end = then(back.record, seen(OPEN)).record
    assert (end.phase, end.reason) == ("failed", "after 1m: 0 of 1 converged; lb-1: at revision 8")


@pytest.mark.parametrize("phase", ["switching", "converged"])
def test_it_is_cancelled_until_its_pods_go(phase: str) -> None:
    record, _ = commands.apply(closed(phase), "cancel", "ben", NOW)
    back = then(record, seen())
    assert (back.route, back.record.outcome) == (OPEN, "cancelled")
    end = then(back.record, seen(OPEN))
    assert (end.record.phase, end.route, end.drops_route) == ("cancelled", None, False)
    with pytest.raises(Rejected, match="which cannot be undone"):
        commands.apply(closed("drained"), "cancel", "ben", NOW)


def test_one_whose_end_never_comes_is_abandoned_and_can_be_removed_once_more() -> None:
    stuck = closed("drained", waits="a publisher to take it out of etcd")
    record, _ = commands.apply(stuck, "abandon", "ben", NOW)
    end = then(record, seen(done=DONE))
    assert (end.record.phase, end.drops_route) == ("failed", False)
    assert end.record.reason == (
        "abandoned by ben while it waited for a publisher to take it out of etcd"
    )


def test_one_that_has_not_begun_is_cancelled_without_a_trace() -> None:
    record, _ = commands.apply(begun(), "cancel", "ben", NOW)
    back = then(record, seen(OPEN))
    assert back.route is None
    assert then(back.record, seen(OPEN)).record.phase == "cancelled"


def test_an_app_without_a_route_has_none_again() -> None:
    record, _ = commands.apply(closed("switching", previous=UNSET), "cancel", "ben", NOW)
    back = then(record, seen())
    assert back.drops_route
    assert then(back.record, seen(None)).record.phase == "cancelled"


def test_a_route_that_somebody_else_writes_meanwhile_stays() -> None:
    back = then(closed("converged"), seen(RouteRecord({"v3": 1})))
    assert (back.record.phase, back.route) == ("reverting", None)
    end = then(back.record, seen(RouteRecord({"v3": 1})))
    assert (end.record.phase, end.route, end.drops_route) == ("failed", None, False)
    assert "somebody else changed the route" in end.record.reason


@pytest.mark.parametrize("phase", ["queued", "switching", "converged"])
def test_a_paused_one_waits(phase: str) -> None:
    record = (begun if phase == "queued" else closed)(
        **({} if phase == "queued" else {"phase": phase})
    )
    paused, _ = commands.apply(record, "pause", "ben", NOW)
    decision = then(paused, seen(OPEN if phase == "queued" else CLOSED))
    assert (decision.record, decision.waits) == (paused, "paused by ben")


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_there_is_no_version_to_go_to(command: commands.Command) -> None:
    with pytest.raises(Rejected, match="takes the app away"):
        commands.apply(closed("switching"), command, "ben", NOW)


def test_without_any_balancer_nobody_has_to_confirm() -> None:
    nobody = seen(hosts={})
    converged = then(closed("switching"), nobody).record
    assert (converged.phase, then(converged, nobody).record.phase) == ("converged", "drained")


def test_what_is_left_of_a_removed_app_is_the_count_of_its_versions() -> None:
    before = VersionsRecord(
        4, ID, LIVE, (WarmRecord(VersionRecord("v2", 2), "2026-02-01T00:00:00Z"),)
    )
    gone = closed("removed")
    assert versions_after(before, gone, NOW, leaves=None) == VersionsRecord(4)
    assert versions_after(before, closed("failed"), NOW, leaves=None) == msgspec.structs.replace(
        before, active=""
    )
    with pytest.raises(Rejected, match="it was removed; deploy it once more"):
        way_back(page(), [gone], Begun(ID, "ann", NOW))


def test_it_goes_by_the_strategy_of_the_document_but_for_its_steps() -> None:
    record = begun()
    assert str(record.strategy.drain_timeout) == "20s"
    assert (record.strategy.shares, record.strategy.manual) == ((100,), False)
    assert (record.version, record.previous) == (LIVE, OPEN)
    assert seconds(record.created_at) == NOW


def test_what_is_no_app_or_busy_is_not_removed() -> None:
    with pytest.raises(Rejected, match="'lbsync service rm' removes a service of plain servers"):
        remove(page(**{"apps/shop/cart": AppRecord("groups")}), Begun(ID, "ann", NOW))
    going = begun()
    busy = page(
        **{
            "versions/shop/cart": VersionsRecord(4, ID, LIVE),
            f"deployments/shop/cart/{ID}": going,
        }
    )
    with pytest.raises(Conflict, match=r"\(queued, removal of v3\) is under way"):
        remove(busy, Begun(ID, "ann", NOW))
    assert under_way(busy) == going
    assert under_way(page()) is None
