"""The context that all commands about deployments share."""

import contextlib
import os
import threading
from collections.abc import Iterator

import msgspec

from lbsync import log
from lbsync.cli.context import source_opened, whoami
from lbsync.clients.source import Transactional
from lbsync.deployer.assembly import providers
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.run import Tools
from lbsync.errors import Rejected
from lbsync.settings import Settings


class DeployContext(msgspec.Struct, frozen=True, eq=False):
    """The store, and what it takes to carry out a deployment here."""

    ledger: Ledger
    tools: Tools
    news: threading.Event
    """Set when hosts have answered something new, once `start` was called."""

    def start(self) -> None:
        """Listen to what hosts answer."""
        self.tools.answers.start(self.news.set)


@contextlib.contextmanager
def deploy_context(settings: Settings) -> Iterator[DeployContext]:
    """Open the store of deployments for one command. Raises `Rejected` for a source without a fleet."""
    with (
        source_opened(settings, deployments=True) as store,
        source_opened(settings, answers=True) as answers,
    ):
        if not isinstance(store, Transactional):
            raise Rejected("deployments need etcd; with source file: each host is on its own")
        log.setup("error", settings.log.format)  # the watch logs more than anybody asked for
        ledger = Ledger(store, settings.prefix, f"{whoami()}, process {os.getpid()}")
        tools = Tools(ledger, answers, providers(settings), settings.deployer.lease_ttl.seconds)
        yield DeployContext(ledger, tools, threading.Event())
