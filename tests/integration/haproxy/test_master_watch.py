"""Who is woken when the connection that is held to HAProxy's master ends."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.wait import wait_until
from lbsync.clients.haproxy import master_watch
from lbsync.clients.haproxy.master_watch import MasterWatch


class Master:
    """Listens as HAProxy's master does, and begins anew when told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: list[socket.socket] = []
        self.listen()

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen()
        listening = self.socket

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    self.held.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()

    def end(self) -> None:
        # `close` alone would leave the thread in `accept`.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.path.unlink()
        for connection in self.held:
            connection.close()
        self.held = []


class Watched:
    """A vigil over such a master."""

    def __init__(self, path: Path) -> None:
        self.master = Master(path)
        self.wakes = 0
        self.own = False
        self.asked = 0
        self.vigil = MasterWatch(self.wake, self.is_own)
        self.vigil.follow(str(path))
        self.wait_until_held()

    def wake(self) -> None:
        self.wakes += 1

    def is_own(self) -> bool:
        self.asked += 1
        return self.own

    def wait_until_held(self) -> None:
        wait_until("the connection", lambda: self.master.held)

    def restart(self, *, own: bool) -> None:
        self.own, asked = own, self.asked
        self.master.end()
        wait_until("its end to be seen", lambda: self.asked > asked)
        self.own = False
        self.master.listen()
        self.wait_until_held()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "master.sock")
    yield made
    made.vigil.close()
    made.master.end()


def test_a_reload_of_ones_own_wakes_nobody_and_one_of_others_twice(watched: Watched) -> None:
    for _ in range(3):
        watched.restart(own=True)
    assert watched.wakes == 0
    watched.restart(own=False)
    assert watched.wakes >= 1
    wait_until("word of the new one", lambda: watched.wakes == 2)
    watched.restart(own=True)
    assert watched.wakes == 2


def test_a_reload_of_ones_own_that_takes_long_wakes_nobody(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_watch, "_BACK_WITHIN_S", 0.01)
    watched.own = True
    watched.master.end()
    asked = watched.asked
    wait_until("some looks", lambda: watched.asked > asked + 3)
    watched.master.listen()
    watched.wait_until_held()
    assert watched.wakes == 0


def test_a_master_that_ends_in_a_reload_of_ones_own_is_noticed_after_it(watched: Watched) -> None:
    watched.own = True
    asked = watched.asked
    watched.master.end()
    wait_until("its end to be seen", lambda: watched.asked > asked)
    watched.own = False
    wait_until("a wake", lambda: watched.wakes == 1)
    watched.master.listen()
    watched.wait_until_held()
    wait_until("word of the new one", lambda: watched.wakes == 2)
