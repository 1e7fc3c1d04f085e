"""Which service is at fault when `haproxy -c` refuses the whole configuration? Pure.

First the place that HAProxy names is traced to a service, a certificate or a key; if it names none,
everything that changed is bisected until only the culprits are left.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from lbsync.agent.desired import raw_layout
from lbsync.agent.desired.decode import Entries, differing
from lbsync.agent.desired.quarantine import Suspect, a_service
from lbsync.agent.file_names import CERTIFICATES
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.clients.certificates import CertificateFile
from lbsync.model.desired import Backend, Desired
from lbsync.model.rendered import Rendered
from lbsync.schema.keys import ServiceId, service_key

T = TypeVar("T")

_CERTIFICATE = re.compile(rf"{CERTIFICATES}/([A-Za-z0-9_][A-Za-z0-9._-]*)")


def section_owners(desired: Desired) -> dict[str, set[Suspect]]:
    """Return the services behind each section name; all that stand on a profile share its faults."""
    owners: dict[str, set[Suspect]] = {}
    for service in desired.services:
        suspect = a_service(ServiceId.parse(service.id))
        for name in {service.frontend, *chain.from_iterable(map(_sections, service.backends))}:
            owners.setdefault(name, set()).add(suspect)
    return owners


def _sections(backend: Backend) -> tuple[str, ...]:
    profile = backend.profile
    return backend.name, backend.users, profile.name, profile.users, profile.table


def named_suspects(desired: Desired, findings: Iterable[Finding]) -> dict[Suspect, Finding]:
    """Return the services and certificates that HAProxy names, with what it says about each."""
    owners = section_owners(desired)
    found: dict[Suspect, Finding] = {}
    for finding in findings:
        for suspect in owners.get(finding.section, ()):
            found.setdefault(suspect, finding)
        for name in _CERTIFICATE.findall(finding.text):
            certificate = CertificateFile(name, b"").certificate
            found.setdefault(Suspect("certificate", certificate), finding)
    return found


def printed(
    rendered: Rendered, findings: Iterable[Finding], changed: Mapping[str, bytes]
) -> dict[Suspect, Finding]:
    """Return the changed keys from which the lines that HAProxy names were printed.

    HAProxy names up to fifty at once; bisecting would take two trials for each.
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


def newest_changes(entries: Entries, accepted: Entries) -> dict[ServiceId, int]:
    """Return the services that differ from what was accepted, also removed ones, with the latest known
    revision of their keys."""
    found: dict[ServiceId, int] = {}
    for name in differing(entries, accepted):
        either = entries.get(name) or accepted[name]
        service, revision = either.key.service, either.item.mod_revision
        if service is not None:
            found[service] = max(revision, found.get(service, 0))
    return {
        s: r for s, r in found.items() if service_key(s) in entries or service_key(s) in accepted
    }


class Bisection(Generic[T]):
    """Finds the suspects to quarantine so that the rest is accepted.

    At any time the rest is accepted with `quarantined` taken out, also where faults hide each other or
    need several suspects together. It takes about 2 log2(n) trials for each culprit. Families are tried
    as a whole first, so that one with a hundred culprits leaves trials for the others.
    """

    def __init__(
        self,
        suspects: Sequence[Sequence[T]],
        accepts: Callable[[set[T]], bool],
        family: Callable[[T], str] = lambda _: "",
    ) -> None:
        """`suspects`: groups, and suspects in each, the most likely innocent first.

        `accepts(trial)` tells whether all is well with these taken out; it was already asked with an empty
        set and said no. `family`: suspects that most likely have one writer.
        """
        self._suspects = suspects
        self._accepts = accepts
        self._family = family
        self._doubtful: list[list[T]] = []
        self._most = 0
        self.trials = 0
        """How many trials there were."""
        self.quarantined: set[T] = set()
        """Empty: taking out all of them does not help, so none is at fault."""
        self.proved: set[T] = set()
        """Those of `quarantined` that were tried alone; the others may be innocent."""

    def run(self, most: int) -> None:
        """Search with at most this many trials; what was not tried by then stays quarantined."""
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
        """Release those of these units with which the rest is still accepted."""
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
        """Release the innocent of a refused family: by halves, then one by one when only culprits turn up,
        so that one innocent among a hundred culprits costs one trial for each, not two."""
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
