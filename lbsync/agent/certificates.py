"""Which certificates are served: the last good one in place of one that HAProxy refuses."""

from collections.abc import Iterable, Iterator

from lbsync.agent.quarantine import Identity, Quarantine, Suspect
from lbsync.clients.certificates import CertificateDirectory, CertificateFile
from lbsync.errors import Rejected


class Certificates:
    """The certificates of a directory, and those that were served before."""

    def __init__(self, directory: CertificateDirectory | None) -> None:
        """`directory`: None where HAProxy ends no TLS."""
        self._directory = directory
        self.last: tuple[CertificateFile, ...] = ()
        """Those that HAProxy was last proved to serve, with what belongs to them."""
        self.stored: tuple[CertificateFile, ...] = ()
        """What was last read."""

    def read(
        self, quarantine: Quarantine, held: frozenset[Suspect]
    ) -> tuple[list[CertificateFile], list[str]]:
        """Return what is to be served, and a sentence for each file that is not served as it stands.

        A directory that was emptied, or cannot be read, takes nothing away: without any certificate
        HAProxy would stop to listen for TLS. Raises `Rejected` where it cannot be read at first.
        """
        if self._directory is None:
            return [], []
        try:
            files, left_out = self._directory.read()
        except Rejected as error:
            if not self.last:
                raise
            files, left_out = [], [str(error)]
        if self.last and not any(file.served for file in files):
            left_out.append(
                "proxy.certificates: there is none left; the last ones are served: put them back, "
                "or set certificates to nothing"
            )
            return list(self.last), left_out
        self.stored = tuple(files)
        quarantine.follow_certificates(lambda name: identity(self.stored, name))
        reasons = {s.name: bar.reason for s, bar in quarantine.bars.items() if _is_one(s)}
        barred = reasons.keys() | {suspect.name for suspect in held if _is_one(suspect)}
        if not barred:
            return files, left_out
        kept = [file for file in self.last if file.certificate in barred]
        found = [file for file in files if file.certificate not in barred]
        good = {file.certificate for file in kept}
        left_out += (_sentence(name, reasons[name], name in good) for name in sorted(reasons))
        return sorted([*found, *kept], key=lambda file: file.name), left_out

    def changed(self) -> Iterator[str]:
        """Yield the names of certificates that are not as they were last served."""
        names = {file.certificate for file in (*self.stored, *self.last)}
        for name in names:
            if identity(self.stored, name) != identity(self.last, name):
                yield name


def identity(files: Iterable[CertificateFile], name: str) -> Identity:
    """Return what is stored of a certificate: itself, and what stands beside it."""
    return tuple((file.name, 0, file.data) for file in files if file.certificate == name)


def _is_one(suspect: Suspect) -> bool:
    return suspect.kind == "certificate"


def _sentence(name: str, reason: str, is_kept: bool) -> str:
    stays = "the last good one is served" if is_kept else "it is left out"
    return f"{name}: HAProxy does not take this certificate; {stays}: replace it ({reason})"
