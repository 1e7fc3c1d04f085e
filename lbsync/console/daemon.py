"""`lbsync console` as a service: one process, one watch, one socket."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from lbsync import gelf, log
from lbsync.clients.source import Source
from lbsync.console import app, server
from lbsync.console.background import Workers, run_task
from lbsync.console.board import Board
from lbsync.console.cluster_watch import ClusterWatch
from lbsync.console.context import Context
from lbsync.console.deployer import Deployer
from lbsync.console.deploying import Deploying
from lbsync.console.health_watch import HealthWatch
from lbsync.console.operations import Operations
from lbsync.console.paths import tokens_path
from lbsync.console.rendering import Renderer
from lbsync.console.security.gate import is_open
from lbsync.console.security.limits import Places
from lbsync.console.security.sessions import Sessions
from lbsync.console.security.tokens import Tokens
from lbsync.errors import LbsyncError, Rejected, SettingsError
from lbsync.loop import Notifier
from lbsync.settings import Settings
from lbsync.threads import restart_ended

_LOOK_AFTER_S = 5.0


def run(settings: Settings, load: Callable[[], Settings], source: Source) -> None:
    """Serve until a signal. `load` returns the current settings.

    Raises `SettingsError`, and `LbsyncError` if it cannot listen, or would serve other hosts without tokens.
    """
    if not source.shared:
        raise Rejected(
            'a directory of files is one host\'s own and has no fleet; set source = "etcd"'
        )
    tokens = Tokens(tokens_path(settings))
    if not tokens.load() and not is_open(settings.console):
        raise SettingsError(
            [
                f"[console] bind: {settings.console.bind} serves others than this host, and there is no token; "
                "make one with 'lbsync token add NAME'"
            ]
        )
    gelf.follow(settings.log, str(settings.host))
    try:
        _serve(settings, load, source, tokens)
        log.get().info("the console ends")
    finally:
        gelf.end()


def _serve(
    settings: Settings, load: Callable[[], Settings], source: Source, tokens: Tokens
) -> None:
    with contextlib.closing(server.listen(settings.console)) as listener:
        deployer = Deployer(settings, "lbsync console")
        with contextlib.closing(deployer):
            service = _Service(settings, load, source, deployer, tokens)
            deployer.start(service.wake)
            asyncio.run(service.serve(listener.dup()))


class _Service:
    """The parts of one console, and their life."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        source: Source,
        deployer: Deployer,
        tokens: Tokens,
    ) -> None:
        console = settings.console
        self._load = load
        self._board = Board(source, settings.reserved_ports, deployer.answers, deployer.store)
        self._context = Context(
            console,
            self._board,
            Renderer(),
            tokens,
            Sessions(tokens, console.session_life.seconds),
            Operations(source),
            Places(console.max_streams),
            HealthWatch(source, f"the console on {settings.host}"),
            Deploying(source, deployer.tools),
            ClusterWatch(settings, self._board.wake),
        )
        self._server = server.make(app.make(self._context), console)
        self._server.on_exit = self._board.close
        self._notifier = Notifier()
        self._server.on_start = self._notifier.ready

    def wake(self) -> None:
        """There is something new to be shown. From any thread."""
        self._board.wake()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until a signal."""
        console = self._context.settings
        self._board.start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reread)
        # One that came while the process began was kept waiting: now it is heard.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        scheme = "https" if console.tls_cert else "http"
        log.get().info(f"the console listens on {scheme}://{console.bind}/")
        workers = Workers()
        loop.set_default_executor(workers.executor)
        health, cluster = self._context.health, self._context.cluster
        beating = asyncio.create_task(run_task("upkeep", self._beat, lambda _: None))
        tasks = {
            beating,
            asyncio.create_task(run_task("health", health.run, health.failed)),
            asyncio.create_task(run_task("cluster", cluster.run, cluster.failed)),
        }
        beating.add_done_callback(lambda _: self._end())
        try:
            await self._server.serve(sockets=[listener])
        finally:
            stuck = beating.exception() if beating.done() else None
            for task in tasks:
                task.cancel()
            cluster.close()
            await asyncio.wait(tasks)
            self._notifier.stopping()
        if stuck is not None:
            raise stuck

    def _end(self) -> None:
        self._board.close()
        self._server.should_exit = True

    async def _beat(self) -> None:
        """Tell systemd that the loop turns, and restart threads that have ended. Raises `Stuck`."""
        while True:
            self._notifier.watchdog_ping()
            restart_ended()
            self._notifier.status(self._board.source_health.detail)
            await asyncio.sleep(min(self._notifier.ping_every or _LOOK_AFTER_S, _LOOK_AFTER_S))

    def _reread(self) -> None:
        """Take over a renewed certificate; what else is set holds from the next start."""
        context = self._server.config.ssl
        try:
            new = self._load()
            log.setup(new.log.level, new.log.format)
            gelf.follow(new.log, str(new.host))
            if context is not None:
                server.load_certificate(context, new.console)
        except LbsyncError as error:
            log.get().error(f"settings were not taken over, the old ones hold: {error}")
        else:
            log.get().info(
                "the certificate was read again; other settings hold from the next start"
            )
