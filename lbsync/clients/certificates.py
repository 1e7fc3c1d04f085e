"""The door to the directory of TLS certificates."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lbsync.atomic import FileMark, mark
from lbsync.clients import x509
from lbsync.errors import Rejected

#: Names of certificates, also of a pair of keys as HAProxy's own bundles have them.
_CERTIFICATE = re.compile(r".+\.(?:pem|crt|cer|cert)(?:\.(?:rsa|ecdsa|dsa))?", re.IGNORECASE)
#: What `ssl-load-extra-files` loads beside a certificate (manual 3.1).
_BESIDE = (".key", ".ocsp", ".issuer", ".sctl")
#: What else people keep certificates and keys in, which HAProxy does not read.
_OTHER = (".der", ".p12", ".pfx", ".p7b", ".p7c", ".jks")
#: A name that is safe as a word in a crt-list.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\Z")
_MAX_BYTES = 1 << 20


class CertificateFile(msgspec.Struct, frozen=True):
    """One file of the directory."""

    name: str
    data: bytes
    only: tuple[str, ...] = ()
    """The names for which a certificate is served; empty: all that it has."""

    @property
    def served(self) -> bool:
        """True for a certificate, False for what belongs to one (a key, an OCSP answer)."""
        return not self.name.endswith(_BESIDE)

    @property
    def certificate(self) -> str:
        """The name of the certificate that it is, or belongs to."""
        return self.name if self.served else self.name.rpartition(".")[0]


class CertificateDirectory:
    """Reads the directory; a file is read again only when its time, size or inode changed."""

    def __init__(self, path: Path) -> None:
        """`path`: the directory."""
        self.path = path
        self._known: dict[str, tuple[FileMark, bytes]] = {}
        self._files: tuple[CertificateFile, ...] = ()
        self._marked: object = None

    def read(self) -> tuple[tuple[CertificateFile, ...], list[str]]:
        """Return the files sorted by name, and a sentence for each that was left out.

        The same tuple while nothing in the directory changed: it is read before every change made at once.
        Files that neither are called like certificates nor hold one are passed over, and so are
        directories and what begins with a dot. Raises `Rejected` when the directory cannot be read
        at all.
        """
        marks = self._marks()
        if marks is not None and marks == self._marked:
            return self._files, []
        files, left_out = self._read()
        # What could not be read is tried again each time.
        self._marked, self._files = None if left_out else marks, tuple(files)
        return self._files, left_out

    def _marks(self) -> object:
        """Return what differs whenever an entry came, went or changed; None: it cannot be told."""
        try:
            with os.scandir(self.path) as entries:
                return [(entry.name, mark(entry.stat())) for entry in entries]
        except OSError:
            return None  # reading says what is wrong

    def _read(self) -> tuple[list[CertificateFile], list[str]]:
        left_out: list[str] = []
        found: dict[str, bytes] = {}
        known: dict[str, tuple[FileMark, bytes]] = {}
        try:
            paths = sorted(self.path.iterdir())
        except OSError as error:
            raise Rejected(
                f"{self.path}: the directory of certificates cannot be read ({error.strerror}); "
                "correct proxy.certificates or its permissions"
            ) from error
        for path in paths:
            if path.name.startswith("."):
                continue
            try:
                if (data := self._data(path, known, left_out)) is not None:
                    found[path.name] = data
            except OSError as error:
                if _is_called_so(path.name):
                    left_out.append(
                        f"{path}: cannot be read ({error.strerror}); correct its permissions"
                    )
        self._known = known
        return self._sorted_out(found, left_out), left_out

    def _data(
        self,
        path: Path,
        known: dict[str, tuple[FileMark, bytes]],
        left_out: list[str],
    ) -> bytes | None:
        """Return a file's content; None if it is not to be served."""
        name = path.name
        is_called_so = _is_called_so(name)
        if path.is_dir():
            return None
        stat = path.stat()
        if not path.is_file() or stat.st_size > _MAX_BYTES:
            if is_called_so:
                left_out.append(f"{path}: no file of at most 1 MiB; take it out")
            return None
        seen = mark(stat)
        old = self._known.get(name)
        data = old[1] if old and old[0] == seen else path.read_bytes()
        known[name] = seen, data
        if not is_called_so:
            is_one = x509.has_certificate(data) or x509.has_key(data)
            if is_one or name.lower().endswith(_OTHER):
                left_out.append(
                    f"{path}: certificates and keys are known by the ends of their names: .pem, .crt, "
                    ".cer, .pem.rsa and .pem.ecdsa, .key, in PEM; rename it, or take it out"
                )
            return None
        if not _NAME.match(name):
            left_out.append(
                f"{path}: a name has only A-Z a-z 0-9 . _ - and begins with none of . and -; rename it"
            )
            return None
        return data

    def _sorted_out(self, found: dict[str, bytes], left_out: list[str]) -> list[CertificateFile]:
        """Return what can be served: `site.key` goes beside `site.crt` as `site.crt.key`."""
        files = {
            name: CertificateFile(name, data)
            for name, data in found.items()
            if not name.endswith(_BESIDE) or name.rpartition(".")[0] in found
        }
        for name, data in found.items():
            if name in files:
                continue
            stem, _, ending = name.rpartition(".")
            owners = [owner for owner in found if _stem(owner) == stem]
            lacking = [
                o for o in owners if f"{o}.{ending}" not in found and _lacks(found[o], ending)
            ]
            files.update((f"{o}.{ending}", CertificateFile(f"{o}.{ending}", data)) for o in lacking)
            if not owners:
                left_out.append(f"{self.path / name}: there is no certificate that it belongs to")
        return [files[name] for name in sorted(files)]


def _is_called_so(name: str) -> bool:
    return bool(_CERTIFICATE.fullmatch(name)) or name.endswith(_BESIDE)


def _stem(name: str) -> str:
    """Return a certificate's name without its ending; empty for what is none."""
    return name.rpartition(".")[0] if _CERTIFICATE.fullmatch(name) else ""


def _lacks(certificate: bytes, ending: str) -> bool:
    return ending != "key" or not x509.has_key(certificate)


def unfit(files: dict[str, bytes], name: str) -> str:
    """Return why nobody could serve a certificate; empty: HAProxy will tell.

    `files`: name to content of it and of what stands beside it.
    """
    return next(_unfit(files[name], files.get(f"{name}.key", b"")), "")


def _unfit(certificate: bytes, key: bytes) -> Iterator[str]:
    if not x509.has_certificate(certificate):
        binary = certificate[:1] == b"\x30"
        cure = "convert it: openssl x509 -inform der -in FILE" if binary else "replace it"
        yield f"it holds no certificate in PEM: {cure}"
    elif not x509.has_key(certificate) and not x509.has_key(key):
        yield "its private key is missing: put it into the same file, or beside it under its name and .key"
    elif x509.has_encrypted_key(certificate) or x509.has_encrypted_key(key):
        yield "its private key is encrypted, and HAProxy has no passphrase: store the key without one"
