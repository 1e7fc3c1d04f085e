"""The door to another `lbsync console`: its REST API, and a deployment's events as they happen.

Every failure is one of our own errors, in a sentence that begins with the name of the environment.
"""

import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import TypeVar

import msgspec
import urllib3

from lbsync import __version__
from lbsync.errors import Conflict, LbsyncError, Rejected, SettingsError, Unavailable
from lbsync.schema.reading import Unreadable, one_line, record
from lbsync.settings import Environment, first_line

_MOST_BODY = 1 << 22
_CONNECT_S = 10.0
_READ_S = 60.0
"""Longer than a stream's heartbeat, which comes every 15 s, and than the API server takes to try an app."""
_TRIES = 3
_AGAIN_S = 1.0
_JSON = "application/json"
T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """A refusal (RFC 9457)."""

    title: str
    detail: str = ""


class ConsoleApi:
    """One console, asked with one token. Belongs to one thread."""

    def __init__(self, name: str, environment: Environment) -> None:
        """`name`: of the environment. Raises `SettingsError` if its files cannot be used."""
        self.where = f"{name} ({environment.url})"
        self._url = environment.url
        self._token = _token(name, environment)
        self._pool = urllib3.PoolManager(ssl_context=_trust(name, environment), retries=False)

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()

    def get(self, path: str, kind: type[T]) -> T:
        """Return a resource. Raises `LbsyncError`."""
        return self._ask("GET", path, None, {}, kind)

    def post(self, path: str, body: object, key: str, kind: type[T]) -> T:
        """Ask for something once, whatever gets lost on the way; return the answer. `key`: the request's own, by
        which it is known when it comes again. Raises `LbsyncError`."""
        head = {"Content-Type": _JSON, "Idempotency-Key": key}
        return self._ask("POST", path, msgspec.json.encode(body), head, kind)

    def events(self, path: str, after: int) -> Iterator[tuple[str, str, str]]:
        """Yield kind, id and text of events after this one, until the stream ends, for whatever reason: who asks
        again is told the rest. Raises `LbsyncError` if none begins."""
        head = {"Accept": "text/event-stream"}
        if after >= 0:
            head["Last-Event-ID"] = str(after)
        answer = self._send("GET", path, None, head)
        if answer.status != 200:
            raise self._refusal(answer)
        fields: dict[str, str] = {}
        try:
            with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
                for line in _lines(answer):
                    name, _, value = line.partition(":")
                    if line:
                        fields[name] = value.removeprefix(" ")
                    elif "event" in fields:
                        yield fields["event"], fields.get("id", ""), fields.get("data", "")
                        fields = {}
        finally:
            answer.close()

    def _ask(
        self, method: str, path: str, body: bytes | None, head: dict[str, str], kind: type[T]
    ) -> T:
        """Ask until there is an answer, and return what it holds."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(Unavailable):
                return self._once(method, path, body, head, kind)
            time.sleep(_AGAIN_S)
        return self._once(method, path, body, head, kind)

    def _once(
        self, method: str, path: str, body: bytes | None, head: dict[str, str], kind: type[T]
    ) -> T:
        answer = self._send(method, path, body, head)
        if answer.status >= 300:
            raise self._refusal(answer)
        return self._body(answer, kind)

    def _send(
        self, method: str, path: str, body: bytes | None, head: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": _JSON, "Authorization": f"Bearer {self._token}"}
        headers |= {"User-Agent": f"lbsync/{__version__}", **head}
        try:
            return self._pool.request(
                method, f"{self._url}{path}", body=body, headers=headers, preload_content=False,
                redirect=False, timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"{self.where} does not answer: {_reason(error)}") from error

    def _body(self, answer: urllib3.BaseHTTPResponse, kind: type[T]) -> T:
        try:
            text = answer.read(_MOST_BODY)
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"{self.where} broke off its answer: {_reason(error)}") from error
        try:
            return record(text, kind)
        except Unreadable as error:
            raise Rejected(f"{self.where} does not answer as an lbsync console: {error}") from error

    def _refusal(self, answer: urllib3.BaseHTTPResponse) -> LbsyncError:
        """Return what an answer says that is no good one."""
        told = f"it answers {answer.status}; is it an lbsync console?"
        with contextlib.suppress(LbsyncError):
            found = self._body(answer, Problem)
            told = one_line(": ".join(filter(None, (found.title, found.detail))))
        said = f"{self.where}: {told}"
        if answer.status == 409:
            return Conflict(said)
        if answer.status == 429 or answer.status >= 500:
            return Unavailable(said)
        return Rejected(said)


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """Yield the lines of a stream as they come."""
    left = b""
    while part := answer.read1(_MOST_BODY):
        *lines, left = (left + part).split(b"\n")
        if len(left) > _MOST_BODY:
            return
        for line in lines:
            yield line.decode(errors="replace")


def _reason(error: Exception) -> str:
    """Return why there is no answer, without the objects that urllib3 names."""
    text = str(error.args[-1] if error.args else error)
    return one_line(text.partition(">: ")[2] or text or type(error).__name__)


def _token(name: str, environment: Environment) -> str:
    place = f"[deployer.environments.{name}] token_file: {environment.token_file}"
    token = first_line(environment.token_file, place).strip()
    if not token or not token.isascii() or not token.isprintable():
        raise SettingsError(
            [f"{place} has no token in its first line: write what 'lbsync token add' printed there"]
        )
    return token


def _trust(name: str, environment: Environment) -> ssl.SSLContext:
    if environment.ca_file is None:
        return ssl.create_default_context()
    place = f"[deployer.environments.{name}] ca_file: {environment.ca_file}"
    try:
        return ssl.create_default_context(cafile=str(environment.ca_file))
    except ssl.SSLError as error:
        raise SettingsError([f"{place} holds no certificate in PEM"]) from error
    except OSError as error:
        raise SettingsError([f"{place} cannot be read: {error.strerror}"]) from error
