"""Which Kubernetes cluster a cluster's name stands for, so that two never take turns under one.

Two clusters whose publishers were given the same name would elect one leader between them, and each
would take the other's Services for deleted. So the first one leaves a mark, the uid of the Service
`default/kubernetes`, which every cluster has and makes itself, with the API server's address and
authority; another one stays out. Where the account may not read that Service (a Role in its namespaces
alone), the address and the authority are the mark.
"""

import hashlib
import re
import time
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.clients.kube import SERVICES, Client
from lbsync.clients.source import Expect, Put, Source
from lbsync.errors import BadKey, Conflict, Rejected, Unavailable
from lbsync.model.publishing import OriginRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.publishing import origin_key, read

_RETRY_S = 30.0
"""Between two requests while the API server is away or refuses; passes are run more often."""
_CERTIFICATE = re.compile(rb"-----BEGIN [^-]*-----(.*?)-----END [^-]*-----", re.DOTALL)


def ask(client: Client) -> str:
    """Return the cluster's uid. Raises `Unavailable`, and `Rejected` where this account may not see it."""
    return client.get(SERVICES, "default", "kubernetes").uid


def authority_of(client: Client) -> str:
    """Return a fingerprint of each of the cluster's own authorities, with spaces between; empty if the
    system's count, which many clusters may share, or none, or where they cannot be had now."""
    try:
        found = client.config.credentials.current().authority
    except Unavailable:
        return ""
    if not found or client.config.insecure:
        return ""
    blocks = [b"".join(block.split()) for block in _CERTIFICATE.findall(found)] or [found]
    return " ".join(sorted({hashlib.sha256(block).hexdigest() for block in blocks}))


class ClusterIdentity:
    """Compares the cluster that is watched with the one that was published before."""

    def __init__(
        self,
        source: Source,
        cluster: str,
        server: str,
        uid_of: Callable[[], str],
        *,
        authority_of: Callable[[], str] = lambda: "",
        adopt: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server`: the API server, for people. `adopt`: take the name over from another cluster."""
        self._source = source
        self._cluster = cluster
        self._key = origin_key(cluster)
        self._server = server
        self._uid_of = uid_of
        self._authority_of = authority_of
        self._adopt = adopt
        self._clock = clock
        self._uid = ""
        self._ask_at = 0.0
        self._answered = False
        self.notice = ""
        """What whoever runs the publisher should know of it; empty: nothing."""

    def refusal(self, snapshot: Snapshot) -> str:
        """Return why this publisher must stay out; empty when it need not.

        An API server that does not answer right now is no reason. One that does not tell its uid is known by
        its address and authority: whoever could be another cluster stays out, since it would take the
        Services of the other one for deleted.
        """
        known, own = _read(snapshot.items.get(self._key)), self._own()
        if self._adopt or known is None or not self._answered or self._is_same(known):
            return ""
        return (
            f"{self._cluster} is the name of another Kubernetes cluster ({_named(known)}), and this one is "
            f"{_named(OriginRecord(own, self._server))}; give it its own [publisher] cluster, or, if it took "
            "the other one's place or its Service default/kubernetes was made anew, run 'lbsync publish "
            f"--once --adopt' once with the settings of this publisher{'; ' if self.notice else ''}{self.notice}"
        )

    def mark(self, snapshot: Snapshot, fence: Expect) -> None:
        """Leave the mark where there is none, or another one is to be replaced. Leader only."""
        uid, item = self._own(), snapshot.items.get(self._key)
        known = _read(item)
        is_same = known is not None and self._is_same(known)
        if not self._answered or not (self._adopt or item is None or is_same):
            return
        record = OriginRecord(uid, self._server, self._authority_of())
        if known is not None and is_same:
            record = OriginRecord(
                uid or known.uid, self._server, record.authority or known.authority
            )
        if known == record:
            return
        value = msgspec.json.encode(record)
        try:
            self._source.commit([fence], [Put(self._key, value)])
        except Conflict:
            return  # the lead was lost; whoever has it leaves the mark
        self._adopt = False

    def _is_same(self, known: OriginRecord) -> bool:
        """Tell whether the cluster that a mark is of is this one, as far as both are known."""
        if self._uid and self._uid == known.uid:
            return True
        if self._server != known.server:
            return False
        ours, theirs = set(self._authority_of().split()), set(known.authority.split())
        if ours and theirs:
            # Of a cluster whose authority is exchanged, both are valid for a while. That the uid is
            # another one then means that its Service `default/kubernetes` was made anew.
            return bool(ours & theirs)
        # In a pod the address is much the same in every cluster, so it is little, but all there is.
        return not (self._uid and known.uid)

    def _own(self) -> str:
        if not self._uid and self._clock() >= self._ask_at:
            self._ask_at = self._clock() + _RETRY_S
            try:
                self._uid = self._uid_of()
            except Unavailable as error:
                log.get().debug("the cluster's identity is asked for again later", why=str(error))
            except Rejected as error:
                self._answered = True
                self._tell(str(error))
            else:
                self._answered, self.notice = True, ""
        return self._uid

    def _tell(self, why: str) -> None:
        by = (
            "address and authority"
            if self._authority_of()
            else "address alone, which others may share"
        )
        notice = (
            "Service default/kubernetes, by whose uid clusters are told apart, cannot be read, so this one "
            f"is known by its API server's {by}: {why}"
        )
        if notice != self.notice:
            log.get().warning(notice)
        self.notice = notice


def _read(item: Item | None) -> OriginRecord | None:
    if item is None:
        return None
    try:
        return read(OriginRecord, item)
    except BadKey:
        return None


def _named(record: OriginRecord) -> str:
    return ", ".join(part for part in (record.server, record.uid) if part)
