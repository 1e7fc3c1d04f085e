"""Requests of people to hosts: keys in etcd, the same as those of the commands."""

import time

from lbsync.clients.source import Put, Source
from lbsync.console.facts.state import Hold
from lbsync.fleet import history
from lbsync.fleet.orders import OrderPlaced
from lbsync.model.orders import Action
from lbsync.model.records import ConfirmationRecord
from lbsync.schema import fleet
from lbsync.schema.confirming import LIFE_S, confirmation_key
from lbsync.schema.decode import encode
from lbsync.timestamps import stamp
from lbsync.values.plural import count

_WAIT_S = 10.0
_POLL_S = 0.1


class Operations:
    """Writes requests. All of it blocks: call it from a thread of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def confirm(self, hold: Hold, by: str) -> None:
        """Let a held removal go through, on all hosts and publishers. Raises `LbsyncError`."""
        lease = self._source.lease(LIFE_S)
        record = ConfirmationRecord(dict(hold.services), by, stamp())
        put = Put(confirmation_key(hold.id), encode(record), lease.id)
        what = count(len(hold.services), "service")
        try:
            noted = history.entry(self._source, by, "confirm --fleet", hold.id, what)
            history.commit(self._source, [], [put], noted)
        finally:
            # Not renewed: the key is gone when its time is up.
            lease.stop()

    def order(
        self, action: Action, host: str, by: str, reason: str = "", generation: str = ""
    ) -> str:
        """Order an action from one host, and wait ten seconds for its confirmation. Return what prevents it, or
        an empty text if it is done. An order that is not carried out by then is withdrawn. `generation`: for
        a rollback, its digest. Raises `LbsyncError`."""
        generations = {host: generation} if generation else {}
        with OrderPlaced(
            self._source, action, [host], by=by, reason=reason, generations=generations
        ) as placed:
            deadline = time.monotonic() + _WAIT_S
            while True:
                census = fleet.census(self._source.snapshot())
                why = placed.failed(census) or placed.missing(census)
                if not why or placed.failed(census) or time.monotonic() > deadline:
                    return why.get(host, "")
                time.sleep(_POLL_S)
