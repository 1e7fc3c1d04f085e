"""Any two small configurations: the steps lead from one to the other, or a reload is asked for."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan
from lbsync.clients.haproxy.capabilities import of_release
from tests.runtime_bed import NOWHERE, Spot, World
from tests.runtime_model import Simulated

VERSIONS = [(2, 6, 12), (2, 8, 25), (3, 0, 11), (3, 2, 26), (3, 4, 7)]
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"

spots = st.builds(
    Spot,
    address=st.sampled_from(
        ["127.0.0.1:9", "127.0.0.2:9", "[::1]:80", "127.0.0.9:9", "app.test:80"]
    ),
    weight=st.sampled_from([0, 1, 256]),
    disabled=st.booleans(),
    more=st.sampled_from(["", "", "", " check", " check inter 2s", " inter 2s check", " cookie x"]),
)
servers = st.dictionaries(st.sampled_from(["s1", "s2", "s3"]), spots, max_size=3)
keys = st.sampled_from(["k1", "k2", "k3", "k4"])
pairs = st.lists(st.tuples(keys, st.sampled_from(["be_a", "be_b", "x y"])), max_size=5)
names = st.lists(st.sampled_from(["b", "c", "d"]), unique=True)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World({"be_a": draw(servers), "be_b": draw(servers)})
    world.balance["be_a"] = draw(st.sampled_from(["roundrobin", "roundrobin", "first", "source"]))
    for path in ("maps/backends.map", "maps/routes.map", "maps/wildcards.map"):
        rows = draw(pairs)
        if draw(st.booleans()):
            rows = list(dict(rows).items())
        world.files[path] = "".join(f"{key} {value}\n" for key, value in rows)
    world.files["maps/denied.lst"] = "".join(f"{key}\n" for key in draw(st.lists(keys)))
    listed = draw(names)
    world.files |= {f"certs/{n}.pem": PEM.format(draw(st.sampled_from("xyz"))) for n in "abcd"}
    for name in draw(names):
        if name not in listed:
            world.files.pop(f"certs/{name}.pem")
    world.files["certs.list"] = "".join(f"certs/{name}.pem\n" for name in ["a", *listed])
    world.tls = " ssl crt-list certs.list"
    return world


@st.composite
def pairs_of_worlds(draw: st.DrawFn) -> tuple[World, World]:
    """Two worlds that have much in common, as two configurations in a row have."""
    old, new = draw(worlds()), draw(worlds())
    for backend in old.servers:
        if draw(st.booleans()):
            new.servers[backend] = old.servers[backend]
        # Reloads are right, but not what this is about: most servers keep their options.
        for name, spot in new.servers[backend].items():
            known = old.servers[backend].get(name)
            if known is not None and draw(st.integers(0, 9)):
                new.servers[backend][name] = msgspec.structs.replace(spot, more=known.more)
    if draw(st.integers(0, 9)):
        new.balance = old.balance
    if draw(st.integers(0, 19)) == 19:
        new.servers["be_c"] = {}
    certificates = [path for path in old.files if path.startswith("certs")]
    for path in [p for p in old.files if p.startswith("maps/")] + [certificates[0]]:
        if draw(st.booleans()):
            for each in certificates if path in certificates else [path]:
                new.files[each] = old.files[each]
    return old, new


def parsed(world: World, parser: Parser | None = None) -> Config:
    return (parser or Parser()).parse(world.text(NOWHERE))


@settings(max_examples=400)
@given(both=pairs_of_worlds(), version=st.sampled_from(VERSIONS))
def test_the_steps_lead_to_what_is_wanted(
    both: tuple[World, World], version: tuple[int, int, int]
) -> None:
    old, new = both
    was, wanted = parsed(old), parsed(new)
    running = RuntimeConfig(was, old.data())
    made = plan(running, wanted, new.data(), of_release(version))
    haproxy = Simulated(was, old.data())
    haproxy.run(made.steps, new.data())
    if made.reload:
        assert all(reason for reason in made.reasons)
        return
    assert haproxy.view() == Simulated(wanted, new.data()).view()
    running.adopt(wanted, new.data(), made.steps)
    again = plan(running, wanted, new.data(), of_release(version))
    assert again.empty, "what was done need not be done again"
    left = set(running.leaving.names())
    assert left == set(haproxy.leaving)


@settings(max_examples=100)
@given(world=worlds())
def test_nothing_is_to_be_done_for_what_runs_already(world: World) -> None:
    running = RuntimeConfig(parsed(world), world.data())
    text = world.text(NOWHERE, digest="two")
    head, *backends = text.split("\nbackend ")
    shuffled = head + "# a comment\n\n" + "".join(f"\nbackend {b}\n" for b in reversed(backends))
    wanted = Parser().parse(shuffled)
    assert plan(running, wanted, world.data(), of_release((2, 6, 0))).empty


@settings(max_examples=150)
@given(both=pairs_of_worlds())
def test_wherever_a_plan_is_cut_off_no_route_leads_nowhere(both: tuple[World, World]) -> None:
    """Each key that routes.map leads to is in backends.map, before, in between and after."""
    old, new = both
    for world in both:
        known = dict.fromkeys(world.files["maps/routes.map"].split())
        rows = [line.split(" ", 1) for line in world.files["maps/backends.map"].splitlines()]
        world.files["maps/backends.map"] = "".join(f"{k} {v}\n" for k, v in dict(rows).items())
        have = dict(rows)
        world.files["maps/routes.map"] = "".join(f"{k} {k}\n" for k in known if k in have)
    was, wanted = parsed(old), parsed(new)
    made = plan(RuntimeConfig(was, old.data()), wanted, new.data(), of_release((2, 8, 0)))
    if made.reload:
        return
    haproxy = Simulated(was, old.data())
    for step in made.steps:
        haproxy.run([step], new.data())
        held = dict(haproxy.entries["maps/backends.map"])
        assert all(value in held for _, value in haproxy.entries["maps/routes.map"]), step
