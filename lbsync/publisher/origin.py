"""Which Kubernetes cluster a cluster's name stands for, so that two never take turns under one.

Two clusters whose publishers were given the same name would elect one leader between them, and each
would take the other's Services for deleted. So the first one leaves a mark, the uid of the Service
`default/kubernetes`, which every cluster has and makes itself; another one stays out.
"""

import hashlib
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
"""Between two requests while the API server is away; passes are run more often."""


def ask(client: Client) -> str:
    """Return the cluster's uid; empty where this account may not see it. Raises `Unavailable`."""
    try:
        return client.get(SERVICES, "default", "kubernetes").uid
    except Rejected as error:
        log.get().debug("the cluster's identity cannot be read", why=str(error))
        return ""


def authority_of(client: Client) -> str:
    """Return a fingerprint of the cluster's own authorities; empty where the system's count, which many
    clusters may share, or none, or where they cannot be had now."""
    try:
        found = client.config.credentials.current().authority
    except Unavailable:
        return ""
    return hashlib.sha256(found).hexdigest() if found and not client.config.insecure else ""


class Origin:
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
        self._uid: str | None = None
        self._ask_at = 0.0

    def refusal(self, snapshot: Snapshot) -> str:
        """Return why this publisher must stay out; empty when it need not.

        An API server that does not answer right now is no reason.
        """
        item = snapshot.items.get(self._key)
        known, own = _uid(item), self._own()
        if self._adopt or not own or known in ("", own) or self._is_same_but_for_uid(item):
            return ""
        return (
            f"{self._cluster} is the name of another Kubernetes cluster ({_server(item)}, {known}), "
            f"and this one is {self._server}, {own}; give it its own [publisher] cluster, or, if it took the "
            "other one's place or its Service default/kubernetes was made anew, run 'lbsync publish --once "
            "--adopt' once with the settings of this publisher"
        )

    def mark(self, snapshot: Snapshot, fence: Expect) -> None:
        """Leave the mark where there is none, or another one is to be replaced. Leader only."""
        uid = self._own()
        item = snapshot.items.get(self._key)
        if not uid:
            return
        record = OriginRecord(uid, self._server, self._authority_of())
        known = _read(item)
        if known == record or (known is not None and known.uid == uid and not record.authority):
            return
        may = self._adopt or item is None or _uid(item) == uid or self._is_same_but_for_uid(item)
        if not may:
            return
        value = msgspec.json.encode(record)
        try:
            self._source.commit([fence], [Put(self._key, value)])
        except Conflict:
            return  # the lead was lost; whoever has it leaves the mark
        self._adopt = False

    def _is_same_but_for_uid(self, item: Item | None) -> bool:
        """Tell whether this is the server with the authority that was published from: then only its
        Service `default/kubernetes` was made anew."""
        known = _read(item)
        authority = self._authority_of()
        return (
            known is not None
            and authority != ""
            and (known.server, known.authority) == (self._server, authority)
        )

    def _own(self) -> str:
        if self._uid is None and self._clock() >= self._ask_at:
            self._ask_at = self._clock() + _RETRY_S
            try:
                self._uid = self._uid_of()
            except Unavailable as error:
                log.get().debug("the cluster's identity is asked for again later", why=str(error))
        return self._uid or ""


def _read(item: Item | None) -> OriginRecord | None:
    if item is None:
        return None
    try:
        return read(OriginRecord, item)
    except BadKey:
        return None


def _uid(item: Item | None) -> str:
    found = _read(item)
    return found.uid if found is not None else ""


def _server(item: Item | None) -> str:
    found = _read(item)
    return found.server if found is not None else ""
