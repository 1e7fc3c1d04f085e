"""Orders that somebody gives this host through the store: each becomes the request that the local command
makes, and its end is told in the host's record.

An order is taken once, while it stands. One that is done or undone by then (`release`) goes with it, as the
local command withdraws it; what a host is to be (drained or not) stays.
"""

from msgspec import UNSET, UnsetType

from lbsync import log
from lbsync.agent.control import Control, Request
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.model.orders import OrderAnswer
from lbsync.schema.orders import ORDERS, Order, orders_for
from lbsync.schema.reading import one_line
from lbsync.status import PROVED, Status
from lbsync.timestamps import stamp

_MOST_REASON = 200


class Orders:
    """What this host was ordered to do. Used by one thread."""

    def __init__(self, source: Source, control: Control, host: str) -> None:
        """`control`: where local commands leave their requests."""
        self._source = source
        self._control = control
        self._host = host
        taken = control.get("order")
        self._taken = {taken.value} if taken else set()
        """Ids of orders that stand and were taken."""
        self._current: Order | None = None
        self._reason = ""
        self._answer: OrderAnswer | UnsetType = UNSET

    def look(self, status: Status) -> OrderAnswer | UnsetType:
        """Take an order that is new, and return how the last one stands after the pass of `status`."""
        try:
            standing = orders_for(self._host, self._source.leased(ORDERS))
        except Unavailable:
            return self._answer
        ids = {order.id for order in standing}
        self._finish(status, ids)
        self._taken &= ids
        if self._current is None:
            new = [order for order in standing if order.id not in self._taken]
            if new:
                self._take(new[0])
        return self._answer

    def _take(self, order: Order) -> None:
        """Make the request that it stands for."""
        record = order.record
        self._taken.add(order.id)
        self._reason = ""
        by = one_line(record.by, _MOST_REASON)
        said = f"ordered by {by}: {record.action}"
        try:
            # Before anything else: it is taken once, whatever happens then.
            self._control.set("order", Request(order.id, stamp()))
            if record.action == "drain":
                self._reason = one_line(record.reason, _MOST_REASON) or "by hand"
                self._control.set("drain", Request(self._reason, stamp(), by, ordered=True))
            elif record.action == "undrain":
                self._control.withdraw("drain", by, ordered=True)
            else:
                self._control.set("release", Request("all", stamp(), by, ordered=True))
        except LbsyncError as error:
            log.get().warning(f"{said}; it cannot be done: {error}")
            self._answer = OrderAnswer(order.id, "failed", str(error)[:_MOST_REASON])
            return
        log.get().info(said, order=order.id)
        self._current, self._answer = order, OrderAnswer(order.id)

    def _finish(self, status: Status, standing: set[str]) -> None:
        """Note that the order is done, or withdraw one that nobody waits for any more."""
        order = self._current
        if order is None:
            return
        if self._is_done(order, status):
            self._answer, self._current = OrderAnswer(order.id, "done"), None
        elif order.id not in standing:
            if order.record.action == "release":
                self._control.forget("release")
            why = "it was not proved as long as somebody waited"
            self._answer, self._current = OrderAnswer(order.id, "failed", why), None

    def _is_done(self, order: Order, status: Status) -> bool:
        if status.state not in PROVED:
            return False
        if order.record.action == "drain":
            return status.draining == self._reason
        if order.record.action == "undrain":
            return not status.draining
        return self._control.get("release") is None and not status.by_hand
