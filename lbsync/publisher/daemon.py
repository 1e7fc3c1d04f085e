"""A publisher as a service: one that a reload replaces by another with new settings."""

import contextlib
import time
from collections.abc import Callable, Iterator

from lbsync import gelf, log, measure
from lbsync.clients import kube
from lbsync.clients.kube.auth.expiry import certificate_ends
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError
from lbsync.http import HttpServer
from lbsync.loop import Loop, Notifier, Outcome, Pace, Report, Waker
from lbsync.metrics import Metrics
from lbsync.model.permission import Permission
from lbsync.publisher.monitoring import metrics
from lbsync.publisher.monitoring.health import Health, pages
from lbsync.publisher.monitoring.status import PublisherStatus
from lbsync.publisher.publisher import Publisher
from lbsync.settings import Settings
from lbsync.status import ending

Open = Callable[[Settings], contextlib.AbstractContextManager[Source]]
"""Opens the source that settings name, for the length of a `with` block."""
_RETRY_MIN_S = 0.5
_RETRY_MAX_S = 5.0
_PATIENCE_S = 2.0


@contextlib.contextmanager
def publisher_of(settings: Settings, source: Source, *, adopt: bool) -> Iterator[Publisher]:
    """Make a publisher and close it afterwards. Raises `SettingsError`."""
    chosen = settings.publisher
    cluster = kube.load(chosen.kubeconfig, chosen.context)
    with contextlib.suppress(LbsyncError):  # what cannot be read is told by whoever needs it
        for sentence in ending(certificate_ends(cluster), time.time()):
            log.get().warning(sentence)
    permission = Permission(settings.claims, settings.etcd.endpoints)
    publisher = Publisher(
        chosen, source, cluster, adopt=adopt, claims=settings.claims, permission=permission
    )
    try:
        yield publisher
    finally:
        publisher.close()


def run(settings: Settings, load: Callable[[], Settings], opened: Open, *, adopt: bool) -> None:
    """Publish until a signal. `load` returns the settings as they stand now.

    Raises `SettingsError`.
    """
    chosen = settings.publisher
    with contextlib.closing(_Daemon(settings, load, opened, adopt=adopt)) as daemon:
        loop = Loop(
            daemon.run_pass,
            daemon.pace(),
            waker=Waker(),
            reload=daemon.reload,
            on_report=daemon.note,
            notifier=Notifier(),
            patience=_PATIENCE_S,
        )
        log.get().info(
            "the publisher begins",
            cluster=chosen.cluster,
            source=settings.source,
            prefix=settings.prefix,
        )
        daemon.loop = loop
        daemon.start(loop.wake)
        loop.run()
    log.get().info("the publisher ends; what is published stays")
    gelf.end()


class _Daemon:
    """A publisher, its source, and how both are exchanged."""

    def __init__(
        self, settings: Settings, load: Callable[[], Settings], opened: Open, *, adopt: bool
    ) -> None:
        """Raises `SettingsError`."""
        self._load = load
        self._opened = opened
        self._adopt = adopt
        self._wake: Callable[[], None] = lambda: None
        self._settings = settings
        self.loop: Loop | None = None
        """What runs the passes, once it does."""
        self._status = PublisherStatus(
            settings.publisher.cluster, "", time.time(), kubernetes="no pass has ended yet"
        )
        self._health = Health(settings.publisher.heartbeat.seconds)
        self._metrics = Metrics(
            metrics.NAMESPACE, lambda: metrics.of_status(self._status), metrics.TIMINGS
        )
        self._http = HttpServer(
            pages(self._health, self._metrics, lambda: self._status), "[publisher] http_bind"
        )
        self._stack, self._source, self._publisher = self._made(settings)

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; `wake` is called from other threads when something changed."""
        self._wake = wake
        measure.tell(self._metrics.observe)
        gelf.follow(self._settings.log, str(self._settings.host))
        self._http.follow(self._settings.publisher.http_bind)
        self._source.start(wake)
        self._publisher.start(wake)

    def run_pass(self) -> Outcome:
        """Run one pass. Raises `Unavailable`."""
        return self._publisher.run_pass()

    def note(self, report: Report) -> None:
        """Take in the end of a pass."""
        self._health.note(report)
        self._status = self._status.after(report, self._publisher)
        since = self.loop.unanswered_since if self.loop is not None else None
        if since is not None and report.outcome is not None and report.outcome.changed:
            measure.observe("change_served", "ok", time.monotonic() - since)

    def pace(self) -> Pace:
        """Return what the settings say of time."""
        chosen = self._settings.publisher
        batch = chosen.batch.seconds
        return Pace(batch, batch, _RETRY_MIN_S, _RETRY_MAX_S, chosen.heartbeat.seconds)

    def reload(self) -> Pace:
        """Take new settings and a new kubeconfig over: hand the lead over, and start again with them.

        What is published stays meanwhile. Raises `LbsyncError`, having changed nothing, when they are
        wrong.
        """
        settings = self._load()
        stack, source, publisher = self._made(settings)
        gelf.follow(settings.log, str(settings.host))
        self._stack.close()
        self._settings = settings
        self._stack, self._source, self._publisher = stack, source, publisher
        self.start(self._wake)
        return self.pace()

    def close(self) -> None:
        """End, and hand over the lead at once."""
        self._stack.close()
        self._http.close()

    def _made(self, settings: Settings) -> tuple[contextlib.ExitStack, Source, Publisher]:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self._opened(settings))
            publisher = stack.enter_context(publisher_of(settings, source, adopt=self._adopt))
            return stack.pop_all(), source, publisher
