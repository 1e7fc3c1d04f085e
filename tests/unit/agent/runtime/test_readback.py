"""Comparing what runs with what was wanted."""

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.readback import differences, entries
from lbsync.clients.haproxy.answers import MapState, ServerState

TEXT = """\
defaults
    default-server weight 40
backend be_a
    server s1 10.0.0.1:80
    server s2 10.0.0.2:80 weight 5 disabled
    server s3 0::0:1:80
    server s4 app.example:80
defaults other
backend be_b from other
    server s1 /run/app.sock
"""
RUNNING = [
    ServerState("be_a", "s1", "10.0.0.1", 80, 2, 0, 40),
    ServerState("be_a", "s2", "10.0.0.2", 80, 0, 5, 5),
    ServerState("be_a", "s3", "::1", 80, 2, 0, 40),
    ServerState("be_a", "s4", "192.0.2.7", 80, 2, 0, 40),
    ServerState("be_b", "s1", "-", 0, 2, 0, 1),
]


def told(servers: list[ServerState]) -> list[str]:
    return [str(found) for found in differences(Parser().parse(TEXT), {}, servers, [])]


def changed(name: str, state: ServerState) -> list[ServerState]:
    return [state if f"{s.backend}/{s.name}" == name else s for s in RUNNING]


def test_what_runs_as_written_differs_in_nothing() -> None:
    assert told(RUNNING) == []


def test_each_field_that_differs_is_told() -> None:
    drained = ServerState("be_a", "s1", "10.0.0.9", 81, 2, 8, 41)
    assert told(changed("be_a/s1", drained)) == [
        "be_a/s1: address is 10.0.0.9, wanted 10.0.0.1",
        "be_a/s1: port is 81, wanted 80",
        "be_a/s1: weight is 41, wanted 40",
        "be_a/s1: state is drain, wanted up",
    ]


def test_a_server_that_should_rest_but_works_is_told() -> None:
    awake = ServerState("be_a", "s2", "10.0.0.2", 80, 2, 0, 5)
    assert told(changed("be_a/s2", awake)) == ["be_a/s2: state is up, wanted maint"]


def test_a_lost_and_an_added_server_are_told() -> None:
    added = ServerState("be_a", "s9", "10.0.0.9", 80, 2, 0, 1)
    assert told([*RUNNING[1:], added]) == [
        "be_a/s1: server is absent, wanted present",
        "be_a/s9: server is present, wanted absent",
    ]


def test_health_and_the_resolver_are_haproxys_own_matter() -> None:
    down = ServerState("be_a", "s1", "10.0.0.1", 80, 0, 0, 40)
    unresolved = ServerState("be_a", "s4", "-", 80, 0, 32, 40)
    assert told(changed("be_a/s1", down)) == []
    assert told(changed("be_a/s4", unresolved)) == []


def test_maps_are_compared_by_their_entries() -> None:
    files = {"maps/a.map": b"# x\na 1\na 2\n\n b  3\n"}
    assert entries(files["maps/a.map"]) == 3
    config = Parser().parse(TEXT)
    maps = [MapState(0, "maps/a.map", 3), MapState(1, "other", 9)]
    assert differences(config, files, RUNNING, maps) == []
    (found,) = differences(config, files, RUNNING, [MapState(0, "maps/a.map", 2)])
    assert str(found) == "maps/a.map: entries is 2, wanted 3"
