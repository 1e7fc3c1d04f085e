"""What a service claims, in the one spelling by which claims are compared. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from lbsync.model.records import ServiceRecord

_DEEPEST = 32
"""How many segments of a path, and labels of a host, `above` looks at."""


def claims_of(record: ServiceRecord) -> Iterator[tuple[str, bool]]:
    """Yield (route key, explicit) for all an http service claims; twins of `www` come second.

    A route key is `host/path/`: requests are matched with it as a prefix.
    """
    hosts = dict.fromkeys(record.every_host)
    paths = dict.fromkeys(map(plain, record.paths or ("/",)))
    for host in hosts:
        for path in paths:
            yield _route_key(host, path), True
    if record.redirect.www:
        for host in record.hosts:
            twin = _www_twin(host)
            if host[0] != "*" and twin not in hosts:
                for path in paths:
                    yield _route_key(twin, path), False


def routes_of(record: ServiceRecord) -> tuple[str, ...]:
    """Return the route keys of a service, twins of `www` included; of a tcp service `:port/`."""
    if record.mode == "tcp":
        return (f":{record.listen}/",)
    return tuple(dict.fromkeys(route for route, _ in claims_of(record)))


def above(route: str) -> Iterator[str]:
    """Yield the route keys under which all requests of this one fall, itself first: shorter paths of its
    host, and the same of each wildcard that covers the host. `*` alone is above nothing else."""
    host, _, path = route.partition("/")
    segments = path.split("/")[:-1][:_DEEPEST]
    paths = ["/".join(("", *segments[:n], "")) for n in range(len(segments), 0, -1)] + ["/"]
    labels = host.removeprefix("*.").split(".")[:_DEEPEST]
    wild = (f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels)))
    for name in (host, *wild):
        for start in paths:
            yield f"{name}{start}"


def shown(route: str) -> str:
    """Return a route key as people write it."""
    host, _, path = route.partition("/")
    if host.startswith(":"):
        return f"port {host[1:]}"
    return f"{'any host' if host == '*' else host} with path /{path.rstrip('/')}"


def _www_twin(host: str) -> str:
    return host[4:] if host.startswith("www.") else f"www.{host}"


def plain(path: str) -> str:
    """Return the one spelling of all that servers read alike, as the http frontend makes it."""
    merged = re.sub("/+", "/", quote(unquote_to_bytes(path), safe="/"))
    return merged.rstrip("/") or "/"


def _route_key(host: str, path: str) -> str:
    """Return the prefix that requests are matched with: it ends in "/", as their path does."""
    return f"{host}{path}" if path == "/" else f"{host}{path}/"
