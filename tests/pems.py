"""Certificates with any dates and names, made in memory."""

import datetime
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = 86400.0


@functools.cache
def a_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """One of several keys."""
    del number
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(number: int = 0) -> bytes:
    """The same in PEM."""
    return a_key(number).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_pem(
    *names: str, start: float, end: float, common: str = "made", key: int = 0
) -> bytes:
    """A certificate for these names; `start` and `end` in seconds since 1970."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(a_key(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(start, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(end, datetime.UTC))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    made = builder.sign(a_key(key), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def pem(*names: str, start: float, end: float, common: str = "made") -> bytes:
    """A certificate with its key."""
    return certificate_pem(*names, start=start, end=end, common=common) + key_pem()
