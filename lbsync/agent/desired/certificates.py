"""Which certificates are served, and in which order: the last good one in place of one that cannot be.

HAProxy takes the first in its list that has the name a client asks for, and looks for the name itself before
wildcards. So of several with one name the newest comes first, and one that is not valid now comes last, is
listed only for the names for which no other is valid, or is left out if others are valid for all of them.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from lbsync.agent.desired.quarantine import Identity, Quarantine, Suspect
from lbsync.clients import x509
from lbsync.clients.certificates import CertificateDirectory, CertificateFile, unfit
from lbsync.clients.x509 import Facts
from lbsync.errors import Rejected

#: What a client can ask for, and a list hold; a common name may be any text.
_HOST = re.compile(r"(?:[*][.])?[a-z0-9_-]+(?:[.][a-z0-9_-]+)*")


class Certificates:
    """The certificates of a directory, and those that were served before."""

    def __init__(self, directory: CertificateDirectory | None) -> None:
        """`directory`: None where HAProxy does not terminate TLS."""
        self._directory = directory
        self._path = directory.path if directory else Path()
        self.last: tuple[CertificateFile, ...] = ()
        """Those that HAProxy was last verified to serve, with their keys and other files."""
        self.stored: tuple[CertificateFile, ...] = ()
        """What was last read."""
        self._facts: dict[bytes, Facts | None] = {}
        """By the bytes of each certificate that was last read."""

    def read(
        self, quarantine: Quarantine, trial: frozenset[Suspect]
    ) -> tuple[list[CertificateFile], list[str]]:
        """Return what to serve, certificates in HAProxy's order of preference, and a sentence for each
        file that is not served as it is.

        An emptied or unreadable directory takes nothing away: without any certificate HAProxy would stop
        listening for TLS. Raises `Rejected` if it cannot be read the first time.
        """
        if self._directory is None:
            return [], []
        try:
            files, left_out = self._directory.read()
        except Rejected as error:
            if not self.last:
                raise
            files, left_out = (), [str(error)]
        if self.last and not any(file.served for file in files):
            left_out.append(
                "proxy.certificates: there is none left; the last ones are served: put them back, "
                "or set certificates to nothing"
            )
            return self._in_order(self.last), left_out
        self.stored = files
        quarantine.follow_certificates(lambda name: identity(self.stored, name))
        reasons = dict(_unfit(files))
        reasons |= {
            suspect.name: f"HAProxy does not take it: {entry.reason}"
            for suspect, entry in quarantine.entries.items()
            if suspect.kind == "certificate"
        }
        bad = reasons.keys() | {s.name for s in trial if s.kind == "certificate"}
        kept = [file for file in self.last if file.certificate in bad]
        found = [file for file in files if file.certificate not in bad]
        good = {file.certificate for file in kept}
        left_out += [_sentence(name, reasons[name], name in good) for name in sorted(reasons)]
        return self._in_order([*found, *kept]), left_out

    def changed(self) -> Iterator[str]:
        """Yield the names of certificates that differ from what was last served."""
        names = {file.certificate for file in (*self.stored, *self.last)}
        for name in names:
            if identity(self.stored, name) != identity(self.last, name):
                yield name

    def objections(self) -> Iterator[tuple[str, str]]:
        """Yield the names of changed certificates that OpenSSL would not serve, and why."""
        files = {file.name: file.data for file in self.stored}
        for name in self.changed():
            if name not in files:
                continue
            if reason := x509.objection(files[name], files.get(f"{name}.key", b"")):
                yield name, reason

    @property
    def ends(self) -> dict[str, float]:
        """File to the end of its validity, in seconds since 1970, for every known certificate."""
        found = {}
        for file in (*self.last, *self.stored):
            if file.served and (facts := self._of(file)) is not None:
                found[str(self._path / file.name)] = facts.not_after
        return found

    def _of(self, file: CertificateFile) -> Facts | None:
        if file.data not in self._facts:
            self._facts[file.data] = next(iter(x509.certificates(file.data)), None)
        return self._facts[file.data]

    def _in_order(self, files: Iterable[CertificateFile]) -> list[CertificateFile]:
        listed = list(files)
        facts = {file.name: self._of(file) for file in listed if file.served}
        here = {file.data for file in (*listed, *self.stored, *self.last)}
        self._facts = {data: known for data, known in self._facts.items() if data in here}
        known_facts = {name: known for name, known in facts.items() if known}
        now = time.time()
        places, left = ranks(known_facts, now), leftovers(known_facts, now)
        kept = [
            msgspec.structs.replace(file, only=left.get(file.name, ()))
            for file in listed
            if places.get(file.certificate, (0,)) is not None
        ]
        return sorted(kept, key=lambda file: _place(file, places))


Rank = tuple[int, str, float]


def _place(file: CertificateFile, places: Mapping[str, Rank | None]) -> tuple[Rank, str]:
    return places.get(file.certificate) or (0, file.certificate, 0.0), file.name


def ranks(facts: Mapping[str, Facts], now: float) -> dict[str, Rank | None]:
    """Return the rank of each certificate; None: leave it out.

    Those that share a name stay together at the place of the first, the newest before the others.
    """
    valid = {name for name, each in facts.items() if each.valid(now)}
    covered = {dns for name in valid for dns in facts[name].names}
    anchors = _anchors({name: facts[name].names for name in facts})
    found: dict[str, Rank | None] = {}
    for name, each in facts.items():
        if name not in valid and each.names and all(_is_in(dns, covered) for dns in each.names):
            found[name] = None
        else:
            found[name] = (int(name not in valid), anchors[name], -each.not_before)
    return found


def leftovers(facts: Mapping[str, Facts], now: float) -> dict[str, tuple[str, ...]]:
    """Return for each certificate that is not valid the names for which no other one is, if others are valid
    for some of its names."""
    covered = {dns for each in facts.values() if each.valid(now) for dns in each.names}
    found = {}
    for name, each in facts.items():
        mine = {dns for dns in each.answers_for if _HOST.fullmatch(dns)}
        left = tuple(sorted(dns for dns in mine if not _is_in(dns, covered)))
        if not each.valid(now) and left and len(left) < len(mine):
            found[name] = left
    return found


def _is_in(dns: str, covered: set[str]) -> bool:
    return dns in covered or f"*.{dns.partition('.')[2]}" in covered


def _anchors(names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return for each certificate the first that shares names with it, directly or through others."""
    first: dict[str, str] = {}
    parents = {name: name for name in names}

    def root(name: str) -> str:
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for name in sorted(names):
        for dns in names[name]:
            one, other = sorted((root(name), root(first.setdefault(dns, name))))
            parents[other] = one
    return {name: root(name) for name in names}


def identity(files: Iterable[CertificateFile], name: str) -> Identity:
    """Return what is stored for a certificate: itself and the files beside it."""
    return tuple((file.name, 0, file.data) for file in files if file.certificate == name)


def _unfit(files: Iterable[CertificateFile]) -> Iterator[tuple[str, str]]:
    listed = {file.name: file.data for file in files}
    for file in files:
        if file.served and (reason := unfit(listed, file.name)):
            yield file.name, reason


def _sentence(name: str, reason: str, is_kept: bool) -> str:
    stays = "the last good one is served" if is_kept else "it is left out"
    return f"certificate {name}: {reason}; {stays}"
