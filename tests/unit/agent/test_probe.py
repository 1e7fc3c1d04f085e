"""Which binds are new, and so have to be tried."""

import pytest

from lbsync.agent.directives import Bind
from lbsync.agent.probe import added, overlap


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
    assert added(wanted, known) == [bind("127.0.0.1", 91)]
