"""A TCP proxy that fails on command: cuts connections, stalls or slows them, or cuts in mid-stream."""

import contextlib
import selectors
import socket
import threading
import time
from collections import deque

from harness.ports import free_port

_CHUNK = 16384


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`, in one thread."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.passed = 0
        """Bytes that went from the server to clients."""
        self.cuts = 0
        """How often `cut_after` has struck."""
        self.delay_s = 0.0
        """How long bytes are under way, each way; what is under way when it changes stays so."""
        self._late: deque[tuple[float, socket.socket, bytes]] = deque()
        self._target = target
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stalled = threading.Event()
        self._cut_at: int | None = None
        self._peer: dict[socket.socket, socket.socket] = {}
        self._servers: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """As a client URL of etcd."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all connections of this moment; new ones are taken."""
        with self._lock:
            for one in list(self._peer):
                self._drop(one)

    def cut_after(self, count: int) -> None:
        """Reset all connections, once, instead of passing the `count`-th further byte that the
        server sends; 1 lets a request through and loses its answer."""
        with self._lock:
            self._cut_at = self.passed + count

    def stall(self) -> None:
        """Take connections and bytes, pass nothing on: an unplugged cable."""
        self._stalled.set()

    def resume(self) -> None:
        """End `stall`."""
        self._stalled.clear()

    def retarget(self, target: int) -> None:
        """Send new connections elsewhere and cut those that exist."""
        self._target = target
        self.cut()

    def close(self) -> None:
        """Stop the thread and close everything."""
        self._stopped.set()
        self._thread.join(30)
        self.cut()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._stalled.wait(0) and not self._stopped.wait(0.01):
                continue
            for key, _ in self._selector.select(0.002 if self._late else 0.02):
                with self._lock:
                    self._ready(key.fileobj)  # type: ignore[arg-type] # only sockets are registered
            with self._lock:
                self._arrive()

    def _arrive(self) -> None:
        """Pass on what was under way for long enough."""
        while self._late and self._late[0][0] <= time.monotonic():
            _, one, data = self._late.popleft()
            if one in self._peer:
                try:
                    one.sendall(data)
                except OSError:
                    self._drop(one)

    def _ready(self, ready: socket.socket) -> None:
        if ready is self._listener:
            self._accept()
            return
        if ready not in self._peer:
            return
        try:
            data = ready.recv(_CHUNK)
            if ready in self._servers:
                self.passed += len(data)
                if self._cut_at is not None and self.passed >= self._cut_at:
                    self._cut_at = None
                    self.cuts += 1
                    for one in list(self._peer):
                        self._drop(one)
                    return
            if data:
                self._pass_on(self._peer[ready], data)
        except OSError:
            data = b""
        if not data:
            self._drop(ready)

    def _pass_on(self, one: socket.socket, data: bytes) -> None:
        if self.delay_s or self._late:
            due = time.monotonic() + self.delay_s
            # Never before what was sent earlier.
            self._late.append((max(due, self._late[-1][0]) if self._late else due, one, data))
        else:
            one.sendall(data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 30)
        except OSError:
            client.close()
            return
        self._servers.add(server)
        for one, other in ((client, server), (server, client)):
            self._peer[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _drop(self, one: socket.socket) -> None:
        other = self._peer.get(one)
        for end in (one, other):
            if end is not None and self._peer.pop(end, None) is not None:
                self._selector.unregister(end)
                self._servers.discard(end)
                with contextlib.suppress(OSError):
                    end.close()
