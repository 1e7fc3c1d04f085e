"""The small server of agent and publisher: what it answers, and what nobody can do to it."""

import contextlib
import http.client
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.wait import wait_until
from lbsync import threads
from lbsync.errors import LbsyncError
from lbsync.http import Answer, HttpServer, Pages
from lbsync.http.listener import obstacle
from lbsync.values.addresses import HttpBind
from tests.e2e.thread_killer import end


def refuse() -> Answer:
    raise LbsyncError("the shop is closed")


PAGES = Pages(
    {
        "/well": lambda: Answer("all is well\n"),
        "/ill": lambda: Answer("it is not\n", is_well=False),
        "/refused": refuse,
        "/large": lambda: Answer("x" * 3_000_000),
    }
)
Serve = Callable[[str], HttpServer]


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with contextlib.closing(HttpServer(PAGES, "[test] http_bind", within_s=2)) as made:
        yield made


def connected(bind: HttpBind) -> socket.socket:
    if bind.path:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(20)
        try:
            made.connect(bind.path)
        except OSError:
            made.close()
            raise
        return made
    return socket.create_connection((bind.address, bind.port), timeout=60)


def ask(bind: HttpBind, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    asked = http.client.HTTPConnection("test")
    asked.sock = connected(bind)
    with contextlib.closing(asked):
        asked.request(method, path, headers=headers)
        answer = asked.getresponse()
        return answer.status, answer.read().decode()


def start(server: HttpServer, place: str = "") -> HttpBind:
    bind = HttpBind.parse(place or f"127.0.0.1:{free_port()}")
    server.follow(bind)
    wait_until(f"{bind} to answer", lambda: ask(bind, "/well")[0] == 200)
    return bind


@pytest.mark.parametrize("kind", ["port", "ipv6", "socket"])
def test_pages_are_read_and_nothing_else(server: HttpServer, tmp_path: Path, kind: str) -> None:
    place = {"port": "", "ipv6": f"[::1]:{free_port()}", "socket": str(tmp_path / "http.sock")}
    bind = start(server, place[kind])
    assert ask(bind, "/well?since=1") == (200, "all is well\n")
    assert ask(bind, "/well", "HEAD") == (200, "")
    assert ask(bind, "/ill") == (503, "it is not\n")
    assert ask(bind, "/refused") == (503, "the shop is closed\n")
    assert ask(bind, "/") == (404, "there are: /ill /large /refused /well\n")
    assert ask(bind, "/well", "POST") == (405, "nothing can be changed here\n")
    assert len(ask(bind, "/large")[1]) == 3_000_000
    assert server.trouble == ""


def test_a_port_that_is_taken_is_named_and_had_as_soon_as_it_is_free(server: HttpServer) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        bind = HttpBind.parse(f"127.0.0.1:{other.getsockname()[1]}")
        server.follow(bind)
        wait_until("it to be said", lambda: server.trouble)
        assert server.trouble.startswith(f"{bind} cannot be listened on: Address already in use; ")
        assert "ss -ltnp" in server.trouble
    wait_until("the port", lambda: ask(bind, "/well")[0] == 200)
    assert server.trouble == ""


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("192.0.2.1:9464", "this host does not have that address"),
        ("{}/absent/http.sock", "make its directory first"),
        ("{}/file", "it is no socket; choose another path"),
        ("{}/lives.sock", "another program listens there"),
    ],
)
def test_what_is_in_the_way_of_listening_is_named_with_its_cure(
    server: HttpServer, tmp_path: Path, place: str, sentence: str
) -> None:
    (tmp_path / "file").write_text("kept")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "lives.sock"))
        other.listen()
        server.follow(HttpBind.parse(place.format(tmp_path)))
        wait_until("it to be said", lambda: server.trouble)
        assert sentence in server.trouble
        server.close()
    assert (tmp_path / "file").read_text() == "kept"
    assert (tmp_path / "lives.sock").exists()


