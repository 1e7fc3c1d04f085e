"""What balancers answer about one service, put together."""

from lbsync.console.facts.health import health_view
from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth


def answer(*servers: ServerHealth, **group: int) -> HealthRecord:
    return HealthRecord("", services={"shop/cart": {"blue": GroupHealth(servers=servers, **group)}})


def test_a_server_is_up_on_some_balancers_and_the_others_say_what_its_check_met() -> None:
    down = ServerHealth("a", "DOWN", "L4CON", said="Connection refused", sessions=1)
    found = health_view(
        "shop/cart",
        ["lb-1", "lb-2", "lb-3", "lb-4"],
        {
            "lb-1": answer(
                ServerHealth("a", "UP", sessions=2, response_ms=9), rate=5, response_ms=9
            ),
            "lb-2": answer(down, rate=1),
            "lb-3": None,
        },
    )
    server = found.groups["blue"].servers["a"]
    assert (server.up_on, server.seen_on, server.sessions, server.response_ms) == (1, 2, 3, 9)
    assert server.not_up == ("lb-2: DOWN (L4CON, Connection refused)",)
    assert (found.groups["blue"].rate, found.answered, found.silent) == (
        6,
        ("lb-1", "lb-2"),
        ("lb-4",),
    )
    assert "cannot be read" in found.errors["lb-3"]


def test_a_server_that_somebody_took_out_is_no_trouble() -> None:
    found = health_view("shop/cart", [], {"lb-1": answer(ServerHealth("a", "DRAIN"))})
    server = found.groups["blue"].servers["a"]
    assert (server.up_on, server.seen_on, server.not_up) == (0, 1, ())
