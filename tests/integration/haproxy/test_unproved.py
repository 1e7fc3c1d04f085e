"""A reload that nobody can prove: HAProxy is left, or brought back to, what was said."""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbsync.errors import ApplyFailed
from tests.haproxy_bench import Bench, main_text

SOMEBODY = 65534


@contextlib.contextmanager
def mute_socket(path: str) -> Iterator[None]:
    """A socket that hears everything and answers as a worker that never changes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"Name: HAProxy\nPid: 1\ndescription: old\n")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def foreign(binary: str) -> Iterator[Bench]:
    """HAProxy of root, whose stats socket is closed to the user that owns the generations."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory(prefix="lbsync-test-") as name:
        bench = Bench(Path(name), binary)
        bench.haproxy.socket_mode = "666"
        Path(name).chmod(0o755)
        try:
            bench.start_with(bench.rendered("one"))
            bench.with_options(stats_socket=str(bench.stats))
            for path in (bench.directory, *bench.directory.rglob("*")):
                if not path.is_symlink() and path != bench.stats:
                    os.chown(path, SOMEBODY, -1)
            yield bench
        finally:
            bench.close()


@contextlib.contextmanager
def as_somebody() -> Iterator[None]:
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_after_a_reload_without_a_proof_the_generation_before_is_served_again(
    served: Bench,
) -> None:
    one = served.rendered("one")
    elsewhere = str(served.directory / "run" / "elsewhere.sock")
    served.with_options(stats_socket=elsewhere, reload_timeout_s=3.0)
    with mute_socket(elsewhere), pytest.raises(ApplyFailed) as failed:
        served.apply(served.rendered("two"))
    assert one.digest in served.description(), "not the file alone went back"
    assert served.live_text() == main_text(one)
    assert "HAProxy may run generation 2-" in str(failed.value), "its own word was not heard"
    assert "is what it starts from" in str(failed.value)


def test_a_stats_socket_without_the_right_to_it_is_done_without(foreign: Bench) -> None:
    two = foreign.rendered("two")
    with as_somebody():
        applied = foreign.apply(two, checked=False)
    assert applied.outcome == "confirmed"
    assert two.digest in foreign.description()


def test_without_the_rights_nothing_is_touched(foreign: Bench) -> None:
    one = foreign.rendered("one")
    foreign.with_options(master_socket="", reload="signal")
    with as_somebody(), pytest.raises(ApplyFailed, match=r"ermission denied.*nothing was changed"):
        foreign.apply(foreign.rendered("two"), checked=False)
    assert foreign.live_text() == main_text(one)
    assert one.digest in foreign.description()
    assert [found.digest for found in foreign.store.list()] == [one.digest]
