"""The door to the directory of TLS certificates."""

import re
from pathlib import Path

import msgspec

from lbsync.errors import Rejected

#: What `ssl-load-extra-files` loads beside a certificate (manual 3.1), and the certificates.
_SERVED = (".pem", ".crt")
_BESIDE = (".key", ".ocsp", ".issuer", ".sctl")
#: A name that is safe as a word in a crt-list.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_MAX_BYTES = 1 << 20


class CertificateFile(msgspec.Struct, frozen=True):
    """One file of the directory."""

    name: str
    data: bytes

    @property
    def served(self) -> bool:
        """True for a certificate, False for what belongs to one (a key, an OCSP answer)."""
        return self.name.endswith(_SERVED)

    @property
    def certificate(self) -> str:
        """The name of the certificate that it is, or belongs to."""
        if self.served:
            return self.name
        return self.name.rpartition(".")[0]


class CertificateDirectory:
    """Reads the directory; a file is read again only when its time, size or inode changed."""

    def __init__(self, path: Path) -> None:
        """`path`: the directory."""
        self._path = path
        self._known: dict[str, tuple[tuple[int, int, int], CertificateFile]] = {}

    def read(self) -> tuple[list[CertificateFile], list[str]]:
        """Return the files sorted by name, and a sentence for each that was left out.

        Raises `Rejected` when the directory cannot be read at all.
        """
        files: list[CertificateFile] = []
        left_out: list[str] = []
        known: dict[str, tuple[tuple[int, int, int], CertificateFile]] = {}
        try:
            paths = sorted(self._path.iterdir())
        except OSError as error:
            raise Rejected(
                f"{self._path}: the directory of certificates cannot be read ({error.strerror}); "
                "correct proxy.certificates or its permissions"
            ) from error
        for path in paths:
            if not path.name.endswith(_SERVED + _BESIDE):
                continue
            if not _NAME.match(path.name):
                left_out.append(
                    f"{path}: the name has characters other than A-Z a-z 0-9 . _ -; rename it"
                )
                continue
            try:
                stat = path.stat()
                mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if not path.is_file() or stat.st_size > _MAX_BYTES:
                    left_out.append(f"{path}: no file of at most 1 MiB; take it out")
                    continue
                old = self._known.get(path.name)
                file = (
                    old[1]
                    if old and old[0] == mark
                    else CertificateFile(path.name, path.read_bytes())
                )
            except OSError as error:
                left_out.append(
                    f"{path}: cannot be read ({error.strerror}); correct its permissions"
                )
                continue
            known[path.name] = (mark, file)
            files.append(file)
        self._known = known
        return files, left_out
