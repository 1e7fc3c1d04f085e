"""What certificates say of themselves: their names, and from when to when they are valid.

The only place that takes certificates apart; whatever the bytes are, nothing is raised.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lbsync.atomic import FileMark, mark
from lbsync.deferred import Deferred

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = Deferred("cryptography.x509")  # 50 ms and 19 MB; many hosts have no certificate

_BLOCK = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
#: PKCS #8, and the older form in which the header says it (RFC 1421).
_ENCRYPTED = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE
)


class Facts(msgspec.Struct, frozen=True):
    """What one certificate says."""

    names: tuple[str, ...]
    """DNS names it is for, in lower case; its common name where it has no list of names."""
    not_before: float
    """Seconds since 1970, as is `not_after`."""
    not_after: float
    common_names: tuple[str, ...] = ()
    """In lower case. HAProxy answers for them, too; clients go by the list of names where there is one."""

    @property
    def answers_for(self) -> frozenset[str]:
        """The names for which HAProxy serves it."""
        return frozenset((*self.names, *self.common_names))

    def valid(self, now: float) -> bool:
        """Tell whether it is valid at a time."""
        return self.not_before <= now <= self.not_after


def certificates(pem: bytes) -> list[Facts]:
    """Return what the certificates of a PEM text say, in their order; those that cannot be read are
    left out."""
    return [said for block in _BLOCK.findall(pem) if (said := _said(block)) is not None]


def _said(block: bytes) -> Facts | None:
    plain = block.replace(b"X509 CERT", b"CERT").replace(b"TRUSTED CERT", b"CERT")
    odd = (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
    try:
        return _facts(x509.load_pem_x509_certificate(plain))
    except odd:  # it is none, or one that the library does not understand
        return None


def has_certificate(pem: bytes) -> bool:
    """Tell whether there is a certificate in PEM."""
    return _BLOCK.search(pem) is not None


def has_key(pem: bytes) -> bool:
    """Tell whether there is a private key in PEM."""
    return _KEY.search(pem) is not None


def has_encrypted_key(pem: bytes) -> bool:
    """Tell whether a private key needs a passphrase, which a daemon does not have."""
    return _ENCRYPTED.search(pem) is not None


def objection(certificate: bytes, key: bytes) -> str:
    """Return why OpenSSL would not serve a certificate with its key; empty: it would.

    `key`: empty where it stands with the certificate. HAProxy may be built with another library, so
    its word goes before this one's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _in_memory(certificate) as path, _in_memory(key or certificate) as key_path:
        try:
            context.load_cert_chain(path, key_path, password=lambda: "")
        except (ssl.SSLError, OSError, ValueError) as error:
            return str(getattr(error, "reason", None) or error).lower().replace("_", " ")
    return ""


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """Give bytes a path: OpenSSL's loader takes nothing else, and a key must not touch the disk."""
    file = os.memfd_create("lbsync-certificate")
    try:
        os.write(file, data)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)


def ends(
    certificates_in: Iterable[str | None], authorities_in: Iterable[str | None] = ()
) -> dict[str, float]:
    """Return for each file when it is of no use any more, in seconds since 1970: a certificate (the
    first of its file) when it ends, authorities when the last of them does.

    None, and files that cannot be read or hold no certificate, are left out.
    """
    found: dict[str, float] = {}
    for path in filter(None, certificates_in):
        if said := _read(path):
            found[path] = said[0].not_after
    for path in filter(None, authorities_in):
        if said := _read(path):
            found[path] = max(each.not_after for each in said)
    return found


def _read(path: str) -> list[Facts]:
    try:
        return _read_once(path, mark(Path(path).stat()))
    except OSError:
        return []


@functools.lru_cache(maxsize=16)
def _read_once(path: str, _mark: FileMark) -> list[Facts]:
    return certificates(Path(path).read_bytes())


def _facts(certificate: x509.Certificate) -> Facts:
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    common_names = tuple(str(name.value).lower() for name in common)
    return Facts(
        _names(certificate, common_names),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        common_names,
    )


def _names(certificate: x509.Certificate, common_names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return common_names
    return tuple(name.lower() for name in listed.value.get_values_for_type(x509.DNSName))
