"""Deployments under whatever commands, crashes and answers come, in any order, against a small model of the world.

No route leads to a group that is not staged; nothing is removed that a balancer may still route to; whoever was
frozen writes nothing; and once all is well, every deployment ends.
"""

import os
from collections.abc import Callable
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from lbsync.deployer import commands
from lbsync.deployer.decision import Decision
from lbsync.deployer.observed import Host, Observed
from lbsync.deployer.phases import decide
from lbsync.deployer.provider import GateView
from lbsync.errors import Rejected
from lbsync.model.deploying import DeploymentRecord, Strategy, VersionRecord
from lbsync.model.health import GroupHealth, ServerHealth
from lbsync.model.records import RouteRecord
from lbsync.timestamps import seconds
from lbsync.values.basic import Duration, Pause
from lbsync.values.deploying import Require

BLUE, GREEN = VersionRecord("blue"), VersionRecord("green", 2)
HOSTS = ("lb-1", "lb-2", "lb-3")
STRATEGIES = st.just(Strategy(watch=Pause(0))) | st.builds(
    Strategy,
    steps=st.sampled_from([(5, 25), (50,), (10, 100)]),
    manual=st.booleans(),
    preview=st.booleans(),
    pause=st.sampled_from([Pause(0), Pause(60_000)]),
    watch=st.sampled_from([Pause(0), Pause(30_000)]),
    require=st.sampled_from([Require("all"), Require("1"), Require("67%")]),
    converge_timeout=st.just(Duration(60_000)),
)


class Balancer:
    """One host: what it serves, and how the new group does there."""

    def __init__(self) -> None:
        self.reports = True
        self.answers = True
        self.revision = 1
        self.route: RouteRecord | None = None
        self.green_is_up = False
        self.requests = self.errors = 0
        self.sessions = {"blue": 0, "green": 0}


