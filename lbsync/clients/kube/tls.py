"""TLS contexts from PEM in memory; keys never touch a disk."""

import os
import ssl

from lbsync.clients.kube.access import Access, Certificate
from lbsync.errors import Unavailable


def context(access: Access, insecure: bool) -> ssl.SSLContext:
    """Return a client context for one API server.

    Raises `Unavailable` when the authority or the certificate is no usable PEM: files may be in the
    middle of a rotation, so it is tried again.
    """
    try:
        authority = None if access.authority is None else access.authority.decode("ascii")
        made = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise Unavailable(f"certificate-authority: no usable PEM: {error}") from error
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if access.certificate is not None:
        try:
            _load_pair(made, access.certificate)
        except (ssl.SSLError, OSError) as error:
            raise Unavailable(f"client certificate and key do not fit: {error}") from error
    return made


def _load_pair(made: ssl.SSLContext, pair: Certificate) -> None:
    """Load a certificate through a memory file, since OpenSSL's binding takes only paths."""
    handle = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(pair.certificate.rstrip() + b"\n" + pair.key)
        # A password callback, because the default one would ask on the terminal.
        made.load_cert_chain(f"/proc/self/fd/{handle}", password=lambda: b"")
    finally:
        os.close(handle)
