"""Each kind of change, made in a running HAProxy and looked at afterwards."""

import http.client
import random
import socket
from collections.abc import Callable

import pytest

from harness.wait import wait_until
from harness.web import WebServer
from lbsync.agent.haproxycfg.server_options import takes_value
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.changes.server_words import for_add
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    DeleteServer,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
    Step,
)
from lbsync.agent.runtime.drift import Drift, compare, healing, note_verified
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import observe
from lbsync.agent.runtime.retired.servers import RetiredServers
from lbsync.clients.haproxy import answers, binary
from tests.raw_http import ScriptedServer
from tests.runtime_bed import Bed, Spot, World, changed, wanted_entries, wanted_servers

Beds = Callable[..., Bed]


def agrees(bed: Bed, world: World) -> None:
    """HAProxy runs just this world, besides servers on their way out."""
    assert compare(bed.running, observe(bed.worker, bed.running), bed.can) == []
    left = {f"{backend}/{name}" for backend, name in bed.running.leaving.names()}
    servers = {name: row for name, row in bed.servers().items() if name not in left}
    assert servers == wanted_servers(world)
    for path in bed.running.lookups:
        found, wanted = bed.entries(path), wanted_entries(world, path)
        assert (found if "wildcards" in path else sorted(found)) == (
            wanted if "wildcards" in path else sorted(wanted)
        )


def a_world() -> World:
    return World({"be_a": {"s1": Spot(more=" check"), "s2": Spot(weight=5)}, "be_b": {}})


@pytest.mark.parametrize("master", [False, True])
def test_every_kind_of_change_is_made_and_read_back(beds: Beds, master: bool) -> None:
    world = a_world()
    bed = beds(world, master=master)
    agrees(bed, world)
    new = world.copy()
    new.servers["be_a"] = {
        "s2": Spot("[::1]:81", weight=0),
        "s3": Spot("127.0.0.3:83", 256, more=" check inter 20s rise 3 fall 2 maxconn 9"),
        "s4": Spot("127.0.0.4:84", disabled=True, more=" check send-proxy-v2"),
        "s5": Spot("127.0.0.4:84", more=" ssl verify none sni str(a\\ b;c)"),
    }
    new.servers["be_b"] = {"s1": Spot("[2001:db8::1]:80", weight=3)}
    new.files |= {
        "maps/backends.map": "s/a be_b\ns/b with some words; and \\more\\\n",
        "maps/routes.map": "".join(f"h{number}.test s/{number}\n" for number in range(900)),
        "maps/wildcards.map": ".b.a.test *.b.a.test\n.a.test *.a.test\n.a.test again\n",
        "maps/denied.lst": "".join(f"10.0.{number}.0/24\n" for number in range(200)),
    }
    made = bed.apply(new)
    assert {type(step).__name__ for step in made.steps} >= {"AddServer", "ReplaceEntries"}
    agrees(bed, new)
    back = new.copy()
    back.servers["be_a"] = {"s1": Spot("127.0.0.7:77", weight=7, more=" check")}
    back.files |= {"maps/backends.map": "s/a be_a\n", "maps/wildcards.map": ""}
    back.files["maps/denied.lst"] = "10.0.9.0/24\n192.0.2.1\n"
    bed.apply(back)
    agrees(bed, back)
    assert RetiredServers(bed.worker, 30.0).reap(bed.running, 0.0).waiting == ()
    wait_until("the last to go", lambda: _tidied(bed))
    assert bed.servers() == wanted_servers(back)


def _tidied(bed: Bed) -> bool:
    RetiredServers(bed.worker, 30.0).reap(bed.running, 0.0)
    return not bed.running.leaving


@pytest.mark.parametrize("seed", range(4))
def test_any_changes_in_a_row_lead_to_what_a_fresh_start_would(beds: Beds, seed: int) -> None:
    dice = random.Random(seed)
    world = a_world()
    bed = beds(world, master=bool(seed % 2))
    removal = RetiredServers(bed.worker, 30.0)
    for turn in range(60):
        new = changed(dice, world, options=("", " check inter 20s", " maxconn 3"))
        made = bed.plan(new)
        if any("is new" in reason or "is gone" in reason for reason in made.reasons):
            continue  # a server of another kind under its old name
        bed.apply(new)
        world = new
        if turn % 7 == 0:
            removal.reap(bed.running, float(turn))
    agrees(bed, world)
    wait_until("all that were removed to go", lambda: _tidied(bed))
    fresh = beds(world)
    assert bed.servers() == fresh.servers()
    for path in bed.running.lookups:
        mine, other = bed.entries(path), fresh.entries(path)
        assert (mine if "wildcards" in path else sorted(mine)) == (
            other if "wildcards" in path else sorted(other)
        )


