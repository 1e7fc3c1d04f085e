"""Values of policies: who may come in, from where, with which password.

As in `lbsync.values.names`, `parse` of each class returns a valid value or raises ValueError with the
cure. A refused password hash is never shown.
"""

import binascii
import hashlib
import re

from lbsync.values.names import Host, string_of

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}\Z")
_HASH = re.compile(r"\$6\$(?:rounds=([0-9]{1,9})\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}\Z")
# 5,000 rounds are the default of crypt(3) and cost about 2 ms of a HAProxy thread per request.
_MAX_ROUNDS = 10_000
_REALM = re.compile(r"[A-Za-z0-9 ._:,@/()+'-]{1,64}\Z")
_ORIGIN = re.compile(r"(https?)://(\*\.)?([^:/*]+)(?::([0-9]{1,5}))?\Z")
_METHOD = re.compile(r"[A-Z]{1,20}\Z")
# Possessive: a long gap in it must not be gone through again for each of its places.
_PEM = re.compile(
    r"\s*+-----BEGIN CERTIFICATE-----(\s[A-Za-z0-9+/=\s]*+)-----END CERTIFICATE-----\s*+"
)
_MAX_PEM = 262_144
# The tag of a SEQUENCE in DER (X.690, section 8.9).
_SEQUENCE = 0x30


class UserName(str):
    """A user of basic authentication; no colon, which ends the name in the header (RFC 7617)."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "UserName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a user's name")
        if not _USER.match(text):
            raise ValueError(
                f"{text[:80]!r} is no user's name: letters, digits and _ . @ + - only, at most 64"
            )
        return cls(text)


class PasswordHash(str):
    """A password as crypt(3) hashes it by SHA-512: `$6$salt$…`, as `mkpasswd -m sha-512` prints.

    No other kind: bcrypt takes 85 ms of a thread for each request and each check of the
    configuration (measured), MD5 and DES are broken, and a plain password does not belong here.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "PasswordHash":
        """Return the hash. Raises ValueError, without showing it."""
        match = _HASH.match(string_of(raw, "a password hash"))
        if match is None:
            raise ValueError(
                "it is no SHA-512 hash of crypt(3): write what `mkpasswd -m sha-512` or "
                "`openssl passwd -6` prints; it begins with $6$"
            )
        if match[1] and not 1000 <= int(match[1]) <= _MAX_ROUNDS:
            raise ValueError(
                f"it asks for {match[1]} rounds, and each request would cost them: make it with "
                f"1000 to {_MAX_ROUNDS}"
            )
        return cls(match[0])


def users_of(text: str) -> dict[UserName, PasswordHash]:
    """Return the users of a file with a line `NAME:HASH` for each, as `openssl passwd -6` hashes; blank lines and
    those that begin with # count for nothing.

    Raises ValueError with the number of the first line that is wrong, without showing anything of it: what stands in
    the wrong place may be a password.
    """
    found: dict[UserName, PasswordHash] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, hashed = (part.strip() for part in line.partition(":"))
        if not colon:
            raise ValueError(f"line {number}: write NAME:HASH, as in ann:$6$...")
        if not _USER.match(name):
            raise ValueError(
                f"line {number}: before the colon is no user's name: letters, digits and _ . @ + - only, at most 64"
            )
        if name in found:
            raise ValueError(f"line {number}: {name} is there twice; take one out")
        try:
            found[UserName(name)] = PasswordHash.parse(hashed)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not found:
        raise ValueError("it names nobody; write a line NAME:HASH for each user")
    return found


class Realm(str):
    """What a browser shows when it asks for a password."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Realm":
        """Return the text. Raises ValueError."""
        text = string_of(raw, "a realm")
        if not _REALM.match(text):
            raise ValueError(
                f"{text[:80]!r} is no realm: letters, digits, spaces and . _ : , @ / ( ) + ' - only, "
                "at most 64"
            )
        return cls(text)


class Origin(str):
    """Who may call from a browser: `https://app.example.com`, `https://*.example.com:8443`, `*`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Origin":
        """Return the origin in lower case, its default port left out. Raises ValueError."""
        text = string_of(raw, "an origin").lower()
        if text == "*":
            return cls(text)
        match = _ORIGIN.match(text)
        if match is None:
            raise ValueError(
                f"{text[:80]!r} is no origin: write it like https://app.example.com, "
                "https://*.example.com or *"
            )
        scheme, wildcard, host, port = match.groups()
        if port and not 1 <= int(port) <= 65535:
            raise ValueError(f"{text[:80]!r} has a port that does not exist: 1 to 65535")
        # Browsers leave the scheme's own port out (RFC 6454, section 6.2).
        shown = "" if not port or int(port) == {"http": 80, "https": 443}[scheme] else f":{port}"
        return cls(f"{scheme}://{wildcard or ''}{Host.parse(host)}{shown}")

    @property
    def is_wildcard(self) -> bool:
        """True for `https://*.example.com`."""
        return "://*." in self

    @property
    def pattern(self) -> str:
        """The regular expression of a wildcard origin."""
        scheme, _, rest = self.partition("://*")
        return f"^{scheme}://[a-z0-9_.-]+{rest.replace('.', '[.]')}$"


class Method(str):
    """A request's method: `GET`, `PATCH`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Method":
        """Return the method in upper case. Raises ValueError."""
        text = string_of(raw, "a method").upper()
        if not _METHOD.match(text):
            raise ValueError(f"{text[:80]!r} is no method: write one like GET or PATCH")
        return cls(text)


class Certificates(str):
    """PEM text of one or more certificates, rewritten in one canonical form."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Certificates":
        """Return the text. Raises ValueError; whether it is a good certificate HAProxy decides."""
        text = string_of(raw, "certificates")
        if len(text) > _MAX_PEM:
            raise ValueError(f"it has {len(text)} characters: at most {_MAX_PEM}")
        blocks, at = [], 0
        while match := _PEM.match(text, at):
            blocks.append(_block(match[1]))
            at = match.end()
        if not blocks or at != len(text):
            raise ValueError(
                "it is no PEM text of certificates: write -----BEGIN CERTIFICATE----- and so on, "
                "nothing before, between or after"
            )
        return cls("".join(blocks))

    @property
    def path(self) -> str:
        """Where the text stands in a generation; named by its content, so a change is seen."""
        return f"ca/{hashlib.sha256(self.encode()).hexdigest()[:16]}.pem"


def _block(base64: str) -> str:
    try:
        data = binascii.a2b_base64("".join(base64.split()), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"a certificate in it is no base64 ({error}): copy it anew") from None
    if not _is_certificate(data):
        raise ValueError("one of its blocks holds no certificate, or not all of it: copy it anew")
    body = binascii.b2a_base64(data, newline=False).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


def _is_certificate(data: bytes) -> bool:
    """Tell whether DER data is one whole SEQUENCE that begins with another (RFC 5280, 4.1).

    HAProxy takes a file of anything else in silence, and then believes no server.
    """
    if len(data) < 4 or data[0] != _SEQUENCE or data[1] not in (0x81, 0x82, 0x83):
        return False
    start = 2 + (data[1] & 0x0F)
    whole = start + int.from_bytes(data[2:start], "big") == len(data)
    return whole and data[start] == _SEQUENCE
