"""Values that only HTTP knows: cookies, health requests, answers, media types, methods.

As in `lbsync.values.names`, `parse` of each class returns a valid value or raises ValueError with the
cure.
"""

import re

from lbsync.values.names import MAX_PATH, Token, string_of

_STATUS = re.compile(
    r"[1-5][0-9]{2}(?:-[1-5][0-9]{2})?(?:,[1-5][0-9]{2}(?:-[1-5][0-9]{2})?){0,15}\Z"
)
# Whoever changes these changes where a message ends, or what the connection is; HAProxy's business.
_FRAMING = frozenset(
    [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


class HeaderName(Token):
    """The name of a header that may be set, added or removed."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "HeaderName":
        """Return the name. Raises ValueError."""
        name = super().parse(raw)
        if name.lower() in _FRAMING:
            raise ValueError(f"{name} belongs to the connection, not to the service: take it out")
        return cls(name)

    @property
    def alike(self) -> str:
        """The regular expression of all names that CGI's variables cannot tell from this one.

        They hold letters, digits and `_` (RFC 3875, section 4.1.18), so `X_Team` and `X.Team` may
        be taken for `X-Team`.
        """
        return "^" + re.sub("[^a-z0-9]", "[^a-z0-9]", self.lower()) + "$"


class CookieName(str):
    """A cookie's name: letters, digits, `_ . -`, at most 64."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "CookieName":
        """Return the name. Raises ValueError."""
        text = string_of(raw, "a cookie name")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
            raise ValueError(
                f"{text[:80]!r} is no cookie name: letters, digits and _ . - only, at most 64"
            )
        return cls(text)


class UriPath(str):
    """The path and query of a health check's request."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "UriPath":
        """Return the path. Raises ValueError."""
        text = string_of(raw, "a path")
        if len(text) > MAX_PATH or not re.fullmatch(r"/[!-~]*", text) or "#" in text:
            raise ValueError(
                f"{text[:80]!r} is no path for a request: it begins with / and holds printable ASCII "
                f"without spaces or #, at most {MAX_PATH}"
            )
        return cls(text)


class StatusRange(str):
    """Which answers of a health check are good: `200`, `200-399`, `200,204,300-399`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "StatusRange":
        """Return the ranges. Raises ValueError."""
        text = (
            str(raw)
            if isinstance(raw, int) and not isinstance(raw, bool)
            else string_of(raw, "a status")
        )
        if not _STATUS.match(text):
            raise ValueError(f"{text[:80]!r} is no status: write 200, 200-399 or 200,204")
        for part in text.split(","):
            low, _, high = part.partition("-")
            if high and high < low:
                raise ValueError(f"{part!r} ends before it begins")
        return cls(text)


class MimeType(str):
    """A media type to compress: `text/html`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "MimeType":
        """Return the type in lower case. Raises ValueError."""
        text = string_of(raw, "a media type").lower()
        if not re.fullmatch(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}", text):
            raise ValueError(f"{text[:80]!r} is no media type: write one like text/html")
        return cls(text)
