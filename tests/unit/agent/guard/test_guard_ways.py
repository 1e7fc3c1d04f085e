"""Every way of taking servers away counts, and it makes no difference in how many steps it is done."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent import boot
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.keeping import EntryMerger
from lbsync.agent.guard.guard import Baseline, Guard, Hold
from lbsync.agent.guard.reach import Place, reach
from lbsync.agent.guard.row import SavedReach
from lbsync.agent.guard.window import Window
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.schema.keys import ServiceId
from tests.builders import entries_of, servers

Values = dict[str, dict[str, object]]
_WINDOW_S = 600.0


class Scene:
    """A host: what runs, and an agent's guard that is asked before anything changes."""

    def __init__(self, values: Values, percent: int = 50) -> None:
        self.guard, self.assembler, self.merger = (
            Guard(percent, _WINDOW_S),
            Assembler(),
            EntryMerger(),
        )
        self.beside = Assembler()
        self.confirmed: set[str] = set()
        self.running = entries_of(values)
        self._serve(self.running, -1e6)

    def change(self, values: Values, now: float) -> Hold | None:
        """One pass: what is held stays, all else is served."""
        wanted = entries_of(values)
        hold = self.guard.check(
            self.assembler.assemble(wanted, 0, ()).services,
            now,
            lambda service, _left: service in self.confirmed,
        )
        self.guard.baseline = Baseline(hold.total, frozenset(hold.losses)) if hold else None
        held = {ServiceId.parse(name) for name in hold.losses} if hold else set()
        self.running = self.merger.merge(wanted, self.running, held)
        self._serve(self.running, now)
        return hold

    def _serve(self, entries: Entries, now: float) -> None:
        self.guard.window.runs(self.beside.assemble(entries, 0, ()).services, now)

    @property
    def reached(self) -> int:
        """How many servers can get a request; two services may have servers at one place."""
        services = Assembler().assemble(self.running, 0, ()).services
        return sum(reach(service).servers for service in services)


def places(entries: Entries) -> set[Place]:
    """Which servers can get a request."""
    return {
        place for s in Assembler().assemble(entries, 0, ()).services for place in reach(s).places
    }


def fleet(count: int = 30, size: int = 3) -> Values:
    """Services a/s0, a/s1, …, each with a host and servers of its own, and an empty group."""
    values: Values = {}
    for number in range(count):
        first = 1000 + number * 10
        values[f"services/a/s{number}"] = {"mode": "http", "hosts": [f"s{number}.example.com"]}
        values[f"endpoints/a/s{number}/main"] = servers(*range(first, first + size))
        values[f"endpoints/a/s{number}/void"] = {"servers": []}
        values[f"routes/a/s{number}"] = {"groups": {"main": 1}}
    return values


def each_server(values: Values, name: str, **fields: object) -> None:
    for server in values[f"endpoints/a/{name}/main"]["servers"]:  # type: ignore[attr-defined]
        server.update(fields)


def emptied(values: Values, name: str) -> None:
    values[f"endpoints/a/{name}/main"] = {"servers": []}


def deleted(values: Values, name: str) -> None:
    del values[f"services/a/{name}"]


def weights_0(values: Values, name: str) -> None:
    each_server(values, name, weight=0)


def maint(values: Values, name: str) -> None:
    each_server(values, name, state="maint")


def drained(values: Values, name: str) -> None:
    each_server(values, name, state="drain")


def ports(values: Values, name: str) -> None:
    for server in values[f"endpoints/a/{name}/main"]["servers"]:  # type: ignore[attr-defined]
        server["port"] = server["port"] % 45_000 + 20_000


def renumbered(values: Values, name: str) -> None:
    values[f"endpoints/a/{name}/main"] = servers(1, 2, 3, address="10.0.0.9")


def led_nowhere(values: Values, name: str) -> None:
    values[f"routes/a/{name}"] = {"groups": {"void": 1}}


