"""Orders to this host through the store: each becomes the request that the local command makes, and its result is
written to the host's record.

An order is accepted once, while it exists. A one-time action (`release`, `rollback`) is withdrawn with it, as the
local command does; a requested state (drained or not) stays.
"""

import contextlib

from msgspec import UNSET, UnsetType

from lbsync import log
from lbsync.agent.control import Control, Request
from lbsync.agent.generations.content import content
from lbsync.agent.generations.read import previous
from lbsync.agent.generations.store import Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Rejected, Unavailable
from lbsync.model.orders import Action, OrderAnswer
from lbsync.model.records import EarlierGeneration
from lbsync.schema.orders import ORDERS, Order, orders_for
from lbsync.schema.reading import one_line
from lbsync.status import PROVED, Status
from lbsync.timestamps import stamp

_MOST_REASON = 200


class Orders:
    """What this host was ordered to do. Used by one thread."""

    def __init__(self, source: Source, control: Control, host: str, store: Store) -> None:
        """`control`: where local commands leave their requests; `store`: what a rollback chooses from."""
        self._source = source
        self._control = control
        self._host = host
        self._store = store
        self.guard_percent = 50
        """See `agent.guard_percent`: a rollback that would take more of the servers is refused."""
        taken = control.get("order")
        self._taken = {taken.value} if taken else set()
        """Ids of orders that stand and were taken."""
        self._current: Order | None = None
        self._reason = ""
        self._before: Request | None = None
        """The rollback that stood before the one that was ordered."""
        self._answer: OrderAnswer | UnsetType = UNSET
        self._earlier: tuple[str, EarlierGeneration | UnsetType] = "", UNSET

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
            elif record.action == "rollback":
                self._reason = self._chosen(record.generations.get(self._host, ""))
                self._before = self._control.get("rollback")
                self._control.set("rollback", Request(self._reason, stamp(), by, ordered=True))
            elif record.action == "rollback-release":
                self._control.withdraw("rollback", by, ordered=True)
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
            self._withdraw(order.record.action)
            why = "it was not proved as long as somebody waited"
            self._answer, self._current = OrderAnswer(order.id, "failed", why), None

    def _withdraw(self, action: Action) -> None:
        """Take back what nobody waits for any more, as far as it is done or undone by a moment."""
        if action == "release":
            self._control.forget("release")
        elif action == "rollback":
            asked = self._control.get("rollback")
            if asked is None or asked.value != self._reason:
                return  # somebody on the host has asked for something else since
            self._control.forget("rollback")
            if self._before is not None:
                with contextlib.suppress(LbsyncError):
                    self._control.set("rollback", self._before)

    def _chosen(self, digest: str) -> str:
        """Return the whole digest of the generation to go back to. Raises `Rejected` where there is none, and where
        too much would go: with the command on the host somebody sees what."""
        if not digest:
            raise Rejected("the order names no generation for this host")
        wanted, live = self._store.by_digest(digest), self._store.live()
        if wanted is None:
            raise Rejected(f"there is no generation {one_line(digest, _MOST_REASON)} on this host")
        parser = Parser()
        there, here = content(wanted, parser), content(live, parser)
        if there.loses(here, self.guard_percent):
            raise Rejected(
                f"generation {wanted.name} serves {there}, against what is live: {there.against(here)}; if that is "
                f"meant: 'lbsync rollback {wanted.seq}' on the host"
            )
        return wanted.digest

    def earlier(self, status: Status) -> EarlierGeneration | UnsetType:
        """Return what a rollback would serve."""
        name = f"{status.generation}-{status.digest}"
        if name != self._earlier[0]:
            found = previous(self._store) if status.digest else None
            self._earlier = name, UNSET
            if found is not None:
                at = stamp(found.meta.confirmed_at) if found.meta.confirmed_at else ""
                known = EarlierGeneration(found.seq, found.digest, found.meta.revision, at)
                self._earlier = name, known
        return self._earlier[1]

    def _is_done(self, order: Order, status: Status) -> bool:
        if status.state not in PROVED:
            return False
        if order.record.action == "drain":
            return status.draining == self._reason
        if order.record.action == "undrain":
            return not status.draining
        if order.record.action == "rollback":
            return status.state == "rolled-back" and status.digest == self._reason
        if order.record.action == "rollback-release":
            return status.state != "rolled-back"
        return self._control.get("release") is None and not status.by_hand
