"""The file source: `FileSource`, a `lbsync.clients.source.Source`."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lbsync import log
from lbsync.clients.files.contents import Reading, Store
from lbsync.clients.files.document import Document
from lbsync.clients.files.history import History
from lbsync.clients.files.notices import Notices
from lbsync.clients.files.tree import Tree
from lbsync.clients.source import Delete, Expect, ExpectBelow, Guard, Health, Put
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.model.snapshot import Item, Snapshot
from lbsync.threads import SupervisedThread

_QUIET = 0.05
_QUIET_AT_MOST = 0.5
_MISSING_EVERY = 1.0
_READ_EVERY = 10.0
_IDLE_SHARE = 0.003
"""At most this share of a processor goes into reading without a notice."""
_JOIN = 10.0


class FileLease:
    """Keys of this process in a file source. They stay behind if it is killed."""

    def __init__(self, identity: int, end: Callable[[int], None]) -> None:
        self._id = identity
        self._end = end
        self._alive = True

    @property
    def id(self) -> int:
        """What goes into `Put.lease`."""
        return self._id

    def stop(self) -> None:
        """Nothing is renewed here; the keys go with `end`."""

    def remaining(self) -> float:
        """Return infinity until `end()`: it need not be renewed."""
        return float("inf") if self._alive else 0.0

    def end(self) -> None:
        """Remove the keys. May be called twice."""
        if self._alive:
            self._alive = False
            self._end(self._id)


class FileSource:
    """All keys in a directory or in one file. Safe to use from several threads."""

    def __init__(self, path: Path, known: Mapping[str, Item] | None = None) -> None:
        """Nothing is read yet. A name that ends in .json, .yaml or .yml is one file.

        `known`: keys as they were once known, from which the order of creation goes on.
        """
        single = path.is_file() or (path.suffix in (".json", ".yaml", ".yml") and not path.is_dir())
        self._store: Store = Document(path) if single else Tree(path)
        self._history = History(known)
        self._lock = threading.RLock()
        self._noticed = threading.Event()
        self._stopped = threading.Event()
        self._wake: Callable[[], None] | None = None
        self._thread: SupervisedThread | None = None
        self._fault: Unavailable | Rejected | None = None
        self._problems: tuple[str, ...] = ()
        self._since = time.time()
        self._leases = itertools.count(1)
        self._hanging: dict[str, int] = {}
        self._ended: list[FileLease] = []

    @property
    def shared(self) -> bool:
        """False; see `Source.shared`."""
        return False

    def snapshot(self) -> Snapshot:
        """Return all keys; see `Source.snapshot`. Raises `Rejected` for a file that is no YAML."""
        if self._thread is None:
            return self._read()
        held = self._history.snapshot()
        if held is None:
            raise self._fault or Unavailable(f"{self._store.path}: was not read yet")
        return held

    def leased(self, folder: str) -> Snapshot:
        """Return the keys below `folder` that hang on a lease; see `Source.leased`."""
        there = self.snapshot()
        keys = frozenset(key for key in there.leased if key.startswith(folder))
        items = {key: there.items[key] for key in keys}
        return Snapshot(there.revision, there.cluster_id, items, (), keys)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; see `Source.start`."""
        if self._thread is None:
            self._wake = wake
            self._thread = SupervisedThread(self._run, "file-watch", on_fault=self._thread_failed)
            self._thread.start()

    def tell(self, key: str, value: bytes, lease: int) -> None:
        """Refuse: nobody else would hear it. Raises `Rejected`."""
        raise Rejected(f"{key}: files have nobody to tell ({len(value)} bytes, lease {lease})")

    def listen(self, folder: str, notify: Callable[[], None]) -> None:
        """Do nothing: files are one host's own, so nobody else writes into them."""

    def health(self) -> Health:
        """Return whether the last reading succeeded, and what is wrong with single files."""
        if self._fault is not None:
            return Health(False, str(self._fault), self._since)
        if self._thread is None:
            return Health(False, f"not watching {self._store.path}", self._since)
        held = self._history.snapshot()
        if held is None:
            return Health(False, f"{self._store.path}: was not read yet", self._since)
        detail = f"watching {self._store.path}, {len(held.items)} keys"
        return Health(True, "; ".join([detail, *self._problems[:3]]), self._since)

    def get(self, key: str) -> Item | None:
        """Return one key as it is in its file now, or None. Raises `Unavailable`, `Rejected`."""
        return self._read().items.get(key)

    def below(self, folder: str) -> dict[str, Item]:
        """Return the keys that begin with `folder`; see `Source.below`. Raises `Rejected` as well."""
        items = self._read().items
        return {key: item for key, item in items.items() if key.startswith(folder)}

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        """Write files if every guard holds; see `Source.commit`.

        Each file is replaced in one step; several files are not (a reader of this process sees
        them together).
        """
        with self._lock, self._store.lock():
            items = self._read().items
            for guard in expect:
                if isinstance(guard, Expect):
                    _check(guard, items.get(guard.key))
                else:
                    _check_below(guard, items)
            self._store.write(ops)
            for op in ops:
                self._hanging.pop(op.key, None)
                if isinstance(op, Put) and op.lease:
                    self._hanging[op.key] = op.lease
            return self._read().revision

    def lease(self, ttl: int) -> FileLease:
        """Return a lease whose keys are removed at `end()` or `close()`; `ttl` is not used."""
        del ttl
        lease = FileLease(next(self._leases), self._end_lease)
        self._ended.append(lease)
        return lease

    def close(self) -> None:
        """Remove the keys of leases, stop the thread. May be called twice."""
        for lease in self._ended:
            try:
                lease.end()
            except (Unavailable, Rejected) as error:
                log.get().warning("keys of a lease were left behind", why=str(error))
        self._stopped.set()
        self._noticed.set()
        if self._thread is not None:
            self._thread.join(_JOIN)

    def _run(self) -> None:
        notices = Notices(self._noticed.set)
        try:
            while not self._stopped.is_set():
                # Watch first, then read: what changes in between is noticed.
                notices.watch(self._store.folders())
                self._noticed.clear()
                if self._stopped.is_set():  # `close` may have called before the clear
                    break
                began = time.process_time()
                try:
                    self._read()
                    pause = max(_READ_EVERY, (time.process_time() - began) / _IDLE_SHARE)
                except (Unavailable, Rejected):
                    pause = _MISSING_EVERY
                if self._noticed.wait(pause):
                    self._settle()
        finally:
            notices.close()

    def _settle(self) -> None:
        """Wait until the writer pauses, so that files saved together are read together."""
        deadline = time.monotonic() + _QUIET_AT_MOST
        while time.monotonic() < deadline and not self._stopped.is_set():
            self._noticed.clear()
            if not self._noticed.wait(_QUIET):
                return

    def _read(self) -> Snapshot:
        """Read everything, and wake whoever waits if that, or the health, has changed."""
        with self._lock:
            try:
                reading = self._store.read()
            except (Unavailable, Rejected) as error:
                self._failed(error)
                raise
            healed = self._fault is not None
            self._fault = None
            changed = self._history.take(reading)
            self._report(reading, healed=healed)
            snapshot = self._history.snapshot()
        if (changed or healed) and self._wake:
            self._wake()
        if snapshot is None:
            raise Unavailable(f"{self._store.path}: was not read yet")
        return snapshot

    def _thread_failed(self, why: str) -> None:
        self._failed(Unavailable(f"{self._store.path}: {why}"))

    def _failed(self, error: Unavailable | Rejected) -> None:
        if str(error) != str(self._fault):
            if self._wake:  # who reads it once says so himself
                log.get().warning("cannot read the source", why=str(error))
            if self._fault is None:
                self._since = time.time()
            self._fault = error
            if self._wake:
                self._wake()

    def _report(self, reading: Reading, *, healed: bool) -> None:
        if healed:
            self._since = time.time()
            log.get().info("the source can be read again", path=str(self._store.path))
        for problem in set(reading.problems) - set(self._problems):
            log.get().warning("a file of the source cannot be used as it is", why=problem)
        self._problems = reading.problems

    def _end_lease(self, identity: int) -> None:
        keys = [key for key, lease in self._hanging.items() if lease == identity]
        if keys:
            self.commit([], [Delete(key) for key in keys])


def _check(guard: Expect, item: Item | None) -> None:
    if (guard.mod_revision is None) == (guard.create_revision is None):
        raise ValueError(f"guard of {guard.key}: give either mod_revision or create_revision")
    field = "create_revision" if guard.mod_revision is None else "mod_revision"
    found, wanted = getattr(item, field, 0), getattr(guard, field)
    if found != wanted:
        raise Conflict(f"{guard.key}: is at {field} {found}, expected {wanted}; read it again")


def _check_below(guard: ExpectBelow, items: Mapping[str, Item]) -> None:
    for key, item in items.items():
        if key.startswith(guard.folder) and item.mod_revision > guard.revision:
            raise Conflict(
                f"{key}: was written at revision {item.mod_revision}, after {guard.revision}; read it again"
            )
