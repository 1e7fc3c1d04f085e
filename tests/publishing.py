"""What tests of the publisher share: a cluster in memory, a store in memory, records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lbsync.clients.kube import ENDPOINT_SLICES, INGRESSES, NODES, PODS, SERVICES, Kind
from lbsync.clients.kube.kinds import Key
from lbsync.clients.source import Guard, Put, Source
from lbsync.model.permission import Permission
from lbsync.model.records import EndpointsRecord, ServerRecord, ServiceRecord
from lbsync.model.snapshot import Snapshot
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.cluster.work_queue import Work
from lbsync.publisher.config import options_of
from lbsync.publisher.removal_guard import Limits
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Change, Identity
from lbsync.publisher.store.index import StoreIndex
from lbsync.publisher.sync import Sync
from lbsync.publisher.translate import Options, Translation
from lbsync.publisher.translate import translate as translate_by
from lbsync.schema.confirming import confirmation_key, confirmations
from lbsync.settings import Publisher
from lbsync.values.claims import Claims
from lbsync.values.names import Address, Host, ServerName, Text
from tests.fakes import FakeSource

T = TypeVar("T")
ME = Identity("blue", "k8s/blue")
OTHER = Identity("green", "k8s/green")
EVERYTHING = Work(everything=True, nodes=True, ingresses=True)
LIMITS = Limits(service_percent=50, total_percent=20, seconds=30.0)


def usual_options(**changes: Any) -> Options:
    """What the settings say of translation where nothing is set, but for `changes`."""
    return msgspec.structs.replace(
        options_of(Publisher(), Claims()), **{"source": "kubernetes", **changes}
    )


def translate(*found: Any, options: Options = usual_options(), **more: Any) -> Translation:  # noqa: B008 - frozen
    """Translate, by the usual settings."""
    return translate_by(*found, options=options, **more)


class Objects:
    """A cluster that is a few dictionaries."""

    def __init__(self, *found: Any) -> None:
        self._kinds: dict[str, dict[Key, Any]] = {}
        self.put(*found)

    def put(self, *found: Any) -> None:
        for one in found:
            kind = next(k for k in KINDS if k.value is type(one))
            self._kinds.setdefault(kind.plural, {})[one.namespace, one.name] = one

    def drop(self, *found: Any) -> None:
        for one in found:
            kind = next(k for k in KINDS if k.value is type(one))
            del self._kinds[kind.plural][one.namespace, one.name]

    def objects(self, kind: Kind[T]) -> Mapping[Key, T]:
        return self._kinds.get(kind.plural, {})

    def get(self, kind: Kind[T], namespace: str, name: str) -> T | None:
        return self.objects(kind).get((namespace, name))

    def group(self, kind: Kind[T], namespace: str, index: str) -> list[T]:
        assert kind.index is not None
        return [
            found
            for (ns, _), found in self.objects(kind).items()
            if ns == namespace and kind.index(found) == index
        ]


KINDS: tuple[Kind[Any], ...] = (SERVICES, ENDPOINT_SLICES, NODES, INGRESSES, PODS)


class Bench:
    """A publisher's work without threads, leader or network: objects in, keys out."""

    def __init__(
        self,
        *found: Any,
        me: Identity = ME,
        store: Source | None = None,
        ingress: bool = False,
        limits: Limits = LIMITS,
        unread: Mapping[str, str] | None = None,
        claims: Claims | None = None,
        keep_s: float = 0.0,
    ) -> None:
        """`unread`: kinds that cannot be read, with the reason."""
        self.objects = Objects(*found)
        self.store: Any = store or FakeSource()
        self.unread = dict(unread or {})
        given = usual_options(source=me.source, address_mode="pod")
        self.lister = Lister(self.objects, given, ingress=ingress)
        permission = Permission(claims or Claims())
        self.sync = Sync(
            me,
            self.lister,
            given,
            limits,
            lambda extra, _: self.unread.get(extra, ""),
            permission=permission,
            keep_s=keep_s,
        )
        self.stored = StoreIndex(me.cluster)
        self.now = 1000.0
        self.stamp = "2026-01-01T00:00:00Z"

    def reads_ingresses(self, reads: bool) -> None:
        """Switch the reading of Ingresses on or off, as a restart with other settings would."""
        self.lister._ingress = reads
        self.lister.ours, self.lister._ingresses = [], {}

    def look(self, work: Work = EVERYTHING) -> list[ServiceChanges]:
        """Return what would be written."""
        self.stored.update(self.store.snapshot())
        return self.sync.look(
            work, self.stored, self.now, self.stamp,
            confirmed=confirmations(self.store.snapshot().items),
        )  # fmt: skip

    def write(self, work: Work = EVERYTHING) -> list[str]:
        """Write what has to be; return the keys that were touched."""
        units = self.look(work)
        for unit in units:
            commit(self.store, unit.all)
        self.stored.update(self.store.snapshot())
        self.sync.done(units, self.stored)
        return [change.key for unit in units for change in unit.all]

    def confirm(self, hold_id: str, **services: int) -> None:
        """Say that the removal with this id is meant, or that services of shop may keep so many servers."""
        left = {f"shop/{name}": number for name, number in services.items()}
        value = msgspec.json.encode({"services": left})
        self.store.commit([], [Put(confirmation_key(hold_id), value)])

    def value(self, key: str) -> Any:
        """Return a stored value; None where there is none."""
        item = self.store.snapshot().items.get(key)
        return msgspec.json.decode(item.value) if item else None

    def stored_keys(self, *kinds: str) -> list[str]:
        """Return the stored keys of these kinds (first segments)."""
        found = sorted(self.store.snapshot().items)
        return [key for key in found if not kinds or key.partition("/")[0] in kinds]


def commit(store: Source, changes: Sequence[Change]) -> int:
    """Write changes under their guards."""
    expect: list[Guard] = [guard for change in changes for guard in change.guards]
    return store.commit(expect, [change.op for change in changes])


def stored_in(store: Source, me: Identity = ME) -> StoreIndex:
    """Return what a publisher sees of a store."""
    stored = StoreIndex(me.cluster)
    found: Snapshot = store.snapshot()
    stored.update(found)
    return stored


def service_record(*hosts: str, source: str = ME.source) -> ServiceRecord:
    """An http service."""
    return ServiceRecord("http", hosts=tuple(map(Host.parse, hosts)), source=Text.parse(source))


def endpoints(addresses: Iterable[str], source: str = ME.source, **more: Any) -> EndpointsRecord:
    """Servers on port 8080, named after their addresses."""
    servers = tuple(
        ServerRecord(ServerName.parse(f"s-{address}"), Address.parse(address), 8080, **more)
        for address in addresses
    )
    return EndpointsRecord(servers, Text.parse(source))
