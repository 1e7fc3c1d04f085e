"""Whether a request is intended for this console, and comes from one of its own pages. Pure."""

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


def is_known_host(header: str, names: Collection[str], *, is_local: bool) -> bool:
    """Tell whether `Host` names this console.

    A page of somebody else can have its own name lead to our address (DNS rebinding), and a browser
    then counts it as one origin with us; so names are compared. `names`: as they are set; `is_local`:
    it listens on loopback, where no other name can be meant.
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

    Browsers say so in `Sec-Fetch-Site` (Fetch Metadata), older ones in `Origin`; what a page of somebody
    else sends bears another word, and a request without either was not sent by a browser's page.
    """
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    return bool(origin.netloc) and origin.netloc.lower() == headers.get("host", "").lower()
