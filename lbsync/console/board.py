"""The current state: one watch of etcd and one state, shared by all requests and live pages."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

import msgspec

from lbsync.clients.source import Health, Source
from lbsync.console.facts.deployments import Deployments
from lbsync.console.facts.services import ServiceIndex
from lbsync.console.facts.state import State, StateBuilder
from lbsync.errors import Unavailable
from lbsync.model.health import HealthRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import health

_LEAST_PAUSE_S = 0.25
_SHARE = 4.0
"""Between two states passes this many times what the last one took, so that a fleet under change takes a
fifth of one processor at most."""


class Shown(msgspec.Struct, frozen=True, eq=False):
    """What one answer is made of."""

    index: ServiceIndex
    health: Health
    """Of the watch: whether etcd answers, and since when not."""
    answers: Mapping[str, HealthRecord | None] = {}
    """What hosts answer about the services that somebody looks at; None: it cannot be read."""
    deployments: Deployments | None = None
    """What deployers keep; None: it was never read."""
    no_deployments: str = ""
    """Why it was not."""

    @property
    def state(self) -> State:
        """What etcd says, or said last."""
        return self.index.state


class Board:
    """Keeps the newest state. All but `wake` belongs to the event loop's thread."""

    def __init__(
        self,
        source: Source,
        reserved_ports: frozenset[int],
        answers: Source | None = None,
        deployments: Source | None = None,
    ) -> None:
        """`source` is not started yet, nor is `deployments`, the store of deployers. `answers`, the store of what hosts
        answer to watchers, is somebody else's to start, with `wake`. `reserved_ports`: see `StateBuilder`."""
        self._source = source
        self._answers_source = answers
        self._answers: tuple[Snapshot | None, Mapping[str, HealthRecord | None]] = None, {}
        self._deployments_source = deployments
        self._deployments: Deployments | None = None
        self._builder = StateBuilder(reserved_ports)
        self._lock = asyncio.Lock()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._snapshot: Snapshot | None = None
        self._index: ServiceIndex | None = None
        self._not_before = 0.0
        self.news_count = 0
        """How often something has changed."""
        self.is_closing = False
        """Live pages end."""

    def start(self) -> None:
        """Begin to watch. From the event loop."""
        self._loop = asyncio.get_running_loop()
        self._source.start(self.wake)
        if self._deployments_source is not None:
            self._deployments_source.start(self.wake)

    def wake(self) -> None:
        """Something has changed. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify_waiters)

    def close(self) -> None:
        """Let everybody who waits go. From any thread or signal handler."""
        self.is_closing = True
        self.wake()

    async def shown(self) -> Shown:
        """Return what is to be shown now. Raises `Unavailable` if etcd has never answered yet."""
        async with self._lock:
            snapshot = self._source.snapshot()
            now = time.monotonic()
            if self._index is None or (snapshot is not self._snapshot and now >= self._not_before):
                # A first state of 10,000 services takes more than a second: nobody else waits for it.
                self._index = await asyncio.to_thread(self._build, snapshot)
                self._snapshot = snapshot
                ended = time.monotonic()
                self._not_before = ended + max(_LEAST_PAUSE_S, _SHARE * (ended - now))
            known = self.deployments()
            return Shown(
                self._index, self._source.health(), self._answered(), known,
                "" if known is not None else self._why_no_deployments(),
            )  # fmt: skip

    def deployments(self) -> Deployments | None:
        """Return what deployers keep now; the same object while nothing new came. None: it was never read."""
        if self._deployments_source is not None:
            with contextlib.suppress(Unavailable):  # it was not listed yet
                snapshot = self._deployments_source.snapshot()
                if self._deployments is None or snapshot is not self._deployments.snapshot:
                    self._deployments = Deployments(snapshot, self._deployments)
        return self._deployments

    async def wait(self, since: int, seconds: float, *, at_once: bool = False) -> None:
        """Wait for news that came after `since` (a value of `news_count`), and until a new state may be built of
        it; at most about `seconds`. `at_once`: not for the state, by who looks at deployments alone."""
        if self.news_count == since and not self.is_closing:
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return
        if not self.is_closing and not at_once:
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))

    def skip_pause(self) -> None:
        """Build the next state without delay, because something was just changed from here."""
        self._not_before = 0.0

    @property
    def source_health(self) -> Health:
        """The state of the watch."""
        return self._source.health()

    @property
    def revision(self) -> int:
        """The revision of the state that was built last; 0: none was yet."""
        return self._index.state.revision if self._index is not None else 0

    def _answered(self) -> Mapping[str, HealthRecord | None]:
        """Return what hosts answer now; the same object while nothing new came."""
        if self._answers_source is None:
            return {}
        with contextlib.suppress(Unavailable):  # it was not listed yet
            snapshot = self._answers_source.snapshot()
            if snapshot is not self._answers[0]:
                self._answers = snapshot, health.answers(snapshot)
        return self._answers[1]

    def _why_no_deployments(self) -> str:
        source = self._deployments_source
        return source.health().detail if source is not None else "no store of deployments is read"

    def _notify_waiters(self) -> None:
        # Everybody who waits now is let go; who comes later waits for the next news.
        self.news_count += 1
        self._news.set()
        self._news = asyncio.Event()

    def _build(self, snapshot: Snapshot) -> ServiceIndex:
        return ServiceIndex(self._builder.build(snapshot), self._index)
