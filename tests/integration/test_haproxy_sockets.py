"""The socket client against a socket that behaves as HAProxy's do in their worst moments."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbsync.clients.haproxy.sockets import CommandSocket, MasterSocket, WorkerSocket
from lbsync.errors import Unavailable

Answer = Callable[[socket.socket, str], None]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "haproxy.sock")


@contextlib.contextmanager
def answering(path: str, *answers: Answer) -> Iterator[list[str]]:
    """Serve one connection for each answer, and collect what was asked."""
    asked: list[str] = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                line = b""
                while data := connection.recv(65536):
                    line += data
                asked.append(line.decode())
                answer(connection, line.decode())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(30)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield asked
        thread.join(30)


def says(text: str) -> Answer:
    return lambda connection, _: connection.sendall(text.encode())


def nothing(connection: socket.socket, line: str) -> None:
    """Close without a word, as a master does that is about to start anew."""


INFO = "Name: HAProxy\nVersion: 2.6.12\nPid: 7\n\n"


def test_an_answer_is_read_to_its_end_and_the_writing_side_closed_first(path: str) -> None:
    with answering(path, says("x" * 500_000)) as asked:
        assert len(CommandSocket(path, 1.0).ask("show all")) == 500_000
    assert asked == ["show all\n"]


def test_a_question_answered_with_nothing_is_asked_again(path: str) -> None:
    with answering(path, nothing, nothing, says(INFO)):
        assert WorkerSocket(path, 60.0, "@1 ").show_info()["Pid"] == "7"


def test_a_master_between_two_workers_is_asked_again(path: str) -> None:
    with answering(path, says("Can't find the target PID matching the prefix '@1'\n"), says(INFO)):
        assert WorkerSocket(path, 60.0, "@1 ").show_info()["Pid"] == "7"


def test_a_master_that_leaves_the_connection_open_is_asked_again_at_once(path: str) -> None:
    kept: list[socket.socket] = []

    def stay(connection: socket.socket, _: str) -> None:
        connection.sendall(b"Can't find the target PID matching the prefix '@1'\n")
        kept.append(connection.dup())  # open, although this side lets go of it

    began = time.monotonic()
    with answering(path, stay, says(INFO)):
        assert WorkerSocket(path, 60.0, "@1 ").show_info()["Pid"] == "7"
    assert time.monotonic() - began < 30
    kept[0].close()


def test_commands_that_go_through_the_master_instead_are_each_marked(path: str) -> None:
    with answering(path, says("\n\n")) as asked:
        WorkerSocket(f"{path}.gone", 1.0, instead=path).run(["add map a b", "add map"], "c d\n")
    assert asked == ["@1 add map a b;@1 add map <<\nc d\n\n"]


def test_a_reload_answered_with_nothing_is_not_asked_again(path: str) -> None:
    with answering(path, nothing) as asked:
        assert MasterSocket(path, 5.0).reload(5.0) == ""
    assert asked == ["reload\n"]


def test_a_socket_that_is_made_anew_is_waited_for(path: str) -> None:
    timer = threading.Timer(0.1, lambda: Path(path + ".new").rename(path))
    with answering(path + ".new", says(INFO)):
        timer.start()
        assert WorkerSocket(path, 10.0).show_info()["Version"] == "2.6.12"
    timer.join()


def test_a_socket_nobody_listens_on_is_told_with_the_cure(path: str) -> None:
    with pytest.raises(Unavailable, match="No such file or directory: is HAProxy running"):
        CommandSocket(path, 0.05).ask("show info")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    with pytest.raises(Unavailable, match="Connection refused: is HAProxy running"):
        CommandSocket(path, 0.05).ask("show info")


def test_a_directory_that_is_missing_is_told() -> None:
    with pytest.raises(Unavailable, match="its directory does not exist"):
        CommandSocket("/nowhere/at/all.sock", 0.0).ask("show info")


def test_a_socket_that_never_answers_is_given_up(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(Unavailable, match=r"no answer to 'show info' within 0\.1 s"):
            CommandSocket(path, 5.0).ask("show info", answer_s=0.1)


def test_a_path_too_long_for_a_socket_is_told() -> None:
    with pytest.raises(Unavailable, match="too long"):
        CommandSocket("/tmp/" + "x" * 200, 0.0).ask("show info")


def test_many_commands_travel_in_few_short_lines(path: str) -> None:
    def each(connection: socket.socket, line: str) -> None:
        connection.sendall(b"\n" * len(line.split(";")))

    commands = [f"set server be_{number:04}/s1 weight 5" for number in range(600)]
    with answering(path, *[each] * 3) as asked:
        assert WorkerSocket(path, 1.0, "@1 ").runtime(commands) == [""] * 600
    assert all(len(line) < 8192 for line in asked)
    assert all(part.startswith("@1 set server ") for line in asked for part in line.split(";"))
    assert WorkerSocket(path, 1.0).runtime([]) == []
