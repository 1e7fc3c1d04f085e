"""HTTP to one API server: connections, credentials, and every failure as one of our own errors.

A transport belongs to one user (one reflector), so that closing it ends exactly that user's
requests, whatever they wait for.
"""

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlencode

import msgspec
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lbsync import __version__, log
from lbsync.clients.kube.auth import tls
from lbsync.clients.kube.auth.access import Access, ClusterConfig
from lbsync.clients.kube.errors import ApiUnavailable, Unauthorized, parse_status, refusal
from lbsync.clients.kube.plain import plain
from lbsync.clients.kube.timing import Timing
from lbsync.errors import Unavailable

_ERROR_BODY = 1 << 16
_CHUNK = 1 << 18
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    # A peer that is gone without a word is noticed after 15 + 3 x 5 s.
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # The same for what was sent and never acknowledged (milliseconds).
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the API server by one call."""

    what: str
    """For messages: "list services in namespace shop"."""
    path: str
    """Below the server's address, already quoted."""
    query: Mapping[str, str | int] = {}
    method: str = "GET"
    accept: str = "application/json"
    body: bytes | None = None
    content_type: str = "application/json"


class Transport:
    """Sends requests to one API server over kept connections. Thread-safe."""

    def __init__(
        self, config: ClusterConfig, timing: Timing, heard: Callable[[], None] = lambda: None
    ) -> None:
        """`heard` is called whenever something comes from the server."""
        self._config = config
        self._heard = heard
        self._timing = timing
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._pool_access: Access | None = None
        self._sockets = _Sockets()
        self._closed = False

    def fetch(self, request: Request) -> bytes:
        """Send a request and return the whole body of a good answer; errors as in `open`."""
        deadline = time.monotonic() + self._timing.page
        response = self.open(request, self._timing.read)
        return self._body(response, request.what, deadline)

    def open(self, request: Request, read_timeout: float) -> urllib3.BaseHTTPResponse:
        """Send a request and return a good answer, its body unread.

        `read_timeout` is in seconds, between two arrivals of bytes. Credentials that are refused
        are looked up again once. Raises those of `errors.refusal`, and `ApiUnavailable` when
        there is no answer.
        """
        access = self._config.credentials.current()
        try:
            return self._attempt(request, access, read_timeout)
        except Unauthorized:
            self._config.credentials.refused(access)
            renewed = self._config.credentials.current()
            if renewed == access:
                raise
            return self._attempt(request, renewed, read_timeout)

    def close(self) -> None:
        """End all requests at once and refuse new ones. May be called twice, from any thread."""
        with self._lock:
            self._closed = True
        self.drop()

    def drop(self) -> None:
        """End all requests at once; new ones get new connections. From any thread."""
        with self._lock:
            pool, self._pool = self._pool, None
            sockets, self._sockets = self._sockets, _Sockets()
        sockets.end()
        if pool is not None:
            pool.clear()

    def _attempt(
        self, request: Request, access: Access, read_timeout: float
    ) -> urllib3.BaseHTTPResponse:
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {"Accept": request.accept, "User-Agent": f"lbsync/{__version__}"}
        if access.token:
            # A line end in a token would be refused with the token in the message.
            token = access.token.encode("ascii", "ignore").decode()
            headers["Authorization"] = f"Bearer {''.join(token.split())}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            response = self._pool_for(access).request(
                request.method,
                f"{self._config.server}{request.path}{query}",
                body=request.body,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timing.connect, read=read_timeout),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, urllib3.exceptions.SSLError):
                # Perhaps a certificate or an authority was renewed: look again before the next try.
                self._config.credentials.refused(access)
            raise ApiUnavailable(f"{request.what}: {plain(error)}") from error
        self._heard()
        if 200 <= response.status < 300:
            return response
        raise self._refusal(request.what, response)

    def _refusal(self, what: str, response: urllib3.BaseHTTPResponse) -> Exception:
        deadline = time.monotonic() + self._timing.read
        body = self._body(response, what, deadline, limit=_ERROR_BODY)
        asked = response.headers.get("Retry-After", "")
        # The other form of the header, a date, is not used by API servers.
        retry_after = float(asked) if asked.isdecimal() else None
        return refusal(what, response.status, parse_status(body), retry_after)

    def _body(
        self,
        response: urllib3.BaseHTTPResponse,
        what: str,
        deadline: float,
        limit: int | None = None,
    ) -> bytes:
        """Read a body to its end, or to `limit`. A body cut short is an error, never a short body."""
        parts = bytearray()
        try:
            while part := response.read1(_CHUNK):
                parts += part
                self._heard()
                if limit is not None and len(parts) >= limit:
                    response.close()
                    break
                if time.monotonic() > deadline:
                    raise ApiUnavailable(f"{what}: the answer comes too slowly; given up")
            announced = response.headers.get("Content-Length", "")
            if limit is None and announced.isdecimal() and not _is(announced, len(parts)):
                raise ApiUnavailable(f"{what}: the answer was cut after {len(parts)} bytes")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnavailable(f"{what}: the answer was cut: {plain(error)}") from error
        finally:
            response.release_conn()
        return bytes(parts)

    def _pool_for(self, access: Access) -> urllib3.PoolManager:
        """Return connections that show `access`; a renewed certificate needs new ones."""
        with self._lock:
            if self._closed:
                raise ApiUnavailable("the client is closed")
            shown = Access(certificate=access.certificate, authority=access.authority)
            if self._pool is None or shown != self._pool_access:
                if self._pool is not None:
                    self._pool.clear()
                self._pool = self._make_pool(access)
                self._pool_access = shown
            return self._pool

    def _make_pool(self, access: Access) -> urllib3.PoolManager:
        config = self._config
        options: dict[str, Any] = {"num_pools": 2, "maxsize": 2, "socket_options": _SOCKET_OPTIONS}
        if config.server.startswith("https:"):
            try:
                options["ssl_context"] = tls.context(access, config.insecure)
            except Unavailable:
                config.credentials.refused(access)  # read in the middle of being written, perhaps
                raise
            options["server_hostname"] = config.tls_server_name
            if config.insecure:
                options["cert_reqs"] = "CERT_NONE"
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                log.get().warning(
                    "the API server's certificate is not verified", server=config.server
                )
        pool = (
            urllib3.ProxyManager(
                config.proxy_url, proxy_headers=_login(config.proxy_url), **options
            )
            if config.proxy_url
            else urllib3.PoolManager(**options)
        )
        pool.pool_classes_by_scheme = _tracking(self._sockets)
        return pool


