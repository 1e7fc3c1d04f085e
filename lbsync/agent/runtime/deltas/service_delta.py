"""Which services changed in a way that HAProxy can take at once, before the file is written. Pure.

A pass renders everything, compares it with what runs, and changes only what differs. That is right
for any templates, but its cost grows with the number of services. Here the result is predicted for
the services that changed, from what the packaged templates print for one: servers of its backends,
lines of a few maps. The pass that follows compares everything and corrects a wrong prediction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from lbsync.agent.file_names import (
    BACKENDS_MAP,
    CHECK_HOSTS_MAP,
    MAIN_FILE,
    PREVIEW_HOSTS_MAP,
    PREVIEWERS_MAP,
    PREVIEWS_MAP,
    ROUTES_MAP,
    SPLITS_MAP,
    STICKY_MAP,
)
from lbsync.model.desired import Backend, Service, ServiceChanges
from lbsync.settings import Settings

#: The template that prints one backend.
BACKEND = "backend.cfg.j2"
#: These must be the packaged ones for the prediction to hold.
_MAPS = (
    *(CHECK_HOSTS_MAP, ROUTES_MAP, BACKENDS_MAP, SPLITS_MAP, STICKY_MAP),
    *(PREVIEW_HOSTS_MAP, PREVIEWERS_MAP, PREVIEWS_MAP),
)
_PREDICTABLE = (MAIN_FILE, "backends.cfg", *_MAPS)
_LINES = ("maps/routes.line", "maps/backends.line", "maps/check_hosts.line")

#: Where rules for single services may stand, which HAProxy reads only when it starts.
_FRONTENDS = frozenset(("frontends.cfg.j2", "frontend_http.cfg.j2", "frontend_http.extra.cfg.j2"))

Pairs = tuple[tuple[str, str], ...]


class ServiceDelta(msgspec.Struct, frozen=True, eq=False):
    """One service, as it runs and as it is wanted."""

    old: Service | None
    """None: it is new."""
    new: Service | None
    """None: it is no longer wanted."""

    @property
    def backends(self) -> Iterator[Backend]:
        """The backends that are new or changed, as wanted."""
        before = {backend.name: backend for backend in self.old.backends} if self.old else {}
        for new in self.new.backends if self.new else ():
            old = before.get(new.name)
            if old is None or old.servers is not new.servers or old.record is not new.record:
                yield new

    @property
    def gone(self) -> list[str]:
        """Names of the backends that are no longer wanted."""
        left = {backend.name for backend in self.new.backends} if self.new else set()
        return [b.name for b in self.old.backends if b.name not in left] if self.old else []

    @property
    def maps(self) -> Iterator[tuple[str, Pairs, Pairs]]:
        """The maps whose lines changed: path, lines that left, lines that came."""
        before, after = lines(self.old), lines(self.new)
        for path in _MAPS:
            then, now = before.get(path, ()), after.get(path, ())
            if then != now:
                left, new = set(then), set(now)
                gone = tuple(pair for pair in then if pair not in new)
                come = tuple(pair for pair in now if pair not in left)
                yield path, gone, come

    @property
    def sides(self) -> list[Service]:
        """The service as it runs, and as it is wanted."""
        return [side for side in (self.old, self.new) if side is not None]


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


def has_own_rules(shadowed: Iterable[str]) -> bool:
    """Tell whether frontends may have rules of the user's for a service that comes or goes.

    Such a service must not be served before them: a rule may be what keeps clients out.
    """
    return not _FRONTENDS.isdisjoint(shadowed)


def lines(service: Service | None) -> dict[str, Pairs]:
    """Return the lines of a service in the maps."""
    if service is None:
        return {}
    return {
        ROUTES_MAP: tuple((route, service.id) for route in service.routes),
        BACKENDS_MAP: tuple((choice.key, choice.backend) for choice in service.choices),
        SPLITS_MAP: ((service.id, str(service.slots)),) if service.slots else (),
        STICKY_MAP: tuple((choice.key, choice.backend) for choice in service.cookie_choices),
        PREVIEW_HOSTS_MAP: tuple(service.preview_hosts),
        PREVIEWERS_MAP: tuple((start, "yes") for start in service.previewers),
        PREVIEWS_MAP: tuple((choice.key, choice.backend) for choice in service.previews),
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


def diff(running: Mapping[str, Service], wanted: Sequence[Service]) -> ServiceDeltas:
    """Sort out which services can change at once, of all that run and all that are wanted."""
    there = {service.id for service in wanted}
    gone = [name for name in running if name not in there]
    return diff_changes(running, ServiceChanges(tuple(wanted), tuple(gone)))


def diff_changes(running: Mapping[str, Service], changes: ServiceChanges) -> ServiceDeltas:
    """As `diff`, from what changed alone."""
    pairs = [(running.get(service.id), service) for service in changes.changed]
    gone = [(running[name], None) for name in changes.gone if name in running]
    deltas = [ServiceDelta(old, new) for old, new in (*pairs, *gone) if old is not new]
    found = [delta for delta in deltas if _fits(delta)]
    if len(found) == len(deltas):
        return ServiceDeltas(tuple(found), False)
    return ServiceDeltas(tuple(independent(found, set(deltas) - set(found))), True)


def independent(
    found: Iterable[ServiceDelta], waiting: Iterable[ServiceDelta]
) -> list[ServiceDelta]:
    """Return those that touch no map line that a waiting service has or will have.

    A host that moves to a service that does not exist yet must not be missing in between, and one that
    comes from a service that stays for now must not be there twice. Each delta that has to wait for
    that can make others wait.
    """
    taken = {(path, key) for delta in waiting for side in delta.sides
             for path, pairs in lines(side).items() for key, _ in pairs}  # fmt: skip
    if not taken:
        return list(found)
    deltas = [(delta, {(path, key) for path, gone, come in delta.maps for key, _ in (*gone, *come)})
             for delta in found]  # fmt: skip
    while stuck := [keys for _, keys in deltas if keys & taken]:
        deltas = [(delta, keys) for delta, keys in deltas if not keys & taken]
        taken = set().union(*stuck)
    return [delta for delta, _ in deltas]


def _fits(delta: ServiceDelta) -> bool:
    """Tell whether a service differs in nothing but backends and lines of maps.

    The settings of an http service all stand in its profile, which `plan_one` compares.
    """
    old, new = delta.old, delta.new
    if (old.wildcards if old else ()) != (new.wildcards if new else ()):
        return False
    if _by_name(old) != _by_name(new):
        return False
    if all(side.record.mode == "http" for side in delta.sides):
        return True
    return old is not None and new is not None and _is_alike(old, new)


def _by_name(service: Service | None) -> bool:
    return service is not None and any(backend.by_name for backend in service.backends)


def _is_alike(old: Service, new: Service) -> bool:
    """Tell whether a tcp service has the same frontend and the same backends as before."""
    names = [[backend.name for backend in side.backends] for side in (old, new)]
    return names[0] == names[1] and old.record == new.record
