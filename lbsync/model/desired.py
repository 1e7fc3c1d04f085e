"""The desired state of HAProxy: the values that templates print.

Objects keep their identity from pass to pass while nothing about them changed; rendering relies on
that to print only what is new. They compare by identity for the same reason.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

import msgspec
from msgspec import UNSET

from lbsync.model.records import GlobalRecord, ServerRecord, ServiceRecord

MOST_COOKIES = 50
"""Each name of a cookie is a rule that every request passes, whosever it is: one writer's ten thousand names
must not slow the requests of all others."""


def _above(suffix: str) -> Iterator[str]:
    """Yield the suffixes that `.a.b.example` lies within: `.b.example`, `.example`."""
    while (at := suffix.find(".", 1)) > 0:
        suffix = suffix[at:]
        yield suffix


class Profile(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """The settings that backends of many services have in common: a named `defaults` section."""

    name: str
    """`p_` and a digest of all that is below."""
    record: ServiceRecord
    """The services' fields, as far as they have them in common: `lbsync.model.profiles` takes the
    others out."""
    https: bool
    """Plain requests are redirected to https."""
    service: str = ""
    """The only service that may stand on it, as it counts that one's requests; empty: any may."""

    @property
    def users(self) -> str:
        """Name of the section with its users."""
        return f"ul_{self.name}"

    @property
    def table(self) -> str:
        """Name of the section with its table of clients."""
        return f"st_{self.name}"


