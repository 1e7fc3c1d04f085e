"""The keys of orders to hosts and of who did what, and how they are read."""

from collections.abc import Mapping

import msgspec

from lbsync.model.orders import HistoryRecord, OrderRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading

ORDERS = "orders/"
HISTORY = "history/"
_MOST_ORDERS = 100
_MOST_BYTES = 64 << 10


class Order(msgspec.Struct, frozen=True):
    """One order, as it stands."""

    id: str
    revision: int
    """That created it."""
    record: OrderRecord


def order_key(order_id: str) -> str:
    """Return the key of an order."""
    return f"{ORDERS}{order_id}"


def orders_for(host: str, snapshot: Snapshot) -> list[Order]:
    """Return the orders that stand for a host, the oldest first. What has no lease, cannot be read or is of
    an action that is not known, counts for nothing."""
    found = []
    for key in sorted(key for key in snapshot.leased if key.startswith(ORDERS))[:_MOST_ORDERS]:
        item = snapshot.items.get(key)
        record = _order(item) if item is not None else None
        if item is not None and record is not None and host in record.hosts:
            found.append(Order(key.removeprefix(ORDERS), item.create_revision, record))
    return sorted(found, key=lambda order: (order.revision, order.id))


def history(items: Mapping[str, Item]) -> list[HistoryRecord]:
    """Return who did what, the newest last. What cannot be read is left out."""
    found = []
    for key in sorted(key for key in items if key.startswith(HISTORY)):
        try:
            found.append(reading.bounded(reading.record(items[key].value, HistoryRecord)))
        except reading.Unreadable:
            continue
    return found


def _order(item: Item) -> OrderRecord | None:
    if len(item.value) > _MOST_BYTES:
        return None
    try:
        return reading.record(item.value, OrderRecord)
    except reading.Unreadable:
        return None