def _is(digits: str, number: int) -> bool:
    """Tell whether digits, of which there may be any number, say this."""
    return (digits.lstrip("0") or "0") == str(number)


def _login(proxy_url: str) -> dict[str, str]:
    """Return the header for the name and the password in a proxy's URL, which urllib3 passes over."""
    found = urllib3.util.parse_url(proxy_url).auth
    return dict(urllib3.util.make_headers(proxy_basic_auth=unquote(found))) if found else {}


class _Sockets:
    """The sockets of some connections: the way to end a blocked read from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = False

    def add(self, connected: socket.socket) -> None:
        """Note a socket, or end it where it was connected too late."""
        with self._lock:
            self._open.add(connected)
            if self._ended:
                _shut(connected)

    def end(self) -> None:
        """End all of them, and those that are still being connected."""
        with self._lock:
            self._ended = True
            for connected in self._open:
                _shut(connected)


def _shut(connected: socket.socket) -> None:
    # Not `connected.shutdown`: on a TLS socket that takes the session away from under the thread
    # that reads it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _tracking(sockets: _Sockets) -> dict[str, Any]:
    """Return pool classes whose connections note their socket."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    plain = type("TrackedHTTP", (HTTPConnectionPool,), {"ConnectionCls": Plain})
    secure = type("TrackedHTTPS", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
    return {"http": plain, "https": secure}
