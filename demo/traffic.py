"""Requests through HAProxy: single ones that prove a step, and a crowd that asks all the while."""

import contextlib
import http.client
import sys
import threading
from collections.abc import Iterator

import msgspec

#: Some hundred and fifty requests a second in all: whoever asks more often takes the processor from what is shown.
_PAUSE_S = 0.01


class Answer(msgspec.Struct, frozen=True):
    """What came back for one request."""

    status: int
    body: str


def ask(port: int, host: str, path: str = "/", timeout: float = 2.0) -> Answer:
    """Send one GET over a new connection. Raises OSError when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return _exchange(connection, host, path)
    finally:
        connection.close()


def _exchange(connection: http.client.HTTPConnection, host: str, path: str) -> Answer:
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace").strip())
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error!r}") from error


class Crowd:
    """Two clients that ask all the while: one keeps its connection, one never does.

    They count, so that the demo can say at its end how many requests were lost.
    """

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._host = host
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered = 0
        self.lost: list[str] = []
        """What happened to each request that got no answer, or not a 200."""

    @contextlib.contextmanager
    def asking(self) -> Iterator["Crowd"]:
        """Ask for the length of a `with` block."""
        threads = [threading.Thread(target=ask) for ask in (self._keep_alive, self._anew)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _keep_alive(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._stop.wait(_PAUSE_S):
            self._count(connection)
        connection.close()

    def _anew(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            self._count(connection)
            connection.close()

    def _count(self, connection: http.client.HTTPConnection) -> None:
        try:
            answer = _exchange(connection, self._host, "/")
            problem = "" if answer.status == http.HTTPStatus.OK else f"status {answer.status}"
        except OSError as error:
            connection.close()
            problem = str(error)
        with self._lock:
            if problem:
                self.lost.append(problem)
            else:
                self.answered += 1


if __name__ == "__main__":
    # For machines without curl: python -m demo.traffic PORT HOST PATH
    answer = ask(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    print(answer.status, answer.body)
