"""Whole backends that come and go while HAProxy runs, where it can do that (3.4)."""

import http.client
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from harness.haproxy import binaries, branches
from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.agent.runtime.changes.steps import AddBackend, AddServer, PublishBackend, RetireBackend
from lbsync.agent.runtime.drift import Drift, compare, healing
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import observe
from lbsync.agent.runtime.retired.backends import RetiredBackends
from lbsync.agent.runtime.retired.servers import RetiredServers
from tests.runtime_bed import Bed, Spot, World, changed, wanted_entries, wanted_servers

Beds = Callable[..., Bed]
SETTINGS = """\
    mode http
    timeout connect 1s
    timeout server 10s
"""


ABLE = [branch for branch in branches() if tuple(map(int, branch.split("."))) >= (3, 4)]


@pytest.fixture(params=ABLE or ["3.4"])
def program(request: pytest.FixtureRequest) -> str:
    """Only what can do it; the others are told apart in the unit tests of the plan."""
    found = binaries().get(request.param)
    if found is None:
        pytest.skip("no HAProxy here makes backends while it runs")
    return found


@pytest.fixture
def able(beds: Beds) -> Beds:
    """Start HAProxies that say they can do it."""

    def start(world: World, **options: bool) -> Bed:
        bed = beds(world, **options)
        assert bed.can.backends
        return bed

    return start


def a_world(web: str = "127.0.0.1:9") -> World:
    world = World({"be_a": {"s1": Spot(web)}, "be_b": {}, "be_old": {"s1": Spot(web)}})
    world.defaults = {
        "p_1": SETTINGS,
        "p_2": f"{SETTINGS}    balance leastconn\n    option httpchk GET /health\n",
    }
    world.stands = {"be_old": "p_1"}
    route(world, "old", "be_old")
    return world


def route(world: World, name: str, backend: str) -> None:
    world.files["maps/routes.map"] += f"{name}.test s/{name}\n"
    world.files["maps/backends.map"] += f"s/{name} {backend}\n"


def with_service(world: World, name: str, *spots: Spot, defaults: str = "p_1") -> World:
    new = world.copy()
    new.servers[f"be_{name}"] = {f"s{number}": spot for number, spot in enumerate(spots)}
    new.stands[f"be_{name}"] = defaults
    route(new, name, f"be_{name}")
    return new


def without_service(world: World, name: str) -> World:
    new = world.copy()
    del new.servers[f"be_{name}"], new.stands[f"be_{name}"]
    for path in ("maps/routes.map", "maps/backends.map"):
        lines = new.files[path].splitlines(keepends=True)
        new.files[path] = "".join(line for line in lines if f"s/{name} " not in f"{line.strip()} ")
    return new


def ask(bed: Bed, name: str, timeout: float = 30) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", bed.place.port, timeout=timeout)
    client.request("GET", "/", headers={"Host": f"{name}.test"})
    answer = client.getresponse()
    found = answer.status, answer.read()
    client.close()
    return found


def seen(bed: Bed) -> list[Drift]:
    return compare(bed.running, observe(bed.worker, bed.running, backends=True), bed.can)


def reaped(bed: Bed, limit_s: float = 30.0, now: float = 0.0) -> bool:
    RetiredServers(bed.worker, limit_s).reap(bed.running, now)
    return not RetiredBackends(bed.worker, limit_s).reap(bed.running, now)


def heal(bed: Bed, *, release: bool = False) -> None:
    made = healing(seen(bed), release=release)
    assert made.reasons == ()
    bed.executor.run(made)
    bed.running.adopt_steps(made.steps)


def agrees(bed: Bed, world: World) -> None:
    """HAProxy runs just this world, and what was retired is gone from it."""
    assert seen(bed) == []
    wait_until("all that was retired to go", lambda: reaped(bed))
    assert bed.servers() == wanted_servers(world)
    assert set(bed.ask("show backend").split()[2:]) == set(world.servers)
    for path in bed.running.lookups:
        found, wanted = bed.entries(path), wanted_entries(world, path)
        ordered = "wildcards" in path
        assert (found if ordered else sorted(found)) == (wanted if ordered else sorted(wanted))


