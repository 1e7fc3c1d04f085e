"""A fleet that is taken away piece by piece, under load: most of it is there until somebody confirms."""

import time
from collections.abc import Callable

import pytest

from harness.agent import AgentProcess
from harness.load import Load
from harness.stack import Stack, servers
from harness.wait import wait_until
from harness.web import WebServer

COUNT = 8
#: Of these and the two of shop/web.
LOST = 5


def emptied(web: WebServer) -> dict[str, object]:
    return servers()


def without_weight(web: WebServer) -> dict[str, object]:
    return servers(web, weight=0)


def in_maintenance(web: WebServer) -> dict[str, object]:
    return servers(web, state="maint")


def at_another_port(web: WebServer) -> dict[str, object]:
    value = {"name": web.name, "address": "127.0.0.1", "port": 1}
    return {"servers": [value]}


@pytest.mark.parametrize("way", [emptied, without_weight, in_maintenance, at_another_port])
@pytest.mark.parametrize("stack", ["2.6"], indirect=True)
def test_a_loop_of_single_writes_takes_half_of_the_fleet_and_no_more(
    stack: Stack, agent: AgentProcess, way: Callable[[WebServer], dict[str, object]]
) -> None:
    webs = [stack.web(f"s{number}") for number in range(COUNT)]
    values: dict[str, object] = {}
    for number, web in enumerate(webs):
        values[f"services/a/s{number}"] = {"mode": "http", "hosts": [f"s{number}.example"]}
        values[f"endpoints/a/s{number}/default"] = servers(web)
    agent.wait_for_revision(stack.put(values))
    loads = [Load(stack.http_port, f"s{n}.example", rate=50.0) for n in range(COUNT)]
    for load in loads:
        load.start()
    try:
        for number, web in enumerate(webs):
            stack.put({f"endpoints/a/s{number}/default": way(web)})
            time.sleep(0.03)  # as a script does
        wait_until("the hold", lambda: agent.status().get("state") == "held")
        before = [load.requests for load in loads]
        wait_until(
            "more requests",
            lambda: all(load.requests > n + 20 for load, n in zip(loads, before, strict=True)),
        )
    finally:
        for load in loads:
            load.stop()
    # Of ten servers five may go; a request to any other never fails.
    assert sum(bool(load.failures) for load in loads) <= LOST
    assert " of 10 servers would go at once" in agent.status()["held"]
