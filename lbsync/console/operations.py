"""What people may ask of hosts from here: keys in etcd, as the commands write them."""

from lbsync.clients.source import Put, Source
from lbsync.console.facts.state import Hold
from lbsync.model.records import ConfirmationRecord
from lbsync.schema.confirming import LIFE_S, confirmation_key
from lbsync.schema.decode import encode
from lbsync.timestamps import stamp


class Operations:
    """Writes requests. All of it blocks: call it from a thread of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def confirm(self, hold: Hold, by: str) -> None:
        """Let a held removal go through, on all hosts and publishers. Raises `LbsyncError`."""
        lease = self._source.lease(LIFE_S)
        record = ConfirmationRecord(dict(hold.services), by, stamp())
        try:
            self._source.commit([], [Put(confirmation_key(hold.id), encode(record), lease.id)])
        finally:
            # Not renewed: the key is gone when its time is up.
            lease.stop()
