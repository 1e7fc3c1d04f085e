"""The policies of one service: what it lets in, and what it adds or changes on the way."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lbsync.model.record import Record
from lbsync.values.addresses import Network
from lbsync.values.basic import Duration, Name
from lbsync.values.http import CookieName, HeaderName, MimeType
from lbsync.values.names import Age, Host, PathPrefix, Text, Token
from lbsync.values.policies import (
    Certificates,
    Method,
    Origin,
    PasswordHash,
    Realm,
    UserName,
)
from lbsync.values.rewriting import PathPattern, PathTarget, StripPaths

Networks = Annotated[tuple[Network, ...], Meta(max_length=2000)]
SomeNetworks = Annotated[tuple[Network, ...], Meta(min_length=1, max_length=2000)]
HeaderMap = Annotated[dict[HeaderName, Text], Meta(max_length=50)]
HeaderList = Annotated[tuple[HeaderName, ...], Meta(max_length=50)]
Names = Annotated[tuple[Token, ...], Meta(max_length=50)]


class Sticky(Record, frozen=True):
    """Keep a client on one server with a cookie that HAProxy inserts (manual 4.2, `cookie`)."""

    cookie: CookieName
    secure: bool | UnsetType = UNSET
    """Left out: as soon as plain requests are redirected to https."""
    same_site: Literal["lax", "strict", "none"] | UnsetType = UNSET
    max_idle: Duration | UnsetType = UNSET
    """A cookie unused for longer is ignored; whole seconds."""
    max_life: Duration | UnsetType = UNSET
    """A cookie older than this is ignored; whole seconds."""


class Preview(Record, frozen=True):
    """Who may ask for one group by its name, whatever share of the traffic it has."""

    networks: Annotated[tuple[Network, ...], Meta(min_length=1, max_length=100)]
    """Only clients in these."""
    hosts: Annotated[dict[Name, Host], Meta(max_length=50)] = msgspec.field(default_factory=dict)
    """Group to a host that leads to it, and to no other; the header leads to each."""


PREVIEW_HEADER = "X-Lbsync-Group"
"""The request header that names a group."""


class Redirect(Record, frozen=True):
    """Redirects that HAProxy answers itself."""

    https: bool | UnsetType = UNSET
    """Left out: as `settings/global` says (`https: only` redirects, others do not)."""
    www: Literal["add", "strip"] | UnsetType = UNSET
    """`strip`: www.example.com goes to example.com; `add`: the other way round."""
    code: Literal[301, 302, 303, 307, 308] = 302


class Compression(Record, frozen=True):
    """gzip for the listed media types; left out: those of the settings."""

    types: Annotated[tuple[MimeType, ...], Meta(min_length=1, max_length=30)] | UnsetType = UNSET


class HeaderChange(Record, frozen=True):
    """Changes to headers, done in the order del, set, add."""

    set: HeaderMap = msgspec.field(default_factory=dict)
    add: HeaderMap = msgspec.field(default_factory=dict)
    delete: HeaderList = msgspec.field(default=(), name="del")


class Headers(Record, frozen=True):
    """Changes to the headers of requests and responses."""

    request: HeaderChange = HeaderChange()
    response: HeaderChange = HeaderChange()

    @property
    def any(self) -> bool:
        """True when there is a change at all."""
        return self != _NO_HEADERS


_NO_HEADERS = Headers()


class Hsts(Record, frozen=True):
    """`Strict-Transport-Security` (RFC 6797) on every answer that leaves over https."""

    max_age: Age = Age(15_552_000)
    subdomains: bool = False
    preload: bool = False
    """Asks for at least 365d and `subdomains`, as the browsers' list does."""


class Cors(Record, frozen=True):
    """Which pages of other origins may call this service from a browser (Fetch standard, 3.2).

    HAProxy answers preflight requests itself.
    """

    origins: Annotated[tuple[Origin, ...], Meta(min_length=1, max_length=200)]
    methods: Annotated[tuple[Method, ...], Meta(min_length=1, max_length=20)] = (
        Method("GET"), Method("HEAD"), Method("POST"), Method("PUT"), Method("PATCH"),
        Method("DELETE"),
    )  # fmt: skip
    headers: Names = (Token("authorization"), Token("content-type"))
    """Request headers beyond those that are always allowed."""
    expose: Names = ()
    """Response headers that the page may read beyond those it always may."""
    credentials: bool = False
    max_age: Age = Age(3600)


class Auth(Record, frozen=True):
    """Basic authentication (RFC 7617)."""

    users: Annotated[dict[UserName, PasswordHash], Meta(min_length=1, max_length=100)]
    realm: Realm = Realm("Restricted")


class RateLimit(Record, frozen=True):
    """How many requests one client may make; a client is an IPv4 address or an IPv6 /64."""

    requests: Annotated[int, Meta(ge=1, le=1_000_000)]
    period: Duration
    """A sliding window (manual 11.1, `http_req_rate`); 1s to 24h."""
    status: Literal[403, 429, 503] = 429
    exempt: Networks = ()


class Rewrite(Record, frozen=True):
    """How the path that the server sees differs from the client's; the query stays.

    Either `strip` and `prefix`, in this order, or `pattern` with `replacement`.
    """

    strip: StripPaths | UnsetType = UNSET
    prefix: PathPrefix | UnsetType = UNSET
    pattern: PathPattern | UnsetType = UNSET
    replacement: PathTarget | UnsetType = UNSET

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Regular expression and replacement of each `replace-path` (manual 4.2) that does it."""
        if self.pattern is not UNSET and self.replacement is not UNSET:
            return ((self.pattern.anchored, self.replacement),)
        steps: list[tuple[str, str]] = []
        if self.strip is not UNSET:
            steps.append((self.strip.pattern, r"/\3"))
        if self.prefix is not UNSET:
            steps.append(("^(/.*)$", rf"{self.prefix}\1"))
        return tuple(steps)


class BackendTls(Record, frozen=True):
    """TLS towards the servers."""

    verify: Literal["required", "none"] = "required"
    ca: Certificates | UnsetType = UNSET
    """Left out: the system's authorities."""
    sni: Host | UnsetType = UNSET
    """The name that is asked for and that the certificate must bear; `required` needs it."""
    h2: bool = False
    """Offer HTTP/2 to the servers."""
