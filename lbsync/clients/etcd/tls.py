"""Why TLS with etcd fails, where certificates tell: theirs, ours, or the authority's ran out.

gRPC's own texts do not say whose certificate it is, and a server that refuses ours says nothing at all
(measured with etcd 3.4 and TLS 1.3: it just ends the connection).
"""

import re
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from lbsync.log import span
from lbsync.settings import Endpoint, Etcd
from lbsync.timestamps import minute

_AGAIN_S = 5.0
"""For so long a finding holds: a call that fails is tried several times a second."""
_TIMEOUT_S = 1.0
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VALIDITY = re.compile(
    rb"\x30.(\x17\x0d(?P<from2>\d{12})Z|\x18\x0f(?P<from4>\d{14})Z)"
    rb"(\x17\x0d(?P<to2>\d{12})Z|\x18\x0f(?P<to4>\d{14})Z)",
    re.DOTALL,
)
"""`Validity` of RFC 5280, 4.1.2.5: a sequence of two times, UTCTime or GeneralizedTime in DER."""


class Explainer:
    """Finds out why TLS with an endpoint does not come about."""

    def __init__(self, settings: Etcd) -> None:
        self._settings = settings
        self._found: dict[Endpoint, tuple[float, str]] = {}

    def explain(self, url: Endpoint) -> str:
        """Return one phrase that names the certificate at fault; empty where none is. Takes up to a
        second."""
        at, said = self._found.get(url, (float("-inf"), ""))
        now = time.monotonic()
        if now - at >= _AGAIN_S:
            said = self._look(url)
            self._found[url] = (now, said)
        return said

    def _look(self, url: Endpoint) -> str:
        for what, path in (("etcd cert", self._settings.cert), ("etcd ca", self._settings.ca)):
            if path and (fault := _of_file(Path(path))):
                return f"{path} ({what}) {fault}"
        fault = out_of_date(_theirs(url), time.time())
        return f"its certificate {fault}" if fault else ""


def out_of_date(pem: str, now: float) -> str:
    """Return how a certificate is out of date; empty where it is not, or cannot be read.

    `now`: seconds since 1970.
    """
    try:
        found = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(pem.strip()))
        if found is None:
            return ""
        begins = _moment(found["from2"], found["from4"])
        ends = _moment(found["to2"], found["to4"])
    except ValueError:
        return ""
    if now > ends.timestamp():
        return f"expired on {minute(ends.timestamp())} ({span(now - ends.timestamp())} ago)"
    if now < begins.timestamp():
        return f"is not valid before {minute(begins.timestamp())}; is the clock of this host right?"
    return ""


def _of_file(path: Path) -> str:
    """Return what is wrong with all certificates of a file: one good one may be enough."""
    try:
        blocks = _BLOCK.findall(path.read_text(errors="replace"))
    except OSError:
        return ""
    faults = [out_of_date(block, time.time()) for block in blocks]
    return faults[0] if faults and all(faults) else ""


def _theirs(url: Endpoint) -> str:
    """Return the certificate that an endpoint shows, unverified; empty where it shows none."""
    try:
        return ssl.get_server_certificate(url.socket_address, timeout=_TIMEOUT_S)
    except (OSError, ValueError):
        return ""


def _moment(short: bytes | None, long: bytes | None) -> datetime:
    """Read `YYMMDDHHMMSS`, where 50 to 99 stand for the last century, or `YYYYMMDDHHMMSS`."""
    if short is not None:
        long = (b"19" if short >= b"50" else b"20") + short
    return datetime.strptime((long or b"").decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
