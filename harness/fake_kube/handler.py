"""HTTP for the fake: one connection, many requests, each an answer or a stream."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from harness.fake_kube import declared, discovery, reading, writing
from harness.fake_kube.faults import Faults, Refused
from harness.fake_kube.place import Place, User, locate
from harness.fake_kube.status import ApiError, Json
from harness.fake_kube.storage import Storage
from harness.fake_kube.writing import Writer

_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Seen(NamedTuple):
    """A request that came."""

    at: float
    """Monotonic seconds."""
    method: str
    target: str
    """Path and query."""
    token: str


class Fake(Protocol):
    """What answers are made of: the server that connections belong to."""

    minor: int
    storage: Storage
    writer: Writer
    faults: Faults
    requests: list[Seen]
    connections: "set[Handler]"

    def user_of(self, token: str, connection: socket.socket) -> User:
        """Return who a request comes from. Raises 401."""

    def has(self, place: Place) -> bool:
        """Tell whether the object is there."""

    def log_of(self, place: Place, query: dict[str, str]) -> str:
        """Return the last lines that a pod's container wrote."""


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    # Else the first event after the headers waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def setup(self) -> None:  # noqa: D102
        super().setup()
        self.dropped = threading.Event()
        self.fake.connections.add(self)
        if cast(Any, self.server).is_closed:
            self.drop()

    def finish(self) -> None:  # noqa: D102
        self.fake.connections.discard(self)
        super().finish()

    @property
    def fake(self) -> Fake:
        """The server this belongs to."""
        return cast(Fake, cast(Any, self.server).fake)

    def drop(self) -> None:
        """Cut the connection, from any thread."""
        self.dropped.set()
        try:
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; `FakeKube.requests` has it all."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.fake.requests.append(Seen(time.monotonic(), self.command, self.path, token))
        if not self._moving():
            return
        try:
            self.fake.faults.check(self.path)
            instead = self.fake.faults.body(self.path)
            if instead is not None:
                self._send(200, instead)
                return
            user = self.fake.user_of(token, self.connection)
            self._answer(url.path, query, body, user)
        except ApiError as error:
            retry = error.retry_after if isinstance(error, Refused) else None
            self._send_json(error.code, error.body, retry)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, path: str, query: reading.Query, body: bytes, user: User) -> None:
        if path in ("/readyz", "/healthz", "/livez"):
            self._send(200, discovery.readyz().encode(), "text/plain; charset=utf-8")
            return
        about = discovery.answer(path, self.fake.minor)
        if about is not None:
            self._send_json(200, about)
            return
        place = locate(path, self.fake.minor)
        if self.command == "GET":
            self._read(place, query, user)
            return
        verb = _WRITES[self.command]
        user.check(verb, place)
        if "apply-patch" in self.headers.get("Content-Type", "") and not self.fake.has(place):
            # Who makes an object by applying it needs both rights.
            user.check("create", place)
        if query.get("fieldValidation") == "Strict" and verb == "create":
            declared.refuse_strictly(place, writing.read_json(body))

        def write() -> writing.Answer:
            return self._write(verb, place, query, body)

        is_dry = query.get("dryRun") == "All"
        self._send_json(*(self.fake.writer.dry(write) if is_dry else write()))

    def _read(self, place: Place, query: reading.Query, user: User) -> None:
        watching = query.get("watch") in ("1", "true")
        verb = "watch" if watching else ("get" if place.name else "list")
        user.check(verb, place)
        storage = self.fake.storage
        if place.sub == "log":
            reading.get_one(storage, place)
            self._send(200, self.fake.log_of(place, query).encode(), "text/plain")
            return
        # As a real server does: the first clause counts, and it is for a list, or for one object.
        form = self.headers.get("Accept", "").partition(",")[0]
        metadata_only = "as=PartialObjectMetadata" in form
        if watching:
            # What is wrong with the request must be known before the answer begins.
            reading.check_watch(query)
            reading.version_of(query.get("resourceVersion") or "0")
            ends = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
            lines = reading.watch(storage, place, query, metadata_only, lambda: self._left(ends))
            self._stream(iter(()) if "as=PartialObjectMetadataList" in form else lines)
        elif place.name:
            self._send_json(200, reading.get_one(storage, place))
        else:
            page = msgspec.json.encode(reading.list_page(storage, place, query, metadata_only))
            race = self.fake.faults.take_race()
            if race:
                race()
            self._send(200, page)

    def _write(self, verb: str, place: Place, query: reading.Query, body: bytes) -> writing.Answer:
        writer = self.fake.writer
        agent = self.headers.get("User-Agent", "unknown").split("/")[0]
        manager = query.get("fieldManager") or agent
        if verb == "create":
            return writer.create(place, writing.read_json(body), manager)
        if place.name is None:
            raise ApiError(405, "the server does not allow this method", "MethodNotAllowed", {})
        if verb == "update":
            return writer.update(place, writing.read_json(body), manager)
        if verb == "patch":
            kind = self.headers.get("Content-Type", "").split(";")[0]
            return writer.patch(place, body, kind, query, manager)
        return writer.delete(place, body, query)

    def _left(self, ends: float) -> float:
        return 0.0 if self.dropped.is_set() else ends - time.monotonic()

    def _moving(self) -> bool:
        """Wait while the server is stalled; say whether the connection is still worth an answer."""
        while not self.dropped.is_set():
            if self.fake.faults.wait_until_moving(0.02):
                return True
        self.close_connection = True
        return False

    def _stream(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            if not self._moving():
                return
            if self.fake.faults.take_cut():
                self._chunk(line[: len(line) // 2])
                self.close_connection = True
                self.drop()
                return
            self._chunk(self.fake.faults.change(line))
        if not self.dropped.is_set():
            self._put(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self._put(b"%x\r\n%s\r\n" % (len(data), data))

    def _put(self, data: bytes) -> None:
        """Write, slowly when told so."""
        pause = self.fake.faults.trickle
        step = 10 if pause else len(data) or 1
        for start in range(0, len(data), step):
            if pause and self.dropped.wait(pause):
                return
            self.wfile.write(data[start : start + step])

    def _send_json(self, code: int, body: Json, retry_after: int | None = None) -> None:
        self._send(code, msgspec.json.encode(body), retry_after=retry_after)

    def _send(
        self,
        code: int,
        body: bytes,
        kind: str = "application/json",
        retry_after: int | None = None,
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self._put(body)
