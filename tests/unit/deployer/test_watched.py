"""What is watched after a switch: a version that goes away is worse than one that answers badly."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from lbsync.deployer import gates
from lbsync.deployer.decision import Decision
from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.phases import decide
from lbsync.model.deploying import Baseline, DeploymentRecord, Strategy, VersionRecord
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.model.records import RouteRecord
from lbsync.timestamps import seconds

BLUE, GREEN = RouteRecord({"blue": 100}), RouteRecord({"green": 100})
AT = "2026-01-31T12:00:00Z"
RECORD = DeploymentRecord(
    "20260131-120000-abc123", "groups", "switch", VersionRecord("green"), Strategy(),
    old=VersionRecord("blue"), previous=BLUE, route=GREEN, phase="converged", phase_at=AT,
    step=1, step_at=AT, servers=2,
)  # fmt: skip
UP = GroupHealth(2, 2, (ServerHealth("g1", "UP", "L7OK"), ServerHealth("g2", "UP", "L7OK")))


def _then(
    wanted: Mapping[str, tuple[str, ...]],
    hosts: Mapping[str, Host] | None = None,
    *,
    record: DeploymentRecord = RECORD,
    later: float = 5.0,
) -> Decision:
    if hosts is None:
        hosts = {"lb-1": Host(7, groups={"green": UP, "blue": UP})}
    seen = Observed(hosts=hosts, route=GREEN, route_revision=7, wanted=wanted)
    return decide(record, seen, seconds(AT) + later)


def test_a_new_version_whose_servers_are_gone_from_etcd_gives_the_traffic_back() -> None:
    for wanted in ({"blue": ("b1",)}, {"blue": ("b1",), "green": ()}):
        decision = _then(wanted)
        assert decision.record.phase == "reverting"
        assert decision.route == BLUE
        assert "has 0 of the 2 servers" in decision.record.reason


def test_as_many_may_be_gone_as_may_be_down() -> None:
    wanted = {"blue": ("b1",), "green": ("g1",)}
    limits = msgspec.structs.replace(RECORD.strategy.limits, down=50)
    lenient = msgspec.structs.replace(
        RECORD, strategy=msgspec.structs.replace(RECORD.strategy, limits=limits)
    )
    assert _then(wanted).record.phase == "reverting"
    assert _then(wanted, record=lenient).record.phase == "converged"


def test_it_does_not_go_back_to_a_version_without_servers() -> None:
    for later in (5.0, 500.0):
        decision = _then({"blue": (), "green": ()}, later=later)
        assert decision.record == RECORD
        assert "blue has no server to go back to" in decision.waits


def test_a_first_version_that_goes_away_has_nothing_to_go_back_to_and_ends() -> None:
    first = msgspec.structs.replace(RECORD, old=UNSET, previous=UNSET)
    assert _then({}, record=first).record.phase == "reverting"


def test_nobody_who_reports_is_nobody_who_found_it_good() -> None:
    wanted = {"blue": ("b1",), "green": ("g1", "g2")}
    decision = _then(wanted, {}, later=500.0)
    assert decision.record == RECORD
    assert "no agent reports" in decision.waits
    assert not gates.drained(Observed(), ("blue",)).is_open


def test_a_balancer_that_refuses_it_or_has_no_such_group_did_not_find_it_good() -> None:
    wanted = {"blue": ("b1",), "green": ("g1", "g2")}
    groups = {"green": UP, "blue": UP}
    for host in (Host(7, groups={"blue": UP}), Host(7, refused="it is held", groups=groups)):
        decision = _then(wanted, {"lb-1": host}, later=31.0)
        assert decision.record == RECORD
        assert "lb-1" in decision.waits
    assert _then(wanted, later=31.0).record.phase == "drained"


def test_an_outage_of_the_old_version_long_ago_excuses_no_error_of_the_new_one() -> None:
    wanted = {"blue": ("b1",), "green": ("g1", "g2")}
    green = msgspec.structs.replace(UP, requests=100, errors_5xx=20)
    blue = msgspec.structs.replace(UP, requests=10_100, errors_5xx=3_000)
    hosts = {"lb-1": Host(7, groups={"green": green, "blue": blue})}
    lately = {"lb-1": Baseline(10_000, 3_000)}
    record = msgspec.structs.replace(RECORD, baseline_old=lately)
    decision = _then(wanted, hosts, record=record)
    assert decision.record.phase == "reverting"
    assert "20 of 100 requests failed (20%; before it were 0%)" in decision.record.reason
    # With too few requests lately to tell, all that were counted are the measure.
    few = msgspec.structs.replace(RECORD, baseline_old={"lb-1": Baseline(10_090, 3_000)})
    assert _then(wanted, hosts, record=few).record.phase == "converged"


def test_the_first_step_notes_what_the_old_version_had_counted() -> None:
    wanted = {"blue": ("b1",), "green": ("g1", "g2")}
    blue = msgspec.structs.replace(UP, requests=500, errors_5xx=3)
    staged = msgspec.structs.replace(RECORD, phase="staged", step=0, step_at="", route=UNSET)
    seen = Observed(
        hosts={"lb-1": Host(7, groups={"green": UP, "blue": blue})},
        route=BLUE, route_revision=3, wanted=wanted,
    )  # fmt: skip
    decision = decide(staged, seen, seconds(AT) + 1.0)
    assert decision.record.phase == "switching"
    assert decision.record.baseline_old == {"lb-1": Baseline(500, 3)}
