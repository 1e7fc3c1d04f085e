"""Is this removal intended? An emptied or wiped store must not empty the load balancers.

What counts is how many servers can get requests, compared with the most of the last minutes: see `reach`
for what takes a server away, and `window` for how it adds up. Pure except for what it remembers.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable

import msgspec

from lbsync.agent.guard.reach import Loss, cut_off
from lbsync.agent.guard.row import Row, Sums
from lbsync.agent.guard.window import Window
from lbsync.model.desired import Desired, Service, ServiceChanges
from lbsync.model.records import GlobalRecord
from lbsync.values.plural import first_few

#: Other hosts, fewer clients or other servers are a deployment for one or two services; for more at once
#: they count as a removal.
_FEW = 3
Meant = Callable[[str, int], bool]
"""Tells whether it is confirmed that a service keeps only this many servers."""


class Hold(msgspec.Struct, frozen=True):
    """A removal that waits for confirmation."""

    id: str
    """Identifies exactly this removal, on every host; confirming another one does not release it."""
    losses: dict[str, tuple[int, int]]
    """Service to (servers now, those of them that could still get requests), for each service that would
    lose some."""
    total: int
    """The highest number of servers within the window when the hold began."""
    earlier: int = 0
    """Servers that were removed earlier within the window."""
    left: dict[str, int] = {}
    """Service to the number of servers it would keep, whoever their clients are."""
    settings: frozenset[str] = frozenset()
    """Services that `settings/global` alone would cut off."""

    @property
    def removed(self) -> frozenset[str]:
        """The services that would lose servers by their own keys."""
        return frozenset(self.losses) - self.settings

    @property
    def lost(self) -> int:
        """How many servers would go."""
        return sum(before - after for before, after in self.losses.values())

    def __str__(self) -> str:
        """One sentence for the log and the status."""
        names = first_few(sorted(self.losses), 3)
        # Servers may have been added since the hold began.
        total = max(self.total, self.lost + self.earlier)
        what = f"{self.lost} of {total} servers" if total else "every service"
        what = f"by settings/global {what}" if self.settings else what
        after = f", after {self.earlier} that went shortly before" if self.earlier else ""
        return (
            f"{what} would go at once{after} ({names}); they stay until 'lbsync confirm' "
            f"(on every host: 'lbsync confirm --fleet {self.id}')"
        )


class Baseline(msgspec.Struct, frozen=True):
    """What the hold of the last pass, or of the last agent, is measured against."""

    total: int
    services: frozenset[str] = frozenset()


class Guard:
    """Weighs the desired state against what runs and what ran."""

    def __init__(self, percent: int, window_s: float) -> None:
        """`percent`: this share of all servers, or of those of one publisher, may go within `window_s`
        seconds; at 100 everything may. Both may change at any time."""
        self.percent = percent
        self.window = Window(window_s)
        self.baseline: Baseline | None = None
        """Of the current hold; None: there is none."""
        self.tls_in_front = False
        """A trusted balancer in front may terminate TLS. May change at any time."""

    def wanted(self, service: str) -> int:
        """Return how many servers of a service would get requests by what was checked last."""
        row = self.window.rows.get(service)
        return row.now.servers if row is not None else 0

    def check(self, services: Iterable[Service], now: float, meant: Meant) -> Hold | None:
        """Return the removal to hold, or None if there is none. `services`: all that are wanted.

        During a hold nothing leaves the window: neither time nor what other services gain makes a removal
        intended.
        """
        self._age(now)
        self.window.wants(services, now)
        return self._judge(meant)

    def check_changes(self, changes: ServiceChanges, now: float, meant: Meant) -> Hold | None:
        """As `check`, from what changed alone."""
        self._age(now)
        self.window.wants_changes(changes, now)
        return self._judge(meant)

    def _age(self, now: float) -> None:
        if self.baseline is None:
            self.window.age(now)

    def _judge(self, meant: Meant) -> Hold | None:
        baseline = self.baseline
        if self.percent >= 100 or not (self._may_be_over(baseline) or self._is_emptied()):
            return None
        losing = {
            name: row
            for name, row in self.window.rows.items()
            if (row.loss.gone or row.loss.strange or _is_removed(row))
            and not meant(name, row.now.servers)
        }
        over = self._over(losing, baseline)
        held = {name for name in over if _counts(losing[name].at_once, _strangers(losing))}
        held |= {name for name in over if _is_removed(losing[name])}
        if baseline is not None and (stay := held & baseline.services):
            # Everything else is judged by itself: a hold must not stop deployments.
            rest = {name: row for name, row in losing.items() if name not in stay}
            held = stay if not self._over(rest, None) else held
        return self._hold(held, losing, baseline) if held else None

    def cut_off(
        self, removal: Hold | None, desired: Desired, before: GlobalRecord, *, ends_tls: bool
    ) -> Hold | None:
        """Return the removal to hold, with the services that `settings/global` would cut off.

        `before`: the settings in force now; `ends_tls`: HAProxy has certificates. One write does that to
        all services, so neither their number nor earlier losses count.
        """
        names = cut_off(desired, before, ends_tls=ends_tls, in_front=self.tls_in_front)
        rows = {n: row for n in names if (row := self.window.rows.get(n)) and row.before.servers}
        total = self._total(self.baseline)
        if sum(row.before.servers for row in rows.values()) * 100 <= total * self.percent:
            return removal
        losses = {name: (row.before.servers, 0) for name, row in sorted(rows.items())}
        left = {name: row.now.servers for name, row in sorted(rows.items())}
        by_keys, earlier = removal.losses if removal else {}, removal.earlier if removal else 0
        # It stays the same removal when servers come and go meanwhile.
        name = _id([*(removal.left if removal else {}).items(), (desired.settings.https, 0)])
        settings = frozenset(losses) - by_keys.keys()
        left |= removal.left if removal else {}
        return Hold(name, losses | by_keys, total, earlier, left, settings)

    def _may_be_over(self, baseline: Baseline | None) -> bool:
        total = self._total(baseline)
        if self._is_too_much(self.window.all, total):
            return True
        return any(
            sums.gone + sums.strange and self._is_too_much(sums, sums.total)
            for sums in self.window.by_source.values()
        )

    def _is_too_much(self, sums: Sums, total: int) -> bool:
        lost = sums.gone + (sums.strange if sums.strangers >= _FEW else 0)
        return lost * 100 > total * self.percent

    def _total(self, baseline: Baseline | None) -> int:
        total = self.window.all.total
        return min(total, baseline.total) if baseline and baseline.total else total

    def _is_emptied(self) -> bool:
        return self.window.wants_nothing and not self.window.is_empty

    def _over(self, losing: dict[str, Row], baseline: Baseline | None) -> set[str]:
        """Return those services that together lose too much."""
        if self._is_emptied():
            return set(losing)
        lost = _summed(losing.values())
        if self._is_too_much(lost, self._total(baseline)):
            return set(losing)
        over: set[str] = set()
        for source, sums in self.window.by_source.items():
            own = {name: row for name, row in losing.items() if row.source == source}
            # A publisher that lost its cluster. With only a few services it is a change.
            if len(own) >= _FEW and self._is_too_much(_summed(own.values()), sums.total):
                over |= own.keys()
        return over

    def _hold(
        self, held: Collection[str], losing: dict[str, Row], baseline: Baseline | None
    ) -> Hold:
        rows = {name: losing[name] for name in sorted(held)}
        losses = {}
        for name, row in rows.items():
            loss = row.at_once
            losses[name] = (row.before.servers, row.before.servers - loss.gone - loss.strange)
        left = {name: row.now.servers for name, row in rows.items()}
        earlier = _summed(losing.values())
        before = earlier.gone + earlier.strange - sum(then - now for then, now in losses.values())
        name = _id(list(left.items()))
        return Hold(name, losses, self._total(baseline), max(0, before), left)


def _id(left: list[tuple[str, int]]) -> str:
    return hashlib.sha256(msgspec.json.encode(left)).hexdigest()[:12]


def _summed(rows: Iterable[Row]) -> Sums:
    sums = Sums()
    for row in rows:
        sums.add(row)
    return sums


def _strangers(rows: dict[str, Row]) -> bool:
    return sum(row.loss.strange > 0 for row in rows.values()) >= _FEW


def _counts(loss: Loss, strangers: bool) -> bool:
    return bool(loss.gone or (strangers and loss.strange))


def _is_removed(row: Row) -> bool:
    """Tell whether a running service is no longer wanted, even one without servers."""
    return row.running is not None and row.wanted is None
