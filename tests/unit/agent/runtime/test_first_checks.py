"""Which servers wait for a good check, and what HAProxy is told for it."""

import msgspec
import pytest

from lbsync.agent.runtime.changes.server_words import proof, proves
from lbsync.agent.runtime.changes.steps import (
    AddServer,
    DeleteServer,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
    Step,
)
from lbsync.agent.runtime.commands import commands
from lbsync.agent.runtime.first_checks import waiting
from lbsync.clients.haproxy.answers import ServerState

CHECK = ("check", "inter", "2s", "downinter", "250ms")
NEW = AddServer("be", "new", "10.0.0.9", 80, CHECK)


def server(name: str, op: int = 2, admin: int = 0, weight: int = 1) -> ServerState:
    return ServerState("be", name, "10.0.0.1", 80, op, admin, weight)


def names(*steps: Step, states: tuple[ServerState, ...]) -> set[str]:
    return {name for _, name in waiting(steps, states)}


@pytest.mark.parametrize(
    "other", [server("a"), server("a", op=1), server("a", admin=4), server("a", weight=256)]
)
def test_a_new_server_waits_while_another_one_serves(other: ServerState) -> None:
    assert names(NEW, states=(other,)) == {"new"}


@pytest.mark.parametrize(
    "other",
    [
        server("a", op=0),
        server("a", op=3),
        server("a", admin=1),
        server("a", admin=8),
        server("a", admin=32),
        server("a", weight=0),
        ServerState("other", "a", "10.0.0.1", 80, 2, 0, 1),
    ],
)
def test_where_no_other_one_serves_a_new_server_does(other: ServerState) -> None:
    assert names(NEW, states=(other,)) == set()
    assert names(NEW, states=()) == set()


@pytest.mark.parametrize(
    "step",
    [
        RetireServer("be", "a"),
        DeleteServer("be", "a"),
        SetWeight("be", "a", 0),
        SetState("be", "a", "maint"),
        SetAddress("be", "a", "10.0.0.2", 80, proved="rise"),
    ],
)
def test_a_server_that_goes_or_is_new_itself_keeps_nobody_waiting(step: Step) -> None:
    assert names(NEW, step, states=(server("a"),)) == set()


def test_another_address_and_the_end_of_a_maintenance_count_as_new() -> None:
    states = (server("a"), server("b"), server("out", op=0, admin=1))
    moved = SetAddress("be", "b", "10.0.0.2", 80, proved="rise")
    ready = SetState("be", "out", "ready", proved="rise")
    assert names(moved, ready, states=states) == {"b", "out"}
    same = SetAddress("be", "b", "10.0.0.1", 80, proved="rise")
    undrained = SetState("be", "a", "ready", proved="rise")
    assert names(same, undrained, states=states) == set(), "they were checked all along"
    elsewhere = SetAddress("be", "out", "10.0.0.2", 80, proved="rise")
    assert names(elsewhere, states=states) == set(), "it is in maintenance, and stays there"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("check downinter 250ms", True),
        ("check", False),
        ("downinter 250ms", False),
        ("agent-check downinter 250ms", False),
        ("check downinter 250ms track be/a", False),
        ("check downinter 250ms init-state down", False),
        ("check downinter 250ms no-check", False),
    ],
)
def test_only_an_own_check_that_comes_soon_is_worth_waiting_for(
    words: str, *, expected: bool
) -> None:
    assert proves(words.split()) is expected


def test_a_server_that_waits_is_called_down_before_requests_can_find_it() -> None:
    said = [command.text for command in commands(NEW, waits=True)][1:]
    assert said == [
        "enable health be/new",
        "set server be/new state drain",
        "set server be/new health down",
        "set server be/new state ready",
    ]
    back = SetState("be", "a", "ready", proved="rise")
    assert [command.text for command in commands(back, waits=True)] == [
        line.replace("new", "a") for line in said[1:]
    ]
    moved = SetAddress("be", "a", "10.0.0.2", 80, proved="rise")
    assert [command.text for command in commands(moved, waits=True)] == [
        "set server be/a health down",
        "set server be/a addr 10.0.0.2 port 80",
    ]


@pytest.mark.parametrize(
    ("words", "persistent", "expected"),
    [
        ("check downinter 250ms", False, "first"),
        ("check downinter 250ms rise 3", False, "first"),
        ("check downinter 250ms rise 3 rise 1", False, "rise"),
        ("check downinter 250ms", True, "rise"),
        ("check rise 3", False, ""),
        ("check downinter 250ms rise ${N}", False, "rise"),
    ],
)
def test_the_first_good_check_brings_it_up_where_no_client_is_sent_to_it_before(
    words: str, *, persistent: bool, expected: str
) -> None:
    assert proof(tuple(words.split()), persistent=persistent) == expected


def test_a_server_that_the_first_good_check_brings_up_is_called_stopping() -> None:
    new = msgspec.structs.replace(NEW, proved="first")
    back = SetState("be", "new", "ready", proved="first")
    moved = SetAddress("be", "new", "10.0.0.2", 80, proved="first")
    for step in (new, back, moved):
        said = [command.text for command in commands(step, waits=True)]
        assert "set server be/new health stopping" in said
        assert "set server be/new health down" not in said
