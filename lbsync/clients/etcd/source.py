"""The one way into etcd: `EtcdSource`, a `lbsync.clients.source.Source`."""

from collections.abc import Callable, Collection, Sequence

import msgspec

from lbsync.clients.etcd import credentials, usage
from lbsync.clients.etcd.connections import Connections
from lbsync.clients.etcd.kv import PAGE_SIZE, Kv
from lbsync.clients.etcd.lease import EtcdLease
from lbsync.clients.etcd.mirror import Mirror
from lbsync.clients.etcd.probe import LATE_S, Probe
from lbsync.clients.etcd.watch import Watch
from lbsync.clients.source import Delete, Guard, Health, Put
from lbsync.errors import Unavailable
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.health import health_prefix
from lbsync.settings import Etcd


class EtcdSource:
    """All keys under one prefix of an etcd cluster. Safe to use from several threads."""

    def __init__(
        self,
        settings: Etcd,
        prefix: str,
        *,
        quiet: Collection[str] = (),
        page_size: int = PAGE_SIZE,
    ) -> None:
        """Check what the settings name on this host (`SettingsError`); nothing is connected yet.

        `prefix` ends with `/`. `quiet`: first segments of keys below it whose changes wake nobody; they
        are held in the snapshot all the same. `page_size`: keys per request when listing.
        """
        credentials.check(settings)
        self._settings, self._prefix = settings, prefix
        self._connections = Connections(settings)
        self._kv = Kv(self._connections, prefix, page_size)
        self._beside = Kv(self._connections, health_prefix(prefix), page_size)
        self._mirror = Mirror(frozenset(quiet))
        self._watch: Watch | None = None
        self._probe: Probe | None = None
        self._leases: list[EtcdLease] = []

    @property
    def shared(self) -> bool:
        """True; see `Source.shared`."""
        return True

    def snapshot(self) -> Snapshot:
        """Return all keys at one revision; see `Source.snapshot`."""
        if self._watch is None:
            return self._kv.list()
        held = self._mirror.snapshot()
        if held is None:
            raise Unavailable(f"etcd was not listed yet: {self._connections.describe()}")
        return held

    def leased(self, folder: str) -> Snapshot:
        """Return the keys below `folder` that hang on a lease; see `Source.leased`."""
        held = self._mirror.leased(folder)
        if held is None:
            raise Unavailable(f"etcd was not listed yet: {self._connections.describe()}")
        return held

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; see `Source.start`."""
        if self._watch is None:
            self._watch = Watch(self._connections, self._kv, self._mirror, wake)
            self._probe = Probe(
                self._connections,
                self._kv,
                self._mirror,
                self._watch,
                resync=self._settings.resync.seconds,
            )
            self._watch.start()
            self._probe.start()

    def listen(self, folder: str, notify: Callable[[], None]) -> None:
        """Have `notify` called when a key below `folder` changes; see `Source.listen`."""
        self._mirror.listen(folder, notify)

    def health(self) -> Health:
        """Return the state of the watch, with endpoint, revision and cluster while it is open."""
        if self._watch is None or self._probe is None:
            return Health(False, f"not watching; {self._connections.describe()}", 0.0)
        health = self._watch.health()
        if health.ok and (silent := self._probe.silent_for()) > LATE_S:
            # An open watch alone proves nothing: it is as silent when its member is frozen.
            health = Health(False, f"etcd was not asked for {silent:.0f} s", health.since)
        held = f"revision {self.revision} of cluster {self.cluster_id:x}"
        if self._probe.differences:
            held += f", {self._probe.differences} lost changes healed"
        if health.ok:
            return msgspec.structs.replace(health, detail=f"{health.detail}, {held}")
        if self.revision:
            return msgspec.structs.replace(health, detail=f"{health.detail}; holding {held}")
        return health

    @property
    def revision(self) -> int:
        """The revision of the mirror; 0 before the first listing."""
        return self._mirror.revision

    @property
    def cluster_id(self) -> int:
        """The cluster that the mirror was filled from; 0 before the first listing."""
        return self._mirror.cluster_id

    @property
    def differences(self) -> int:
        """How many keys full comparisons found wrong in the mirror (and healed) so far."""
        return self._probe.differences if self._probe else 0

    def get(self, key: str) -> Item | None:
        """Return one key as stored now (linearizable), or None. Raises `Unavailable`."""
        return self._kv.get(key)

    def below(self, folder: str) -> dict[str, Item]:
        """Return the keys that begin with `folder`; see `Source.below`."""
        found = Kv(self._connections, f"{self._prefix}{folder}").list().items
        return {
            f"{folder}{name}": msgspec.structs.replace(item, key=f"{folder}{name}")
            for name, item in found.items()
        }

    def read(self, keys: Sequence[str], folders: Sequence[str] = ()) -> Snapshot:
        """Return some keys as stored now; see `Transactional.read`."""
        return self._kv.read(keys, folders)

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        """Do all `ops` at one revision if every guard holds; see `Source.commit`."""
        return self._kv.commit(expect, ops)

    def at(self, revision: int) -> Snapshot | None:
        """Return all keys as they were at `revision`; see `History.at`."""
        return self._kv.list_at(revision)

    def count_at(self, revision: int, without: Collection[str]) -> int | None:
        """Return how many keys there were at `revision`; see `History.count_at`."""
        return self._kv.count_at(revision, without)

    def warnings(self) -> list[str]:
        """Return what its members' metrics foretell; see `Monitored.warnings`."""
        return [
            sentence
            for url, found in usage.usage(self._settings).items()
            for sentence in usage.warnings(url, found)
        ]

    def tell(self, key: str, value: bytes, lease: int) -> None:
        """Write one key beside the prefix; see `Source.tell`."""
        self._beside.commit([], [Put(key, value, lease)])

    def lease(self, ttl: int) -> EtcdLease:
        """Take a lease of `ttl` seconds and keep it; see `Source.lease`."""
        lease = EtcdLease(self._connections, ttl)
        self._leases = [old for old in self._leases if old.remaining()] + [lease]
        return lease

    def close(self) -> None:
        """Stop all threads, close all connections. May be called twice."""
        workers = [one for one in (self._probe, self._watch, *self._leases) if one is not None]
        for worker in workers:
            worker.stop()
        # Only now: it ends the calls that the threads may be waiting in.
        self._connections.close()
        for worker in workers:
            worker.join()
