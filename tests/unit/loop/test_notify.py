"""What goes over NOTIFY_SOCKET."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbsync.loop import Notifier, Waker


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address as systemd gives it, and the socket behind it."""
    abstract = request.param == "abstract"
    name = f"@lbsync-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name[1:]}" if abstract else name)
        receiver.settimeout(30)
        yield name, receiver


def test_every_message_arrives_as_one_datagram(manager: tuple[str, socket.socket]) -> None:
    address, receiver = manager
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})

    notifier.ready()
    notifier.status("two\nlines")
    notifier.watchdog_ping()
    notifier.reloading()
    notifier.stopping()

    heard = [receiver.recv(4096).decode() for _ in range(5)]
    assert heard[:3] == ["READY=1", "STATUS=two lines", "WATCHDOG=1"]
    assert heard[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[4] == "STOPPING=1"


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    Notifier({}).ready()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_beat_is_a_third_of_what_the_watchdog_allows(
    environ: dict[str, str], expected: float | None
) -> None:
    assert Notifier(environ).ping_every == expected


def test_many_wakes_are_one_and_a_wait_without_one_ends_in_time() -> None:
    waker = Waker()
    try:
        waker.wake()
        waker.wake()

        assert waker.wait(30.0)
        assert not waker.wait(0.001)
    finally:
        waker.close()