class World:
    """etcd, three balancers, a provider, and any number of deployers of which one writes at a time."""

    def __init__(self, strategy: Strategy, blue: RouteRecord | None) -> None:
        self.now = 1_700_000_000.0
        self.revision = self.route_revision = self.record_revision = 1
        self.route = blue
        self.balancers = {name: Balancer() for name in HOSTS}
        for balancer in self.balancers.values():
            balancer.route = blue
        self.gate: GateView | None = None
        self.is_healthy = False
        self.fault = ""
        self.done: set[str] = set()
        self.green_exists = False
        self.green_has_servers = self.blue_has_servers = True
        self.is_foreign = False
        self.frozen: tuple[int, Decision] | None = None
        self.record = DeploymentRecord(
            "20260131-120000-abc123", "kubernetes", "deploy", GREEN, strategy,
            old=BLUE if blue else UNSET, previous=blue or UNSET,
            phase_at="2023-11-14T22:13:20Z",
        )  # fmt: skip

    # --- what the world does ---

    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def a_balancer_catches_up(self, name: str) -> None:
        balancer = self.balancers[name]
        balancer.revision, balancer.route = self.revision, self.route

    def its_agent_goes_or_comes(self, name: str) -> None:
        self.balancers[name].reports = not self.balancers[name].reports

    def its_answers_stop_or_come(self, name: str) -> None:
        self.balancers[name].answers = not self.balancers[name].answers

    def green_is_checked(self, name: str, up: bool) -> None:
        self.balancers[name].green_is_up = up and self.green_exists

    def servers_go_or_come(self, group: str) -> None:
        name = f"{group}_has_servers"
        setattr(self, name, not getattr(self, name))

    def requests_come(self, name: str, bad: bool) -> None:
        balancer = self.balancers[name]
        balancer.requests += 50
        balancer.errors += 25 if bad else 0

    def a_session_begins_or_ends(self, name: str, group: str) -> None:
        sessions = self.balancers[name].sessions
        sessions[group] = 0 if sessions[group] else 3

    def the_provider_tells(self, healthy: bool, fault: str) -> None:
        self.is_healthy, self.fault = healthy, fault

    def somebody_else_writes_the_route(self, green: int) -> None:
        self.is_foreign = True
        self.write_route(RouteRecord({"blue": 70, "green": green}))

    # --- what people and deployers do ---

    def somebody_commands(self, command: commands.Command) -> None:
        try:
            self.record, told = commands.apply(self.record, command, "ann", self.now)
        except Rejected:
            return
        assert told
        self.touch()

    def the_deployer_dies(self) -> None:
        self.gate, self.done = None, set()

    def the_deployer_takes_a_step(self) -> None:
        self.carry_out(decide(self.record, self.observed(), self.now))

    def a_deployer_freezes_before_it_writes(self) -> None:
        self.frozen = self.record_revision, decide(self.record, self.observed(), self.now)

    def it_thaws(self) -> None:
        if self.frozen is None:
            return
        revision, decision = self.frozen
        self.frozen = None
        if revision == self.record_revision and decision.record != self.record:
            self.commit(decision)  # nobody else wrote: then it is as good as any other one

    def all_is_well_for_a_while(self, steps: int) -> None:
        """Without this, chance alone seldom comes far."""
        for _ in range(steps):
            if not self.record.is_ended:
                self.all_is_well()
                self.the_deployer_takes_a_step()
                self.now += 2.0

    # --- the model ---

    def observed(self) -> Observed:
        gate = self.gate
        if gate is not None:
            gate = GateView(True, self.is_healthy, "1 of 1 ready", failed=self.fault)
        return Observed(
            hosts={
                name: Host(b.revision, "behind", groups=self.groups(b) if b.answers else None)
                for name, b in self.balancers.items()
                if b.reports
            },
            silent={name: "since noon" for name, b in self.balancers.items() if not b.reports},
            route=self.route,
            route_revision=self.route_revision,
            wanted=self.wanted(),
            written=1,
            gate=gate,
            done=frozenset(self.done),
        )

    def wanted(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {"blue": ("b",) if self.blue_has_servers else ()}
        if self.green_exists:
            found["green"] = ("g",) if self.green_has_servers else ()
        return found

    def groups(self, balancer: Balancer) -> dict[str, GroupHealth]:
        def health(name: str, up: bool) -> GroupHealth:
            status = ("UP", "L7OK") if up else ("DOWN", "L4CON")
            server = ServerHealth(name[0], *status)
            return GroupHealth(int(up), 1, (server,), sessions=balancer.sessions[name])

        found = {"blue": health("blue", True)}
        if self.green_exists:
            green = health("green", balancer.green_is_up)
            found["green"] = msgspec.structs.replace(
                green, requests=balancer.requests, errors_5xx=balancer.errors
            )
        return found

    def carry_out(self, decision: Decision) -> None:
        if decision.record != self.record:
            self.commit(decision)
        elif decision.act == "provision":
            self.green_exists, self.gate = True, GateView(True, False)
        elif decision.act == "remove":
            self.check_that_nobody_uses_it()
            self.green_exists = False
            self.done.add("remove")
        elif decision.act:
            self.done.add(decision.act)

    def commit(self, decision: Decision) -> None:
        before, after = self.record, decision.record
        assert not before.is_ended, "what has ended is written no more"
        if decision.route is not None:
            assert not decision.drops_route
            if decision.route.groups.get("green") and after.phase != "reverting":
                self.check_that_it_is_staged()
            self.write_route(decision.route)
            self.is_foreign = False
        if decision.drops_route:
            assert not self.is_foreign
            assert not self.green_exists
            self.write_route(None)
        if after.phase != before.phase:
            self.done = set()
        if after.phase == "drained" and before.phase == "converged" and before.strategy.watch:
            assert any(b.reports for b in self.balancers.values()) or self.is_late(before)
            assert self.green_has_servers or self.is_late(before)
        if self.turned_back_by_itself(before, after):
            assert self.blue_has_servers or before.old is UNSET, "it goes back to nothing"
        if after.phase == "converged":
            self.check_that_all_have("green")
        if after.phase in ("failed", "rolled back", "cancelled") and before.step:
            assert self.is_foreign or self.route == (before.previous or None) or self.route is None
        self.record = after
        self.touch()

    def is_late(self, record: DeploymentRecord) -> bool:
        """Whether it was watched to its end before."""
        return self.now >= seconds(record.phase_at) + record.strategy.watch.seconds

    def turned_back_by_itself(self, before: DeploymentRecord, after: DeploymentRecord) -> bool:
        """Whether it was all in order but for how the new group does."""
        return (
            after.phase == "reverting"
            and before.phase == "converged"
            and not before.wish
            and not self.is_foreign
        )

    def write_route(self, route: RouteRecord | None) -> None:
        self.route = route
        self.revision += 1
        self.route_revision = self.revision

    def touch(self) -> None:
        self.revision += 1
        self.record_revision = self.revision

    def check_that_it_is_staged(self) -> None:
        assert self.green_exists
        live = [b for b in self.balancers.values() if b.reports]
        assert live
        assert all(b.green_is_up for b in live)
        assert len(live) >= self.record.strategy.require.of(len(HOSTS))

    def check_that_all_have(self, group: str) -> None:
        live = [b for b in self.balancers.values() if b.reports]
        assert len(live) >= self.record.strategy.require.of(len(HOSTS))
        for balancer in live:
            assert balancer.route is not None
            assert {g for g, share in balancer.route.groups.items() if share} == {group}

    def check_that_nobody_uses_it(self) -> None:
        assert self.route is None or not self.route.groups.get("green")
        for balancer in self.balancers.values():
            if balancer.reports and balancer.route is not None:
                assert not balancer.route.groups.get("green")

    def a_deployment_that_turned_back_says_why(self) -> None:
        if self.record.phase in ("reverting", "failed", "rolled back", "cancelled"):
            assert self.record.outcome
            assert self.record.reason

    def all_is_well(self) -> None:
        self.is_healthy, self.fault = True, ""
        self.green_has_servers = self.blue_has_servers = True
        for name, balancer in self.balancers.items():
            balancer.reports = balancer.answers = True
            balancer.green_is_up = self.green_exists
            balancer.sessions = {"blue": 0, "green": 0}
            self.a_balancer_catches_up(name)

    def ends_once_all_is_well(self) -> None:
        """All is well from now on: then it ends, however it stands."""
        for _ in range(200):
            if self.record.is_ended:
                return
            if self.record.paused:
                self.somebody_commands("resume")
            self.somebody_commands("promote")
            self.all_is_well()
            self.the_deployer_takes_a_step()
            self.now += 5.0
        raise AssertionError(f"it does not end: {self.record}")


ACTIONS: list[tuple[Callable[..., None], tuple[object, ...]]] = [
    *((World.time_passes, (seconds,)) for seconds in (0.5, 20.0, 61.0, 400.0)),
    *((World.a_balancer_catches_up, (name,)) for name in HOSTS),
    *((World.its_agent_goes_or_comes, (name,)) for name in HOSTS),
    *((World.its_answers_stop_or_come, (name,)) for name in HOSTS[:2]),
    *((World.green_is_checked, (name, up)) for name in HOSTS for up in (True, False)),
    *((World.servers_go_or_come, (group,)) for group in ("blue", "green")),
    *((World.requests_come, (name, bad)) for name in HOSTS[:2] for bad in (True, False)),
    *((World.a_session_begins_or_ends, ("lb-1", group)) for group in ("blue", "green")),
    *((World.the_provider_tells, (True, fault)) for fault in ("", "image cannot be pulled")),
    *((World.somebody_else_writes_the_route, (green,)) for green in (0, 30)),
    *((World.somebody_commands, (command,)) for command in get_args(commands.Command)),
    *[(World.the_deployer_takes_a_step, ())] * 10,
    *((World.all_is_well_for_a_while, (steps,)) for steps in (1, 2, 3, 4, 5, 6, 8, 12)),
    (World.the_deployer_dies, ()),
    (World.a_deployer_freezes_before_it_writes, ()),
    (World.it_thaws, ()),
]


@settings(max_examples=int(os.environ.get("ANY_ORDER", "250")))
@given(
    STRATEGIES,
    st.sampled_from([None, RouteRecord({"blue": 1}), RouteRecord({"blue": 2, "green": 1})]),
    st.lists(st.sampled_from(ACTIONS), max_size=60),
)
def test_nothing_is_lost_in_any_order_of_things(
    strategy: Strategy,
    blue: RouteRecord | None,
    actions: list[tuple[Callable[..., None], tuple[object, ...]]],
) -> None:
    world = World(strategy, blue)
    for action, arguments in actions:
        action(world, *arguments)
        world.a_deployment_that_turned_back_says_why()
    world.ends_once_all_is_well()
