"""Reports to clients that wait for a revision that this host serves it: beside the prefix, where they watch and no
agent does.

Every agent receives the reports of all others. If answers to waiting clients were written there, one wait in a
fleet of 300 would cause 90,000 events in a second; so the regular report follows when it is due.
"""

import time
import zlib

from lbsync.agent.report import fleet_records
from lbsync.clients.source import Lease, Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.model.records import AgentRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.decode import encode
from lbsync.schema.fleet import acknowledgement_key
from lbsync.schema.health import WATCHERS, asked

_DENIED_S = 60.0
"""So long a store that does not let this host write there is not asked again."""


class Acknowledgement:
    """Sends the host's record to waiting clients, and keeps the last one that it sent."""

    def __init__(self, source: Source, host: str) -> None:
        """Nothing is written yet."""
        self._source = source
        self._key = acknowledgement_key(host)
        self._not_before = 0.0
        self._current = 0, 0
        self._at = float("-inf")
        self._share = zlib.crc32(host.encode()) / 2**32
        self.said: AgentRecord | None = None
        """None: nothing that is newer than the host's report."""

    def report_after(self, apart: float) -> float:
        """Return when the host's report, which every other host receives, may follow the last acknowledgement
        (monotonic clock): within `apart` seconds, at a moment that differs between hosts, since all of them were
        asked at the same time."""
        return self._at + self._share * apart

    def up_to(self, revision: int, there: Snapshot) -> int:
        """Return the newest revision that changes nothing against `revision`, which is proved to be served; see
        `AgentRecord.up_to`. `there`: what is stored, as the watch has seen it."""
        if 0 < there.followed_revision <= revision:
            self._current = revision, max(revision, there.revision)
        return self._current[1] if self._current[0] == revision else 0

    def say(self, reported: AgentRecord, record: AgentRecord, lease: Lease) -> None:
        """Send the record if a client waits for it and etcd accepts it; otherwise, the report follows. `reported`: the
        host's report as it is stored."""
        awaited = asked(self._source.leased(WATCHERS)).revisions
        is_awaited = fleet_records.answers_waiter(self.said or reported, record, awaited)
        if not is_awaited or time.monotonic() < self._not_before:
            return
        try:
            self._source.tell(self._key, encode(record), lease.id)
        except Unavailable as error:
            if "permission denied" in str(error):
                self._not_before = time.monotonic() + _DENIED_S
        except LbsyncError:
            return  # the lease has ended: the report finds that out
        else:
            self.said, self._at = record, time.monotonic()
