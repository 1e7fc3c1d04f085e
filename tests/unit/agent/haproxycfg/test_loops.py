"""Which servers are HAProxy itself."""

import pytest

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.haproxycfg.loops import Loops
from lbsync.agent.haproxycfg.parser import Bind
from tests.builders import entries_of

BINDS = (Bind("*", 80, 1), Bind("10.0.0.5", 5432, 1), Bind("/run/x.sock", 0, 1, kind="unix"))


def loops(address: str, port: int, *own: str) -> list[str]:
    values = {
        "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
        "endpoints/shop/web/main": {
            "servers": [{"name": "a", "address": address, "port": port}] * 1
            + [{"name": "b", "address": "10.0.0.9", "port": 80}]
        },
    }
    services = Assembler().assemble(entries_of(values), 1, ()).services
    return [each.backend for each in Loops(BINDS, lambda: frozenset(own)).of(services)]


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("10.0.0.5", 80),
        ("10.0.0.5", 5432),
        ("127.0.0.1", 80),
        ("127.9.9.9", 80),
        ("::1", 80),
        ("2001:db8::5", 80),
        ("2001:DB8:0::5", 80),
    ],
)
def test_a_server_at_a_place_where_haproxy_listens_is_found(address: str, port: int) -> None:
    assert loops(address, port, "10.0.0.5", "2001:db8::5") == ["be_shop_web_main"]


def test_a_server_stays_found_when_it_is_asked_for_again_and_when_binds_change() -> None:
    values: dict[str, object] = {
        "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
        "endpoints/shop/web/main": {
            "servers": [{"name": "a", "address": "127.0.0.1", "port": 8080}]
        },
    }
    services = Assembler().assemble(entries_of(values), 1, ()).services
    last = None
    for binds, found in (
        (BINDS, 0), (BINDS, 0), ((*BINDS, Bind("*", 8080, 1)), 1),
        ((*BINDS, Bind("*", 8080, 1)), 1), (BINDS, 0),
    ):  # fmt: skip
        last = Loops(binds, frozenset, last)
        assert len(list(last.of(services))) == found


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("10.0.0.5", 8080),
        ("10.0.0.6", 80),
        ("127.0.0.1", 5432),
        ("10.0.0.6", 5432),
        ("app.example.com", 80),
    ],
)
def test_what_runs_beside_haproxy_or_elsewhere_is_none(address: str, port: int) -> None:
    assert loops(address, port, "10.0.0.5", "2001:db8::5") == []
