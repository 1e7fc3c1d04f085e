"""One `etcd3` client per endpoint, made when first needed, with fail-over between them.

gRPC's own balancing is not used: each endpoint is a channel of its own, so that TLS names verify
per endpoint, DNS names work, and the liveness probe asks the member that the watch hangs on.
"""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc._common

from lbsync.atomic import FileMark, mark
from lbsync.clients.etcd.auth import Metadata, Tokens
from lbsync.clients.etcd.credentials import system_ca
from lbsync.clients.etcd.failures import CALL_ERRORS, Kind, OutcomeUnknown, RpcFailure, failure
from lbsync.clients.etcd.protobuf import etcd3, etcdrpc
from lbsync.clients.etcd.tls import Explainer
from lbsync.errors import LbsyncError, SettingsError, Unavailable
from lbsync.settings import Endpoint, Etcd, password_of

Stub = Callable[[Any], Callable[..., Any]]
"""Picks a call from an `etcd3.Etcd3Client`: `lambda client: client.kvstub.Range`."""

# keepalive_timeout_ms is without effect since grpcio 1.60; ping_timeout_ms is what notices a frozen
# peer (default 60 s). Times below etcd's --grpc-keepalive-min-time (5 s) get the connection killed.
# The reconnect values replace a back-off of up to 120 s and bound a connect that hangs.
_CHANNEL = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
# In each stream grpc looks ten times a second for signals, which Python 3 hands on without that: a seventh of the
# processor time of an idle agent (measured). Whatever a stream waits for wakes it.
grpc._common.MAXIMUM_WAIT_TIMEOUT = 1.0
_PAUSE = (0.02, 0.2)
_LONGEST = 3
_CLOSE_S = 2.0


