"""How services do is read of a real HAProxy, whichever workers have the sessions."""

import socket

from harness.ports import free_port
from harness.wait import wait_until
from lbsync.agent.report import health_reading
from lbsync.schema.keys import ServiceId
from tests.haproxy_bench import Bench

CART = ServiceId("shop", "cart")
GONE = ServiceId("shop", "gone")


def test_sessions_in_old_workers_and_what_a_check_met_are_told(bench: Bench) -> None:
    with (
        socket.create_server(("127.0.0.1", free_port())) as silent,
        socket.create_server(("127.0.0.1", free_port())) as closed,
    ):
        port, shut = silent.getsockname()[1], closed.getsockname()[1]
        closed.close()
        backend = (
            "backend be_shop_cart_main\n"
            f"    server good 127.0.0.1:{port}\n"
            f"    server bad 127.0.0.1:{shut} check inter 100ms fall 1\n"
        )
        route = "cart.test be_shop_cart_main\n"
        bench.start_with(bench.rendered("one", servers=backend, maps=route))
        wanted = {CART: ("main", "other"), GONE: ("main",)}

        def read() -> health_reading.Reading:
            return health_reading.read(bench.options, wanted)

        wait_until("the check", lambda: read().services["shop/cart"]["main"].up == 1)
        with socket.create_connection(("127.0.0.1", bench.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: cart.test\r\n\r\n")
            wait_until("the session", lambda: read().services["shop/cart"]["main"].sessions == 1)
            assert (
                bench.apply(bench.rendered("two", servers=backend, maps=route)).outcome
                == "confirmed"
            )

            found = read()
            group = found.services["shop/cart"]["main"]
            assert (group.sessions, group.old_sessions) == (1, 1)
            assert (group.up, group.total, found.unasked_workers) == (1, 2, 0)
            wait_until("the check anew", lambda: read().services["shop/cart"]["main"].up == 1)
            bad, good = read().services["shop/cart"]["main"].servers
            assert (bad.name, bad.status, bad.check) == ("bad", "DOWN", "L4CON")
            assert "refused" in bad.said
            assert (good.status, good.check, good.old_sessions) == ("no check", "", 1)
            assert good.address == f"127.0.0.1:{port}"
        assert found.services["shop/gone"] == {}
        assert found.services["shop/cart"].keys() == {"main"}

    told = health_reading.summary(bench.options)
    assert told.impaired == {"shop/cart": {"main": (1, 2)}}
    assert told.servers - told.up == 1
