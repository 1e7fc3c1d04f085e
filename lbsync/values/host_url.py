"""URLs of a scheme, a host and perhaps a port: endpoints, targets of a log, other consoles."""

import ipaddress
import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")
_ZONE = re.compile(r"25[A-Za-z0-9._~-]+")
"""RFC 6874, section 2: the percent sign itself is escaped."""


class HostUrl(NamedTuple):
    """A URL that names a host, and nothing on it."""

    scheme: str
    host: str
    """IPv6 in brackets."""
    port: int | None
    """1 to 65535; None if it is left out."""


def host_url(
    text: str, what: str, schemes: Collection[str], *, cure: str, password: str
) -> HostUrl:
    """Take a URL apart. Raises ValueError, which calls it no `what`.

    `cure`: how to write it; `password`: where a password belongs instead.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is no {what} ({error}): {cure}") from None
    host = url.hostname or ""
    if url.username is not None:
        raise ValueError(f"a URL holds no password: {password}")
    if url.scheme not in schemes or not (_is_ipv6(host) or _HOST.fullmatch(host)):
        raise ValueError(f"{text[:80]!r} is no {what}: {cure}")
    if port == 0:
        raise ValueError(f"{text[:80]!r}: a port is between 1 and 65535")
    if url.path.strip("/") or url.query or url.fragment:
        raise ValueError(f"{text[:80]!r} has something after host and port: {cure}")
    return HostUrl(url.scheme, f"[{host}]" if ":" in host else host, port)


def _is_ipv6(host: str) -> bool:
    """Tell whether it is an IPv6 address, as it stands between the brackets of a URL."""
    address, percent, zone = host.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or bool(_ZONE.fullmatch(zone))
