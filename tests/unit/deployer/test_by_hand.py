"""What only a person decides: that a staged version gets traffic, and that one waits for a host no longer."""

from collections.abc import Mapping

import msgspec
import pytest
from msgspec import UNSET

from lbsync.deployer import commands
from lbsync.deployer.decision import Decision
from lbsync.deployer.ending import versions_after
from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.phases import decide
from lbsync.errors import Rejected
from lbsync.model.deploying import DeploymentRecord, Strategy, VersionRecord, VersionsRecord
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.model.records import RouteRecord
from lbsync.timestamps import seconds

BLUE, GREEN = RouteRecord({"blue": 100}), RouteRecord({"green": 100})
AT = "2026-01-31T12:00:00Z"
NOW = seconds(AT) + 5.0
ON_ITS_WAY = DeploymentRecord(
    "20260131-120000-abc123", "kubernetes", "deploy", VersionRecord("green", 2), Strategy(),
    old=VersionRecord("blue", 1), previous=BLUE, route=BLUE, phase="reverting", phase_at=AT, step=1,
    outcome="rolled back", reason="green: 9 of 20 requests failed",
)  # fmt: skip
GONE_BACK = Host(7, groups={"blue": GroupHealth(), "green": GroupHealth()})
REFUSES = Host(7, "at revision 7", "it does not serve it as written: no such file")
LAGS = Host(3, "at revision 3, failing: the reload failed")
SERVES = Host(7, groups={"green": GroupHealth(sessions=4)})
OLD_FIELDS = frozenset({"publish old"})


def then(
    record: DeploymentRecord,
    hosts: Mapping[str, Host],
    *,
    done: frozenset[str] = OLD_FIELDS,
    silent: Mapping[str, str] | None = None,
    route: RouteRecord | None = BLUE,
    now: float = NOW,
) -> Decision:
    seen = Observed(hosts=hosts, silent=silent or {}, route=route, route_revision=5, done=done)
    return decide(record, seen, now)


def abandoned(record: DeploymentRecord = ON_ITS_WAY) -> DeploymentRecord:
    after, told = commands.apply(record, "abandon", "ann", NOW)
    assert told
    return after


@pytest.mark.parametrize("host", [REFUSES, LAGS])
def test_it_ends_with_its_reason_names_who_did_not_confirm_and_removes_nothing(host: Host) -> None:
    hosts = {"lb-1": GONE_BACK, "lb-3": host}
    waiting = then(ON_ITS_WAY, hosts, now=NOW + 600)
    assert "'lbsync deploy abandon' ends it as it stands" in waiting.waits
    end = then(abandoned(), hosts)
    assert (end.record.phase, end.record.reason) == ("rolled back", ON_ITS_WAY.reason)
    assert (end.act, end.route, end.drops_route) == ("", None, False)
    (notice,) = end.record.notices
    why = host.refused or host.why
    assert notice == f"abandoned by ann; lb-3 may still serve green: {why}; green is kept"
    before = VersionsRecord(3, ON_ITS_WAY.id)
    after = versions_after(before, end.record, NOW, leaves=end.leaves)
    assert [(one.version.group, one.unconfirmed) for one in after.warm] == [("green", ("lb-3",))]
    assert not after.active


def test_what_else_is_as_the_new_version_left_it_is_said() -> None:
    end = then(abandoned(), {"lb-1": LAGS}, done=frozenset(), silent={"lb-2": "since noon"})
    (notice,) = end.record.notices
    assert "lb-2 may still serve green: silent" in notice
    assert "the service's fields are still those of green" in notice
    sessions = then(msgspec.structs.replace(abandoned(), step_at=AT), {"lb-1": SERVES})
    assert "4 sessions are left" in sessions.record.notices[0]
    assert sessions.leaves == ()


def test_the_route_that_leads_nowhere_stays_where_there_was_none() -> None:
    closed = RouteRecord({"green": 0, "none": 1})
    first = msgspec.structs.replace(ON_ITS_WAY, old=UNSET, previous=UNSET, route=closed)
    end = then(abandoned(first), {"lb-1": LAGS}, route=closed)
    assert (end.record.phase, end.drops_route, end.leaves) == ("rolled back", False, ("lb-1",))


def test_only_one_on_its_way_back_is_abandoned_and_once() -> None:
    with pytest.raises(Rejected, match="'lbsync deploy cancel' puts everything back first"):
        commands.apply(
            msgspec.structs.replace(ON_ITS_WAY, phase="switching"), "abandon", "ann", NOW
        )
    with pytest.raises(Rejected, match="is abandoned already, by ann"):
        commands.apply(abandoned(), "abandon", "ben", NOW)
    with pytest.raises(Rejected, match="'lbsync deploy abandon' ends it as it stands"):
        commands.apply(ON_ITS_WAY, "cancel", "ben", NOW)


def test_a_version_is_looked_at_before_its_first_step() -> None:
    staged = msgspec.structs.replace(
        ON_ITS_WAY, phase="staged", step=0, outcome="", reason="", strategy=Strategy(preview=True)
    )
    up = Host(7, groups={"green": GroupHealth(1, 1, (ServerHealth("g", "UP", "L7OK"),))})
    late = NOW + 9000.0

    def now_comes(record: DeploymentRecord) -> Decision:
        seen = Observed(
            hosts={"lb-1": up}, route=BLUE, route_revision=5, wanted={"green": ("g",)}, written=5
        )
        return decide(record, seen, late)

    waiting = now_comes(staged)
    assert (waiting.record, waiting.route) == (staged, None)
    assert (
        waiting.waits == "somebody to look at green (X-Lbsync-Group: green) and promote it to 100%"
    )
    promoted, _ = commands.apply(staged, "promote", "ann", late)
    assert promoted.phase_at > staged.phase_at, "it may take as long again to be up everywhere"
    assert now_comes(promoted).route == GREEN
    with pytest.raises(Rejected, match="is promoted already"):
        commands.apply(promoted, "promote", "ann", late)