def hosts(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["hosts"] = [f"{name}.example.org"]


def paths(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["paths"] = ["/nobody/asks/for/this"]


def denied(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["deny"] = ["0.0.0.0/0"]


def denied_by_halves(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["deny"] = ["0.0.0.0/1", "128.0.0.0/1"]


def denied_to_ipv6(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["deny"] = ["::/0"]


def allowed_to_nobody(values: Values, name: str) -> None:
    values[f"services/a/{name}"]["allow"] = ["192.0.2.1/32"]


def locked(values: Values, name: str) -> None:
    hashed = "$6$abcdefgh$yVfUwsw5T.JApa8POvClA1pQ5peiq97DUNyXCZN5IrF.BMSiaLkiQQQ7nq9ltvSTLo5LXQGkmWLHTQZ4YrhEo1"
    values[f"services/a/{name}"]["auth"] = {"users": {"ann": hashed}}


def another_mode(values: Values, name: str) -> None:
    values[f"services/a/{name}"] = {"mode": "tcp", "listen": 20_000 + int(name[1:])}


WAYS = [
    emptied, deleted, weights_0, maint, drained, ports, renumbered, led_nowhere, hosts, paths,
    denied, denied_by_halves, denied_to_ipv6, allowed_to_nobody, locked, another_mode,
]  # fmt: skip
Way = Callable[[Values, str], None]


@pytest.mark.parametrize("way", WAYS)
def test_most_servers_at_once_are_held_and_go_on_being_served(way: Way) -> None:
    values = fleet()
    scene = Scene(values)
    for number in range(30):
        way(values, f"s{number}")
    hold = scene.change(values, 1.0)
    assert hold is not None
    assert hold.lost == 90
    assert scene.reached == 90


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("apart", [0.03, 0.2, 40.0])
def test_many_small_removals_add_up(way: Way, apart: float) -> None:
    values = fleet(10)
    scene = Scene(values)
    held = []
    for number in range(10):
        way(values, f"s{number}")
        held.append(scene.change(values, number * apart) is not None)
    assert held == [False] * 5 + [True] * 5


@pytest.mark.parametrize("way", WAYS)
def test_a_service_that_is_changed_by_itself_is_not_held(way: Way) -> None:
    values = fleet(10)
    scene = Scene(values)
    way(values, "s3")
    assert scene.change(values, 1.0) is None


def test_two_transactions_15_ms_apart_are_one_removal() -> None:
    values = fleet()
    scene = Scene(values)
    for number in range(13):
        emptied(values, f"s{number}")
    assert scene.change(values, 1.0) is None
    for number in range(13, 26):
        emptied(values, f"s{number}")
    hold = scene.change(values, 1.015)
    assert hold is not None
    assert (hold.lost, hold.earlier, hold.total) == (39, 39, 90)
    assert "39 of 90 servers would go at once, after 39 that went shortly before" in str(hold)
    assert scene.reached == 51


def test_servers_that_are_exchanged_one_by_one_within_moments_are_all_untried() -> None:
    values = fleet(10)
    scene = Scene(values)
    now = 0.0
    for number in range(10):
        for server in values[f"endpoints/a/s{number}/main"]["servers"]:  # type: ignore[attr-defined]
            server["port"] = server["port"] % 45_000 + 20_000
            now += 0.03
            scene.change(values, now)
    assert scene.guard.baseline is not None


def test_a_fleet_that_shrinks_over_hours_is_not_held() -> None:
    values = fleet(10, 3)
    scene = Scene(values)
    for number in range(8):
        emptied(values, f"s{number}")
        assert scene.change(values, number * 400.0) is None


def test_a_hold_does_not_fall_because_time_passes() -> None:
    values = fleet(10)
    scene = Scene(values)
    for number in range(5):
        emptied(values, f"s{number}")
    assert scene.change(values, 0.0) is None
    for number in range(5, 10):
        emptied(values, f"s{number}")
        assert scene.change(values, 1.0) is not None
    assert scene.change(values, 100_000.0) is not None
    assert scene.reached == 15


def test_a_rolling_update_of_all_services_passes() -> None:
    values = fleet(4)
    scene = Scene(values)
    now, fresh = 0.0, 5000
    for turn in range(3):
        for number in range(4):
            listed = values[f"endpoints/a/s{number}/main"]["servers"]
            fresh += 1
            listed.append({"name": f"n{fresh}", "address": "127.0.0.1", "port": fresh})  # type: ignore[attr-defined]
            now += 2.0
            assert scene.change(values, now) is None, turn
            del listed[0]  # type: ignore[attr-defined]
            now += 2.0
            assert scene.change(values, now) is None, turn


def test_pods_that_kubernetes_says_are_ready_may_replace_all_others() -> None:
    values = fleet(10, 1)
    for name, value in values.items():
        if name.startswith("services/"):
            value["source"] = "k8s/prod"
    scene = Scene(values)
    for number in range(10):
        renumbered(values, f"s{number}")
    assert scene.change(values, 1.0) is None


def test_a_switch_to_a_group_that_stood_ready_passes() -> None:
    values = fleet(4)
    for number in range(4):
        values[f"endpoints/a/s{number}/green"] = servers(7001, 7002, 7003)
    scene = Scene(values)
    for number in range(4):
        values[f"routes/a/s{number}"] = {"groups": {"green": 1}}
    assert scene.change(values, 1.0) is None


def test_one_publisher_that_loses_its_cluster_is_held_however_few_its_servers_are() -> None:
    values = fleet(20)
    for number in range(4):
        values[f"services/a/s{number}"]["source"] = "k8s/small"
    scene = Scene(values)
    for number in range(4):
        emptied(values, f"s{number}")
    hold = scene.change(values, 1.0)
    assert hold is not None
    assert set(hold.losses) == {"a/s0", "a/s1", "a/s2", "a/s3"}


def test_while_a_removal_is_held_all_else_goes_on() -> None:
    values = fleet(10)
    scene = Scene(values)
    for number in range(6):
        deleted(values, f"s{number}")
    first = scene.change(values, 1.0)
    assert first is not None
    values["endpoints/a/s9/main"] = servers(9001, 9002)
    values["services/a/new"] = {"mode": "http", "hosts": ["new.example.com"]}
    second = scene.change(values, 2.0)
    assert second is not None
    assert second.id == first.id
    assert (
        scene.running["endpoints/a/s9/main"].record
        == entries_of(values)["endpoints/a/s9/main"].record
    )
    assert "services/a/new" in scene.running


def test_what_is_held_of_a_small_fleet_stops_no_deployment_once_it_has_grown() -> None:
    values = fleet(1, 2)
    scene = Scene(values)
    emptied(values, "s0")
    first = scene.change(values, 1.0)
    assert first is not None
    grown = {**fleet(20, 3), **values}
    assert scene.change(grown, 2.0) is not None
    emptied(grown, "s7")
    second = scene.change(grown, 3.0)
    assert second is not None
    assert set(second.losses) == {"a/s0"}


def test_of_a_held_service_only_the_removal_is_held() -> None:
    values = fleet(4)
    scene = Scene(values)
    for number in range(4):
        values[f"endpoints/a/s{number}/main"] = servers(1000 + number * 10)
    values["endpoints/a/s0/main"]["servers"].append(  # type: ignore[attr-defined]
        {"name": "new", "address": "127.0.0.1", "port": 4444}
    )
    values["services/a/s0"]["owner"] = "somebody"
    assert scene.change(values, 1.0) is not None
    found = scene.running["endpoints/a/s0/main"].record
    assert isinstance(found, EndpointsRecord)
    assert [server.port for server in found.servers] == [4444, 1000, 1001, 1002]
    service = scene.running["services/a/s0"].record
    assert isinstance(service, ServiceRecord)
    assert service.owner == "somebody"
    again = scene.running["endpoints/a/s0/main"]
    scene.change(copy.deepcopy(values), 2.0)
    assert scene.running["endpoints/a/s0/main"].record == again.record


def test_what_was_confirmed_is_no_part_of_a_later_removal() -> None:
    values = fleet(10)
    scene = Scene(values)
    for number in range(4):
        emptied(values, f"s{number}")
        scene.confirmed.add(f"a/s{number}")
    assert scene.change(values, 1.0) is None
    emptied(values, "s5")
    assert scene.change(values, 2.0) is None
    for number in range(4, 10):
        emptied(values, f"s{number}")
    hold = scene.change(values, 3.0)
    assert hold is not None
    assert "a/s0" not in hold.losses


def test_the_same_removal_has_the_same_id_on_every_host() -> None:
    ids = set()
    for order in (range(10), reversed(range(10))):
        values = fleet(10)
        scene = Scene(values)
        held = None
        for number in order:
            emptied(values, f"s{number}")
        held = scene.change(values, 5.0)
        assert held is not None
        ids.add(held.id)
    assert len(ids) == 1


def test_a_restart_does_not_begin_the_window_anew() -> None:
    values = fleet(10)
    scene = Scene(values)
    for number in range(4):
        emptied(values, f"s{number}")
    assert scene.change(values, 100.0) is None
    names = scene.guard.window.unsaved
    kept = {name: k for name in names if (k := scene.guard.window.saved(name)) is not None}
    for same_clock, now in ((True, 150.0), (False, 3.0)):
        later = Scene({})
        later.guard.window.restore(kept, now, same_clock=same_clock)
        later.guard.window.restore({"a/gone": SavedReach((), ())}, now, same_clock=not same_clock)
        later.running = scene.running
        later._serve(scene.running, now)
        more = copy.deepcopy(values)
        for number in range(4, 8):
            emptied(more, f"s{number}")
        hold = later.change(more, now + 1.0)
        assert hold is not None
        assert (hold.total, hold.earlier, hold.lost) == (30, 12, 12)
        later.guard.baseline = None
        later.guard.window.age(now + 2 * _WINDOW_S)
        assert later.guard.window.all.total == 18


_STEPS = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(WAYS), st.floats(0.01, 60.0)), max_size=30
)


@settings(deadline=None, max_examples=40)
@given(_STEPS, st.integers(0, 99))
def test_whatever_the_order_no_more_than_the_share_is_ever_lost(
    steps: list[tuple[int, Way, float]], percent: int
) -> None:
    values = fleet(8)
    scene = Scene(values, percent)
    now = 0.0
    for number, way, apart in steps:
        changed = copy.deepcopy(values)
        try:
            way(changed, f"s{number}")
        except (KeyError, TypeError):
            continue
        values = changed
        now += apart
        if now >= _WINDOW_S:
            break
        scene.change(_good(values), now)
        assert (24 - scene.reached) * 100 <= 24 * percent


def test_a_held_service_whose_keys_are_all_gone_leads_to_no_other_group() -> None:
    values = fleet(3)
    for number in range(3):
        values[f"endpoints/a/s{number}/green"] = servers(7000 + number)
    scene = Scene(values)
    before = places(scene.running)
    assert scene.change({}, 1.0) is not None
    assert places(scene.running) == before


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(sorted(fleet(3))), min_size=3))
def test_while_a_removal_is_held_no_server_gets_requests_that_nobody_gave_it(
    going: set[str],
) -> None:
    values = fleet(3)
    for number in range(3):
        values[f"endpoints/a/s{number}/green"] = servers(7000 + number)
    scene = Scene(values)
    before = places(scene.running)
    wanted = {name: value for name, value in values.items() if name not in going}
    scene.change(wanted, 1.0)
    assert places(scene.running) <= before | places(entries_of(wanted))


def _good(values: Mapping[str, dict[str, object]]) -> Values:
    """Leave out what no writer could write: ways that were combined may contradict each other."""
    found = {name: dict(value) for name, value in values.items()}
    for value in found.values():
        if value.get("mode") == "tcp":
            for field in ("hosts", "paths", "auth"):
                value.pop(field, None)
    return found


def test_a_writer_who_never_rests_does_not_fill_the_memory() -> None:
    values = fleet(1)
    scene = Scene(values)
    for turn in range(100):
        first = 1 + turn * 400
        values["services/a/s0"]["hosts"] = [f"h{first + n}.example.com" for n in range(400)]
        values["services/a/s0"]["deny"] = [f"192.0.{turn % 256}.{n}/32" for n in range(20)]
        values["endpoints/a/s0/main"] = servers(*range(first, first + 400))
        scene.change(values, turn * 0.4)
    (row,) = scene.guard.window.rows.values()
    assert sum(len(past.reach.ways) for past in row.past) <= 20_200
    assert sum(len(past.reach.ready) for past in row.past) <= 2 * 10_000
    assert max(len(past.reach.access) for past in row.past) <= 8


def test_what_was_reached_is_found_on_disk_by_the_next_agent(tmp_path: Path) -> None:
    values = fleet(10)
    # What a record holds is more than plain text: networks, and who wrote it.
    values["services/a/s0"] |= {"allow": ["10.0.0.0/8"], "source": "k8s/prod"}
    values["services/a/s4"] |= {"deny": ["192.0.2.7"], "source": "k8s/prod"}
    scene = Scene(values)
    for number in range(4):
        emptied(values, f"s{number}")
    ports(values, "s4")
    scene.change(values, boot.now())
    AcceptedStore(tmp_path / "accepted.db").remember(scene.guard.window)
    assert not scene.guard.window.unsaved
    later = Window(_WINDOW_S)
    AcceptedStore(tmp_path / "accepted.db").recall(later)
    assert later.all.total == 15
    assert later.rows["a/s4"].untried == scene.guard.window.rows["a/s4"].untried
    for name in ("a/s0", "a/s4"):
        found, told = later.rows[name].past[0].reach, scene.guard.window.rows[name].past[0].reach
        assert found.is_like(told)


def test_what_is_remembered_of_a_service_is_bounded_however_often_it_changes() -> None:
    """It is what an agent's memory grows by while a window fills; what it held before is gone with that."""
    window, assembler = Window(_WINDOW_S), Assembler()
    for number in range(1000):
        now = number * 5.0
        values = {"services/a/a": {"mode": "http"}, "endpoints/a/a/default": servers(8000 + number)}
        services = assembler.assemble(entries_of(values), number, ()).services
        window.wants(services, now)
        window.runs(services, now)
        window.age(now)
    past = window.rows["a/a"].past
    assert 10 < len(past) < 25
    assert min(each.until for each in past) > now
    newest = past[-1].reach
    assert len(newest.ready) < 20
    window.age(now + 2 * _WINDOW_S)
    assert not past
    (service,) = services
    found = reach(service)
    assert found.places is found.ready, "kept once where all servers take requests"
