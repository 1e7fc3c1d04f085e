"""What the settings name for etcd and this host must have: certificates, and the password."""

import os

from lbsync.errors import SettingsError
from lbsync.settings import Etcd, password_of

# gRPC's own default is a list that was compiled into it; these are kept by the system.
_CA_BUNDLES = (
    os.environ.get("SSL_CERT_FILE"),
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


def check(etcd: Etcd) -> None:
    """Raise `SettingsError` with all that is missing, so that it is told at the start; what is replaced
    later is read again."""
    found = [
        f"[etcd] {name}: {path} cannot be read"
        for name, path in (("ca", etcd.ca), ("cert", etcd.cert), ("key", etcd.key))
        if path and not os.access(path, os.R_OK)
    ]
    secure = any(endpoint.secure for endpoint in etcd.endpoints)
    if secure and etcd.ca is None and system_ca() is None:
        found.append("[etcd] ca: this system has no CA bundle; name the file to trust")
    if found:
        raise SettingsError(found)
    password_of(etcd)


def system_ca() -> str | None:
    """Return the CA bundle of this system; None when there is none."""
    found = [path for path in _CA_BUNDLES if path and os.access(path, os.R_OK)]
    return found[0] if found else None
