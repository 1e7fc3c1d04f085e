"""A list taken in, a stream followed: the two things a reflector does, without when and why.

Nothing here waits, retries or decides; a failure of either is raised and leaves the store as it was
up to the last event that was taken.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from lbsync import log
from lbsync.clients.kube.api import Client
from lbsync.clients.kube.errors import Expired
from lbsync.clients.kube.kinds import Entry, Kind
from lbsync.clients.kube.resource_version import Stats, missed, older
from lbsync.clients.kube.store import Change, Store
from lbsync.clients.kube.stream import Event

T = TypeVar("T")


class ListWatch(Generic[T]):
    """The store of one kind of objects, and how it follows the server. Used by one thread."""

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        namespace: str | None,
        selector: str,
        on_change: Callable[[Change[T]], None],
    ) -> None:
        self.store: Store[T] = Store(kind)
        self.stats = Stats()
        self.version = ""
        """resourceVersion up to which the store follows; "" before the first list."""
        place = f" in {namespace}" if namespace else ""
        self.name = kind.plural + place + (f" with {selector}" if selector else "")
        """For messages, and to tell the watches of one cluster apart."""
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._selector = selector
        self._on_change = on_change
        self._just_listed = False
        self.bookmarked = False
        """A bookmark came on some stream."""

    def take_list(self, check: bool) -> None:
        """Take in a whole list, or raise: the store is never emptied by a list that failed.

        `check` says that the store should already hold all of it but the very newest; what it does
        not is counted.
        """
        listing = self._client.list_all(
            self._kind, self._namespace, self._selector, keep=self.store.shared
        )
        for entry in listing.entries:
            self._note_unreadable(entry)
        changes = self.store.replace(listing.entries)
        if older(listing.version, self.version):
            self._note_rewound(listing.version)
        elif check:
            self._note_missed(missed(listing.entries, changes, self.version))
        self.version = listing.version
        self._just_listed = True
        self.stats.lists += 1
        for change in changes:
            self._report(change)

    def follow(self, seconds: float, opened: Callable[[], None]) -> None:
        """Follow one stream until the server ends it; `opened` is called once it is open."""
        self._check_history()
        stream = self._client.watch(
            self._kind, self.version, self._namespace, self._selector, seconds
        )
        try:
            self.stats.watches += 1
            opened()
            for event in stream:
                self._take(event)
        finally:
            stream.close()

    def _check_history(self) -> None:
        """Make sure that the server still has the version we go on from.

        A watch from a version that is yet to come is answered with silence (measured), and every
        break may have been a restore: so each stream but the one after a list begins with a look.
        """
        if self._just_listed:
            self._just_listed = False
            return
        now = self._client.version(self._kind, self._namespace, self._selector)
        if older(now, self.version):
            raise Expired(f"{self.name}: the server is at {now}, before our {self.version}")

    def _take(self, event: Event[T]) -> None:
        self.stats.events += 1
        if older(event.version, self.version):
            raise Expired(f"{self.name}: version {event.version} came after {self.version}")
        entry = event.entry
        self.bookmarked |= entry is None
        if entry is not None:
            if event.type == "DELETED":
                change = self.store.drop(entry.key)
            else:
                self._note_unreadable(entry)
                change = self.store.put(entry)
            if change is not None:
                self._report(change)
        # Last: what is interrupted before this is sent again.
        self.version = event.version or self.version

    def _report(self, change: Change[T]) -> None:
        self.stats.changes += 1
        self._on_change(change)

    def _note_unreadable(self, entry: Entry[T]) -> None:
        if entry.value is None:
            self.stats.unreadable += 1
            log.get().error(
                "an object cannot be read; its last readable state is kept",
                resource=self.name,
                name="/".join(part for part in entry.key if part),
                error=entry.problem,
            )

    def _note_missed(self, names: list[str]) -> None:
        self.stats.checks += 1
        if names:
            self.stats.differences += len(names)
            log.get().warning(
                "a comparison found what the watch had missed",
                resource=self.name,
                count=len(names),
                some=names[:5],
            )

    def _note_rewound(self, version: str) -> None:
        self.stats.rewound += 1
        log.get().warning(
            "the cluster's history went back; it looks restored from a backup",
            resource=self.name,
            version=version,
            was=self.version,
        )