@pytest.mark.parametrize("master", [False, True])
def test_a_service_comes_and_goes_without_a_reload(able: Beds, master: bool) -> None:
    with WebServer("new") as web:
        world = a_world()
        bed = able(world, master=master)
        assert ask(bed, "new")[0] == 503, "be_a, the last resort here, has no server that answers"
        more = Spot(web.address, more=" check inter 100ms maxconn 9")
        new = with_service(world, "new", more, Spot(web.address), defaults="p_2")
        made = bed.apply(new)
        assert [type(step) for step in made.steps[:4]] == [
            AddBackend, AddServer, AddServer, PublishBackend,
        ]  # fmt: skip
        assert ask(bed, "new") == (200, b"new")
        wait_until("its checks, as its settings say", lambda: web.requests["/health"])
        agrees(bed, new)
        made = bed.apply(world)
        assert made.steps[-1] == RetireBackend("be_new")
        assert ask(bed, "new")[0] == 503
        agrees(bed, world)
        again = with_service(world, "new", Spot(web.address))
        bed.apply(again)
        agrees(bed, again)
        assert ask(bed, "new") == (200, b"new"), "other settings than before, once it was gone"


def test_a_service_of_the_file_goes_and_comes_back(able: Beds) -> None:
    with WebServer("old") as web:
        world = a_world(web.address)
        bed = able(world)
        assert ask(bed, "old") == (200, b"old")
        gone = without_service(world, "old")
        bed.apply(gone)
        agrees(bed, gone)
        bed.apply(world)
        agrees(bed, world)
        assert ask(bed, "old") == (200, b"old")
        changed_world = world.copy()
        changed_world.servers["be_old"] = {"s2": Spot(web.address, weight=7)}
        bed.apply(changed_world)
        agrees(bed, changed_world)


def test_the_last_service_of_its_settings_goes_and_comes_back(able: Beds) -> None:
    world = with_service(a_world(), "two", Spot(), defaults="p_2")
    bed = able(world)
    gone = without_service(world, "two")
    del gone.defaults["p_2"]
    bed.apply(gone)
    agrees(bed, gone)
    bed.apply(world)
    agrees(bed, world)
    other = world.copy()
    other.defaults["p_2"] += "    retries 9\n"
    assert "defaults p_2" in bed.plan(other).reasons[0]


def test_a_service_that_comes_back_while_it_goes_is_served_on(able: Beds) -> None:
    with WebServer("slow") as web:
        world = a_world(web.address)
        world.servers["be_old"]["s2"] = Spot(web.address)
        bed = able(world)
        web.is_holding = True
        client = http.client.HTTPConnection("127.0.0.1", bed.place.port, timeout=60)
        client.request("GET", "/", headers={"Host": "old.test"})
        wait_until("the request", lambda: web.requests["/"])
        web.is_holding = False
        bed.apply(without_service(world, "old"))
        assert not reaped(bed), "a request is under way"
        assert seen(bed) == []
        back = world.copy()
        back.servers["be_old"] = {"s1": Spot(web.address, weight=3), "s3": Spot(web.address)}
        bed.apply(back)
        assert ask(bed, "old") == (200, b"slow")
        web.release()
        assert client.getresponse().read() == b"slow"
        client.close()
        agrees(bed, back)


def test_health_checks_of_a_service_that_goes_and_comes_back_name_its_host(able: Beds) -> None:
    """The host of its checks stands in a map, which has no line for it while it goes."""
    listens = socket.create_server(("127.0.0.1", free_port()))
    with WebServer("web") as web, WebServer("other") as other, listens as listening:
        web.health_host = "old.internal"
        world = a_world(f"127.0.0.1:{listening.getsockname()[1]}")
        watched = Spot(other.address, more=" check inter 20ms")
        world = with_service(world, "other", watched, defaults="p_2")
        world.defaults["p_1"] += (
            "    option httpchk\n    http-check send meth GET uri /health ver HTTP/1.1 "
            "hdr host %[be_name,map(maps/check_hosts.map,localhost)]\n"
        )
        checked = Spot(web.address, more=" check inter 20ms fall 1 rise 200")
        world.servers["be_old"]["s2"] = msgspec.structs.replace(checked, weight=0)
        world.files["maps/check_hosts.map"] = "be_old old.internal\n"
        bed = able(world)
        client, server = tunnel(bed, listening)
        with client, server:
            wait_until("a good check", lambda: web.requests["/health"])
            gone = without_service(world, "old")
            gone.files["maps/check_hosts.map"] = ""
            bed.apply(gone)
            assert not reaped(bed), "a tunnel is open"
            seen_before = other.requests["/health"]
            wait_until("some checks' time", lambda: other.requests["/health"] > seen_before + 5)
            back = world.copy()
            del back.servers["be_old"]["s1"]
            back.servers["be_old"]["s2"] = checked
            bed.apply(back)
            assert ask(bed, "old") == (200, b"web")
            assert seen(bed) == []
            checks = web.requests["/health"]
            wait_until("checks to go on", lambda: web.requests["/health"] > checks + 2)
            assert ask(bed, "old") == (200, b"web")


