"""The one way into etcd: `EtcdSource`, a `lbsync.clients.source.Source`."""

from collections.abc import Callable, Sequence

from lbsync.clients.etcd.connections import Connections
from lbsync.clients.etcd.kv import Kv
from lbsync.clients.etcd.mirror import Mirror
from lbsync.clients.etcd.options import EtcdOptions
from lbsync.clients.etcd.watch import Watch
from lbsync.clients.source import Delete, Expect, Health, Put
from lbsync.errors import Unavailable
from lbsync.model.snapshot import Item, Snapshot


class EtcdSource:
    """All keys under one prefix of an etcd cluster. Safe to use from several threads."""

    def __init__(self, options: EtcdOptions) -> None:
        """Check the options (`SettingsError`); nothing is connected yet."""
        options.check()
        self._connections = Connections(options)
        self._kv = Kv(self._connections, options)
        self._mirror = Mirror()
        self._watch: Watch | None = None

    def snapshot(self) -> Snapshot:
        """Return all keys at one revision; see `Source.snapshot`."""
        if self._watch is None:
            return self._kv.list()
        held = self._mirror.snapshot()
        if held is None:
            raise Unavailable(self.health().detail)
        return held

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; see `Source.start`."""
        if self._watch is None:
            self._watch = Watch(self._connections, self._kv, self._mirror, wake)
            self._watch.start()

    def health(self) -> Health:
        """Return the state of the watch."""
        if self._watch is None:
            return Health(False, f"not watching; {self._connections.describe()}", 0.0)
        return self._watch.health()

    def get(self, key: str) -> Item | None:
        """Return one key as stored now (linearizable), or None. Raises `Unavailable`."""
        return self._kv.get(key)

    def commit(self, expect: Sequence[Expect], ops: Sequence[Put | Delete]) -> int:
        """Do all `ops` at one revision if every guard holds; see `Source.commit`."""
        return self._kv.commit(expect, ops)

    def close(self) -> None:
        """Stop all threads, close all connections. May be called twice."""
        if self._watch is not None:
            self._watch.stop()
        self._connections.close()
