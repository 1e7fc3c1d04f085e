"""Records that somebody wrote by hand, or another version of lbsync: each is refused, or what comes next is decided."""

import contextlib
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.deployer import commands
from lbsync.deployer.decision import from_now
from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.phases import decide
from lbsync.deployer.provider import GateView
from lbsync.errors import BadKey, Rejected
from lbsync.model.deploying import DeploymentRecord, Phase, VersionRecord
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.model.records import RouteRecord
from lbsync.model.snapshot import Item
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.timestamps import seconds

ID = "20260131-120000-abc123"
AT = "2026-01-31T12:00:00Z"
KEY = f"deployments/shop/cart/{ID}"
TIMES = st.sampled_from(["", "x", AT, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00", "2026-01-31"])
NUMBERS = st.sampled_from([0, 1, 2, 3, 10**6])
ROUTES = st.sampled_from(
    [{"groups": {name: share}} for name in ("blue", "green") for share in (0, 1)]
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "action": st.sampled_from(["deploy", "switch", "rollback", "remove"]),
    "version": st.sampled_from([{"group": name} for name in ("green", "none", "", "a/b")]),
    "strategy": st.sampled_from([{}, {"steps": [5, 25]}, {"steps": [5], "manual": True}]),
    "phase": st.sampled_from(get_args(Phase)),
    "phase_at": TIMES,
    "step": NUMBERS,
    "step_at": TIMES,
    "promoted": NUMBERS,
    "paused": st.sampled_from(["", "ann"]),
    "wish": st.sampled_from(["", "cancel", "rollback"]),
    "outcome": st.sampled_from(["", "failed", "cancelled"]),
    "servers": NUMBERS,
}
UP = GroupHealth(1, 1, (ServerHealth("g", "UP", "L7OK"),))
HOSTS = st.sampled_from([Host(7, groups={"green": UP, "blue": UP}), Host(7), Host(3, groups={})])
SEEN = st.builds(
    Observed,
    hosts=st.dictionaries(st.sampled_from(["lb-1", "lb-2"]), HOSTS),
    route=st.sampled_from([None, RouteRecord({"blue": 1}), RouteRecord({"green": 1})]),
    route_revision=st.sampled_from([0, 5]),
    wanted=st.sampled_from([{}, {"green": ("g",), "blue": ("b",)}]),
    gate=st.sampled_from([None, GateView(True, True), GateView(True, False, failed="no image")]),
    done=st.sampled_from(
        [frozenset(), frozenset({"publish", "publish old", "remove", "remove app"})]
    ),
)


def _read(**fields: Any) -> DeploymentRecord:
    written = {"id": ID, "provider": "groups", "action": "switch", "version": {"group": "green"}}
    return deploying.read(DeploymentRecord, Item(KEY, msgspec.json.encode(written | fields), 1, 1))


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        FIELDS, optional={"old": FIELDS["version"], "previous": ROUTES, "route": ROUTES}
    ),
    SEEN,
    st.sampled_from([0.0, -3600.0, 3600.0]),
)
def test_whatever_is_written_is_refused_or_goes_on(
    fields: dict[str, Any], seen: Observed, off: float
) -> None:
    try:
        record = _read(**fields)
    except BadKey as fault:
        assert fault.key == KEY
        return
    encode(decide(record, seen, seconds(AT) + off).record)
    for command in get_args(commands.Command):
        with contextlib.suppress(Rejected):
            commands.apply(record, command, "ann", seconds(AT) + off)


def test_a_record_under_the_key_of_another_one_is_refused() -> None:
    """Whoever carried it out would write the other one, and find this one unchanged, for ever."""
    with pytest.raises(BadKey, match="id: it is the record of 20260131-120000-ffffff"):
        _read(id="20260131-120000-ffffff")


@pytest.mark.parametrize("off", [-3600, 3600])
def test_who_goes_on_measures_by_its_own_clock(off: int) -> None:
    """That of who began is an hour off: the new version is watched all the same, and not for an hour."""
    now = seconds(AT)
    began = msgspec.structs.replace(
        _read(route={"groups": {"green": 1}}, previous={"groups": {"blue": 1}}, step=1),
        phase="converged", phase_at="2026-01-31T12:00:00Z", old=VersionRecord("blue"),
    )  # fmt: skip
    hosts = {"lb-1": Host(7, groups={"green": UP, "blue": UP})}
    seen = Observed(
        hosts=hosts, route=RouteRecord({"green": 1}), route_revision=5,
        wanted={"green": ("g",), "blue": ("b",)},
    )  # fmt: skip
    record = from_now(began, now + off)
    assert decide(record, seen, now + off + 29).record.phase == "converged"
    assert decide(record, seen, now + off + 31).record.phase == "drained"
