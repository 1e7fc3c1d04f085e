"""HTTP byte by byte: a server that answers what it is told to, and a client of HTTP/2."""

import contextlib
import socket
import struct
import threading
from collections.abc import Sequence

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The answer to `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==` (RFC 6455, section 1.3)."""


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class ScriptedServer:
    """Answers each piece of data with `reply`, whatever it says, and keeps what it got."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.received = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def endpoints(self) -> dict[str, object]:
        """An `endpoints` value with this server alone."""
        server = {"name": "scripted", "address": "127.0.0.1", "port": self.port}
        return {"servers": [server]}

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(taken,), daemon=True).start()

    def _answer(self, taken: socket.socket) -> None:
        with taken, contextlib.suppress(OSError):
            while data := taken.recv(65536):
                self.received += data
                taken.sendall(self.reply)


class Http2Server(ScriptedServer):
    """Speaks HTTP/2 without TLS and nothing else; answers every request with an empty 200."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.requests = 0

    def _answer(self, taken: socket.socket) -> None:
        with taken, taken.makefile("rb") as stream, contextlib.suppress(OSError):
            if stream.read(len(_PREFACE)) != _PREFACE:
                return
            taken.sendall(frame(4, 0, 0, b""))
            while head := stream.read(9):
                stream.read(int.from_bytes(head[:3], "big"))
                kind, flags, number = struct.unpack("!BBI", head[3:])
                if kind == 4 and not flags & 1:
                    taken.sendall(frame(4, 1, 0, b""))
                if kind == 1:  # 0x88 is ":status: 200" in the static table.
                    self.requests += 1
                    taken.sendall(frame(1, 5, number, b"\x88"))


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header that no table has, in HPACK (RFC 7541, section 6.2.2)."""
    parts = (part.encode("latin-1") for part in (name, value))
    return b"\0" + b"".join(bytes([len(part)]) + part for part in parts)


_STATUS_BY_INDEX = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def _status(block: bytes) -> int:
    """The status a block of headers begins with: by index, or as three digits after a name."""
    if block[0] & 0x80:
        return _STATUS_BY_INDEX[block[0] & 0x7F]
    at = 1 if block[0] & 0x0F else 1 + 1 + block[1]
    assert block[at] == 3, "the status is no plain text"
    return int(block[at + 1 : at + 4])


def ask_http2(
    opened: socket.socket, headers: Sequence[tuple[str, str]], *, body: bytes = b""
) -> int:
    """Send one request and then `body`; return the status, or 0 where the stream is reset."""
    opened.sendall(_PREFACE + frame(4, 0, 0, b""))
    block = b"".join(_literal(*header) for header in headers)
    opened.sendall(frame(1, 4 if body else 5, 1, block))
    if body:
        opened.sendall(frame(0, 0, 1, body))
    with contextlib.closing(opened.makefile("rb")) as stream:
        while head := stream.read(9):
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                return _status(payload)
            if head[3] in (3, 7):
                return 0
    return 0