def test_the_file_of_a_process_that_was_killed_is_replaced(
    server: HttpServer, tmp_path: Path
) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    start(server, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.close()
    assert not path.exists()


def test_a_new_address_is_followed_and_the_old_one_is_free(server: HttpServer) -> None:
    old = start(server)
    new = start(server)
    with socket.create_server((old.address, old.port)):
        assert ask(new, "/well")[0] == 200
    server.follow(None)
    with pytest.raises(ConnectionRefusedError):
        connected(new)


def is_closed(peer: socket.socket) -> bool:
    """Read until the end; True when the other side has closed."""
    with contextlib.suppress(ConnectionError):
        while peer.recv(65_536):
            pass
    return True


def test_clients_that_dawdle_hold_up_nobody_and_are_cut_off(server: HttpServer) -> None:
    bind = start(server)
    with contextlib.ExitStack() as ends:
        silent, dripping, deaf = (ends.enter_context(connected(bind)) for _ in range(3))
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                dripping.sendall(b"GET /well HTTP/1.1\r\n")
                while not stop.wait(0.2):
                    dripping.sendall(b"X: y\r\n")

        thread = threading.Thread(target=drip)
        thread.start()
        ends.callback(thread.join)
        ends.callback(stop.set)
        # Asks for a hundred large answers and reads none.
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        began = time.monotonic()
        assert ask(bind, "/well") == (200, "all is well\n")
        assert time.monotonic() - began < 1.5
        assert is_closed(silent)
        assert is_closed(dripping)
        assert time.monotonic() - began < 10


def test_more_connections_than_it_takes_leave_it_alive(server: HttpServer) -> None:
    bind = start(server)
    before = open_files()
    with contextlib.ExitStack() as ends:
        for _ in range(150):
            ends.enter_context(connected(bind))
        assert ask(bind, "/well")[0] == 200, "as soon as the first are cut off"
        assert open_files() - before < 300, "not both ends of all"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET /well HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"POST /well HTTP/1.1\r\nContent-Length: 9000000000\r\n\r\n", 413),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    ],
)
def test_a_request_that_is_huge_or_none_is_refused(
    server: HttpServer, request_bytes: bytes, status: int
) -> None:
    bind = start(server)
    with connected(bind) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(request_bytes)
        assert peer.recv(65_536).split()[1] == str(status).encode()
    assert ask(bind, "/well")[0] == 200


# The killer raises again and again, also where the thread tells of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_thread_of_it_that_ends_is_begun_anew(server: HttpServer) -> None:
    bind = start(server)
    end("http")
    threads.restart_ended()
    for _ in range(4):
        wait_until("an answer", lambda: ask(bind, "/well")[0] == 200)
    assert {"http", "http-0", "http-1", "http-2"} <= {one.name for one in threading.enumerate()}


def test_what_would_be_in_the_way_is_found_without_listening(
    server: HttpServer, tmp_path: Path
) -> None:
    def told(where: str) -> str:
        return obstacle(HttpBind.parse(where))

    port = free_port()
    ours, path = f"127.0.0.1:{port}", tmp_path / "run" / "http.sock"
    assert told(ours) == ""
    assert f"{path} cannot be listened on" in told(str(path))
    assert "make its directory first" in told(str(path))
    path.parent.mkdir()
    assert told(str(path)) == ""
    assert not path.exists()
    server.follow(HttpBind.parse(str(path)))
    assert told(str(path)) == "", "it is lbsync that listens there"
    server.follow(HttpBind.parse(ours))
    wait_until("an answer", lambda: told(ours) == "")
    assert "does not have that address" in told("192.0.2.1:9464")
    with socket.create_server(("127.0.0.1", free_port())) as other:
        other.settimeout(5)
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert "another program listens there" in told(taken)
    (tmp_path / "file").write_text("")
    assert "it is no socket" in told(str(tmp_path / "file"))
