"""Toy web servers on loopback: they say their name, and fail or keep silent when told to."""

import asyncio
import http
import socket
import threading
from collections import Counter
from collections.abc import Callable

from harness.ports import free_port

_METHODS = (b"GET", b"HEAD", b"POST")


class WebServer:
    """One HTTP/1.1 server that answers every request with its name."""

    def __init__(self, name: str, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen at once; `port` 0 takes a free one, which no other test run may be given: a HAProxy of another
        one that still knows the number would send its requests here."""
        self.name = name
        self.status = 200
        """Status of every answer but those to `/health`."""
        self.health = 200
        """Status of answers to `/health`."""
        self.health_host = ""
        """The only host that has a `/health`, where others get 404; empty: all have it."""
        self.is_holding = False
        """What is asked now is answered only after `release`."""
        self.headers: dict[str, str] = {}
        """Headers added to every answer."""
        self.requests: Counter[str] = Counter()
        """How often each path was asked for."""
        self.last_headers: dict[str, str] = {}
        """What the last request but those to `/health` carried, names in lower case."""
        self.held: list[Callable[[], None]] = []
        """Answers that wait for `release`."""
        listening = socket.create_server((host, port or free_port(host)), backlog=128)
        self._address: tuple[str, int] = listening.getsockname()[:2]
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name=name)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._address[1]

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:8080`."""
        return f"{self._address[0]}:{self.port}"

    def release(self) -> None:
        """Answer what was held, and what is asked from now on."""
        self.is_holding = False
        self._loop.call_soon_threadsafe(self._answer_held)

    def _answer_held(self) -> None:
        held, self.held = self.held, []
        for answer in held:
            answer()

    def stop(self) -> None:
        """Stop listening and close all connections; nothing when it has stopped already."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, listening: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._serve(listening))
        finally:
            self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        connections: set[asyncio.Transport] = set()
        server = await self._loop.create_server(
            lambda: _Connection(self, connections), sock=listening
        )
        await self._stopping.wait()
        self._loop.remove_reader(listening)
        # A connection that was accepted a moment ago is not in `connections` yet; one that finds its server
        # closed would never be closed itself.
        if being_made := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(being_made)
        server.close()
        while connections:
            for connection in connections:
                connection.abort()
            await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    """One connection: a request at a time, each with its body, if any.

    All of a process's servers together shall cost less than the HAProxy that is tested: the standard
    library's `http.server` takes ten times as long.
    """

    def __init__(self, web: WebServer, connections: set[asyncio.Transport]) -> None:
        self._web = web
        self._connections = connections
        self._received = b""
        self._is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it, so that the server can close it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        """Forget it; clients that hang up are part of the tests."""
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete by now."""
        self._received += data
        self._next()

    def _next(self) -> None:
        if self._is_answering or self._transport.is_closing():
            return
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        line, *lines = head.split(b"\r\n")
        fields = (one.decode("latin-1").partition(":") for one in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        words = line.split()
        if len(words) != 3:
            self._answer(400, is_head=False, stays=False)
        else:
            self._asked(words, headers)

    def _asked(self, words: list[bytes], headers: dict[str, str]) -> None:
        method, path, version = words[0], words[1].decode("latin-1"), words[2]
        web = self._web
        web.requests[path] += 1
        if path != "/health":
            web.last_headers = headers
        wish = headers.get("connection", "keep-alive" if version == b"HTTP/1.1" else "close")
        stays = wish.lower() != "close"

        def answer() -> None:
            status = web.health if path == "/health" else web.status
            if path == "/health" and web.health_host not in ("", headers.get("host")):
                status = 404
            if method not in _METHODS:
                status = 501
            self._answer(status, is_head=method == b"HEAD", stays=stays)

        if web.is_holding:
            self._is_answering = True
            web.held.append(answer)
        else:
            answer()

    def _answer(self, status: int, *, is_head: bool, stays: bool) -> None:
        """Send headers and body in one segment, as real servers do."""
        body = self._web.name.encode()
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", "Content-Type: text/plain"]
        lines += [f"{name}: {value}" for name, value in self._web.headers.items()]
        lines += [
            f"Content-Length: {len(body)}",
            f"Connection: {'keep-alive' if stays else 'close'}",
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._is_answering = False
        self._transport.write(head if is_head else head + body)
        if stays:
            self._next()
        else:
            self._transport.close()
