"""HTTP byte by byte: a server that answers what it is told to, and a client of HTTP/2."""

import base64
import contextlib
import hashlib
import re
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The answer to `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==` (RFC 6455, section 1.3)."""


_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
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


class EchoingServer(ScriptedServer):
    """Accepts WebSockets (RFC 6455, section 4.2.2), and then sends back whatever comes."""

    def __init__(self) -> None:
        super().__init__(b"")

    def _answer(self, taken: socket.socket) -> None:
        with taken, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n") and (data := taken.recv(65536)):
                head += data
            key = re.search(rb"(?i)\nsec-websocket-key: *(\S+)", head)
            if key is None:
                return
            proof = base64.b64encode(hashlib.sha1(key[1] + _WEBSOCKET).digest())
            accepted = ACCEPTED.partition(b"Sec-")[0]
            taken.sendall(accepted + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")
            while data := taken.recv(65536):
                taken.sendall(data)


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
    """Send one request and then `body`; return the status, or 0 where the stream is reset.

    What asks for a tunnel leaves its side open, as every client does: 3.4 answers 400 to one that is
    half closed from the start.
    """
    opened.sendall(_PREFACE + frame(4, 0, 0, b""))
    block = b"".join(_literal(*header) for header in headers)
    opened.sendall(frame(1, 4 if body or (":method", "CONNECT") in headers else 5, 1, block))
    if body:
        opened.sendall(frame(0, 0, 1, body))
    with contextlib.closing(opened.makefile("rb")) as stream:
        return next((_status(payload) for kind, payload in _frames(stream) if kind == 1), 0)


def echoed_over_http2(
    opened: socket.socket, headers: Sequence[tuple[str, str]], said: bytes
) -> bytes:
    """Open a tunnel and send `said` through it once it stands; return what comes back first."""
    opened.sendall(_PREFACE + frame(4, 0, 0, b""))
    opened.sendall(frame(1, 4, 1, b"".join(_literal(*header) for header in headers)))
    with contextlib.closing(opened.makefile("rb")) as stream:
        for kind, payload in _frames(stream):
            if kind == 1 and _status(payload) == 200:
                opened.sendall(frame(0, 0, 1, said))
            if kind == 0 and payload:
                return payload
    return b""


def _frames(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each frame until the stream is reset or the connection ends."""
    while head := stream.read(9):
        payload = stream.read(int.from_bytes(head[:3], "big"))
        if head[3] in (3, 7):
            return
        yield head[3], payload
