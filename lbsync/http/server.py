"""The server: waitress in threads that are looked after, with bounds on all that others can cause.

waitress reads and writes all connections in one thread and gives whole requests to a few others, so
that a slow client holds up nobody. What it leaves open is closed here: a connection has one request
and its answer, and a time limit.
"""

import logging
import threading
import time
from collections.abc import Callable
from socket import socket
from typing import Any

import waitress.channel
import waitress.server
import waitress.task
import waitress.wasyncore

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.errors import LbsyncError
from lbsync.http import listener
from lbsync.http.pages import Pages
from lbsync.threads import SupervisedThread
from lbsync.values.addresses import HttpBind

_WITHIN_S = 10
"""From the connection to the last byte of the answer."""
_END_WITHIN_S = 5.0
_PAUSES_S = (1.0, 30.0)
"""Between two attempts to listen, the first and the longest."""
_THREADS = 3
_TURN_S = 1.0
_BOUNDS = {
    # Brought by `_Workers`.
    "threads": 0,
    "backlog": listener.BACKLOG,
    "connection_limit": 100,
    "cleanup_interval": 2,
    "max_request_header_size": 16_384,
    "max_request_body_size": 1024,
    # Above the largest answer, so that no thread waits until a client has read it; nothing goes to disk.
    "outbuf_high_watermark": 1 << 26,
    "outbuf_overflow": 1 << 26,
    "log_socket_errors": False,
    "expose_tracebacks": False,
    "ident": "lbsync",
}
"""See https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html."""


class HttpServer:
    """Listens where the settings say, again and again where it cannot; the owner goes on meanwhile."""

    def __init__(self, pages: Pages, name: str, *, within_s: int = _WITHIN_S) -> None:
        """`name`: the setting that says where, for the log: `[agent] http_bind`. `within_s`: seconds from
        a connection to the last byte of its answer."""
        # What clients do is told by status codes; a line for each would let them fill the log.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._pages = pages
        self._name = name
        self._bounds = {**_BOUNDS, "channel_timeout": within_s}
        self._bind: HttpBind | None = None
        self._listening: _Listening | None = None

    def follow(self, bind: HttpBind | None) -> None:
        """Listen there from now on, or nowhere. Never raises for what is in the way: see `trouble`."""
        if bind == self._bind:
            return
        self.close()
        self._bind = bind
        if bind is not None:
            self._listening = _Listening(bind, self._pages, self._name, self._bounds)

    @property
    def trouble(self) -> str:
        """Why nobody is answered; empty if all is well, or nothing is to be listened on."""
        return self._listening.trouble if self._listening is not None else ""

    def close(self) -> None:
        """End all connections and free the address."""
        if self._listening is not None:
            self._listening.close()
        self._bind, self._listening = None, None


class _Listening:
    """One address for as long as it is asked for."""

    def __init__(self, bind: HttpBind, pages: Pages, name: str, bounds: dict[str, Any]) -> None:
        self._bind = bind
        self._pages = pages
        self._bounds = bounds
        self._ended = threading.Event()
        self._backoff = Backoff(*_PAUSES_S)
        self._failing = log.Failing(f"{name}: nobody is answered", f"{name}: {bind} answers")
        self._fault = ""
        self._lock = threading.Lock()
        self._wakes: Callable[[], None] | None = None
        """Ends the wait of the loop that runs now."""
        self._thread = SupervisedThread(self._run, "http", on_fault=self._failed)
        self._thread.start()

    @property
    def trouble(self) -> str:
        return self._failing.error or self._fault

    def close(self) -> None:
        self._ended.set()
        self._thread.stop()
        self._wake()
        self._thread.join(_END_WITHIN_S)

    def _failed(self, sentence: str) -> None:
        self._fault = sentence

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                made = listener.listen(self._bind)
            except LbsyncError as error:
                self._failing.failed(str(error))
                self._ended.wait(self._backoff.pause())
                continue
            self._backoff.reset()
            self._failing.recovered()
            self._fault = ""
            try:
                self._serve(made)
            finally:
                listener.remove(self._bind, made)

    def _serve(self, made: socket) -> None:
        connections: dict[int, Any] = {}
        workers = _Workers()
        server = waitress.server.create_server(
            self._pages, map=connections, sockets=[made], **self._bounds
        )
        server.channel_class = _Connection
        server.task_dispatcher = workers
        workers.set_thread_count(_THREADS)
        self._wakes = server.pull_trigger
        try:
            while not self._ended.is_set():
                waitress.wasyncore.loop(_TURN_S, use_poll=True, map=connections, count=1)
        finally:
            # In this order: who writes to the trigger's descriptor must not find another file there.
            with self._lock:
                self._wakes = None
            workers.shutdown(timeout=_END_WITHIN_S)
            waitress.wasyncore.close_all(connections)

    def _wake(self) -> None:
        with self._lock:
            if self._wakes is not None:
                self._wakes()


class _Workers(waitress.task.ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads that make answers; one that ends is begun anew."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[SupervisedThread] = []

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        """Start one. `target` returns after `shutdown`."""
        thread = SupervisedThread(lambda: target(thread_no), f"http-{thread_no}")
        self._kept.append(thread)
        thread.start()


class _Connection(waitress.channel.HTTPChannel):  # type: ignore[misc]
    """A connection with one request and its answer, within a time limit.

    waitress itself would wait without an end for a client that sends or reads a byte now and then, and
    a thread of it for one that sends many requests at once and reads no answer.
    """

    def readable(self) -> bool:
        """Tell whether to read; asked of each connection in each turn of the loop, each second at least."""
        if time.time() - self.creation_time > self.adj.channel_timeout:
            self.will_close = True
        return bool(super().readable())

    def service(self) -> None:
        """Answer the request, the last one of this connection."""
        self.requests[0].headers["CONNECTION"] = "close"
        super().service()