class Backend(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One backend section: the servers of one group of one service."""

    name: str
    """`be_<ns>_<name>_<group>`; `_` cannot occur in the parts, so the name is unambiguous."""
    service: str
    """`<ns>/<name>`."""
    group: str
    record: ServiceRecord
    profile: Profile
    servers: tuple[ServerRecord, ...]
    """Sorted by name."""
    https: bool
    """Plain requests are redirected to https."""
    lead: str
    """Name of the service's first backend."""
    by_name: bool
    """Some server is given by a DNS name."""
    ids: Mapping[str, int] = {}
    """Server to its `id`, where clients are spread by a hash of it; empty: ids do not matter."""

    @property
    def users(self) -> str:
        """Name for a section with the service's users, where a user's own template prints it."""
        return f"ul_{self.lead.removeprefix('be_')}"

    @property
    def table(self) -> str:
        """Name of the section with the table of clients that the profile brings."""
        return self.profile.table

    @property
    def check_host(self) -> str:
        """The first exact host, for servers that refuse a check without a name they know; empty: their
        check names `localhost`, or no host at all."""
        if self.record.check.kind != "http":
            return ""
        return next((host for host in self.record.hosts if not host.startswith("*")), "")


class Choice(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One line of a map that leads to a backend."""

    key: str
    """`<ns>/<name>`, or `<ns>/<name>/<slot>` where traffic is split; `<group>/<cookie>/<ns>/<name>` for what a
    client's cookie says, `<group>/<ns>/<name>` for what it asks to see."""
    backend: str


class Service(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One service with all that leads to it."""

    id: str
    """`<ns>/<name>`."""
    ns: str
    name: str
    record: ServiceRecord
    backends: tuple[Backend, ...]
    """Sorted by group; a group without traffic is among them, so that a switch is one map entry."""
    routes: tuple[str, ...]
    """Keys `host/path/` of the route map that this service owns; `*` stands for any host."""
    wildcards: tuple[str, ...]
    """Suffixes (`.example.com`) of its `*.` hosts."""
    slots: int
    """Over how many slots traffic is split by weight; 0 when one backend takes all."""
    choices: tuple[Choice, ...]

    @property
    def cookie_choices(self) -> list[Choice]:
        """Where traffic is split: the groups that take some of it, by what a client's cookie says."""
        sticky = self.record.sticky
        if not self.slots or sticky is UNSET:
            return []
        takers = {choice.backend for choice in self.choices}
        return [
            Choice(f"{backend.group}/{sticky.cookie}/{self.id}", backend.name)
            for backend in self.backends
            if backend.name in takers
        ]

    @property
    def previews(self) -> list[Choice]:
        """The groups that clients in the right networks may ask for by name."""
        if self.record.preview is UNSET:
            return []
        return [Choice(f"{backend.group}/{self.id}", backend.name) for backend in self.backends]

    @property
    def preview_hosts(self) -> list[tuple[str, str]]:
        """Hosts that lead to one group, as `<host>/<ns>/<name>`, each with the group."""
        hosts = self.record.preview_hosts
        return [(f"{host}/{self.id}", group) for host, group in hosts.items()]

    @property
    def previewers(self) -> list[str]:
        """How addresses of clients that may ask for a group begin, behind `<ns>/<name>/`."""
        preview = self.record.preview
        networks = () if preview is UNSET else preview.networks
        found = {start for network in networks for start in network.beginnings}
        return [f"{self.id}/{start}" for start in sorted(found)]

    @property
    def open_routes(self) -> list[str]:
        """Its keys of the route map, except for those of previews."""
        closed = self.record.preview_hosts
        return [route for route in self.routes if route.partition("/")[0] not in closed]

    @property
    def frontend(self) -> str:
        """The name of the frontend of a tcp service."""
        return f"fe_{self.ns}_{self.name}"


class ServiceChanges(msgspec.Struct, frozen=True, eq=False):
    """Services that differ from before, while all others stay as they are."""

    changed: tuple[Service, ...]
    """New ones included."""
    gone: tuple[str, ...] = ()
    """`<ns>/<name>` of those that are no longer wanted."""


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with one key, for its owner."""

    key: str
    service: str
    """`<ns>/<name>`, or empty where the key names none."""
    reason: str
    line: int = 0
    """Of the configuration that was tried, where HAProxy named one; else 0."""
    rival: str = ""
    """The service that has what this one claims; empty: it is about something else."""


class Desired(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Everything that is wanted, as of one revision."""

    revision: int
    services: tuple[Service, ...]
    """Sorted by id."""
    settings: GlobalRecord
    problems: tuple[Problem, ...]
    """Sorted by key."""

    @property
    def backends(self) -> list[Backend]:
        """All backends in the order of their services."""
        return [backend for service in self.services for backend in service.backends]

    @property
    def profiles(self) -> list[Profile]:
        """What backends stand on, each once, sorted by name."""
        # By identity first: to compare ten thousand by what is in them takes three times as long.
        every = {id(b.profile): b.profile for service in self.services for b in service.backends}
        found = {profile.name: profile for profile in every.values()}
        return [found[name] for name in sorted(found)]

    @cached_property
    def _odd(self) -> list[Service]:
        """The services that ask for more than backends and lines of maps; few of ten thousand."""
        return [
            service
            for service in self.services
            if service.slots
            or service.wildcards
            or service.record.mode == "tcp"
            or service.record.backend_tls is not UNSET
            or service.record.preview is not UNSET
            or service.record.sticky is not UNSET
        ]

    @property
    def tcp_services(self) -> list[Service]:
        """The services that have a frontend of their own."""
        return [service for service in self._odd if service.record.mode == "tcp"]

    @property
    def split_services(self) -> list[Service]:
        """The services whose traffic is split over groups."""
        return [service for service in self._odd if service.slots]

    @property
    def preview_services(self) -> list[Service]:
        """The services whose groups may be asked for by name."""
        return [service for service in self._odd if service.record.preview is not UNSET]

    @property
    def sticky_cookies(self) -> list[str]:
        """The names of the cookies that lead clients to the group of their server; of more than `MOST_COOKIES`
        those that most services use."""
        found = Counter(
            sticky.cookie for service in self._odd if (sticky := service.record.sticky) is not UNSET
        )
        often = sorted(found, key=lambda name: (-found[name], name))
        return sorted(often[:MOST_COOKIES])

    @property
    def wildcards(self) -> list[str]:
        """All suffixes, the longest first: `map_end` takes the first that fits."""
        found = {suffix for service in self._odd for suffix in service.wildcards}
        return sorted(found, key=lambda suffix: (-len(suffix), suffix))

    @property
    def nested_wildcards(self) -> int:
        """How many further suffixes the longest chain of suffixes within suffixes has: 1 for
        `*.a.example` and `*.example`, 0 where no suffix lies within another."""
        found = {suffix for service in self._odd for suffix in service.wildcards}
        return max((sum(above in found for above in _above(one)) for one in found), default=0)

    @cached_property
    def by_name(self) -> bool:
        """Some server is given by a DNS name, which HAProxy must resolve."""
        names = [1 for service in self.services for b in service.backends if b.by_name]
        return bool(names)

    @property
    def authorities(self) -> dict[str, bytes]:
        """Files with the authorities that services trust for their servers: path to PEM text."""
        found: dict[str, bytes] = {}
        for service in self._odd:
            tls = service.record.backend_tls
            if tls is not UNSET and tls.ca is not UNSET:
                found[tls.ca.path] = tls.ca.encode()
        return found

    @property
    def trusts_system(self) -> bool:
        """Some service verifies its servers by the system's authorities."""
        found = (service.record.backend_tls for service in self._odd)
        return any(
            tls is not UNSET and tls.verify == "required" and tls.ca is UNSET for tls in found
        )

    @cached_property
    def server_count(self) -> int:
        """Number of servers in all backends."""
        return sum(
            [len(backend.servers) for service in self.services for backend in service.backends]
        )
