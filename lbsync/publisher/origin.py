"""Which Kubernetes cluster a cluster's name stands for, so that two never take turns under one.

Two clusters whose publishers were given the same name would elect one leader between them, and each
would take the other's Services for deleted. So the first one leaves a mark, the uid of the Service
`default/kubernetes`, which every cluster has and makes itself; another one stays out.
"""

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


class Origin:
    """Compares the cluster that is watched with the one that was published before."""

    def __init__(
        self,
        source: Source,
        cluster: str,
        server: str,
        uid_of: Callable[[], str],
        *,
        adopt: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server`: the API server, for people. `adopt`: take the name over from another cluster."""
        self._source = source
        self._cluster = cluster
        self._key = origin_key(cluster)
        self._server = server
        self._uid_of = uid_of
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
        if self._adopt or not own or known in ("", own):
            return ""
        return (
            f"{self._cluster} is the name of another Kubernetes cluster ({_server(item)}, {known}), "
            f"and this one is {own}; give it its own [publisher] cluster, or, if it took the other "
            "one's place, run 'lbsync publish --once --adopt'"
        )

    def mark(self, snapshot: Snapshot, fence: Expect) -> None:
        """Leave the mark where there is none, or another one is to be replaced. Leader only."""
        uid = self._own()
        item = snapshot.items.get(self._key)
        if not uid or _uid(item) == uid or not (self._adopt or item is None):
            return
        value = msgspec.json.encode(OriginRecord(uid, self._server))
        try:
            self._source.commit([fence], [Put(self._key, value)])
        except Conflict:
            return  # the lead was lost; whoever has it leaves the mark
        self._adopt = False

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
