"""What the service manager and health checks know of the loop: that it is alive, ready, or reads settings."""

import contextlib
from collections.abc import Callable, Iterator

from lbsync.loop.notify import Notifier


class ServiceState:
    """Keeps when the loop last showed that it is alive, and whether it was ever ready."""

    def __init__(self, notifier: Notifier, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._notifier = notifier
        self._clock = clock
        self._pinged_at = clock()
        self._is_ready = False

    @property
    def ping_every(self) -> float | None:
        """Seconds between two pings; None: no watchdog waits for them."""
        return self._notifier.ping_every

    @property
    def silence(self) -> tuple[float, float]:
        """Seconds since the last ping, and how many the watchdog allows. From any thread."""
        return self._clock() - self._pinged_at, self._notifier.watchdog_s

    def watchdog_ping(self) -> None:
        """Show that the loop is alive."""
        self._pinged_at = self._clock()
        self._notifier.watchdog_ping()

    def status(self, sentence: str) -> None:
        """Show one line in `systemctl status`."""
        self._notifier.status(sentence)

    def ready(self) -> None:
        """Report that the service is up; only the first call counts."""
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready()

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Report that settings are being read within this block. Before it is ready, a service cannot say so."""
        if self._is_ready:
            self._notifier.reloading()
        yield
        if self._is_ready:
            self._notifier.ready()

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._notifier.stopping()
