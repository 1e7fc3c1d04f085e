"""Logins of browsers: a cookie with a random name, issued in exchange for a token.

Sessions are kept in memory, as hashes: a restart ends them all, and removing a token ends its sessions at once.
"""

import secrets
import time
from collections.abc import Callable

import msgspec

from lbsync.console.security.tokens import Token, Tokens, digest

_MOST = 10_000
_BYTES = 32


class Session(msgspec.Struct, frozen=True):
    """One login."""

    token_hash: str
    ends: float
    """On the monotonic clock."""


class Sessions:
    """All logins of this process."""

    def __init__(
        self, tokens: Tokens, life: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`life`: seconds that one lasts."""
        self.life = life
        self._tokens = tokens
        self._clock = clock
        self._known: dict[str, Session] = {}

    def begin(self, token: Token) -> str:
        """Return the cookie of a new login."""
        now = self._clock()
        if len(self._known) >= _MOST:
            self._known = {name: each for name, each in self._known.items() if each.ends > now}
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        cookie = secrets.token_urlsafe(_BYTES)
        self._known[digest(cookie)] = Session(token.hash, now + self.life)
        return cookie

    def find(self, cookie: str) -> Token | None:
        """Return the owner of a session cookie; None: it is unknown or has expired."""
        session = self._known.get(digest(cookie))
        if session is None or session.ends <= self._clock():
            self._known.pop(digest(cookie), None)
            return None
        return self._tokens.by_hash(session.token_hash)

    def end(self, cookie: str) -> None:
        """End a login."""
        self._known.pop(digest(cookie), None)
