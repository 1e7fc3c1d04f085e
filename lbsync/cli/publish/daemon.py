"""What `lbsync publish` runs as a service: a publisher that a reload replaces by one with new settings."""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lbsync import log
from lbsync.cli.check import certificates
from lbsync.cli.context import settings_of, source_opened
from lbsync.clients import kube
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError
from lbsync.loop import Outcome, Pace
from lbsync.publisher.publisher import Publisher
from lbsync.settings import Settings
from lbsync.status import ending

_RETRY_MIN_S = 0.5
_RETRY_MAX_S = 5.0
#: What agents write, often and of no concern here.
QUIET = ("agents", "quarantine", "deployers")


@contextlib.contextmanager
def publisher_of(
    args: argparse.Namespace, settings: Settings, source: Source
) -> Iterator[Publisher]:
    """Make a publisher and close it afterwards. Raises `SettingsError`."""
    chosen = settings.publisher
    cluster = kube.load(
        Path(chosen.kubeconfig) if chosen.kubeconfig else None, chosen.context or None
    )
    with contextlib.suppress(LbsyncError):  # what cannot be read is told by whoever needs it
        for sentence in ending(certificates.of_cluster(cluster), time.time()):
            log.get().warning(sentence)
    publisher = Publisher(chosen, source, cluster, adopt=args.adopt, claims=settings.claims)
    try:
        yield publisher
    finally:
        publisher.close()


class Service:
    """A publisher, its source, and how both are exchanged."""

    def __init__(self, args: argparse.Namespace, settings: Settings) -> None:
        """Raises `SettingsError`."""
        self._args = args
        self._wake: Callable[[], None] = lambda: None
        self.settings = settings
        self._stack, self._source, self._publisher = self._opened(settings)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; `wake` is called from other threads when something changed."""
        self._wake = wake
        self._source.start(wake)
        self._publisher.start(wake)

    def run_pass(self) -> Outcome:
        """Run one pass. Raises `Unavailable`."""
        return self._publisher.run_pass()

    def pace(self) -> Pace:
        """Return what the settings say of time."""
        chosen = self.settings.publisher
        batch = chosen.batch.seconds
        return Pace(batch, batch, _RETRY_MIN_S, _RETRY_MAX_S, chosen.heartbeat.seconds)

    def reload(self) -> Pace:
        """Take new settings and a new kubeconfig over: hand the lead over, and begin anew with them.

        What is published stays meanwhile. Raises `LbsyncError`, having changed nothing, when they are
        wrong.
        """
        settings = settings_of(self._args)
        stack, source, publisher = self._opened(settings)
        if settings.publisher.health_bind != self.settings.publisher.health_bind:
            log.get().warning("[publisher] health_bind is another one after a restart only")
        log.setup(settings.log.level, settings.log.format)
        self._stack.close()
        self.settings = settings
        self._stack, self._source, self._publisher = stack, source, publisher
        self.start(self._wake)
        return self.pace()

    def close(self) -> None:
        """End, and hand over the lead at once."""
        self._stack.close()

    def _opened(self, settings: Settings) -> tuple[contextlib.ExitStack, Source, Publisher]:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(source_opened(settings, quiet=QUIET))
            publisher = stack.enter_context(publisher_of(self._args, settings, source))
            return stack.pop_all(), source, publisher
