"""Which services changed in a way that HAProxy can take at once, before the file is written. Pure.

A pass renders everything, compares it with what runs, and changes only what differs. That is right
for any templates, but its cost grows with the number of services. Here the result is predicted for
the services that changed, from what the packaged templates print for one: servers of its backends,
lines of four maps. The pass that follows compares everything and corrects a wrong prediction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from lbsync.agent.file_names import (
    BACKENDS_MAP,
    CHECK_HOSTS_MAP,
    MAIN_FILE,
    ROUTES_MAP,
    SPLITS_MAP,
)
from lbsync.model.desired import Backend, Service
from lbsync.settings import Settings

#: The template that prints one backend.
BACKEND = "backend.cfg.j2"
#: These must be the packaged ones for the prediction to hold.
_MAPS = (CHECK_HOSTS_MAP, ROUTES_MAP, BACKENDS_MAP, SPLITS_MAP)
_PREDICTABLE = (MAIN_FILE, "backends.cfg", *_MAPS)
_LINES = ("maps/routes.line", "maps/backends.line", "maps/check_hosts.line")

Pairs = tuple[tuple[str, str], ...]


class ServiceDelta(msgspec.Struct, frozen=True, eq=False):
    """One service, as it runs and as it is wanted."""

    old: Service
    new: Service

    @property
    def backends(self) -> Iterator[Backend]:
        """The backends that changed, as wanted."""
        for old, new in zip(self.old.backends, self.new.backends, strict=True):
            if old.servers is not new.servers or old.record is not new.record:
                yield new

    @property
    def maps(self) -> Iterator[tuple[str, Pairs, Pairs]]:
        """The maps whose lines changed: path, lines that left, lines that came."""
        before, after = lines(self.old), lines(self.new)
        for path, then in before.items():
            now = after[path]
            if then != now:
                left, new = set(then), set(now)
                gone = tuple(pair for pair in then if pair not in new)
                come = tuple(pair for pair in now if pair not in left)
                yield path, gone, come


class ServiceDeltas(msgspec.Struct, frozen=True, eq=False):
    """What changed between two passes."""

    at_once: tuple[ServiceDelta, ...]
    rest: bool
    """Something else changed as well and waits for the pass."""


def is_predictable(settings: Settings, shadowed: Iterable[str]) -> bool:
    """Tell whether the packaged templates are the ones that count.

    `shadowed`: names of templates that the user's directory replaces.
    """
    if not settings.templates.packaged:
        return False
    replaced = {output.path for output in settings.outputs} & {MAIN_FILE, *_MAPS}
    names = {f"{name}.j2" for name in (*_PREDICTABLE, *_LINES)}
    return not replaced and not names & set(shadowed)


def lines(service: Service) -> dict[str, Pairs]:
    """Return the lines of a service in the maps."""
    return {
        ROUTES_MAP: tuple((route, service.id) for route in service.routes),
        BACKENDS_MAP: tuple((choice.key, choice.backend) for choice in service.choices),
        SPLITS_MAP: ((service.id, str(service.slots)),) if service.slots else (),
        CHECK_HOSTS_MAP: tuple((b.name, b.check_host) for b in service.backends if b.check_host),
    }


def entry_changes(
    deltas: Iterable[ServiceDelta],
) -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """Return lines that leave and lines that come, by map: of all services together, since a host
    that moves from one to another must not be missing in between."""
    found: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
    for delta in deltas:
        for path, gone, come in delta.maps:
            leaving, coming = found.setdefault(path, ([], []))
            leaving += gone
            coming += come
    return found


def diff(
    running: Mapping[str, Service], wanted: Sequence[Service], *, whole: bool = True
) -> ServiceDeltas:
    """Sort out which services can change at once. `whole`: others are gone; else they are as they run."""
    found: list[ServiceDelta] = []
    waiting: list[Service] = []
    if whole:
        there = {service.id for service in wanted}
        waiting = [old for name, old in running.items() if name not in there]
    for service in wanted:
        old = running.get(service.id)
        if old is service:
            continue
        if old is not None and _fits(old, service):
            found.append(ServiceDelta(old, service))
        else:
            waiting += [service] if old is None else [old, service]
    if not waiting:
        return ServiceDeltas(tuple(found), False)
    return ServiceDeltas(tuple(_independent(found, waiting)), True)


def _independent(found: list[ServiceDelta], waiting: Iterable[Service]) -> list[ServiceDelta]:
    """Return those that touch no map line that a waiting service has or will have.

    A host that moves to a service that does not exist yet must not be missing in between, and one that
    comes from a service that stays for now must not be there twice. Each delta that has to wait for
    that can make others wait.
    """
    taken = {(path, key) for service in waiting for path, pairs in lines(service).items()
             for key, _ in pairs}  # fmt: skip
    deltas = [(delta, {(path, key) for path, gone, come in delta.maps for key, _ in (*gone, *come)})
             for delta in found]  # fmt: skip
    while stuck := [keys for _, keys in deltas if keys & taken]:
        deltas = [(delta, keys) for delta, keys in deltas if not keys & taken]
        taken = set().union(*stuck)
    return [delta for delta, _ in deltas]


def _fits(old: Service, new: Service) -> bool:
    """Tell whether two versions differ in servers, hosts, paths and shares at most."""
    if old.wildcards != new.wildcards or len(old.backends) != len(new.backends):
        return False
    for then, now in zip(old.backends, new.backends, strict=True):
        if then.name != now.name or then.https != now.https or then.by_name != now.by_name:
            return False
    if old.record is new.record:
        return True
    routed = msgspec.structs.replace(new.record, hosts=old.record.hosts, paths=old.record.paths)
    return routed == old.record