def test_other_settings_wait_for_a_reload_while_the_one_before_goes(able: Beds) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        world = a_world(f"127.0.0.1:{listening.getsockname()[1]}")
        bed = able(world)
        client, server = tunnel(bed, listening)
        with client, server:
            bed.apply(without_service(world, "old"))
            assert not reaped(bed)
            other = world.copy()
            other.stands["be_old"] = "p_2"
            (reason,) = bed.plan(other).reasons
            assert "be_old" in reason and "its settings changed" in reason
            assert "'balance leastconn' is new" in reason


def test_a_websocket_outlives_its_service(able: Beds) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        world = a_world(f"127.0.0.1:{listening.getsockname()[1]}")
        bed = able(world)
        client, server = tunnel(bed, listening)
        with client, server:
            bed.apply(without_service(world, "old"))
            assert not reaped(bed)
            assert not reaped(bed, 0.0, 1.0), "its time is up, but it is not cut"
            client.sendall(b"ping")
            assert server.recv(9) == b"ping"
            assert "still on its way out" in bed.plan(world).reasons[0]
        wait_until("it to go", lambda: reaped(bed, 0.0, 2.0))
        agrees(bed, without_service(world, "old"))


def tunnel(bed: Bed, listening: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(("127.0.0.1", bed.place.port), 30)
    listening.settimeout(30)
    upgrade = b"Connection: upgrade\r\nUpgrade: tunnel\r\n\r\n"
    client.sendall(b"GET / HTTP/1.1\r\nHost: old.test\r\n" + upgrade)
    server, _ = listening.accept()
    server.recv(4096)
    server.sendall(b"HTTP/1.1 101 Switching\r\n" + upgrade)
    assert b"101" in client.recv(4096)
    return client, server


def test_no_request_is_lost_while_services_come_and_go(able: Beds) -> None:
    with WebServer("web") as web:
        world = a_world(web.address)
        bed = able(world)
        answers: Counter[object] = Counter()
        ended = threading.Event()

        def request() -> None:
            while not ended.is_set():
                try:
                    answers[ask(bed, "old")[0]] += 1
                except OSError as error:
                    answers[repr(error)] += 1

        threads = [threading.Thread(target=request) for _ in range(3)]
        for thread in threads:
            thread.start()
        now = world
        for turn in range(100):
            name = f"n{turn % 7}"
            present = f"be_{name}" in now.servers
            now = (
                without_service(now, name)
                if present
                else with_service(now, name, Spot(web.address))
            )
            if bed.plan(now).reasons:
                wait_until("the one before to go", lambda: reaped(bed))
            bed.apply(now)
            if not present:
                assert ask(bed, name) == (200, b"web"), "served from the first request on"
            reaped(bed)
        ended.set()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}
        agrees(bed, now)


@pytest.mark.parametrize("seed", range(3))
def test_any_services_in_a_row_lead_to_what_a_fresh_start_would(able: Beds, seed: int) -> None:
    dice = random.Random(seed)
    world = a_world()
    bed = able(world, master=bool(seed % 2))
    for turn in range(60):
        name = f"n{dice.randrange(5)}"
        if dice.random() < 0.5:
            new = changed(dice, world, options=("", " check inter 20s", " maxconn 3"))
        elif f"be_{name}" in world.servers:
            new = without_service(world, name)
        else:
            spots = [Spot(f"127.0.0.{n}:{turn + 1}") for n in range(1, dice.randrange(1, 4))]
            new = with_service(world, name, *spots, defaults=dice.choice(("p_1", "p_2")))
        if bed.plan(new).reasons:
            continue  # of that name, something else is still on its way out
        bed.apply(new)
        world = new
        if turn % 5 == 0:
            reaped(bed)
    agrees(bed, world)
    fresh = able(world)
    assert bed.servers() == fresh.servers()
    assert sorted(bed.ask("show backend").split()) == sorted(fresh.ask("show backend").split())


