"""Which binds are new, and so have to be tried."""

import pytest

from lbsync.agent.candidate.bind_probe import Ports, added, obstacle, overlap
from lbsync.agent.haproxycfg.parser import Bind


def bind(address: str, port: int = 80, kind: str = "tcp", both: bool = False) -> Bind:
    return Bind(address, port, 1, kind, "", both)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (bind("*"), bind("*"), True),
        (bind("*"), bind("127.0.0.1"), True),
        (bind("127.0.0.1"), bind("*"), True),
        (bind("127.0.0.1"), bind("127.0.0.2"), False),
        (bind("*"), bind("*", 81), False),
        (bind("::"), bind("::1"), True),
        (bind("::"), bind("127.0.0.1"), False),
        (bind("::", both=True), bind("127.0.0.1"), True),
        (bind("*"), bind("*", kind="udp"), False),
        (bind("/run/a", 0, "unix"), bind("/run/a", 0, "unix"), False),
    ],
)
def test_addresses_overlap_as_the_kernel_sees_it(one: Bind, other: Bind, wanted: bool) -> None:
    assert overlap(one, other) is wanted


def test_only_what_haproxy_does_not_hold_yet_is_new() -> None:
    known = [bind("*", 80), bind("127.0.0.1", 90)]
    wanted = [bind("10.0.0.1", 80), bind("127.0.0.1", 90), bind("127.0.0.1", 91), bind("", 0)]
    udp = bind("127.0.0.1", 90, "udp")
    assert added([*wanted, udp], known) == [bind("127.0.0.1", 91), udp]
    assert added([udp], [*known, udp]) == []


def test_a_low_port_is_refused_where_haproxy_is_seen_to_have_no_right_to_it() -> None:
    assert "CAP_NET_BIND_SERVICE" in obstacle(
        bind("127.0.0.1", 700), Ports(low=False, first_free=1024)
    )
    assert obstacle(bind("127.0.0.1", 700), Ports(low=False, first_free=0)) == "", (
        "port 700 is free"
    )


def test_an_address_that_no_process_here_could_bind_is_refused() -> None:
    assert "no address of this host" in obstacle(bind("192.0.2.1", 9000), Ports())
    assert "cannot be bound" in obstacle(
        bind("fe80::1", 9000), Ports()
    ) or "no address" in obstacle(bind("fe80::1", 9000), Ports())
