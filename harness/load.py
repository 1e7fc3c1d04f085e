"""A steady load that counts every failed request: half over kept connections, half over new ones.

An own client instead of wrk or hey, because of what counts as a failure: HAProxy may close a kept
connection *between* two requests (it says so, or it closes while idle), and a client then takes a
new one; that is no loss. Anything else is: a refused or reset connection, an answer cut short, a
status other than the expected. Load generators count the first kind too, or hide the second.
"""

import select
import socket
import threading
import time
from collections import Counter

TIMEOUT_S = 20.0


class Load:
    """Sends requests from threads of its own, from `start` to `stop`."""

    def __init__(
        self, port: int, host: str, *, path: str = "/", workers: int = 8, rate: float = 400.0
    ) -> None:
        """`rate`: requests per second, all workers together; every second worker keeps its
        connection."""
        self._port, self._host, self._path = port, host, path
        self._pause = workers / rate
        self.failures: list[str] = []
        """What went wrong, one sentence each."""
        self.answers: Counter[str] = Counter()
        """Bodies of the answers with status 200."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(self._pause * number / workers, number % 2 == 0),
                name="load",
            )
            for number in range(workers)
        ]

    @property
    def requests(self) -> int:
        """How many were answered or failed so far."""
        with self._lock:
            return sum(self.answers.values()) + len(self.failures)

    def start(self) -> "Load":
        """Start the clients."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> "Load":
        """End after the requests under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self

    def _work(self, wait: float, keep: bool) -> None:
        connection: socket.socket | None = None
        while not self._stop.wait(max(0.0, wait)):
            began = time.monotonic()
            try:
                if connection and _was_closed(connection):
                    connection.close()
                    connection = None
                kept = connection is not None
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
                stays = self._ask(connection, keep=keep, kept=kept)
            except (OSError, EOFError, ValueError) as error:
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                stays = False
            if connection and not stays:
                connection.close()
                connection = None
            wait = self._pause - (time.monotonic() - began)
        if connection:
            connection.close()

    def _ask(self, connection: socket.socket, *, keep: bool, kept: bool) -> bool:
        """Send one request, read one answer; tell whether the connection may be used again."""
        wish = "keep-alive" if keep else "close"
        connection.sendall(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nConnection: {wish}\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += _more(connection)
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += _more(connection)
        with self._lock:
            if status.split()[1] != "200":
                self.failures.append(f"{status} over a {'kept' if kept else 'new'} connection")
            else:
                self.answers[body.decode("latin-1")] += 1
        return keep and headers.get("connection") != "close"


def _was_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has closed it while it was idle."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


def _more(connection: socket.socket) -> bytes:
    """Receive some more. Raises EOFError when there is no more, TimeoutError after `TIMEOUT_S`."""
    if data := connection.recv(65536):
        return data
    raise EOFError("the connection was closed within an answer")
