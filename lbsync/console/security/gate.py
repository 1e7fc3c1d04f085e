"""The gate in front of the application: every request and every response passes through it."""

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec

from lbsync.console.problem import Problem
from lbsync.console.security.limits import RateLimit
from lbsync.console.security.origin import SAFE, is_known_host, is_own_page
from lbsync.console.security.sessions import Sessions
from lbsync.console.security.tokens import Right, Token, Tokens
from lbsync.settings import Console

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Answer = Callable[[Scope, Problem], Awaitable[tuple[int, list[tuple[bytes, bytes]], bytes]]]
"""Makes the page or document of a problem: status, headers, body."""

COOKIE = "lbsync_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Over TLS: a browser takes it from this very host alone (RFC 6265bis, 4.1.3.2)."""
LOGIN = "/login"
HOOKS = "/hooks/"
SIGNATURE = "x-hub-signature-256"
"""HMAC-SHA256 of a body, as GitHub, Gitea and others send it."""
#: Open to everybody: the way in, and what its page is made of.
_OPEN = (LOGIN, "/static/", "/healthz")
_PER_S, _BURST = 20.0, 200
_LOGINS_PER_S, _LOGINS_BURST = 0.1, 10
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Visitor(msgspec.Struct, frozen=True):
    """The client of a request."""

    name: str
    """Of the token; empty: nobody showed one, and none is needed."""
    right: Right
    address: str
    token: str = ""
    """The hash of the token."""
    by_cookie: bool = False
    """Logged in with a browser, which can be led to ask for what its user did not mean."""
    namespaces: tuple[str, ...] = ()
    """All that the token opens; none: everything."""

    def has(self, right: Right) -> bool:
        """Tell whether the token has a right in any namespace."""
        return bool(self.name or right == "read") and Token(self.name, self.right, "", "").may(
            right
        )

    def may(self, right: Right, namespace: str = "") -> bool:
        """Tell whether this is allowed in a namespace, or, without one, for the whole fleet."""
        return self.has(right) and self.reaches(namespace)

    def reaches(self, namespace: str = "") -> bool:
        """Tell whether the token gives access to a namespace, or, without one, to the whole fleet."""
        return not self.namespaces or namespace in self.namespaces

    def __str__(self) -> str:
        """For whoever reads later who did it."""
        return f"token {self.name or '-'} from {self.address or 'unknown'}"


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self, app: App, settings: Console, tokens: Tokens, sessions: Sessions, answer: Answer
    ) -> None:
        """`answer`: how a refusal looks."""
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._sessions = sessions
        self._answer = answer
        self._limit = RateLimit(_PER_S, _BURST)
        self._logins = RateLimit(_LOGINS_PER_S, _LOGINS_BURST)
        self._needs_token = not is_open(settings) or len(tokens) > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_https = scope["scheme"] == "https"

        async def leave(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [*HEADERS, *([_HSTS] if is_https else [])]
                message["headers"] = [*message.get("headers", ()), *extra, *_caching(scope["path"])]
            await send(message)

        headers = _headers(scope)
        found = self._judge(scope, headers)
        if isinstance(found, Problem):
            status, lines, body = await self._answer(scope, found)
            await leave({"type": "http.response.start", "status": status, "headers": lines})
            await leave({"type": "http.response.body", "body": body})
            return
        scope.setdefault("state", {})["visitor"] = found
        await self._app(scope, receive, leave)

    def _judge(self, scope: Scope, headers: dict[str, str]) -> Visitor | Problem:
        """Return who asks, or why not."""
        address = scope["client"][0] if scope.get("client") else ""
        path, is_safe = scope["path"], scope["method"] in SAFE
        local = self._settings.is_local
        if not is_known_host(headers.get("host", ""), self._settings.names, is_local=local):
            return Problem(421, "This name is not served here",
                           "Name it in [console] names of the settings, or ask by address.")  # fmt: skip
        bucket = self._logins if path == LOGIN and not is_safe else self._limit
        if not path.startswith("/static/") and (wait := bucket.wait(address)):
            return Problem(
                429, "Too many requests", f"Ask again in {wait:.0f} s.", retry_after=wait
            )
        visitor = self._visitor(address, headers)
        # What proves itself is sent by no browser on its own; what a browser adds by itself can be borrowed.
        is_borrowed = visitor is not None and (visitor.by_cookie or not visitor.name)
        if not is_safe and (is_borrowed or path == LOGIN) and not is_own_page(headers):
            return Problem(403, "This request came from another page",
                           "Open the page here and use its own button.")  # fmt: skip
        if visitor is None and path.startswith(HOOKS):
            visitor = self._hook(scope, address, headers)
        if visitor is not None:
            return visitor
        if any(path == each or (each[-1] == "/" and path.startswith(each)) for each in _OPEN):
            return Visitor("", "read", address)
        return self._no_token(scope, path, headers)

    def _visitor(self, address: str, headers: dict[str, str]) -> Visitor | None:
        self._needs_token = self._needs_token or len(self._tokens) > 0
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self._tokens.find(word.strip())
            return holder(token, address) if token else None
        if (cookie := session_cookie(headers)) and (token := self._sessions.find(cookie)):
            return holder(token, address, by_cookie=True)
        is_passed_on = any(
            name.startswith("x-forwarded") or name == "forwarded" for name in headers
        )
        if self._needs_token or is_passed_on:
            return None
        return Visitor("", "read", address)

    def _hook(self, scope: Scope, address: str, headers: dict[str, str]) -> Visitor | None:
        """Return who sends a message: some senders know no headers, others sign what they send, and the signature
        is judged where the body is known."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if token := self._tokens.find(query.get("token", [""])[0]):
            return holder(token, address)
        return Visitor("", "read", address) if SIGNATURE in headers else None

    def _no_token(self, scope: Scope, path: str, headers: dict[str, str]) -> Problem:
        if len(self._tokens) == 0:
            return Problem(503, "Nobody can be let in",
                           "There is no token: make one with 'lbsync token add NAME'.")  # fmt: skip
        wants_page = scope["method"] == "GET" and not path.startswith(("/api/", "/live/"))
        if wants_page and "authorization" not in headers:
            query = scope.get("query_string", b"").decode("latin-1")
            back = quote(f"{path}?{query}" if query else path)
            return Problem(303, "Log in", "", location=f"{LOGIN}?next={back}")
        return Problem(401, "A token is needed",
                       "Log in, or send the header 'Authorization: Bearer TOKEN'.")  # fmt: skip


def is_open(settings: Console) -> bool:
    """Tell whether reading needs no token, because none was created: then only this host can connect."""
    return settings.is_local and not settings.names and not settings.trusted_proxies


def holder(token: Token, address: str, *, by_cookie: bool = False) -> Visitor:
    """Return the owner of a token."""
    return Visitor(token.name, token.right, address, token.hash, by_cookie, token.namespaces)


def session_cookie(headers: dict[str, str]) -> str:
    """Return the cookie of a login; empty if there is none."""
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    for name in (SECURE_COOKIE, COOKIE):
        if name in jar:
            return jar[name].value
    return ""


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _caching(path: str) -> list[tuple[bytes, bytes]]:
    is_static = path.startswith("/static/")
    return [(b"cache-control", b"max-age=3600" if is_static else b"no-store")]
