"""The log sent to Graylog, as GELF 1.1: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html.

Lines wait in a bounded queue for a thread, so that a target that is slow or dead holds up nobody; what
does not fit is lost, counted and told. Warnings and worse are written to standard error as well: the
target may be what is wrong.

Ours, as the libraries for it (graypy, pygelf) have had no release for years and send in the thread that
logs.
"""

import collections
import contextlib
import json
import os
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.clients.http_probe import UNREACHED
from lbsync.settings import Log
from lbsync.threads import SupervisedThread
from lbsync.values.addresses import GelfTarget

_MOST_WAITING = 10_000
_MOST_TEXT = 8_000
"""Characters of one field."""
_MOST_FIELDS = 60
_CHUNK = 1420
"""Bytes of a message in one datagram: what an Ethernet takes in one piece."""
_CHUNKED = b"\x1e\x0f"
_MOST_CHUNKS = 128
_CUT = 200
"""Characters of a field where all together would be too long."""
_WITHIN_S = 5.0
"""To connect, and to get rid of one line."""
_END_WITHIN_S = 2.0
_PAUSES_S = (0.5, 30.0)
_RECONNECT_S = 60.0
"""A name may lead elsewhere by then; of UDP nobody tells."""
_ODD = re.compile(r"[^\w.-]")


class GelfSender:
    """Sends lines to one target, until `close`."""

    def __init__(self, target: GelfTarget, ca: str | None, host: str) -> None:
        """`ca`: PEM file with the authorities for `tls://`; None: the system's. `host`: this host's name."""
        self._target = target
        self._ca = ca
        self._host = host
        self._waiting: collections.deque[bytes] = collections.deque()
        self._news = threading.Condition()
        self._lost = 0
        self._ending = False
        self._failing = log.Failing(
            f"no log line reaches {target}", f"log lines reach {target} again"
        )
        self._backoff = Backoff(*_PAUSES_S, spread=(0.7, 1.0))
        self._thread = SupervisedThread(self._run, "gelf")
        self._thread.start()

    def send(self, event: Mapping[str, object], priority: int) -> None:
        """Queue one event; never blocks. `priority`: 0 to 7, as syslog(3) counts. From any thread."""
        data = message(event, priority, self._host, time.time())
        with self._news:
            if len(self._waiting) >= _MOST_WAITING:
                self._lost += 1
                return
            self._waiting.append(data)
            self._news.notify()

    def close(self) -> None:
        """Send what waits, for two seconds at most, and end."""
        with self._news:
            self._ending = True
            self._news.notify_all()
        self._thread.join(_END_WITHIN_S)

    def _run(self) -> None:
        while not self._is_done():
            try:
                with self._connected() as connection:
                    self._backoff.reset()
                    self._empty_into(connection)
            except UNREACHED as error:  # ssl.SSLError and socket.gaierror are OSError
                self._failing.failed(_why(error))
                with self._news:
                    if self._ending:
                        return
                    self._news.wait_for(lambda: self._ending, self._backoff.pause())

    def _is_done(self) -> bool:
        with self._news:
            return self._ending and not self._waiting

    def _empty_into(self, connection: socket.socket) -> None:
        """Send lines as they come. Returns when the connection is to be created again, or none is left."""
        until = time.monotonic() + _RECONNECT_S
        while not self._is_done():
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._ending, 1.0)
                data = self._waiting[0] if self._waiting else None
            if data is None:
                if self._target.kind == "udp" and time.monotonic() > until:
                    return
                continue
            if self._target.kind == "udp":
                for part in datagrams(data):
                    connection.send(part)
            else:
                if _is_closed(connection):
                    raise ConnectionError("it has closed the connection")
                connection.sendall(data + b"\0")
            self._sent()

    def _sent(self) -> None:
        with self._news:
            self._waiting.popleft()
            lost, self._lost = self._lost, 0
        self._failing.recovered()
        if lost:
            log.get().warning(f"{lost} lines of this log could not be sent to {self._target}")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        host, port = self._target.host, self._target.port
        if self._target.kind == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind, protocol) as plain:
                plain.settimeout(_WITHIN_S)
                plain.connect(address)
                yield plain
            return
        with socket.create_connection((host, port), timeout=_WITHIN_S) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._target.kind == "tcp":
                yield plain
                return
            context = ssl.create_default_context(cafile=self._ca)
            with context.wrap_socket(plain, server_hostname=host) as secure:
                yield secure


def message(event: Mapping[str, object], priority: int, host: str, at: float) -> bytes:
    """Return one event as GELF. `at`: seconds since 1970."""
    found: dict[str, object] = {
        "version": "1.1",
        "host": host,
        "short_message": str(event.get("event", ""))[:_MOST_TEXT] or "-",
        "timestamp": round(at, 3),
        "level": priority,
        "_program": "lbsync",
        "_pid": os.getpid(),
    }
    if trace := event.get("exception"):
        found["full_message"] = str(trace)[-_MOST_TEXT:]
    for name, value in list(event.items())[:_MOST_FIELDS]:
        if name not in ("event", "level", "exception", "timestamp"):
            found[_name(name)] = _value(value)
    data = json.dumps(found).encode()
    if len(data) <= _CHUNK * _MOST_CHUNKS:
        return data
    # Even if each character were escaped, this fits.
    own = ("short_message", "full_message")
    cut = {k: v[:_CUT] if isinstance(v, str) and k not in own else v for k, v in found.items()}
    return json.dumps(cut).encode()


def datagrams(data: bytes) -> list[bytes]:
    """Return the datagrams of a message: chunks where it is too long for one; at most 128, as the protocol
    has it, which `message` sees to."""
    if len(data) <= _CHUNK:
        return [data]
    parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    name = secrets.token_bytes(8)
    return [
        _CHUNKED + name + bytes([number, len(parts)]) + part for number, part in enumerate(parts)
    ]


def _name(name: str) -> str:
    clean = _ODD.sub("_", name)[:100]
    return "_id_" if clean == "id" else f"_{clean}"


def _value(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:_MOST_TEXT]


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has ended: it never says anything otherwise."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.settimeout(_WITHIN_S)


def _why(error: OSError | UnicodeError) -> str:
    return getattr(error, "strerror", "") or str(error) or type(error).__name__


_senders: list[tuple[Log, GelfSender]] = []
"""The one that is used now, if any, as the log is one for a process."""


def follow(settings: Log, host: str) -> None:
    """Let the log of this process be as the settings say. `host`: this host's name."""
    if settings.format != "gelf" or settings.gelf_target is None:
        log.setup(settings.level, settings.format)
        _end_others(None)
        return
    if not _senders or _senders[0][0] != settings:
        _senders.insert(0, (settings, GelfSender(settings.gelf_target, settings.gelf_ca, host)))
    sender = _senders[0][1]
    log.setup(settings.level, "auto", beside=sender.send)
    _end_others(sender)


def end() -> None:
    """Send what waits, for two seconds at most, and log to standard error from then on."""
    if _senders:
        log.setup(_senders[0][0].level)
        _end_others(None)


def _end_others(sender: GelfSender | None) -> None:
    for _, other in [each for each in _senders if each[1] is not sender]:
        other.close()
    _senders[:] = [each for each in _senders if each[1] is sender]
