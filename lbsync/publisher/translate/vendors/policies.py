"""Policies of other controllers whose annotations count together: a switch and its parts."""

import re
from collections.abc import Callable

from lbsync.publisher.translate.fields import read_number
from lbsync.publisher.translate.vendors.aliases import (
    PLACE,
    Convert,
    NoCounterpart,
    Sets,
    Siblings,
    switch,
)

REWRITE_TARGET = "rewrite-target"
_TARGET = re.compile(r"/\S*\Z")
On = Callable[[Siblings], bool]


def items(text: str) -> list[str]:
    """Return the parts of a list with commas or lines. Raises ValueError for a file's name."""
    if text.strip().startswith("patterns/"):
        raise ValueError("files of patterns are not read: write the addresses themselves")
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def seconds(text: str) -> str:
    """Return an age: a bare number counts seconds."""
    value = text.strip()
    return f"{value}s" if value.isascii() and value.isdigit() else value


def part(on: On, gives: Convert) -> Convert:
    """Return a converter for what counts only while `on` holds."""

    def given(text: str, siblings: Siblings) -> Sets:
        if not on(siblings):
            raise NoCounterpart("what it is a part of is not switched on")
        return gives(text, siblings)

    return given


def _true(siblings: Siblings, name: str, default: str) -> bool:
    """Tell whether a switch is on; a value that is no switch is reported where it stands."""
    try:
        return switch(siblings.get(name, default))
    except ValueError:
        return False


def hsts_on(siblings: Siblings) -> bool:
    """HAProxy Ingress has HSTS on unless it is switched off."""
    return _true(siblings, "hsts", "true")


def hsts(text: str, siblings: Siblings) -> Sets:
    """`hsts` by itself; where parts of it stand beside it, they say it."""
    on = switch(text)
    if on and any(name.startswith("hsts-") for name in siblings):
        return {}
    return {("hsts",): on}


def _by_expression(siblings: Siblings) -> bool:
    return "cors-allow-origin-regex" in siblings or "^" in siblings.get("cors-allow-origin", "")


def cors_on(siblings: Siblings) -> bool:
    """Tell whether there is a CORS policy that lbsync can have."""
    return _true(siblings, "cors-enable", "false") and not _by_expression(siblings)


def cors(text: str, siblings: Siblings) -> Sets:
    """`cors-enable`; both controllers allow every origin where none is given."""
    if not switch(text) or "cors-allow-origin" in siblings:
        return {}
    if _by_expression(siblings):
        raise NoCounterpart("origins are names like https://*.example.com, not expressions")
    return {("cors", "origins"): ["*"]}


def cors_origins(text: str, siblings: Siblings) -> Sets:
    """A list of origins; expressions are left out, so the browsers allow nothing."""
    if _by_expression(siblings):
        raise NoCounterpart("origins are names like https://*.example.com, not expressions")
    return part(cors_on, lambda text, _: {("cors", "origins"): items(text)})(text, siblings)


def cors_methods(text: str, siblings: Siblings) -> Sets:
    """A list of methods; for `*` the field's default, which holds those in use."""
    del siblings
    return {} if items(text) == ["*"] else {("cors", "methods"): items(text)}


def rate_on(siblings: Siblings) -> bool:
    """Tell whether requests are limited."""
    return "rate-limit-requests" in siblings


def limit_rps_on(siblings: Siblings) -> bool:
    """Tell whether requests are limited."""
    return "limit-rps" in siblings


def limit_rps(text: str, siblings: Siblings) -> Sets:
    """Requests per second and client."""
    del siblings
    return {("rate_limit", "requests"): read_number(text), ("rate_limit", "period"): "1s"}


def rate_limit(text: str, siblings: Siblings) -> Sets:
    """Requests per client and period (1 s), answered with 403 beyond that."""
    sets: Sets = {("rate_limit", "requests"): read_number(text)}
    if "rate-limit-period" not in siblings:
        sets["rate_limit", "period"] = "1s"
    if "rate-limit-status-code" not in siblings:
        sets["rate_limit", "status"] = 403
    return sets


def rewrite_target(text: str, siblings: Siblings) -> Sets:
    """Put the target in the place of the path that matched, whichever of the service's it was."""
    del siblings
    if not _TARGET.match(text.strip()):
        raise ValueError("it is no path: it begins with / and holds no space")
    return {(PLACE, REWRITE_TARGET): text.strip()}


def path_rewrite(text: str, siblings: Siblings) -> Sets:
    """A path in the place of every path, or an expression and what becomes of it."""
    del siblings
    lines = [line.split() for line in text.strip().split("\n")]
    if len(lines) != 1 or len(lines[0]) not in (1, 2):
        raise NoCounterpart("one rewriting is done, not several in a row")
    pattern, replacement = lines[0] if len(lines[0]) == 2 else (".*", lines[0][0])
    return {("rewrite", "pattern"): pattern, ("rewrite", "replacement"): replacement}


def backend_protocol(text: str, siblings: Siblings) -> Sets:
    """`h1`, `h1-ssl` or `h2-ssl`; nothing is verified, as there without a CA."""
    del siblings
    value = text.strip().lower()
    if value in ("h1", "http", ""):
        return {}
    if value not in ("h1-ssl", "https", "h2-ssl", "grpcs"):
        raise NoCounterpart("HTTP/2 without TLS is not spoken to servers")
    sets: Sets = {("backend_tls", "verify"): "none"}
    if value in ("h2-ssl", "grpcs"):
        sets["backend_tls", "h2"] = True
    return sets


def server_tls_on(siblings: Siblings) -> bool:
    """Tell whether servers are spoken to in TLS."""
    return _true(siblings, "server-ssl", "false")


def server_tls(text: str, siblings: Siblings) -> Sets:
    """TLS to the servers; nothing is verified, as there without a CA."""
    del siblings
    return {("backend_tls", "verify"): "none"} if switch(text) else {}


def server_proto(text: str, siblings: Siblings) -> Sets:
    """Read HAProxy's `server-proto`, of which `h2` is the one value with a counterpart."""
    del siblings
    if text.strip() != "h2":
        raise NoCounterpart("h2 is the one protocol there is")
    return {("backend_tls", "h2"): True}


def affinity_on(siblings: Siblings) -> bool:
    """Tell whether clients stay on one server."""
    return siblings.get("affinity", "").strip() == "cookie"


def affinity(text: str, siblings: Siblings) -> Sets:
    """`affinity: cookie`; the cookie's name may stand beside it."""
    if text.strip() != "cookie":
        raise NoCounterpart("cookie is the one affinity there is")
    return {} if "session-cookie-name" in siblings else {("sticky", "cookie"): "INGRESSCOOKIE"}


def same_site(text: str, siblings: Siblings) -> Sets:
    """SameSite=None, which browsers take on secure cookies only."""
    del siblings
    if not switch(text):
        return {}
    return {("sticky", "same_site"): "none", ("sticky", "secure"): True}
