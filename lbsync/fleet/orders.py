"""Order hosts to do something, and hear what became of it."""

import secrets
from collections.abc import Collection, Mapping
from typing import Self

from msgspec import UNSET

from lbsync import fleet
from lbsync.clients.source import Lease, Put, Source
from lbsync.fleet import history
from lbsync.model.orders import Action, OrderAnswer, OrderRecord
from lbsync.schema.decode import encode
from lbsync.schema.fleet import Census
from lbsync.schema.orders import order_key
from lbsync.timestamps import stamp

COMMANDS: Mapping[Action, str] = {
    "drain": "drain",
    "undrain": "undrain",
    "release": "release",
    "rollback": "rollback",
    "rollback-release": "rollback --release",
}
"""What does the same on one host."""
LEASE_S = 10
"""Seconds after which an order of somebody who was killed is gone."""


class OrderPlaced:
    """An order that stands for the length of a `with` block: whoever has not taken it then, never does."""

    def __init__(
        self,
        source: Source,
        action: Action,
        hosts: Collection[str],
        *,
        by: str,
        reason: str = "",
        generations: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is written before the block. `by`: who orders, for people. `generations`: see `OrderRecord`."""
        self.id = secrets.token_hex(6)
        self.hosts = tuple(hosts)
        self._source = source
        self._record = OrderRecord(action, self.hosts, reason, by, stamp(), dict(generations or {}))
        self._lease: Lease | None = None

    def __enter__(self) -> Self:
        """Order it, and note who did. Raises `Unavailable`, also where this user of etcd may not."""
        record = self._record
        detail = record.reason or ", ".join(sorted({*record.generations.values()}))
        noted = history.entry(
            self._source,
            record.by,
            f"{COMMANDS[record.action]} --fleet",
            ", ".join(self.hosts),
            detail,
        )
        self._lease = self._source.lease(LEASE_S)
        put = Put(order_key(self.id), encode(record), self._lease.id)
        history.commit(self._source, [], [put], noted)
        return self

    def __exit__(self, *_: object) -> None:
        """Take it back."""
        if self._lease is not None:
            self._lease.end()

    def failed(self, census: Census) -> dict[str, str]:
        """Return why hosts could not do it."""
        return {
            host: answer.why
            for host in self.hosts
            if (answer := self._answer(census, host)) is not None and answer.state == "failed"
        }

    def missing(self, census: Census) -> dict[str, str]:
        """Return what is in the way of the hosts that have not done it."""
        found = {}
        for host in self.hosts:
            answer, record = self._answer(census, host), census.live.get(host)
            if answer is not None and answer.state == "done":
                continue
            if answer is not None:
                found[host] = answer.why or "it has begun, and is not proved yet"
            elif record is not None:
                found[host] = f"{record.state}: it has not begun"
            elif host in census.gone:
                found[host] = fleet.absence(host, census.gone[host])
            else:
                found[host] = "no agent reports under this name"
        return found

    def _answer(self, census: Census, host: str) -> OrderAnswer | None:
        record = census.live.get(host)
        if record is None or record.order is UNSET or record.order.id != self.id:
            return None
        return record.order
