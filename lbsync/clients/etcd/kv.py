"""Reading and writing keys: list, get, guarded commit."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from lbsync.clients.etcd import requests
from lbsync.clients.etcd.connections import Connections
from lbsync.clients.etcd.failures import Kind, OutcomeUnknown, RpcFailure
from lbsync.clients.etcd.lost_answer import landed
from lbsync.clients.etcd.mirror import escaped, readable
from lbsync.clients.etcd.protobuf import etcdrpc
from lbsync.clients.etcd.requests import after
from lbsync.clients.source import Delete, ExpectBelow, Guard, Put
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.model.snapshot import Item, Snapshot

MAX_OPS = 128
"""etcd's default `--max-txn-ops`; it counts the longest of guards, writes and reads."""
_TRIES = 3

T = TypeVar("T")

PAGE_SIZE = 2000


class Kv:
    """Keys under one prefix; names are given and returned without it. To `get` and `commit` a name that begins
    with "/" is the whole key, which may stand elsewhere."""

    def __init__(self, connections: Connections, prefix: str, page_size: int = PAGE_SIZE) -> None:
        """`prefix` ends with `/`, so that `/lbsync-old/` is not taken in; `page_size`: keys per Range
        request when listing, which bounds the size of one answer."""
        self._connections = connections
        self._page_size = page_size
        self.prefix = prefix.encode()
        self.range_end = after(self.prefix)
        self._seen = 0

    def list(self) -> Snapshot:
        """Return all keys at one revision, read page by page. Raises `Unavailable`."""
        for _ in range(_TRIES):
            try:
                return self._list()
            except RpcFailure as error:
                # A compaction between two pages took the revision away; start over at a newer one.
                if error.kind is not Kind.COMPACTED:
                    raise
        raise Unavailable("etcd is compacted faster than its keys can be listed; read again later")

    def get(self, key: str) -> Item | None:
        """Return one key as stored now (linearizable), or None. Raises `Unavailable`."""
        return self._get(key, revision=0)

    def read(self, keys: Sequence[str], folders: Sequence[str]) -> Snapshot:
        """Return what there is of some keys, and below some folders, at one revision; see `Transactional.read`."""
        request = requests.reading(keys, folders, self._name)
        answer = self._connections.call(lambda client: client.kvstub.Txn, request)
        items: dict[str, Item] = {}
        leased = set()
        for kv in (kv for one in answer.responses for kv in one.response_range.kvs):
            if (item := self.from_store(kv)) is not None:
                items[item.key] = item
                if kv.lease:
                    leased.add(item.key)
        header = answer.header
        return Snapshot(header.revision, header.cluster_id, items, (), frozenset(leased))

    def proves(self, item: Item) -> bool:
        """Return whether etcd's history holds exactly this item. Raises `Unavailable`.

        False means that etcd was wiped, restored or exchanged since, or has compacted the answer.
        """
        if self.get(item.key) == item:
            return True
        try:
            return self._get(item.key, revision=item.mod_revision) == item
        except RpcFailure as error:
            if error.kind is not Kind.COMPACTED:
                raise
            return False

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        """Do all `ops` at one revision if every guard holds; see `Source.commit`.

        When an answer is lost the keys are read again. A repeated transaction is safe: should both
        get through, the guards stop the second, or it writes the same once more.
        """
        if max(len(expect), len(ops)) > MAX_OPS:
            raise Rejected(
                f"{len(ops)} writes with {len(expect)} guards in one commit: etcd takes at most "
                f"{MAX_OPS} of each; split it"
            )
        request = requests.transaction(expect, ops, self._name)
        # Whatever these writes do, they do above any revision that was seen before they were sent.
        base = self._seen or int(self._range(self.prefix).header.revision)
        lost: OutcomeUnknown | None = None
        for _ in range(_TRIES):
            try:
                response = self._call(request)
            except OutcomeUnknown as error:
                lost = error
                self._reach(lost)
                continue
            self._seen = response.header.revision
            if response.succeeded:
                return int(response.header.revision)
            if lost is not None and (done := landed(response, ops, base)):
                return done
            raise Conflict(self._broken_guards(expect, self._found(response, ops)))
        raise Unavailable(f"{lost}; read the keys again to see") from lost

    def list_at(self, revision: int) -> Snapshot | None:
        """Return all keys as they were; None when that is compacted or to come. Raises `Unavailable`."""
        return _unless_gone(lambda: self._list(revision))

    def count_at(self, revision: int, without: Collection[str]) -> int | None:
        """Return how many keys there were, not counting those whose first segment is in `without`;
        None when that is compacted or to come. Raises `Unavailable`."""
        inner = [self.prefix + segment.encode() + b"/" for segment in without]
        ranges = [(self.prefix, self.range_end), *((start, after(start)) for start in inner)]

        def count() -> int:
            every, *left_out = (
                int(self._range(start, range_end=end, revision=revision, counted=True).count)
                for start, end in ranges
            )
            return every - sum(left_out)

        return _unless_gone(count)

    def from_store(self, kv: Any) -> Item | None:
        """Translate etcd's KeyValue; None when the key is no UTF-8."""
        key = readable(kv.key.removeprefix(self.prefix))
        if key is None:
            return None
        return Item(key, kv.value, kv.create_revision, kv.mod_revision)

    def _name(self, key: str) -> bytes:
        """Return the key as it stands in etcd."""
        return key.encode() if key.startswith("/") else self.prefix + key.encode()

    def _list(self, revision: int = 0) -> Snapshot:
        items: dict[str, Item] = {}
        unreadable: list[str] = []
        leased: set[str] = set()
        start = self.prefix
        while True:
            page = self._page(start, revision)
            revision, cluster_id = revision or page.header.revision, page.header.cluster_id
            for kv in page.kvs:
                if (item := self.from_store(kv)) is None:
                    unreadable.append(escaped(kv.key[len(self.prefix) :]))
                else:
                    items[item.key] = item
                    if kv.lease:
                        leased.add(item.key)
            if not page.more:
                shown = tuple(sorted(unreadable))
                return Snapshot(revision, cluster_id, items, shown, frozenset(leased))
            start = page.kvs[-1].key + b"\0"

    def _page(self, start: bytes, revision: int) -> Any:
        """Return the keys from `start` on. What was read so far is not given up for one page that comes too
        late: an etcd that a whole fleet lists at once is slow, and to start again would keep it so."""
        tries = _TRIES if start != self.prefix else 1
        while True:
            tries -= 1
            try:
                return self._range(start, range_end=self.range_end, revision=revision, paged=True)
            except RpcFailure:
                raise  # etcd answers, and says no
            except Unavailable:
                if not tries:
                    raise

    def _get(self, key: str, revision: int) -> Item | None:
        answer = self._range(self._name(key), revision=revision)
        return self.from_store(answer.kvs[0]) if answer.kvs else None

    def _range(
        self,
        key: bytes,
        *,
        range_end: bytes = b"",
        revision: int = 0,
        paged: bool = False,
        counted: bool = False,
    ) -> Any:
        request = etcdrpc.RangeRequest(
            key=key,
            range_end=range_end,
            revision=revision,
            limit=self._page_size if paged else 0,
            count_only=counted,
        )
        answer = self._connections.call(lambda client: client.kvstub.Range, request)
        self._seen = answer.header.revision
        return answer

    def _call(self, request: Any) -> Any:
        try:
            return self._connections.call(lambda client: client.kvstub.Txn, request, repeat=False)
        except RpcFailure as error:
            if "lease not found" in error.reason:
                raise Conflict(f"{error}: the lease has ended; take a new one") from error
            if error.kind is Kind.INVALID:
                raise Rejected(f"etcd refused the write: {error.reason}") from error
            raise

    def _reach(self, lost: OutcomeUnknown) -> None:
        """Wait until etcd answers again, after a write whose outcome is unknown."""
        try:
            self._range(self.prefix)
        except Unavailable as error:
            raise Unavailable(f"{lost}; read the keys again to see") from error

    def _found(self, response: Any, ops: Sequence[Put | Delete]) -> dict[str, Item | None]:
        """Return what a transaction that wrote nothing found at the keys it was to write."""
        found: dict[str, Item | None] = {}
        for op, answer in zip(ops, response.responses, strict=True):
            kvs = answer.response_range.kvs
            found[op.key] = self.from_store(kvs[0]) if kvs else None
        return found

    def _broken_guards(self, expect: Sequence[Guard], found: Mapping[str, Item | None]) -> str:
        """Say which guard did not hold, as far as a look afterwards can tell. `found`: what is known of
        keys already."""
        for guard in expect:
            if isinstance(guard, ExpectBelow):
                if newer := self._newer(guard):
                    return newer
                continue
            item = found[guard.key] if guard.key in found else self.get(guard.key)
            field = "create_revision" if guard.mod_revision is None else "mod_revision"
            wanted, current = getattr(guard, field), getattr(item, field, 0)
            if wanted != current:
                is_now = f"is at {field} {current}" if item else "does not exist"
                wants = f"{field} {wanted}" if wanted else "a key that does not exist"
                return f"{guard.key}: {is_now}, expected {wants}; read it again and decide anew"
        return "a guarded key was changed meanwhile; read it again and decide anew"

    def _newer(self, guard: ExpectBelow) -> str:
        start = self._name(guard.folder)
        request = etcdrpc.RangeRequest(
            key=start,
            range_end=after(start),
            min_mod_revision=guard.revision + 1,
            limit=1,
            keys_only=True,
        )
        for kv in self._connections.call(lambda client: client.kvstub.Range, request).kvs:
            key = escaped(kv.key.removeprefix(self.prefix))
            return (
                f"{key}: was written at revision {kv.mod_revision}, after {guard.revision}; "
                "read it again and decide anew"
            )
        return ""


def _unless_gone(read: Callable[[], T]) -> T | None:
    """Return what `read` returns; None when etcd has no such revision, any more or yet."""
    try:
        return read()
    except RpcFailure as error:
        if error.kind is not Kind.COMPACTED:
            raise
        return None
