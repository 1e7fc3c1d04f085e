"""TLS contexts from PEM in memory; keys never touch a disk."""

import os
import re
import ssl

from lbsync.clients.kube.auth.access import Access, Certificate
from lbsync.errors import Unavailable

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def context(access: Access, insecure: bool) -> ssl.SSLContext:
    """Return a client context for one API server.

    Raises `Unavailable` when the authority or the certificate is no usable PEM: files may be in the
    middle of a rotation, so it is tried again.
    """
    try:
        authority = None if access.authority is None else _blocks(access.authority)
        made = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise Unavailable(f"certificate-authority: no usable PEM: {error}") from error
    # As Go's clients judge, whose certificates these are: an authority need not be a root, and many a
    # cluster's (EKS among them) lack the key identifiers that Python 3.13 began to insist on.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if access.certificate is not None:
        try:
            _load_pair(made, access.certificate)
        except (ssl.SSLError, OSError) as error:
            raise Unavailable(f"client certificate and key do not fit: {error}") from error
    return made


def _blocks(pem: bytes) -> str:
    """Return the certificates alone; what people write between them may be in any script."""
    found = _CERTIFICATE.findall(pem)
    if not found:
        raise ValueError("no certificate in it")
    return b"\n".join(found).decode("ascii")


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
