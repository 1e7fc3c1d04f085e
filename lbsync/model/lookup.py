"""Which service answers a request, by the rules of the http frontend (docs/etcd-contract.md, "How requests
find their service"). Pure."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from lbsync.model.routes import plain

_HOST = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+\Z|\[[0-9a-f:.]+\]\Z")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DOTS = re.compile(rb"/\.\.?(?:/|\Z)")
_URL = re.compile(r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[^\]]*\]|[^/:?#]*)(?::(?P<port>[0-9]{0,5}))?"
                  r"(?P<path>/[^?#]*)?(?:[?#].*)?\Z", re.IGNORECASE)  # fmt: skip
MAX_URL = 8192
"""Characters of a URL that are looked at; HAProxy takes about 16 kB of a whole head."""


class Asked(msgspec.Struct, frozen=True):
    """A request, taken apart as the frontend does."""

    scheme: str
    """`http`, `https` or `tcp`."""
    host: str
    """In lower case, without port and trailing dot."""
    port: int
    """0: the usual one."""
    path: str
    """In the one spelling by which paths are compared."""
    refused: str = ""
    """Why HAProxy answers 400 by itself; empty: it does not."""


def parse(url: str) -> Asked:
    """Take a URL apart; `http://` may be left out. Raises `ValueError` with the cure."""
    found = _URL.match(url.strip()) if len(url) <= MAX_URL else None
    scheme = (found["scheme"] or "http").lower() if found else ""
    port = int(found["port"] or 0) if found else 0
    if found is None or scheme not in ("http", "https", "tcp") or port > 65535:
        raise ValueError(
            f"{url[:80]!r} is no URL: write one like https://shop.example.com/cart, or tcp://host:5432"
        )
    host = found["host"].lower().removesuffix(".")
    path = found["path"] or "/"
    return Asked(scheme, host, port, plain(path), _refusal(host, path.encode()))


def owner(asked: Asked, owners: Mapping[str, str]) -> tuple[str, str]:
    """Return the service that answers, and the route key (`host/path/`) by which it is found; both are
    empty where nobody does. `owners`: route key to service, of the http services."""
    for route in _candidates(asked.host, asked.path):
        if route in owners:
            return owners[route], route
    return "", ""


def _candidates(host: str, path: str) -> Iterator[str]:
    """Yield the route keys that take a request, the one that goes first first."""
    segments = path.rstrip("/").split("/")[1:]
    paths = ["/".join(("", *segments[:n], "")) for n in range(len(segments), -1, -1)]
    labels = host.split(".")
    wild = (f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels)))
    for name in (host, *wild, "*"):
        for start in paths:
            yield f"{name}{start}"


def _refusal(host: str, path: bytes) -> str:
    if not _HOST.match(host):
        return "the host is no name or address"
    if _BROKEN.search(path):
        return "the path has a % without two hexadecimal digits"
    if _DOTS.search(unquote_to_bytes(path)):
        return "the path has . or .. between slashes"
    return ""
