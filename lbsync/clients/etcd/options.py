"""What the user may choose about etcd. Imports neither `etcd3` nor gRPC."""

import os
from collections.abc import Callable

import msgspec

from lbsync.errors import SettingsError
from lbsync.settings.addresses import Endpoint

# gRPC's own default is a list that was compiled into it; these are kept by the system.
_CA_BUNDLES = (
    os.environ.get("SSL_CERT_FILE"),
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


class EtcdOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach etcd and what to read there. Check with `problems()` before use."""

    endpoints: tuple[Endpoint, ...] = (Endpoint("http://127.0.0.1:2379"),)
    """Client URLs of the members; tried in order."""
    prefix: str = "/lbsync/"
    """All keys live under it; ends with `/` so that `/lbsync-old/` is not taken in."""
    ca: str | None = None
    """File with the CA certificates (PEM) that etcd's certificates are checked against; None: the
    system's. Only for https endpoints."""
    cert: str | None = None
    """File with the client certificate (PEM); goes with `key`."""
    key: str | None = None
    """File with the client's private key (PEM); goes with `cert`."""
    user: str | None = None
    """etcd user for password authentication; goes with `password`."""
    password: Callable[[], str] | None = None
    """Called at each login, so that a password that was rotated is the one that is sent. Raises
    `LbsyncError` when there is none to be had."""
    timeout: float = 5.0
    """Seconds until a single read or write gives up, all endpoints and retries together."""
    resync: float = 600.0
    """Seconds between two full comparisons of the mirror with etcd; a tenth of jitter is added."""
    page_size: int = 2000
    """Keys per Range request when listing; bounds the size of one answer."""
    quiet: frozenset[str] = frozenset()
    """First segments of keys (below the prefix) whose changes wake nobody. They are held in the
    snapshot all the same."""

    def problems(self) -> list[str]:
        """Return everything that is wrong, one sentence each; empty when all is well."""
        found = []
        if not self.endpoints:
            found.append("etcd endpoints: at least one is needed, such as http://127.0.0.1:2379")
        if not self.prefix.endswith("/"):
            found.append(f"etcd prefix {self.prefix!r}: must end with '/'")
        if (self.cert is None) != (self.key is None):
            found.append("etcd cert and key: give both files, or neither")
        if (self.user is None) != (self.password is None):
            found.append("etcd user and password: give both, or neither")
        for name in ("ca", "cert", "key"):
            if (path := getattr(self, name)) and not os.access(path, os.R_OK):
                found.append(f"etcd {name}: {path} cannot be read")
        found += self._tls_problems()
        if self.timeout <= 0 or self.resync <= 0:
            found.append("etcd timeout and resync: must be more than 0 seconds")
        if self.page_size < 1:
            found.append("etcd page_size: must be at least 1")
        return found

    def _tls_problems(self) -> list[str]:
        found = []
        secure = {endpoint.secure for endpoint in self.endpoints}
        if len(secure) > 1:
            found.append("etcd endpoints: http and https are mixed; use one of them")
        if True in secure and self.ca is None and system_ca() is None:
            found.append("etcd ca: this system has no CA bundle; name the file to trust")
        if self.ca is not None and True not in secure:
            found.append("etcd ca: is set, but the endpoints are http://; write https://")
        return found

    def __repr__(self) -> str:
        """Leave the password out, so that it gets into no log and no traceback."""
        return f"EtcdOptions({', '.join(self.endpoints)}, prefix={self.prefix!r})"

    def check(self) -> None:
        """Raise `SettingsError` with all `problems()`, if there are any."""
        if found := self.problems():
            raise SettingsError(found)


def system_ca() -> str | None:
    """Return the CA bundle of this system; None when there is none."""
    found = [path for path in _CA_BUNDLES if path and os.access(path, os.R_OK)]
    return found[0] if found else None
