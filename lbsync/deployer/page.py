"""Everything in etcd about one app and its deployment, at one revision. Pure."""

import msgspec
from msgspec import UNSET

from lbsync import fleet
from lbsync.clients.source import Expect
from lbsync.deployer.observed import Host, Observed
from lbsync.errors import BadKey
from lbsync.fleet import SERVING
from lbsync.model.deploying import AppRecord, DeploymentRecord, LockRecord, VersionsRecord
from lbsync.model.health import GroupHealth, HealthRecord
from lbsync.model.records import AgentRecord, EndpointsRecord, RouteRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import deploying, health
from lbsync.schema import fleet as fleet_schema
from lbsync.schema.decode import decode_as
from lbsync.schema.keys import ServiceId, endpoints_key, route_key, service_key
from lbsync.schema.reading import one_line

_UNREADABLE = RouteRecord({})
"""What a route counts as that cannot be read: no other one is like it."""


class Keys(msgspec.Struct, frozen=True):
    """The keys of an app: complete below the prefix, and without it beside the prefix."""

    prefix: str
    app: ServiceId

    @property
    def service(self) -> str:
        """The service's record."""
        return f"{self.prefix}{service_key(self.app)}"

    @property
    def route(self) -> str:
        """The service's route."""
        return f"{self.prefix}{route_key(self.app)}"

    @property
    def quarantine(self) -> str:
        """Why the service is not served as written."""
        return f"{self.prefix}{fleet_schema.quarantine_key(self.app)}"

    @property
    def agents(self) -> str:
        """The folder of what hosts report."""
        return f"{self.prefix}{fleet_schema.AGENTS}"

    @property
    def groups(self) -> str:
        """The folder of the service's groups."""
        return f"{self.prefix}{endpoints_key(self.app, '')}"

    def group(self, name: str) -> str:
        """One group."""
        return f"{self.groups}{name}"


class Page(msgspec.Struct, frozen=True):
    """The keys, and what they say."""

    keys: Keys
    snapshot: Snapshot

    def item(self, key: str) -> Item | None:
        """Return one key."""
        return self.snapshot.items.get(key)

    def revision_of(self, key: str) -> int:
        """Return when a key was last written; 0: it is not there."""
        item = self.item(key)
        return item.mod_revision if item else 0

    def as_read(self, key: str) -> Expect:
        """Return the guard that a key is still as it was read."""
        return Expect(key, mod_revision=self.revision_of(key))

    @property
    def route(self) -> RouteRecord | None:
        """The route as it is stored."""
        item = self.item(self.keys.route)
        if item is None:
            return None
        try:
            return decode_as(RouteRecord, item.key, item.value)
        except BadKey:
            return _UNREADABLE

    def versions(self) -> VersionsRecord:
        """Return which versions there are. Raises `BadKey`."""
        item = self.item(deploying.versions_key(self.keys.app))
        if item is None:
            return VersionsRecord()
        try:
            return deploying.read(VersionsRecord, item)
        except BadKey as fault:
            so = "what is live, kept and counted is then not known any more"
            raise _unreadable(self.keys, fault, so) from fault

    def deployment(self, name: str) -> DeploymentRecord | None:
        """Return a deployment; None: there is none. Raises `BadKey`."""
        item = self.item(deploying.deployment_key(self.keys.app, name))
        try:
            return deploying.read(DeploymentRecord, item) if item else None
        except BadKey as fault:
            so = "nobody carries the deployment out any more then, and route and versions stay as they are"
            raise _unreadable(self.keys, fault, so) from fault

    @property
    def wanted(self) -> AppRecord | None:
        """The desired state of the app on Kubernetes; None: there is none. Raises `BadKey`."""
        item = self.item(deploying.app_key(self.keys.app))
        return deploying.read(AppRecord, item) if item else None

    @property
    def lock(self) -> LockRecord | None:
        """The process that carries out the app's deployment; an invalid record also counts as held."""
        item = self.item(deploying.lock_key(self.keys.app))
        if item is None:
            return None
        try:
            return deploying.read(LockRecord, item)
        except BadKey:
            return LockRecord("a deployer of another version", "")

    def groups(self) -> dict[str, EndpointsRecord]:
        """Return the service's groups that can be read."""
        found = {}
        for key in sorted(key for key in self.snapshot.items if key.startswith(self.keys.groups)):
            try:
                record = decode_as(EndpointsRecord, key, self.snapshot.items[key].value)
            except BadKey:
                continue
            found[key.removeprefix(self.keys.groups)] = record
        return found

    def written(self, group: str) -> int:
        """Return the newest revision that wrote the service or this group."""
        return max(self.revision_of(self.keys.service), self.revision_of(self.keys.group(group)))


