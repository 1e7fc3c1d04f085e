"""Which service is at fault, when `haproxy -c` refuses what all of them make together?

Pure. First the place that HAProxy names is led back to a service; where it names none, the
services that changed are divided until the culprits stand alone.
"""

from collections.abc import Callable, Sequence

from lbsync.agent.entries import Entries
from lbsync.model.desired import Desired
from lbsync.schema.keys import ServiceId

Fingerprint = tuple[tuple[str, int, bytes], ...]


def fingerprint(entries: Entries, service: ServiceId) -> Fingerprint:
    """Return what identifies a service's keys as they are; changes when any of them does."""
    return tuple(
        (name, entry.item.mod_revision, entry.item.value)
        for name, entry in sorted(entries.items())
        if entry.key.service == service
    )


def section_owners(desired: Desired) -> dict[str, str]:
    """Return the service behind each section name: backends, frontends, lists of users."""
    owners = {backend.name: backend.service for backend in desired.backends}
    owners.update((backend.users, backend.service) for backend in desired.backends)
    owners.update((service.frontend, service.id) for service in desired.services)
    return owners


def changed_services(entries: Entries, accepted: Entries) -> list[ServiceId]:
    """Return the services of which any key differs from what was accepted, sorted."""
    names = entries.keys() | accepted.keys()
    found = set()
    for name in names:
        new, old = entries.get(name), accepted.get(name)
        if new is not old:
            service = (new or old).key.service  # type: ignore[union-attr]
            if service is not None and f"services/{service}" in entries:
                found.add(service)
    return sorted(found)


def bisect(
    suspects: Sequence[ServiceId], accepts: Callable[[set[ServiceId]], bool]
) -> set[ServiceId]:
    """Return services that must be held back for the rest to be accepted.

    `accepts(held)` tells whether HAProxy takes the configuration with `held` held back. Empty when
    holding all of them does not help: then no service is at fault. About log2(n) checks for each
    culprit.
    """
    everyone = set(suspects)
    if not everyone or not accepts(everyone):
        return set()
    held = set(everyone)
    _release(list(suspects), held, accepts)
    return held


def _release(
    suspects: list[ServiceId], held: set[ServiceId], accepts: Callable[[set[ServiceId]], bool]
) -> None:
    """Take out of `held` all of `suspects` that the rest can be accepted with."""
    if accepts(held - set(suspects)):
        held.difference_update(suspects)
        return
    if len(suspects) == 1:
        return
    middle = len(suspects) // 2
    _release(suspects[:middle], held, accepts)
    _release(suspects[middle:], held, accepts)
