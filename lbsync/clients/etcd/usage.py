"""How full an etcd member is, and how much history it keeps: read from its metrics.

`/metrics` is served on the client URL. Its quota is in no RPC of etcd 3.4 (`Status` has the size
alone), and whether anybody ever compacts is in none at all.
"""

import http.client
import re
import ssl
import urllib.request

import msgspec

from lbsync.settings import Endpoint, Etcd

_NAMES = {
    "etcd_mvcc_db_total_size_in_bytes": "size",
    "etcd_server_quota_backend_bytes": "quota",
    "etcd_debugging_mvcc_current_revision": "revision",
    "etcd_debugging_mvcc_compact_revision": "compacted",
}
_LINE = re.compile(rf"^({'|'.join(_NAMES)}) ([-+.0-9e]+)$", re.MULTILINE)
_TIMEOUT_S = 2.0
_MOST_BYTES = 4 << 20

_FULL = 0.6
"""Share of the quota from which on somebody should know."""
_MANY = 50_000
"""Revisions of history that no compaction each hour or so leaves behind in a fleet of usual size."""


class Usage(msgspec.Struct, frozen=True):
    """Figures of one member; 0 if it does not tell."""

    size: float = 0.0
    """Bytes of the database file."""
    quota: float = 0.0
    """Bytes at which etcd takes no more writes."""
    revision: float = 0.0
    compacted: float = 0.0
    """Revision up to which history was compacted; -1: never."""


def usage(settings: Etcd) -> dict[str, Usage]:
    """Return the figures of each endpoint that serves its metrics to this client."""
    found: dict[str, Usage] = {}
    for url in settings.endpoints:
        try:
            with _opener(settings, url).open(f"{url}/metrics", timeout=_TIMEOUT_S) as answer:
                found[url] = parse(answer.read(_MOST_BYTES).decode(errors="replace"))
        except (OSError, ValueError, http.client.HTTPException):
            # Metrics may be elsewhere (--listen-metrics-urls) or closed, or nothing but gRPC is spoken here
            # (--listen-client-http-urls): nothing is known.
            continue
    return found


def parse(text: str) -> Usage:
    """Read Prometheus' text format, as far as it is of interest here. Raises nothing."""
    values = {}
    for name, number in _LINE.findall(text):
        try:
            values[_NAMES[name]] = float(number)
        except ValueError:
            continue
    return Usage(**values)


def warnings(url: str, found: Usage) -> list[str]:
    """Return a sentence for each thing that ends in an etcd that takes no more writes."""
    said = []
    if found.quota > 0 and found.size > _FULL * found.quota:
        said.append(
            f"{url}: its database has {found.size / found.quota:.0%} of its quota "
            f"({found.size / 1e6:.0f} of {found.quota / 1e6:.0f} MB), at which all writes stop: compact, "
            "then `etcdctl defrag`, or raise --quota-backend-bytes"
        )
    kept = found.revision - max(found.compacted, 0)
    if kept > _MANY:
        never = ", which was never compacted" if found.compacted <= 0 else ""
        said.append(
            f"{url}: it keeps {kept:.0f} revisions of history{never}; start it with "
            "--auto-compaction-mode=periodic --auto-compaction-retention=1h"
        )
    return said


def _opener(settings: Etcd, url: Endpoint) -> urllib.request.OpenerDirector:
    """Return what opens an endpoint as gRPC does: with its certificates, and never by a proxy."""
    direct = urllib.request.ProxyHandler({})
    if not url.secure:
        return urllib.request.build_opener(direct)
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert:
        context.load_cert_chain(settings.cert, settings.key)
    return urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context))
