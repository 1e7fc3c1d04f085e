"""Which service is at fault, when `haproxy -c` refuses what all of them make together?

Pure. First the place that HAProxy names is led back to a service, a certificate or a key; where it names
none, all that changed is divided until the culprits stand alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from lbsync.agent.desired import raw_layout
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.quarantine import Suspect, a_service
from lbsync.agent.file_names import CERTIFICATES
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.clients.certificates import CertificateFile
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered
from lbsync.schema.keys import ServiceId, service_key

T = TypeVar("T")

_CERTIFICATE = re.compile(rf"{CERTIFICATES}/([A-Za-z0-9_][A-Za-z0-9._-]*)")


def saying(text: str) -> Finding:
    """Return a finding that has no place."""
    return Finding("", 0, "", text)


def section_owners(desired: Desired) -> dict[str, str]:
    """Return the service behind each section name: backends, frontends, lists of users."""
    owners = {backend.name: backend.service for backend in desired.backends}
    owners.update((backend.users, backend.service) for backend in desired.backends)
    owners.update((service.frontend, service.id) for service in desired.services)
    return owners


def accused(desired: Desired, findings: Iterable[Finding]) -> dict[Suspect, Finding]:
    """Return the services and certificates that HAProxy names, each with what it says of them."""
    owners = section_owners(desired)
    found: dict[Suspect, Finding] = {}
    for finding in findings:
        if finding.section in owners:
            found.setdefault(a_service(ServiceId.parse(owners[finding.section])), finding)
        for name in _CERTIFICATE.findall(finding.text):
            certificate = CertificateFile(name, b"").certificate
            found.setdefault(Suspect("certificate", certificate), finding)
    return found


def printed(
    rendered: Rendered, findings: Iterable[Finding], changed: Mapping[str, bytes]
) -> dict[Suspect, Finding]:
    """Return the keys, among those that changed, that the lines HAProxy names were printed from.

    HAProxy names fifty at once; to divide them all takes two trials for each.
    """
    lines = {file.path: file.data.decode(errors="replace").split("\n") for file in rendered.files}
    values = {key: value.decode(errors="replace").strip() for key, value in changed.items()}
    found: dict[Suspect, Finding] = {}
    for finding in findings:
        if 0 < finding.line <= len(lines.get(finding.file, ())):
            line = lines[finding.file][finding.line - 1]
            if key := raw_layout.printed_on(line, finding.section, values):
                found.setdefault(Suspect("key", key), finding)
    return found


def changed_services(entries: Entries, accepted: Entries) -> list[ServiceId]:
    """Return the services of which any key differs from what was accepted, sorted."""
    return sorted(s for s in newest_changes(entries, accepted) if service_key(s) in entries)


def newest_changes(entries: Entries, accepted: Entries) -> dict[ServiceId, int]:
    """Return the services that are not as they were accepted, those that are gone included; with the
    latest revision that is known of their keys."""
    found: dict[ServiceId, int] = {}
    for name in entries.keys() | accepted.keys():
        new, old = entries.get(name), accepted.get(name)
        either = new or old
        if new is not old and either is not None:
            service, revision = either.key.service, either.item.mod_revision
            if service is not None:
                found[service] = max(revision, found.get(service, 0))
    return {
        s: r for s, r in found.items() if service_key(s) in entries or service_key(s) in accepted
    }


class Bisection(Generic[T]):
    """Finds those who must be held back for the rest to be accepted.

    At every moment the rest is accepted with `quarantined` held back, also of faults that hide each other, or
    that only some together make. About 2 log2(n) trials for each culprit. Families are judged as wholes
    first, so that one with a hundred culprits leaves trials for all others.
    """

    def __init__(
        self,
        suspects: Sequence[Sequence[T]],
        accepts: Callable[[set[T]], bool],
        family: Callable[[T], str] = lambda _: "",
    ) -> None:
        """`suspects`: in the order in which they are to be believed innocent, first by groups.

        `accepts(held)` tells whether all goes well with `quarantined` held back; it was asked already with
        nobody held, and said no. `family`: who most likely have one writer.
        """
        self._suspects = suspects
        self._accepts = accepts
        self._family = family
        self._doubtful: list[list[T]] = []
        self._most = 0
        self.trials = 0
        """How many there were."""
        self.quarantined: set[T] = set()
        """Empty: holding all of them does not help, so none is at fault."""
        self.proved: set[T] = set()
        """Those of `quarantined` that were tried alone; of the others it is not known."""

    def run(self, most: int) -> None:
        """Search, with at most so many trials; who was not tried by then stays held."""
        everyone = {suspect for group in self._suspects for suspect in group}
        self._most = most
        if not everyone or not self._goes_well(everyone):
            return
        self.quarantined = everyone
        for group in self._suspects:
            families: dict[str, list[T]] = {}
            for suspect in group:
                families.setdefault(self._family(suspect), []).append(suspect)
            self._release(list(families.values()))
        for doubtful in sorted(self._doubtful, key=len):
            self._divide(doubtful)

    def _release(self, units: list[list[T]]) -> None:
        """Take out of `quarantined` all of these units that the rest can be accepted with."""
        if not units or self.trials >= self._most:
            return
        rest = self.quarantined.difference(*units)
        if rest and self._goes_well(rest):
            self.quarantined = rest
        elif len(units) > 1:
            self._halve(units)
        elif len(units[0]) > 1:
            self._doubtful.append(units[0])
        else:
            self.proved.update(units[0])

    def _divide(self, suspects: list[T]) -> None:
        """Release those of a refused family that can be: by halves, and one by one once nothing but culprits
        is found, so that one who is innocent among a hundred of these costs a trial for each, not two."""
        middle = len(suspects) // 2
        parts = [suspects[middle:], suspects[:middle]]
        in_vain = 0
        while parts and self.trials < self._most:
            part = parts.pop()
            if len(part) > 1 and in_vain > len(suspects).bit_length() + 1:
                parts += [[suspect] for suspect in reversed(part)]
                continue
            rest = self.quarantined.difference(part)
            in_vain += 1
            if rest and self._goes_well(rest):
                self.quarantined, in_vain = rest, 0
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                self.proved.update(part)

    def _halve(self, units: list[list[T]]) -> None:
        middle = len(units) // 2
        self._release(units[:middle])
        self._release(units[middle:])

    def _goes_well(self, quarantined: set[T]) -> bool:
        self.trials += 1
        return self._accepts(quarantined)
