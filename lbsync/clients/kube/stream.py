"""A watch stream: bytes in, events out, and one way to end for each thing that can happen."""

import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec
import urllib3

from lbsync.clients.kube.errors import (
    UNREADABLE,
    Expired,
    StreamBroken,
    StreamFaulty,
    parse_status,
    refusal,
)
from lbsync.clients.kube.kinds import Entry, Kind
from lbsync.clients.kube.plain import plain
from lbsync.decoders import decode

T = TypeVar("T")
_CHUNK = 1 << 16


class Event(msgspec.Struct, Generic[T], frozen=True):
    """One line of a watch: what happened to an object."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    version: str
    """The resourceVersion to go on from after this event."""
    entry: Entry[T] | None
    """None for a BOOKMARK, which has no object worth the name."""


class _Envelope(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, rename={"version": "resourceVersion"}):
    version: str


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMeta


class WatchStream(Generic[T]):
    """The events of one watch request, in order. Iterate once, in one thread."""

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        kind: Kind[T],
        what: str,
        deadline: float,
        heard: Callable[[], None],
    ) -> None:
        """`deadline` (monotonic) is when the server should have ended the stream; `heard` is called
        for all that comes."""
        self._heard = heard
        self._response = response
        self._kind = kind
        self._what = what
        self._deadline = deadline

    def __iter__(self) -> Iterator[Event[T]]:
        """Yield events until the server ends the stream in good order.

        Raises `Expired`, `StreamBroken` when it is cut or silent for too long, and `StreamFaulty` for
        an `ERROR` event and what is no event.
        """
        for line in self._lines():
            yield self._event(line)

    def close(self) -> None:
        """Drop the connection, whatever is still under way on it."""
        self._response.close()

    def _lines(self) -> Iterator[bytes]:
        """Yield whole lines. A last line without its end was cut, and is not believed."""
        rest = b""
        try:
            while part := self._response.read1(_CHUNK):
                self._heard()
                lines = (rest + part).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    if line.strip():
                        yield line
                if time.monotonic() > self._deadline:
                    raise StreamBroken(f"{self._what}: the server did not end the stream in time")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StreamBroken(f"{self._what}: the stream was cut: {plain(error)}") from error
        if rest.strip():
            raise StreamBroken(f"{self._what}: the stream was cut in the middle of an event")

    def _event(self, line: bytes) -> Event[T]:
        try:
            envelope = decode(line, _Envelope)
            if envelope.type == "BOOKMARK":
                mark = decode(envelope.object, _Bookmark)
                return Event("BOOKMARK", mark.metadata.version, None)
        except UNREADABLE as error:
            raise StreamFaulty(f"{self._what}: not an event: {error}") from error
        if envelope.type == "ERROR":
            raise self._error(bytes(envelope.object))
        if envelope.type not in ("ADDED", "MODIFIED", "DELETED"):
            raise StreamFaulty(f"{self._what}: unknown event {envelope.type[:40]!r}")
        entry = self._kind.read(envelope.object)
        return Event(envelope.type, entry.version, entry)

    def _error(self, body: bytes) -> Exception:
        status = parse_status(body)
        error = refusal(f"{self._what}, within the stream", status.code or 500, status)
        return error if isinstance(error, Expired) else StreamFaulty(str(error))
