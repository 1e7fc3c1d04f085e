"""The HTTP server: one socket, TLS if configured, and time limits for slow clients."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lbsync.console.security.gate import App
from lbsync.errors import LbsyncError, SettingsError
from lbsync.settings import Console

_REQUEST_S = 15.0
"""So long a client may take to send a request's head and body."""
_STALLED_S = 30.0
"""So long it may take none of an answer."""
_KEEP_ALIVE_S = 30
_GRACE_S = 5
_MOST_HEAD = 32_768
_MOST_CONNECTIONS = 500
"""Besides those of live pages."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with limits for time: uvicorn has none for a client that sends or takes slowly."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(_REQUEST_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; once a request is whole, it has all the time it needs."""
        if self._timer is None:
            self._wait(_REQUEST_S)
        super().data_received(data)
        if getattr(self.cycle, "more_body", True) is False:
            self._cancel()

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        super().pause_writing()
        self._wait(_STALLED_S)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        self._cancel()

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """A server that reports when it listens, and when it is asked to end, so that endless responses can end."""

    on_start: Callable[[], None] = staticmethod(lambda: None)
    on_exit: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End: called by the handler of SIGTERM and SIGINT. Not as uvicorn does, which sends itself the
        signal again in the end: it was obeyed then."""
        del frame
        self.on_exit()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def make(app: App, settings: Console) -> Server:
    """Return a server. Raises `SettingsError` if the certificate does not do."""
    # A client that speaks no HTTP is no news to us, however often it comes.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    proxies = list(map(str, settings.trusted_proxies))
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=_MOST_CONNECTIONS + settings.max_streams,
        h11_max_incomplete_event_size=_MOST_HEAD,
    )
    config.load()
    if settings.tls_cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_certificate(context, settings)
        config.ssl = context
    return Server(config)


def load_certificate(context: ssl.SSLContext, settings: Console) -> None:
    """Take over certificate and key, for new connections. Raises `SettingsError`."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or str(error)
        raise SettingsError(
            [
                f"[console] tls_cert, tls_key: {settings.tls_cert} and {settings.tls_key} do not do: {why}"
            ]
        ) from error


def listen(settings: Console) -> socket.socket:
    """Return the listening socket. Raises `LbsyncError`, which says how to solve the problem."""
    bind = settings.bind
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((bind.address, bind.port))
            listener.listen(1024)
        except OSError as error:
            raise LbsyncError(
                f"[console] bind: {bind} cannot be listened on: {error.strerror}; name another"
            ) from error
        stack.pop_all()
    return listener
