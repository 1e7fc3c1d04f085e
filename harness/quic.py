"""A client of HTTP/3, for one host on loopback."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

_ANSWER_S = 10.0


class Http3Answer:
    """What came back so far."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Http3Client(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, Http3Answer] = {}
        self.closed = ""
        """Why HAProxy has ended the connection; empty while it has not."""

    async def get(self, host: str, path: str = "/") -> Http3Answer:
        """Ask for a page. Raises `ConnectionError`, `TimeoutError`."""
        stream = self._quic.get_next_available_stream_id()
        answer = self._answers[stream] = Http3Answer()
        names = {"method": "GET", "scheme": "https", "authority": host, "path": path}
        headers = [(f":{name}".encode(), value.encode()) for name, value in names.items()]
        self._http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        await asyncio.wait_for(answer.whole, _ANSWER_S)
        return answer

    def quic_event_received(self, event: QuicEvent) -> None:
        """Take what HAProxy sent; called by aioquic."""
        if isinstance(event, ConnectionTerminated):
            self.closed = f"code {event.error_code} {event.reason_phrase}".rstrip()
            for answer in self._answers.values():
                if not answer.whole.done():
                    answer.whole.set_exception(ConnectionError(self.closed))
        for each in self._http.handle_event(event):
            self._take(each)

    def _take(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        answer = self._answers[event.stream_id]
        if isinstance(event, HeadersReceived):
            answer.status = int(dict(event.headers)[b":status"])
        else:
            answer.body += event.data
        if event.stream_ended and not answer.whole.done():
            answer.whole.set_result(None)


@contextlib.asynccontextmanager
async def http3(port: int, name: str) -> AsyncIterator[Http3Client]:
    """Connect to a port of 127.0.0.1 for the host `name`, whatever its certificate says."""
    settings = QuicConfiguration(
        alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name=name
    )
    async with connect(
        "127.0.0.1", port, configuration=settings, create_protocol=Http3Client
    ) as client:
        assert isinstance(client, Http3Client)
        yield client
