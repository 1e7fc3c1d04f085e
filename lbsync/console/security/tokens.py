"""Tokens with their rights and namespaces, stored as hashes in one file.

A token has 256 random bits, so its SHA-256 is as hard to guess as the token itself, and needs no salt.
"""

import hashlib
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

import msgspec

from lbsync import log
from lbsync.atomic import FileMark, mark, replace_file
from lbsync.errors import LbsyncError, Rejected, cannot
from lbsync.schema import reading
from lbsync.timestamps import stamp
from lbsync.values.basic import NAME

Right = Literal["read", "deploy", "admin"]
RIGHTS: tuple[Right, ...] = get_args(Right)
"""Each includes those before it: to look; to deploy apps; to order balancers, confirm removals and remove apps."""
_PREFIX = "lbsync_"
_BYTES = 32
_MODE = 0o640
_MOST = 1000


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token, without the token."""

    name: str
    """Who has it; shown wherever something was done with it."""
    right: Right
    hash: str
    """SHA-256 in hex."""
    created_at: str
    """RFC 3339, UTC."""
    namespaces: tuple[str, ...] = ()
    """All that it opens; none: everything, the fleet included."""
    secret: str = ""
    """The token itself, where it signs messages: a signature (HMAC) can be checked in no other way. Else empty."""

    def may(self, right: Right) -> bool:
        """Tell whether it has a right in any namespace."""
        return RIGHTS.index(right) <= RIGHTS.index(self.right)


class TokensFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tokens: tuple[Token, ...] = ()


def digest(token: str) -> str:
    """Return the hash by which a token is known."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


class Tokens:
    """The tokens in the file, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist: then there are none."""
        self.path = path
        self._seen: FileMark | None = None
        self._by_hash: dict[str, Token] = {}
        self._failing = log.Failing(
            "tokens cannot be read, the last ones hold", "tokens are read again"
        )

    def load(self) -> tuple[Token, ...]:
        """Return all tokens in the file. Raises `Rejected`, which names the file and how to correct it."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Rejected(f"{self.path}: cannot be read ({error.strerror})") from error
        try:
            return reading.record(text, TokensFile).tokens
        except reading.Unreadable as error:
            raise Rejected(
                f"{self.path}: is no file of tokens ({error}); restore it, or remove it and make new tokens"
            ) from error

    def refresh(self) -> None:
        """Read the file if it is another one than before; a bad one leaves what was known."""
        try:
            seen = mark(self.path.stat())
        except OSError:
            seen = None
        if seen == self._seen and (seen is not None or not self._by_hash):
            return
        try:
            self._by_hash = {token.hash: token for token in self.load()}
        except Rejected as error:
            self._failing.failed(str(error))
            self._seen = None  # it is tried again at each request: who was removed is still let in
        else:
            self._failing.recovered()
            self._seen = seen

    def __len__(self) -> int:
        """How many there are."""
        self.refresh()
        return len(self._by_hash)

    def find(self, token: str) -> Token | None:
        """Return the record of a token that a client presents; None: unknown."""
        return self.by_hash(digest(token))

    def by_hash(self, hashed: str) -> Token | None:
        """Return the token with this hash; None: there is none, or not any more."""
        self.refresh()
        # What is compared are hashes, of which nobody can choose the beginning.
        return self._by_hash.get(hashed)

    def signing(self, namespace: str) -> list[Token]:
        """Return those that sign messages, and may deploy in a namespace."""
        self.refresh()
        return [
            token
            for token in self._by_hash.values()
            if token.secret
            and token.may("deploy")
            and (not token.namespaces or namespace in token.namespaces)
        ]

    def add(
        self, name: str, right: Right, namespaces: Collection[str] = (), *, signs: bool = False
    ) -> str:
        """Create a token, store its hash and return it; it is shown once. Raises `LbsyncError`.

        `namespaces`: limits the token to these; empty: no limit. `signs`: the token itself is stored, too.
        """
        for kind, text in (("a token", name), *(("a namespace", each) for each in namespaces)):
            if not NAME.match(text):
                raise Rejected(
                    f"{text[:80]!r} is no name for {kind}: at most 63 lower-case letters, digits, - and ., "
                    "beginning and ending with a letter or digit"
                )
        known = self.load()
        if any(token.name == name for token in known):
            raise Rejected(
                f"there is a token {name} already; remove it first, or take another name"
            )
        if len(known) >= _MOST:
            raise Rejected(f"{self.path}: holds {_MOST} tokens already; remove some")
        opens = tuple(sorted(set(namespaces)))
        token = f"{_PREFIX}{secrets.token_urlsafe(_BYTES)}"
        self._write(
            (*known, Token(name, right, digest(token), stamp(), opens, token if signs else ""))
        )
        return token

    def remove(self, name: str) -> None:
        """Forget a token: it opens nothing from now on. Raises `LbsyncError`."""
        known = self.load()
        left = tuple(token for token in known if token.name != name)
        if left == known:
            raise Rejected(f"there is no token {name!r}; 'lbsync token ls' lists them")
        self._write(left)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        text = msgspec.json.format(msgspec.json.encode(TokensFile(tokens)), indent=2) + b"\n"
        try:
            replace_file(self.path, text, _MODE)
        except OSError as error:
            said = cannot("be written", error, "run the command as root")
            raise LbsyncError(f"{self.path}: {said}") from error
