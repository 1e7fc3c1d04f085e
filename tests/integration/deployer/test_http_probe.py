"""One question over HTTP: whatever the other side does, it ends in time with an answer or a clause for people."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.ports import free_port
from lbsync.clients.http_probe import Question, ask, connects, is_good

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer connections by a function; return the port."""
    listening = socket.create_server(("127.0.0.1", free_port()))
    threads: list[threading.Thread] = []

    def start(answer: Callable[[socket.socket], None]) -> int:
        def run() -> None:
            try:
                connection, _ = listening.accept()
                with connection:
                    answer(connection)
            except OSError:
                return

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listening.getsockname()[1])

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for thread in threads:
        thread.join()


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(text)

    return answer


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.0 503 \r\nX: y\r\n\r\nbody", 503, ""),
        (b"SSH-2.0-OpenSSH\r\n", 0, "it does not speak HTTP"),
        (b"HTTP/1.1 999 x\r\n\r\n", 0, "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: y", 0, "its answer ended in the middle of the head"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, 0, "its answer ended in the middle of the head"),
        (b"", 0, "it closed without an answer"),
    ],
)  # fmt: skip
def test_an_answer_is_its_status_or_why_there_is_none(
    serve: Serve, text: bytes, status: int, problem: str
) -> None:
    port = serve(saying(text))
    answer = ask("127.0.0.1", port, Question(path="/up", host="cart.example"))
    assert (answer.status, answer.problem) == (status, problem)


def test_one_that_drips_is_given_up_when_the_time_for_all_of_it_is_over(serve: Serve) -> None:
    def drip(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 100:
            connection.sendall(bytes([byte]))
            if over.wait(0.02):
                return

    over = threading.Event()
    begun = time.monotonic()
    answer = ask("127.0.0.1", serve(drip), Question(path="/", timeout=0.3))
    over.set()
    assert answer.problem == "no answer in 0.3 s"
    assert time.monotonic() - begun < 20


def test_what_is_asked_is_one_whole_request(serve: Serve) -> None:
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))

    ask("127.0.0.1", serve(listen), Question(path="/up?x=1", method="HEAD", host="cart.example"))
    head = heard[0].decode()
    assert head.startswith("HEAD /up?x=1 HTTP/1.1\r\nHost: cart.example\r\n")
    assert head.endswith("Connection: close\r\n\r\n")


def test_a_port_that_nobody_listens_on_is_told_apart_from_silence() -> None:
    port = free_port()
    assert ask("127.0.0.1", port, Question(path="/")).refused
    assert connects("127.0.0.1", port, 1.0).refused
    with socket.create_server(("127.0.0.1", free_port())) as there:
        assert connects("127.0.0.1", there.getsockname()[1], 1.0).status == 200
        assert not ask("127.0.0.1", there.getsockname()[1], Question(path="/", timeout=0.1)).refused


def test_a_status_is_good_within_any_of_the_ranges() -> None:
    assert is_good(200, "200-399")
    assert is_good(204, "200,204,300-399")
    assert not is_good(400, "200-399")
    assert not is_good(0, "200-399")


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_is_none_is_an_answer(name: str) -> None:
    for answer in (connects(name, 80, 1.0), ask(name, 80, Question(path="/"))):
        assert "no name of DNS" in answer.problem