def test_from_any_half_done_plan_a_look_finds_the_way_back_and_forth(able: Beds) -> None:
    """As for an agent that was killed between two steps: the file is that of before, or that of after."""
    dice = random.Random(5)
    world = a_world()
    bed = able(world)
    for turn in range(16):
        new = changed(dice, world)
        for name in dice.sample(["n0", "n1", "n2", "old"], 2):
            gone = f"be_{name}" in new.servers
            new = without_service(new, name) if gone else with_service(new, name, Spot(), Spot())
        made = bed.plan(new)
        assert made.reasons == ()
        bed.executor.run_steps(made.steps[: dice.randrange(len(made.steps) + 1)])
        live = new if turn % 2 else world
        bed.running = RuntimeConfig(bed.config(live), live.data())
        bed.running.touch(made.steps)
        found = seen(bed)
        assert not any(one.by_hand for one in found)
        heal(bed)
        agrees(bed, live)
        world = live


def test_backends_made_and_taken_out_by_hand_are_put_right(able: Beds) -> None:
    world = with_service(a_world(), "two", Spot(), Spot(weight=3), defaults="p_2")
    bed = able(world)
    for line in (
        "add backend strange from p_1",
        "add server strange/s1 127.0.0.1:1",
        "publish backend strange",
        "unpublish backend be_old",
        "unpublish backend be_two",
        "set server be_two/s0 state maint",
        "set server be_two/s1 state maint",
        "del server be_two/s0",
        "del server be_two/s1",
        "del backend be_two",
    ):
        bed.ask(line)
    assert {str(one) for one in seen(bed)} == {
        "strange: backend is present, wanted absent",
        "be_old: backend is unpublished, wanted published",
        "be_two: backend is absent, wanted present",
    }
    heal(bed)
    agrees(bed, world)


def test_what_goes_and_is_published_by_hand_goes_on(able: Beds) -> None:
    bed = able(a_world())
    gone = without_service(a_world(), "old")
    bed.apply(gone)
    bed.ask("publish backend be_old")
    assert [str(one) for one in seen(bed)] == ["be_old: backend is published, wanted unpublished"]
    heal(bed)
    agrees(bed, gone)


def test_a_backend_that_haproxy_keeps_is_left_to_the_next_reload(
    able: Beds, capsys: pytest.CaptureFixture[str]
) -> None:
    world = a_world()
    world.tls = "\n    default_backend be_old"
    bed = able(world)
    bed.executor.run_steps([RetireBackend("be_old")])
    bed.running.adopt_removal("be_old", [RetireBackend("be_old")])
    wait_until("it to be given up", lambda: reaped(bed))
    assert "stays until the next reload" in capsys.readouterr().out
    assert "be_old" in bed.ask("show backend")
    assert [str(one) for one in seen(bed) if one.mismatch.field == "backend"] == []
    assert reaped(bed), "it is not tried again and again"


def test_what_is_refused_stops_the_plan(able: Beds) -> None:
    world = a_world()
    bed = able(world)
    new = with_service(world, "new", Spot())
    made = bed.plan(new)
    bed.ask("add backend be_new from p_2")
    with pytest.raises(Deviated, match="already used"):
        bed.executor.run(made)
    assert ("s/new", "be_new") not in bed.entries("maps/backends.map"), "nothing leads there"


def test_where_the_file_alone_can_make_it_there_is_a_reason(able: Beds) -> None:
    bed = able(a_world())
    new = with_service(a_world(), "new", Spot(), defaults="p_3")
    new.defaults["p_3"] = f"{SETTINGS}    retries 7\n"
    (reason,) = bed.plan(new).reasons
    assert "be_new" in reason and "its settings are new to HAProxy (defaults p_3, line" in reason