def _unreadable(keys: Keys, fault: BadKey, so: str) -> BadKey:
    """Return the fault with the whole key and the cure. `so`: what becomes of it then."""
    return BadKey(
        f"{deploying.deploy_prefix(keys.prefix)}{fault.key}",
        f"{fault.reason}; where a newer lbsync wrote it, use that one; else remove the key: {so}",
    )


def observe(page: Page, group: str, answers: Snapshot | None, asked: int) -> Observed:
    """Return how balancers and route stand; what the provider says is the caller's to add.

    `answers`: what hosts say beside the prefix, if anything is known of it; `asked`: the revision of the question
    that they have to answer.
    """
    keys = page.keys
    reports = page.snapshot
    if answers is not None:
        reports = fleet_schema.with_acknowledgements(reports, answers, root=keys.agents)
    census = fleet_schema.census(reports, root=keys.agents)
    said = health.answers(answers) if answers is not None else {}
    quarantined = fleet_schema.quarantines(
        {
            item.key.removeprefix(keys.prefix): item
            for item in filter(None, [page.item(keys.quarantine)])
        }
    )
    reason = quarantined.get(str(keys.app))
    why = f"it does not serve it as written: {one_line(reason.reason)}" if reason else ""
    hosts = {
        name: _host(record, said.get(name), str(keys.app), why, asked, rival=name in census.rivals)
        for name, record in census.live.items()
    }
    return Observed(
        hosts=hosts,
        silent={name: fleet.absence(name, record) for name, record in census.gone.items()},
        route=page.route,
        route_revision=page.revision_of(keys.route),
        wanted={
            name: tuple(str(server.name) for server in record.servers if server.state == "up")
            for name, record in page.groups().items()
        },
        written=page.written(group),
        kept=frozenset(one.version.group for one in page.versions().warm),
    )


def _host(
    record: AgentRecord | None,
    answer: HealthRecord | None,
    service: str,
    why: str,
    asked: int,
    *,
    rival: bool,
) -> Host:
    if record is None:
        return Host(why="its record cannot be read; is its lbsync of another age?")
    told = f"at revision {record.revision}, {one_line(record.state)}"
    trouble = record.waits or record.error or ""
    if rival:
        return Host(why=f"{told}: {fleet.TWO_AGENTS}")
    refused = ""
    if service in record.quarantined:
        refused = why or "it does not serve it as written: 'lbsync status' there tells why"
    if record.hold is not UNSET and service in record.hold.services:
        refused = (
            f"the removal of servers is held: 'lbsync confirm --fleet {record.hold.id}' lets it go"
        )
    groups, doubt = _groups(answer, service, asked)
    return Host(
        record.revision if record.state in SERVING else 0,
        f"{told}: {one_line(trouble)}" if trouble else told,
        refused,
        groups,
        doubt,
    )


def _groups(
    answer: HealthRecord | None, service: str, asked: int
) -> tuple[dict[str, GroupHealth] | None, str]:
    if answer is not None and not answer.asked and service in answer.services:
        return None, "its lbsync is older and does not say which question it answers; upgrade it"
    if answer is None or answer.asked < asked:
        return None, ""
    if answer.error:
        return None, f"its HAProxy cannot be read: {one_line(answer.error)}"
    if service not in answer.services:
        return None, "it answers for too many services" if answer.left_out else ""
    doubt = f"{answer.unasked_workers} old workers do not tell their sessions"
    return answer.services[service], doubt if answer.unasked_workers else ""
