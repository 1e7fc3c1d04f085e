"""Annotations that users have from other controllers, in terms of `services/…`.

Sources: the annotation references of HAProxy Ingress (its configuration keys) and of HAProxy
Technologies' controller. Each name they document is in one of two tables, per vendor: it sets a field
(`given`), or it has no effect, with what to do instead (`lacking`). A name in neither is unknown, and
reported as that.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from lbsync.model.records import Balance
from lbsync.publisher.translate.fields import Path, read_number

Siblings = Mapping[str, str]
"""All annotations of one vendor on one Service, without the prefix."""
Sets = dict[Path, Any]
Convert = Callable[[str, Siblings], Sets]

PLACE = "@"
"""First step of a path that is no field of the record but says where the servers are."""


PLACING = ("service-upstream", "tcp-service-port")
"""Annotations of vendors that have a say in where servers are, or in which records they stand."""


class NoCounterpart(Exception):
    """Raised where a value means something to its own controller that lbsync cannot do."""


class Unprotected(NoCounterpart):
    """Raised where a value keeps somebody out that lbsync cannot keep out."""


class Vendor(msgspec.Struct, frozen=True):
    """One controller: its prefixes, the first of them preferred, and its annotations."""

    prefixes: tuple[str, ...]
    given: Mapping[str, Convert]
    lacking: Mapping[str, str]
    """Annotation → what to do about it."""
    protecting: frozenset[str]
    """Those among the lacking that keep somebody out, or prove who a server is."""


def switch(text: str) -> bool:
    """Read a boolean as Go's strconv.ParseBool does, and HAProxy's on and off. ValueError."""
    value = text.strip().lower()
    if value in ("true", "t", "1", "on", "yes"):
        return True
    if value in ("false", "f", "0", "off", "no"):
        return False
    raise ValueError("it is neither true nor false: write one of these")


def span(text: str) -> str:
    """Return a duration with its unit: HAProxy takes a bare number for milliseconds."""
    value = text.strip()
    return f"{value}ms" if value.isascii() and value.isdigit() else value


def word(text: str) -> str:
    """Return the text without surrounding white space."""
    return text.strip()


def to(path: str, convert: Callable[[str], Any] = word) -> Convert:
    """Return a converter that sets the one field `path` (dotted)."""
    steps = tuple(path.split("."))

    def given(text: str, siblings: Siblings) -> Sets:
        del siblings
        return {steps: convert(text)}

    return given


def balance(text: str) -> str:
    """Return the algorithm's name. `random(2)` is HAProxy's `random` (manual 4.2, `balance`)."""
    value = "random" if text.strip() == "random(2)" else text.strip()
    if value not in get_args(Balance):
        raise NoCounterpart(
            f"balancing by {value[:40]!r} is not offered: one of {', '.join(get_args(Balance))}"
        )
    return value


def header_lines(text: str) -> dict[str, str]:
    """Read lines of `Name: value` or `Name value`; the value may stand in double quotes."""
    found = {}
    for line in filter(None, (line.strip() for line in text.split("\n"))):
        parts = re.match(r"([^\s:]+)(?::\s*|\s+)(.+)\Z", line)
        if not parts:
            raise ValueError("a line of it is no header: write each line like X-Name: value")
        value = parts[2].strip()
        if "%[" in value:
            raise NoCounterpart("expressions in a header's value are not evaluated")
        found[parts[1]] = re.sub(r'\A"(.*)"\Z', r"\1", value)
    return found


def only(wanted: str, does: str) -> Convert:
    """Return a converter for an annotation that lbsync fulfils always, with this one value."""

    def given(text: str, siblings: Siblings) -> Sets:
        del siblings
        if text.strip().lower() == wanted:
            return {}
        raise NoCounterpart(does)

    return given


def service_upstream(text: str, siblings: Siblings) -> Sets:
    """Send requests to the Service's own address instead of its pods."""
    del siblings
    return {(PLACE, "address-mode"): "clusterip"} if switch(text) else {}


def tcp_port(text: str, siblings: Siblings) -> Sets:
    """Serve the Service as plain TCP on a port of its own."""
    del siblings
    return {("mode",): "tcp", ("listen",): read_number(text)}


def route_acl(text: str, siblings: Siblings) -> Sets:
    """Which requests a service is for; `rand(100) lt 25` is how canaries are given a share."""
    del siblings
    if text.strip().startswith("rand("):
        raise NoCounterpart("write the weights into the key routes/<namespace>/<name> instead")
    raise Unprotected("say who may come in annotations lbsync.io/allow, -deny or -auth-users")


def check_switch(text: str, siblings: Siblings) -> Sets:
    """`check: false` takes every server for healthy."""
    if not switch(text):
        return {("check", "type"): "none"}
    return {} if "check-http" in siblings else {("check", "type"): "tcp"}


def check_http(text: str, siblings: Siblings) -> Sets:
    """`/path`, `METHOD /path` or `METHOD /path HTTP/1.1`; counts only while `check` is on."""
    if not switch(siblings.get("check", "true")):
        return {}
    words = text.split()
    if len(words) == 1:
        return {("check", "type"): "http", ("check", "path"): words[0]}
    if len(words) not in (2, 3):
        raise ValueError("it is no request: write it like GET /healthz")
    return {
        ("check", "type"): "http",
        ("check", "method"): words[0].upper(),
        ("check", "path"): words[1],
    }
