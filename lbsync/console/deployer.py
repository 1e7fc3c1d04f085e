"""Carrying out deployments in the console: its connections, and the key that announces it."""

import os
import secrets
from collections.abc import Callable

from lbsync import log
from lbsync.clients.source import Lease, Put, Source, Transactional
from lbsync.clients.sources import open_source
from lbsync.deployer.assembly import providers
from lbsync.deployer.engine import Engine
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.run import Tools
from lbsync.errors import LbsyncError, Rejected
from lbsync.model.deploying import LockRecord
from lbsync.schema.decode import encode
from lbsync.schema.deploying import SERVERS, VERSIONS
from lbsync.settings import Settings
from lbsync.timestamps import stamp


class Deployer:
    """All deployments that nobody else carries out, from `start` to `close`."""

    def __init__(self, settings: Settings, program: str) -> None:
        """`program`: what this is, for people. Nothing is connected yet. Raises `Rejected` for a source without
        deployments."""
        self._ttl = settings.deployer.lease_ttl.seconds
        self._holder = f"{program} on {settings.host}, process {os.getpid()}"
        store = open_source(settings, deployments=True)
        if not isinstance(store, Transactional):
            raise Rejected("deployments need etcd; with source file: each host is on its own")
        self.store: Source = store
        """What deployers keep; whoever wants to follow it has to start it."""
        self.answers = open_source(settings, answers=True)
        """What hosts answer; started with this."""
        self.tools = Tools(
            Ledger(store, settings.prefix, self._holder),
            self.answers,
            providers(settings),
            self._ttl,
        )
        self._versions = open_source(settings, below=VERSIONS, deployments=True)
        self._lease: Lease | None = None
        self._key = f"{SERVERS}{secrets.token_hex(6)}"
        self._failing = log.Failing(
            "deployments are not carried out here", "deployments are carried out here again"
        )
        self._engine = Engine(self.tools, self._versions, self._say_so)

    def start(self, answered: Callable[[], None] = lambda: None) -> None:
        """Begin, in threads of its own. Once only. `answered`: is called, too, when hosts answer something new."""

        def hear() -> None:
            self._engine.answered()
            answered()

        self.answers.start(hear)
        self._engine.start()

    def close(self) -> None:
        """Let go of everything, so that others go on at once, as far as etcd answers."""
        self._engine.close()
        if self._lease is not None:
            self._lease.end()
        for source in (self._versions, self.answers, self.store):
            source.close()

    def _say_so(self) -> bool:
        """Keep the sign that deployments are carried out here; return whether etcd lets this user do so."""
        if self._lease is not None and self._lease.remaining():
            return True
        record = LockRecord(self._holder, "", stamp())
        try:
            self._lease = lease = self.store.lease(round(self._ttl))
            self.store.commit([], [Put(self._key, encode(record), lease.id)])
        except LbsyncError as error:
            self._lease = None
            self._failing.failed(str(error))
            return False
        self._failing.recovered()
        return True