def test_from_any_half_done_plan_a_look_finds_the_way(beds: Beds) -> None:
    """As for an agent that was killed in the middle, and remembers only what it meant to touch."""
    dice = random.Random(7)
    world = a_world()
    bed = beds(world)
    for _ in range(25):
        new = world
        for _ in range(4):
            new = changed(dice, new)
        made = bed.plan(new)
        assert made.reasons == ()
        bed.executor.run_steps(made.steps[: dice.randrange(len(made.steps) + 1)])
        bed.running = RuntimeConfig(bed.config(new), new.data())
        bed.running.touch(made.steps)
        found = compare(bed.running, observe(bed.worker, bed.running), bed.can)
        assert not any(one.by_hand for one in found)
        _heal(bed, healing(found))
        agrees(bed, new)
        wait_until("all that were removed to go", lambda: _tidied(bed))  # a check may be under way
        world = new


def test_what_is_refused_stops_the_plan_and_names_the_step(beds: Beds) -> None:
    bed = beds(a_world())
    refused: list[tuple[Step, str]] = [
        (SetWeight("be_a", "nobody", 1), "No such server"),
        (SetAddress("be_a", "s1", "not.an.address", 1), "Invalid addr"),
        (SetWeight("be_a", "s1", 257), "Absolute weight"),
        (DeleteServer("be_x", "s1"), "No such backend"),
        (AddEntry("map", "maps/none.map", "a", "b"), "Unknown map"),
        (AddEntry("acl", "maps/denied.lst", "no address", ""), "is not a valid IP"),
    ]
    for step, words in refused:
        with pytest.raises(Deviated) as raised:
            bed.executor.run_steps([SetState("be_a", "s2", "ready"), step])
        assert raised.value.step == step
        assert words in raised.value.reply


