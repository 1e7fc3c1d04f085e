"""The way back: what a deployment brought goes, and what was there before stays."""

from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.phases import decide
from lbsync.model.deploying import DeploymentRecord, VersionRecord
from lbsync.model.health import GroupHealth
from lbsync.model.records import RouteRecord
from lbsync.timestamps import seconds

AT = "2026-01-31T12:00:00Z"
LIVE = RouteRecord({"v2": 100})
RECORD = DeploymentRecord(
    "20260131-120000-abc123", "kubernetes", "rollback", VersionRecord("v1", 1),
    old=VersionRecord("v2", 2), previous=LIVE, phase="reverting", phase_at=AT, outcome="cancelled",
    reason="cancelled by ann",
)  # fmt: skip


def _seen(*kept: str) -> Observed:
    return Observed(
        hosts={"lb-1": Host(7, groups={"v1": GroupHealth(), "v2": GroupHealth()})},
        route=LIVE,
        route_revision=7,
        done=frozenset({"publish old"}),
        kept=frozenset(kept),
    )


def test_a_cancelled_way_back_leaves_the_version_that_was_kept_for_as_long_as_it_was() -> None:
    decision = decide(RECORD, _seen("v1"), seconds(AT))
    assert (decision.act, decision.record.phase) == ("", "cancelled")


def test_what_was_made_anew_for_it_goes() -> None:
    assert decide(RECORD, _seen(), seconds(AT)).act == "remove"
