"""Endless responses as events (HTML standard, 9.2): for pages, and for clients that follow a deployment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from lbsync.console.board import Board
from lbsync.console.context import Context
from lbsync.console.problem import Problem, RequestProblem

HEARTBEAT = b":\n\n"
"""What a silent stream sends now and then: some proxies end it after 30 to 60 seconds."""
LONGEST_S = 900.0
"""After this the client comes again, and has to be let in anew."""
_HEARTBEAT_S = 15.0
_AGAIN_MS = 3000
Follow = Callable[[Send, "asyncio.Task[None]"], Awaitable[None]]
"""Sends with `tell` until it is done; the task is done once the client is gone."""


def streamed(context: Context, follow: Follow) -> Response[None]:
    """Return an answer that lasts as long as `follow` does. Raises `RequestProblem` if no place is left."""
    if not context.streams.enter():
        raise RequestProblem(
            Problem(503, "Too many live pages", "Load it again by hand.", retry_after=60)
        )
    return _Streaming(context, follow)


async def tell(send: Send, body: bytes) -> None:
    """Send some bytes of it."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


def event(kind: str, text: str, name: str) -> bytes:
    """Return one event; `name`: its id."""
    # Only these three end a line here; others within a text stay.
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = "".join(f"data: {line}\n" for line in plain.split("\n"))
    return f"event: {kind}\nid: {name}\n{lines}\n".encode()


async def news(
    board: Board, since: int, gone: "asyncio.Task[None]", *, at_once: bool = False
) -> bool:
    """Wait for news (see `Board.wait`) or the time for a heartbeat; False: the stream has to end."""
    waiting = asyncio.create_task(board.wait(since, _HEARTBEAT_S, at_once=at_once))
    await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return not (gone.done() or board.is_closing)


class _Streaming(Response[None]):
    """A response type that Litestar accepts."""

    def __init__(self, context: Context, follow: Follow) -> None:
        super().__init__(None)
        self._stream = _Stream(context, follow)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Return what sends it."""
        return self._stream


class _Stream(ASGIResponse):
    """Sends until either side ends."""

    def __init__(self, context: Context, follow: Follow) -> None:
        super().__init__()
        self._context, self._follow = context, follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope
        try:
            await _start(send)
            gone = asyncio.create_task(_until_gone(receive))
            try:
                await self._follow(send, gone)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._context.streams.leave()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send) -> None:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await tell(send, f"retry: {_AGAIN_MS}\n\n".encode())
