"""The small values that records are made of, each valid by construction.

`parse` of each class takes what JSON gave and returns the value, or raises ValueError with a
sentence that says what is wrong and what would be right. The rules are those of HAProxy's parser
(configuration manual 2.2, 2.4) and of measurements: what `haproxy -c` accepts but does not mean
what its writer meant is refused here.
"""

import ipaddress
import re
from urllib.parse import unquote

from lbsync.values.basic import HOST_LABEL, NAME, Duration, milliseconds

_HOST = re.compile(rf"(?:\*\.)?{HOST_LABEL}(?:\.{HOST_LABEL})*\Z|\*\Z")
_DNS = re.compile(rf"(?:{HOST_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?\Z")
# The characters of RFC 3986 `pchar` and "/"; a map file's key ends at white space, and "#" would
# make the line a comment.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*\Z")
_DOTS = re.compile(r"/\.\.?(?:/|\Z)")
_MAX_AGE = 730 * 86_400
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}\Z")
# Almost every address there is: canonical, neither unspecified nor multicast. ipaddress takes ten
# times as long, and a pass may read 100,000 of them.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN_IPV4 = re.compile(rf"(?:22[0-3]|2[01][0-9]|1[0-9]{{2}}|[1-9][0-9]?)(?:\.{_OCTET}){{3}}\Z")

MAX_PATH = 512
MAX_TEXT = 4096


def string_of(raw: object, what: str) -> str:
    """Return `raw` when it is a string. Raises ValueError naming `what`."""
    if not isinstance(raw, str):
        raise ValueError(f"{what} is a string, not {type(raw).__name__}")
    return raw


def is_name(text: str) -> bool:
    """Tell whether `text` may stand for `<ns>`, `<name>` or `<group>` in a key."""
    return NAME.match(text) is not None


class Host(str):
    """A host name that requests are matched with: exact, `*.suffix`, or `*` for any host.

    Lower case; at most 253 characters (RFC 1035); underscores are let through because browsers
    and certificates do.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Host":
        """Return the host in lower case. Raises ValueError."""
        text = string_of(raw, "a host").lower()
        # A dot at the end is allowed, but what is left of `*.` would be any host.
        text = text if text == "*." else text.removesuffix(".")
        if len(text) > 253:
            raise ValueError("a host has at most 253 characters")
        if not _HOST.match(text):
            if "://" in text:
                cure = "write the name alone, without scheme and path"
            elif ":" in text:
                cure = "leave the port out, it is not part of a host"
            elif not text.isascii():
                cure = "write an international name in its xn-- form"
            else:
                cure = "write it like shop.example.com or *.example.com"
            raise ValueError(f"{text[:80]!r} is no host name: {cure}")
        return cls(text)

    @property
    def is_wildcard(self) -> bool:
        """True for `*.suffix`; `*` alone is not one of these."""
        return self.startswith("*.")


class PathPrefix(str):
    """A path that a request's path begins with, cut at "/": `/api` takes `/api/x`, not `/apis`.

    Kept without the trailing slash (but `/` itself), so `/api` and `/api/` are one claim.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "PathPrefix":
        """Return the path without its trailing slash. Raises ValueError."""
        text = string_of(raw, "a path")
        if len(text) > MAX_PATH:
            raise ValueError(f"a path has at most {MAX_PATH} characters")
        if not _PATH.match(text):
            raise ValueError(
                f"{text[:80]!r} is no path: it begins with / and holds no space, ?, # or quote; "
                "write other characters as %XX"
            )
        if _DOTS.search(unquote(text)):
            raise ValueError(
                f"{text[:80]!r} is a path with . or .. in it, and such requests are refused: "
                "write the path that it stands for"
            )
        return cls(text.rstrip("/") or "/")


class Age(int):
    """A time span in whole seconds for HTTP headers (`max-age`), written `30s`, `10m`, `365d`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Age":
        """Return the span. Raises ValueError; two years at most."""
        span = milliseconds(raw)
        if span is None or str(raw).endswith("ms"):
            raise ValueError(f"{raw!r} is no age: write a number with its unit, like 30s or 365d")
        value = span // 1000
        if value > _MAX_AGE:
            raise ValueError(f"{raw!r} is longer than two years, 730d")
        return cls(value)

    def __str__(self) -> str:
        """The shortest exact form that `parse` reads."""
        return str(Duration(self * 1000))


class Address(str):
    """Where a server is: an IP address in canonical form, or a DNS name with a dot in it.

    HAProxy itself would take `127.1`, `0x7f.1`, `*` and `unix@/path` (measured); none of these can
    be meant here. A name is resolved by HAProxy while it runs, so that one which does not resolve
    delays nothing.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Address":
        """Return the address. Raises ValueError."""
        text = string_of(raw, "an address")
        if _PLAIN_IPV4.match(text):
            return cls(text)
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return cls._parse_name(text)
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            raise ValueError(
                f"{text[:80]!r} has a zone, which HAProxy does not take: leave out % and what follows"
            )
        if address.is_unspecified or address.is_multicast:
            raise ValueError(f"{text!r} is no address a server can have: write the server's own")
        return cls(str(address))

    @classmethod
    def _parse_name(cls, text: str) -> "Address":
        name = text.lower().removesuffix(".")
        if len(name) > 253 or not _DNS.match(name):
            raise ValueError(
                f"{text[:80]!r} is no IP address and no whole DNS name: write one like 10.0.0.7, "
                "fd00::7 or db.example.com"
            )
        return cls(name)

    @property
    def is_name(self) -> bool:
        """True for a DNS name: its last label begins with a letter, that of an IPv4 address not."""
        return ":" not in self and not self[self.rfind(".") + 1].isdigit()


class ServerName(str):
    """The name of a server in its backend: letters, digits, `_ . : -`, at most 80."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "ServerName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a server name")
        if not _SERVER_NAME.match(text):
            raise ValueError(
                f"{text[:90]!r} is no server name: letters, digits and _ . : - only, "
                "beginning with a letter or digit, at most 80"
            )
        return cls(text)


class Token(str):
    """A header, method or cookie name: `token` of RFC 9110, section 5.6.2."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Token":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a name")
        if not _TOKEN.match(text):
            raise ValueError(
                f"{text[:80]!r} is no name a header or cookie can have: no spaces, colons or quotes"
            )
        return cls(text)


class Text(str):
    """Free text for a header value or a note: one line without control characters, not empty.

    CR and LF in a header value would split the response (measured), and an empty word ends a
    configuration line early on HAProxy 2.6 and 2.8.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Text":
        """Return the text. Raises ValueError."""
        text = string_of(raw, "a text")
        if not text:
            raise ValueError("it is empty: leave the field out instead")
        if len(text) > MAX_TEXT:
            raise ValueError(f"it has {len(text)} characters: at most {MAX_TEXT}")
        if _CONTROL.search(text):
            raise ValueError("it holds a control character (a line break, tab or NUL): take it out")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "it holds half a surrogate pair, which is no text: take it out"
            ) from None
        return cls(text)
