"""The most that each service reached within the last minutes, and what of it would be lost. Pure.

Removals add up over a window of time, so that it does not matter in how many steps servers go. Sums are
kept, so that the cost is that of the changed services. The clock is the caller's: it counts seconds,
also during sleep, and does not jump.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from lbsync.agent.guard.reach import NOWHERE, Reach, reach
from lbsync.agent.guard.row import PastReach, Row, SavedReach, Sums
from lbsync.model.desired import Service, ServiceChanges
from lbsync.schema.publishing import SOURCE_PREFIX

#: A new server counts as tried after this long beside one that was already tried.
_TRIED_AFTER_S = 1.0
#: What was reached within one such part of the window is merged.
_PARTS = 20
#: Limits of the different times, and of the ways in them, that are kept for one service.
_MOST = 200
_MOST_WAYS = 20_000


class Window:
    """What each service reached lately, with sums over all and over each publisher."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how far back it goes; may change at any time."""
        self.seconds = seconds
        self.rows: dict[str, Row] = {}
        self.all = Sums()
        self.by_source: dict[str, Sums] = {}
        self.unsaved: set[str] = set()
        """Services that changed since they were saved."""
        self._ends: deque[tuple[float, str]] = deque()
        self._ran: object = None
        self._wanted = self._running = 0

    @property
    def is_empty(self) -> bool:
        """Nothing is known to run."""
        return not any(row.running for row in self.rows.values())

    @property
    def wants_nothing(self) -> bool:
        """No service is wanted at all."""
        return not self._wanted

    def wants(self, services: Iterable[Service], now: float) -> None:
        """Note that these are wanted, and no others."""
        every = list(services)
        self._want(every, now)
        if len(every) < self._wanted:
            self._clear_wanted([n for n in self._besides(every) if self.rows[n].wanted], now)

    def wants_changes(self, changes: ServiceChanges, now: float) -> None:
        """Note what is wanted now and was not before."""
        self._want(changes.changed, now)
        self._clear_wanted(changes.gone, now)

    def runs(self, services: Iterable[Service], now: float) -> None:
        """Note that these run, and no others."""
        if services is self._ran:
            return
        self._ran = services
        every = list(services)
        self._run(every, (), now)
        if len(every) < self._running:
            gone = [name for name in self._besides(every) if self.rows[name].running]
            self._run((), gone, now)

    def runs_changes(self, changes: ServiceChanges, now: float) -> None:
        """Note what runs now and did not before."""
        self._ran = None
        self._run(changes.changed, changes.gone, now)

    def _besides(self, services: Iterable[Service]) -> set[str]:
        """Return the services that have a row and are not among these."""
        return self.rows.keys() - {service.id for service in services}

    def _want(self, services: Iterable[Service], now: float) -> None:
        for service in services:
            row = self.rows.get(service.id) or self._row(service.id)
            if row.wanted is None or row.wanted[0] is not service:
                self._set(row, service, now)

    def _clear_wanted(self, names: Iterable[str], now: float) -> None:
        for name in names:
            row = self.rows.get(name)
            if row is not None and row.wanted is not None:
                self._set(row, None, now)
                self._drop_if_empty(name)

    def _run(self, services: Iterable[Service], gone: Iterable[str], now: float) -> None:
        for service in services:
            row = self.rows.get(service.id) or self._row(service.id)
            if row.running is None or row.running[0] is not service:
                self._turn(service.id, row, service, now)
        for name in gone:
            known = self.rows.get(name)
            if known is not None and known.running is not None:
                self._turn(name, known, None, now)

    def forget_past(self, names: Iterable[str]) -> None:
        """Forget that these services reached more: what runs now is intended."""
        for name in names:
            if (row := self.rows.get(name)) is not None:
                row.past.clear()
                row.untried.clear()
                self.unsaved.add(name)
                self._weigh(name, row)

    def age(self, now: float) -> None:
        """Drop what is older than the window."""
        while self._ends and self._ends[0][0] <= now:
            name = self._ends.popleft()[1]
            row = self.rows.get(name)
            if row is None:
                continue
            while row.past and row.past[0].until <= now:
                row.past.pop(0)
            row.untried = {place: at for place, at in row.untried.items() if at > now}
            self.unsaved.add(name)
            self._weigh(name, row)

    def saved(self, name: str) -> SavedReach | None:
        """Return what to save of a service; None: nothing."""
        row = self.rows.get(name)
        if row is None or not (row.past or row.untried):
            return None
        return SavedReach(tuple(row.past), tuple(row.untried.items()))

    def restore(self, saved: Mapping[str, SavedReach], now: float, *, same_clock: bool) -> None:
        """Take over what was saved. `same_clock` false: its age is unknown, so it stays for a whole
        window."""
        late = now + self.seconds
        for name, each in saved.items():
            row = self._row(name)
            row.past = [
                PastReach(min(past.until, late) if same_clock else late, past.reach)
                for past in each.past
            ]
            row.untried = {p: min(at, late) if same_clock else late for p, at in each.untried}
            self._weigh(name, row)
        self._ends = deque(
            sorted((p.until, name) for name, row in self.rows.items() for p in row.past)
        )

    def _row(self, name: str) -> Row:
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = Row()
        return row

    def _set(self, row: Row, service: Service | None, now: float) -> None:
        self._count(row, -1)
        if row.untried:
            row.untried = {place: at for place, at in row.untried.items() if at > now}
        self._wanted += (service is not None) - (row.wanted is not None)
        like = row.wanted or row.running
        same = like is not None and like[0] is service
        found = reach(service, like) if service is not None and not same else NOWHERE
        if same and like is not None:
            found = like[1]
        row.wanted = (service, found) if service is not None else None
        row.now = found
        row.compare()
        self._count(row, 1)

    def _turn(self, name: str, row: Row, service: Service | None, now: float) -> None:
        """Note that another version of a service runs."""
        self._running += (service is not None) - (row.running is not None)
        old, new = row.before, NOWHERE
        if service is not None:
            same = row.wanted is not None and row.wanted[0] is service
            new = row.wanted[1] if same and row.wanted else reach(service, row.running)
            if row.running is not None and old.is_like(new):
                row.running = service, old
                return
        self._leave(name, row, old, now)
        self._try(row, old, new, now)
        row.running = (service, new) if service is not None else None
        row.before = new
        self._weigh(name, row)

    def _leave(self, name: str, row: Row, old: Reach, now: float) -> None:
        """Move what ran into the past, where it stays for the window."""
        if row.running is None:
            return
        left = old
        if not old.ready.isdisjoint(row.untried):
            left = msgspec.structs.replace(old, ready=old.ready - row.untried.keys())
        last = row.past[-1] if row.past else None
        is_alike = last is not None and last.reach.ways == old.ways
        if last is not None and not is_alike and _is_full(row.past):
            is_alike, left = True, msgspec.structs.replace(left, ways=last.reach.ways)
        if last is not None and is_alike and last.until - self.seconds > now:
            row.past[-1] = PastReach(last.until, last.reach.most(left))
        else:
            until = now + self.seconds * (1 + 1 / _PARTS)
            row.past.append(PastReach(until, left))
            self._ends.append((until, name))
        self.unsaved.add(name)

    def _try(self, row: Row, old: Reach, new: Reach, now: float) -> None:
        """Note which servers are new, and when they will count as tried.

        Beside tried servers that is after a moment, as rollouts replace servers one by one. If all are
        replaced at once, nobody knows whether any answers, so it is after a whole window.
        """
        if (row.running is None and not row.past) or new.source.startswith(SOURCE_PREFIX):
            row.untried = {}
            return
        untried = {p: at for p, at in row.untried.items() if at > now and p in new.ready}
        fresh = new.ready - old.ready
        tried = (old.ready | row.base.ready) - row.untried.keys()
        if new.places and tried and tried.isdisjoint(new.places):
            late = now + self.seconds
            untried.update(dict.fromkeys(new.places - tried, late))
        else:
            late = now + _TRIED_AFTER_S
            untried.update({place: late for place in fresh - tried if place not in untried})
        row.untried = untried

    def _weigh(self, name: str, row: Row) -> None:
        self._count(row, -1)
        row.weigh()
        last = row.running or row.wanted
        row.source = last[1].source if last else (row.past[-1].reach.source if row.past else "")
        self._count(row, 1)
        self._drop_if_empty(name)

    def _drop_if_empty(self, name: str) -> None:
        row = self.rows[name]
        if not (row.running or row.wanted or row.past):
            self._count(row, -1)
            del self.rows[name]

    def _count(self, row: Row, sign: int) -> None:
        self.all.add(row, sign)
        if row.source:
            self.by_source.setdefault(row.source, Sums()).add(row, sign)


def _is_full(past: list[PastReach]) -> bool:
    return len(past) > _MOST or sum(len(each.reach.ways) for each in past) > _MOST_WAYS
