"""Why TLS with etcd fails, where certificates tell: theirs, ours, or the authority's ran out.

gRPC's own texts do not say whose certificate it is, and a server that refuses ours says nothing at all
(measured with etcd 3.4 and TLS 1.3: it just ends the connection).
"""

import ssl
import time
from pathlib import Path

from lbsync.clients.x509 import Facts, certificates
from lbsync.log import span
from lbsync.settings import Endpoint, Etcd
from lbsync.timestamps import minute

_AGAIN_S = 5.0
"""For so long a finding holds: a call that fails is tried several times a second."""
_TIMEOUT_S = 1.0


class Explainer:
    """Finds out why TLS with an endpoint does not come about."""

    def __init__(self, settings: Etcd) -> None:
        self._settings = settings
        self._found: dict[Endpoint, tuple[float, str]] = {}

    def explain(self, url: Endpoint) -> str:
        """Return one phrase that names the certificate at fault; empty if none is. Takes up to a
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
        fault = next((out_of_date(shown, time.time()) for shown in _theirs(url)), "")
        return f"its certificate {fault}" if fault else ""


def out_of_date(certificate: Facts, now: float) -> str:
    """Return how a certificate is out of date; empty if it is not. `now`: seconds since 1970."""
    begins, ends = certificate.not_before, certificate.not_after
    if now > ends:
        return f"expired on {minute(ends)} ({span(now - ends)} ago)"
    if now < begins:
        return f"is not valid before {minute(begins)}; is the clock of this host right?"
    return ""


def _of_file(path: Path) -> str:
    """Return what is wrong with all certificates of a file: one good one may be enough."""
    try:
        found = certificates(path.read_bytes())
    except OSError:
        return ""
    faults = [out_of_date(one, time.time()) for one in found]
    return faults[0] if faults and all(faults) else ""


def _theirs(url: Endpoint) -> list[Facts]:
    """Return the certificate that an endpoint shows, unverified; none where it shows none."""
    try:
        return certificates(
            ssl.get_server_certificate(url.socket_address, timeout=_TIMEOUT_S).encode()
        )
    except (OSError, ValueError):
        return []