def test_a_stage_that_fails_is_the_last(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    new = world.copy()
    new.servers["be_a"] = {"s3": Spot()}
    made = bed.plan(new)
    bed.ask("add server be_a/s3 127.0.0.1:1")
    with pytest.raises(Deviated, match="Already exists"):
        bed.executor.run(made)
    assert bed.servers()["be_a/s1"] == ("127.0.0.1", 9, 1, 0), "it was not drained"


def test_a_balancer_that_is_gone_is_a_deviation_too(beds: Beds) -> None:
    bed = beds(a_world())
    bed.stop()
    with pytest.raises(Deviated):
        bed.executor.run_steps([SetWeight("be_a", "s1", 1)])


def test_a_server_with_a_connection_stays_until_it_ends_or_its_time_is_up(beds: Beds) -> None:
    with WebServer("slow") as web:
        world = World({"be_a": {"s1": Spot(web.address), "s2": Spot(web.address)}, "be_b": {}})
        bed = beds(world)
        new = world.copy()
        bed.executor.run_steps([SetState("be_a", "s2", "maint")])
        web.is_holding = True
        client = http.client.HTTPConnection("127.0.0.1", bed.place.port, timeout=60)
        client.request("GET", "/", headers={"Host": "a.test"})
        wait_until("the request", lambda: web.requests["/"])
        new.servers["be_a"] = {"s2": Spot(web.address)}
        bed.apply(new)
        removal = RetiredServers(bed.worker, 30.0)
        assert removal.reap(bed.running, 0.0).waiting == (("be_a", "s1"),)
        late = removal.reap(bed.running, 30.0)
        assert late.refused and "still has connections" in late.refused[0][1]
        web.release()
        assert client.getresponse().read() == b"slow", "maintenance lets a request end"
        client.close()
        wait_until("the server to go", lambda: removal.reap(bed.running, 31.0).deleted)
        assert "be_a/s1" not in bed.servers()


def test_an_added_server_serves_at_once_and_is_checked_as_its_backend_says(beds: Beds) -> None:
    with WebServer("new") as web:
        world = World({"be_a": {}, "be_b": {}})
        world.balance["be_a"] = "leastconn\n    option httpchk GET /health"
        bed = beds(world)
        new = world.copy()
        new.servers["be_a"]["s1"] = Spot(web.address, more=" check inter 50ms fall 1 rise 1")
        bed.apply(new)
        client = http.client.HTTPConnection("127.0.0.1", bed.place.port, timeout=60)
        client.request("GET", "/", headers={"Host": "a.test"})
        assert client.getresponse().read() == b"new"
        client.close()
        wait_until("a check", lambda: web.requests["/health"])
        web.health = 500
        wait_until(
            "it to be down", lambda: observe(bed.worker, bed.running).servers[0].op_state == 0
        )
        web.health = 200
        wait_until("it to be up", lambda: observe(bed.worker, bed.running).servers[0].op_state == 2)


WORDS = {
    (2, 6): ["source 127.0.0.1", "source 127.0.0.1 usesrc clientip", "observe layer4 check"],
    (2, 8): ["shard 1", "cookie x"],
    (3, 0): [
        *("guid a:b", "hash-key id", "pool-conn-name src", "ssl verify none curves X25519"),
        "ssl verify none sigalgs RSA-PSS+SHA256 client-sigalgs RSA-PSS+SHA256",
        "send-proxy-v2 set-proxy-v2-tlv-fmt(0x20) %[src] set-proxy-v2-tlv-fmt(0x21) %[dst]",
    ],
    (3, 2): [
        *("check inter 60s init-state down", "idle-ping 1s", "maxconn 2 strict-maxconn"),
        "check check-reuse-pool check-pool-conn-name x",
    ],
    (3, 4): ["ssl verify none renegotiate no-sni-auto", "check ssl verify none no-check-sni-auto"],
}


def test_every_word_that_haproxy_takes_for_a_new_server_needs_no_reload(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    for since, lines in WORDS.items():
        for number, words in enumerate(lines if bed.version >= since else []):
            name = f"n{since[0]}{since[1]}{number}"
            world.servers["be_b"][name] = Spot("127.0.0.1:9", more=f" {words}")
    made = bed.apply(world)
    assert len(made.steps) == len(world.servers["be_b"])
    agrees(bed, world)
    for row in answers.parse_servers(bed.worker.servers_state()):
        if "init-state down" in world.servers[row.backend][row.name].more:
            assert row.op_state == answers.OP_STOPPED, "down until its first good check"
    bed.write(world)
    assert not binary.begin_check(bed.program, bed.haproxy.config).verdict(10).alerts
    listed = bed.ask("add server help").split("\n")[1:]
    experimental, behind_another = "ktls", "usesrc"
    for word in {*filter(None, listed)} - {experimental, behind_another}:
        option = (word, "x") if takes_value(word) else (word,)
        option = ("set-proxy-v2-tlv-fmt(1)", "x") if word.startswith("set-proxy") else option
        assert for_add((), option, bed.can, frozenset("x")) or word.startswith("no-"), word


def test_a_name_that_comes_back_while_it_leaves_serves_again(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    without = world.copy()
    del without.servers["be_a"]["s1"]
    bed.apply(without)
    back = without.copy()
    back.servers["be_a"]["s1"] = Spot("127.0.0.5:55", weight=2, more=" check")
    bed.apply(back)
    agrees(bed, back)
    bed.apply(without)
    other = without.copy()
    other.servers["be_a"]["s1"] = Spot("127.0.0.5:55", weight=2)
    bed.apply(other)
    agrees(bed, other)


def test_after_a_restart_of_the_agent_leaving_servers_are_known_again(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    new = world.copy()
    del new.servers["be_a"]["s1"]
    bed.apply(new)
    bed.running = RuntimeConfig(bed.config(new), new.data())
    todo = healing(compare(bed.running, observe(bed.worker, bed.running), bed.can))
    assert todo.steps == (RetireServer("be_a", "s1"),)
    bed.executor.run(todo)
    bed.running.adopt_steps(todo.steps)
    agrees(bed, new)
    wait_until("it to go", lambda: _tidied(bed))


def test_a_server_that_is_out_takes_nothing_on_its_way_out(beds: Beds) -> None:
    """`drain` would end the maintenance, and let those with its cookie in again."""
    bed = beds(a_world())
    bed.ask("set server be_a/s1 state maint")
    bed.executor.run_steps([RetireServer("be_a", "s1")])
    assert bed.servers()["be_a/s1"][2:] == (0, 1)


def test_servers_that_other_lines_name_stay_out(beds: Beds, program: str) -> None:
    world = a_world()
    world.servers["be_a"]["s2"] = Spot("127.0.0.2:80", more=" track be_a/s1")
    bed = beds(world)
    bed.executor.run_steps([RetireServer("be_a", "s1")])
    bed.running.adopt_steps([RetireServer("be_a", "s1")])
    removal = RetiredServers(bed.worker, 30.0)
    assert removal.reap(bed.running, 0.0).stuck == (("be_a", "s1"),)
    assert bed.servers()["be_a/s1"][3] & 1, "it is in maintenance"


def test_drift_is_healed_and_what_a_person_set_is_kept(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    for command in (
        "set server be_a/s1 addr 127.0.0.9 port 99",
        "set server be_a/s1 weight 9",
        "set server be_a/s2 state drain",
        "add server be_b/strange 127.0.0.1:1",
        "add map maps/routes.map strange here",
        "del map maps/backends.map s/a",
        "clear map maps/wildcards.map",
        "add acl maps/denied.lst 10.0.0.1",
    ):
        bed.ask(command)
    found = compare(bed.running, observe(bed.worker, bed.running, contents=()), bed.can)
    assert {str(one.mismatch) for one in found if one.by_hand} == {
        "be_a/s1: weight is 9, wanted 1",
        "be_a/s2: state is drain, wanted up",
    }
    _heal(bed, healing(found))
    found = compare(bed.running, observe(bed.worker, bed.running), bed.can)
    assert len(found) == 2 and all(one.by_hand for one in found)
    note_verified(bed.running, found)
    _heal(bed, healing(found, release=True))
    assert _tidied(bed)
    agrees(bed, world)


def _heal(bed: Bed, made: Plan) -> None:
    assert made.reasons == ()
    bed.executor.run(made)
    bed.running.adopt_steps(made.steps)


def test_a_lost_server_comes_back_by_itself(beds: Beds) -> None:
    world = a_world()
    bed = beds(world)
    bed.ask("set server be_a/s1 state maint")
    bed.ask("del server be_a/s1")
    found = compare(bed.running, observe(bed.worker, bed.running), bed.can)
    _heal(bed, healing(found))
    agrees(bed, world)


@pytest.mark.parametrize(
    ("cookie", "command"),
    [
        ("cookie S insert dynamic", "disable dynamic-cookie backend be_a"),
        ("cookie S insert", "enable dynamic-cookie backend be_a"),
    ],
)
def test_cookies_that_haproxy_computes_stay_as_written(
    beds: Beds, cookie: str, command: str
) -> None:
    world = World({"be_a": {"s1": Spot(), "s2": Spot("127.0.0.1:10")}, "be_b": {}})
    world.balance["be_a"] = f"roundrobin\n    {cookie}\n    dynamic-cookie-key secret"
    bed = beds(world)
    assert seen(bed) == []
    bed.ask(command)
    (found,) = seen(bed)
    assert found.mismatch.field == "dynamic cookies"
    _heal(bed, healing([found]))
    assert seen(bed) == []


@pytest.mark.parametrize(
    ("words", "limit"), [("", 5), (" maxconn 7", 0), (" maxconn 3 minconn 4", 5), (" minconn 4", 1)]
)
def test_the_limit_of_a_server_stays_as_written(beds: Beds, words: str, limit: int) -> None:
    bed = beds(World({"be_a": {"s1": Spot(more=words)}, "be_b": {}}))
    assert seen(bed) == []
    bed.ask(f"set maxconn server be_a/s1 {limit}")
    (found,) = seen(bed)
    assert found.mismatch.field == "maxconn"
    _heal(bed, healing([found]))
    assert seen(bed) == []


def seen(bed: Bed) -> list[Drift]:
    return compare(bed.running, observe(bed.worker, bed.running), bed.can)


def test_a_name_comes_back_as_another_server_although_idle_connections_are_left(
    beds: Beds,
) -> None:
    """They end with the maintenance, a moment later than 2.8 and 3.4 answer."""
    server = ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    try:
        world = World({"be_a": {"s1": Spot(f"127.0.0.1:{server.port}")}, "be_b": {}})
        bed = beds(world)
        for number in range(10):
            with socket.create_connection(("127.0.0.1", bed.place.port), 30) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                assert client.recv(999).endswith(b"ok")
            without = world.copy()
            del without.servers["be_a"]["s1"]
            bed.apply(without)
            world = without.copy()
            more = f" maxconn {number + 5}"
            world.servers["be_a"]["s1"] = Spot(f"127.0.0.1:{server.port}", more=more)
            made = bed.apply(world)
            assert DeleteServer("be_a", "s1") in made.steps
            agrees(bed, world)
    finally:
        server.stop()