class Connection:
    """One endpoint and the client that talks to it."""

    def __init__(self, url: Endpoint, settings: Etcd) -> None:
        self.url = url
        self.files = _stamp(settings)
        try:
            self.client: Any = etcd3.client(
                # With its scheme: gRPC would take a bare `dns:2379` or `unix:2379` for one.
                host=f"dns:///{url.host}",
                port=url.port,
                # etcd3 speaks TLS if, and only if, it is given a CA.
                ca_cert=settings.ca or (system_ca() if url.secure else None),
                cert_cert=settings.cert,
                cert_key=settings.key,
                grpc_options=_CHANNEL,
            )
        except OSError as error:
            raise Unavailable(f"{url}: cannot read a certificate file: {error}") from error
        self.watch = etcdrpc.WatchStub(self.client.channel).Watch
        self.authenticate = etcdrpc.AuthStub(self.client.channel).Authenticate

    def close(self) -> None:
        """Close the channel; give up after two seconds: gRPC waits without an end for a thread of its own, which may
        have died (measured)."""
        closing = threading.Thread(target=self.client.close, name="etcd-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)


class Connections:
    """All endpoints: which one is in use, and calls that move on when it does not answer."""

    def __init__(self, settings: Etcd) -> None:
        self._settings = settings
        self._timeout = settings.timeout.seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._index = 0
        self._open: dict[str, Connection] = {}
        self._told: dict[str, str] = {}
        self.explain = Explainer(settings).explain
        """Why TLS with an endpoint fails, where that can be told."""
        self.tokens = Tokens(self._authenticate if settings.user else None)

    def current(self) -> Connection:
        """Return the connection in use, made on demand. Raises `Unavailable`."""
        with self._lock:
            if self._closed.is_set():
                raise Unavailable("the connection to etcd is closed")
            url = self._settings.endpoints[self._index]
            if url not in self._open:
                self._open[url] = Connection(url, self._settings)
            return self._open[url]

    def leave(self, connection: Connection, why: LbsyncError) -> None:
        """Move on to the next endpoint, unless another thread already did.

        A channel that could not connect is thrown away: gRPC before 1.80 can get stuck in such a
        one, as nobody polls its next tries (measured). So is one whose certificate files changed.
        """
        refused = isinstance(why, RpcFailure) and not why.may_be_done
        with self._lock:
            self._told[connection.url] = getattr(why, "reason", str(why))
            if self._closed.is_set() or self._open.get(connection.url) is not connection:
                return
            if self._settings.endpoints[self._index] == connection.url:
                self._index = (self._index + 1) % len(self._settings.endpoints)
            discard = refused or connection.files != _stamp(self._settings)
            if discard:
                del self._open[connection.url]
        if discard:
            connection.close()

    def once(self, connection: Connection, stub: Stub, request: Any, timeout: float) -> Any:
        """Call one endpoint, authenticating anew if its token is refused. Raises `RpcFailure`."""
        try:
            return self._attempt(connection, stub, request, timeout)
        except RpcFailure as error:
            if error.kind is not Kind.STALE_TOKEN or not self._settings.user:
                raise
        return self._attempt(connection, stub, request, timeout)

    def call(self, stub: Stub, request: Any, *, repeat: bool = True) -> Any:
        """Call whichever endpoint answers, within the timeout of the settings.

        `repeat=False` is for writes: once a request may have reached etcd it is not sent again;
        `OutcomeUnknown` is raised instead. Raises `RpcFailure` when etcd answers with a refusal,
        `Unavailable` when no endpoint answers.
        """
        deadline = time.monotonic() + self._timeout
        share = self._timeout / min(2, len(self._settings.endpoints))
        attempt = 0
        while True:
            attempt += 1
            connection = self.current()
            left = deadline - time.monotonic()
            try:
                return self.once(connection, stub, request, max(0.05, min(left, share)))
            except RpcFailure as error:
                if error.kind is not Kind.ELSEWHERE:
                    raise
                self.leave(connection, error)
                if error.may_be_done and not repeat:
                    raise OutcomeUnknown(f"{error}; the write may or may not be done") from error
                pause = random.uniform(*_PAUSE) * min(attempt, _LONGEST)
                if time.monotonic() + pause >= deadline or self._closed.wait(pause):
                    raise Unavailable(f"etcd does not answer: {self.describe()}") from error

    def describe(self) -> str:
        """Return one phrase per endpoint: what was last seen of it."""
        return "; ".join(
            f"{url}: {self._told.get(url, 'not asked yet')}" for url in self._settings.endpoints
        )

    def close(self) -> None:
        """Close all channels; every later use raises `Unavailable`. May be called twice."""
        with self._lock:
            self._closed.set()
            old = list(self._open.values())
            self._open.clear()
        for connection in old:
            connection.close()

    def _attempt(self, connection: Connection, stub: Stub, request: Any, timeout: float) -> Any:
        metadata: Metadata = self.tokens.metadata()
        try:
            response = stub(connection.client)(request, timeout=timeout, metadata=metadata)
        except CALL_ERRORS as error:
            translated = failure(connection.url, error, self.explain)
            if translated.kind is Kind.STALE_TOKEN:
                self.tokens.drop(metadata)
            raise translated from error
        self._told[connection.url] = "answers"
        return response

    def _password(self) -> str:
        try:
            return password_of(self._settings) or ""
        except SettingsError as error:
            # The file may be replaced just now: that is waited for, like an etcd that is away.
            raise Unavailable(str(error)) from error

    def _authenticate(self) -> str | None:
        connection = self.current()
        request = etcdrpc.AuthenticateRequest(name=self._settings.user, password=self._password())
        try:
            token: str = connection.authenticate(request, timeout=self._timeout).token
        except CALL_ERRORS as error:
            translated = failure(connection.url, error, self.explain)
            if "authentication is not enabled" in translated.reason:
                return None
            translated.may_be_done = False
            raise translated from error
        return token


def _stamp(settings: Etcd) -> tuple[FileMark, ...]:
    """Return what changes when one of the certificate files is replaced."""
    return tuple(_mark(path) for path in (settings.ca, settings.cert, settings.key) if path)


def _mark(path: str) -> FileMark:
    """Return a file's mark; empty for one that cannot be looked at just now."""
    try:
        return mark(Path(path).stat())
    except OSError:
        return ()
