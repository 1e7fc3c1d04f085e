"""A steady load that counts every failed request: half over kept connections, half over new ones.

An own client instead of wrk or hey, because of what counts as a failure: HAProxy may close a kept
connection *between* two requests (it says so, or it closes while idle), and a client then takes a
new one; that is no loss. Anything else is: a refused or reset connection, an answer cut short, a
status other than the expected. Load generators count the first kind too, or hide the second.
"""

import asyncio
import threading
import time
from collections import Counter

TIMEOUT_S = 10.0


class Load:
    """Sends requests from a thread of its own, from `start` to `stop`."""

    def __init__(
        self, port: int, host: str, *, path: str = "/", workers: int = 8, rate: float = 400.0
    ) -> None:
        """`rate`: requests per second, all workers together; every second worker keeps its
        connection."""
        self._port, self._host, self._path = port, host, path
        self._workers, self._pause = workers, workers / rate
        self.failures: list[str] = []
        """What went wrong, one sentence each."""
        self.answers: Counter[str] = Counter()
        """Bodies of the answers with status 200."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    @property
    def requests(self) -> int:
        """How many were answered or failed so far."""
        return sum(self.answers.values()) + len(self.failures)

    def start(self) -> "Load":
        """Start the clients."""
        self._thread.start()
        return self

    def stop(self) -> "Load":
        """End after the requests under way."""
        self._stop.set()
        self._thread.join()
        return self

    async def _run(self) -> None:
        await asyncio.gather(*(self._worker(n, keep=n % 2 == 0) for n in range(self._workers)))

    async def _worker(self, number: int, *, keep: bool) -> None:
        await asyncio.sleep(self._pause * number / self._workers)
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    if connection and connection[0].at_eof():
                        connection[1].close()
                        connection = None
                    kept = connection is not None
                    connection = connection or await asyncio.open_connection(
                        "127.0.0.1", self._port
                    )
                    stays = await self._ask(*connection, keep=keep, kept=kept)
                if not stays:
                    connection[1].close()
                    connection = None
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                if connection:
                    connection[1].close()
                connection = None
            await asyncio.sleep(max(0.0, self._pause - (time.monotonic() - began)))
        if connection:
            connection[1].close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool, kept: bool
    ) -> bool:
        """Send one request, read one answer; tell whether the connection may be used again."""
        wish = "keep-alive" if keep else "close"
        writer.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nConnection: {wish}\r\n\r\n".encode()
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        length = int(headers.get("content-length", "0"))
        body = (await reader.readexactly(length)).decode("latin-1")
        if status.split()[1] != "200":
            self.failures.append(f"{status} over a {'kept' if kept else 'new'} connection")
        else:
            self.answers[body] += 1
        return keep and headers.get("connection") != "close"
