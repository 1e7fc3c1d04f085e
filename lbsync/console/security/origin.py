"""Whether a request is intended for this console, and comes from one of its own pages. Pure."""

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


def is_known_host(header: str, names: Collection[str], *, is_local: bool) -> bool:
    """Tell whether `Host` names this console.

    Another site can have its own name resolve to our address (DNS rebinding), and a browser
    then treats it as the same origin as us; so names are compared. `names`: as configured; `is_local`:
    the console listens on loopback, where only local names are valid.
    """
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    host = host.removesuffix(".")
    if host == "localhost" or host in names:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and not names and not is_local
    return True


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Tell whether a request that changes something was sent by a page of this console.

    Browsers state this in `Sec-Fetch-Site` (Fetch Metadata), older ones in `Origin`. Requests from pages of
    other sites have other values, and a request without either header was not sent by a browser's page.
    """
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    return bool(origin.netloc) and origin.netloc.lower() == headers.get("host", "").lower()
