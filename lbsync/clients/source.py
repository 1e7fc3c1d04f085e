"""What every source of wanted state promises; `etcd` and `file:` both keep these promises.

Two ways to use one:

* read: `snapshot()` gives everything at one revision. After `start()` it comes from a mirror that
  the watch keeps fresh (cheap); before, it is read on the spot.
* write: `commit`, for `lbsync service put` and the publisher.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from lbsync.model.snapshot import Item, Snapshot


class Put(msgspec.Struct, frozen=True):
    """Write `value` at `key` (without the prefix; in etcd, one that begins with "/" is whole, so that what lies
    below and beside the prefix can be changed in one step)."""

    key: str
    value: bytes
    lease: int = 0
    """Lease id the key hangs on; 0 means none."""


class Delete(msgspec.Struct, frozen=True):
    """Remove `key` (without the prefix); no error when it is absent."""

    key: str


class Expect(msgspec.Struct, frozen=True):
    """A guard of `commit` on one key: exactly one of the two is given; 0 means "it does not exist"."""

    key: str
    mod_revision: int | None = None
    create_revision: int | None = None


class ExpectBelow(msgspec.Struct, frozen=True):
    """A guard of `commit` over a folder: no key in it was written after `revision`.

    For decisions that rest on keys that are not there. A key that was removed since does not break it:
    where one has to stay, guard that one with `Expect`, too.
    """

    folder: str
    """What the keys begin with (without the prefix); ends with `/`."""
    revision: int
    """Of the snapshot that was decided on."""


Guard = Expect | ExpectBelow


class Health(msgspec.Struct, frozen=True):
    """What a source knows about its own state right now."""

    ok: bool
    """True while the watch is open and its endpoint answered the last probe."""
    detail: str
    """One sentence: which endpoint, or why not and since when."""
    since: float
    """`time.time()` of the last change of `ok`."""


class Lease(Protocol):
    """A sign of life: keys written with its id are removed when it ends or is not renewed.

    It is renewed from a thread. When it was lost, take a new one and write the keys again.
    """

    @property
    def id(self) -> int:
        """What goes into `Put.lease`."""
        ...

    def remaining(self) -> float:
        """Return for how many seconds the store is sure to hold it; 0.0 when it may have ended.

        Counted from before the last successful renewal was sent, so a leader that stops at 0.0
        has stopped before another can begin.
        """
        ...

    def stop(self) -> None:
        """Stop renewing; the keys stay until the time is up."""
        ...

    def end(self) -> None:
        """Stop renewing and remove the keys, now if the store answers, else when time is up."""
        ...


class Source(Protocol):
    """A store of keys and values with revisions, and a way to hear of changes."""

    @property
    def shared(self) -> bool:
        """Whether the hosts of a fleet read and write the same keys, and so can tell each other
        what they serve. Files are one host's own."""
        ...

    def snapshot(self) -> Snapshot:
        """Return all keys at one revision.

        Raises `Unavailable` when the store cannot be read and no mirror is there yet. A mirror
        that lost its connection is still returned: `health()` tells that it may be stale.
        """
        ...

    def leased(self, folder: str) -> Snapshot:
        """Return the keys that begin with `folder` and hang on a lease, as the mirror has them. That costs
        what there is of these, where `snapshot` costs what there is of all after each change. After
        `start`. Raises `Unavailable` while no mirror is there yet."""
        ...

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; `wake` is called from another thread after each change, and when
        `health()` changes. It carries no data, must not block, and may be called too often."""
        ...

    def listen(self, folder: str, notify: Callable[[], None]) -> None:
        """Have `notify` called, as `wake` is, when a key that begins with `folder` changes, also where such
        a change wakes nobody. Before `start`. Never called by a source that is not `shared`."""
        ...

    def health(self) -> Health:
        """Return the state of the watch."""
        ...

    def get(self, key: str) -> Item | None:
        """Return one key as stored now (linearizable), or None. Raises `Unavailable`."""
        ...

    def below(self, folder: str) -> Mapping[str, Item]:
        """Return the keys that begin with `folder`, which ends with `/`, as stored now. No more than
        these is read where the store can do that. Raises `Unavailable`."""
        ...

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        """Do all `ops` at one revision if every guard holds; return that revision.

        Raises `Conflict` when a guard does not hold (nothing was written), `Unavailable` when the
        store does not answer. When the outcome is unknown it re-reads before it reports.
        """
        ...

    def tell(self, key: str, value: bytes, lease: int) -> None:
        """Write one key beside the prefix (`schema.health.health_prefix`), where no agent listens; `lease`
        is the id that it hangs on. Raises as `commit` does. Not for a source that is not `shared`."""
        ...

    def lease(self, ttl: int) -> Lease:
        """Take a lease of `ttl` seconds (the store may round up) and keep it. Raises `Unavailable`.

        The file source removes the keys at `end()` and `close()`; after a crash they stay.
        """
        ...

    def close(self) -> None:
        """Stop all threads, close all connections. May be called twice."""
        ...


@runtime_checkable
class History(Protocol):
    """What a store that remembers adds to `Source`; etcd does, until it is compacted."""

    def at(self, revision: int) -> Snapshot | None:
        """Return all keys as they were at `revision`; None when that is forgotten or to come.

        Raises `Unavailable`.
        """
        ...

    def count_at(self, revision: int, without: Collection[str]) -> int | None:
        """Return how many keys there were at `revision`, not counting those whose first segment is
        in `without`; None when that is forgotten or to come. Raises `Unavailable`."""
        ...


@runtime_checkable
class Transactional(Source, Protocol):
    """What a store adds to `Source` in which keys anywhere can be read and changed together; etcd is one. A key
    that begins with "/" is whole, and may lie outside of the prefix."""

    def read(self, keys: Sequence[str], folders: Sequence[str] = ()) -> Snapshot:
        """Return what there is of `keys`, and below `folders`, as stored now, all at one revision.

        Raises `Unavailable`.
        """
        ...


@runtime_checkable
class Monitored(Protocol):
    """What a store that can run full adds to `Source`; etcd does."""

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that will end in a store that takes no more writes; none
        where the store does not tell. Raises nothing."""
        ...
