"""Queries nodes, pods and data stores while somebody views their page."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from lbsync.clients import http_probe, kube
from lbsync.console.facts.cluster import Seen, StoreSeen
from lbsync.errors import LbsyncError
from lbsync.settings import Settings
from lbsync.timestamps import stamp
from lbsync.values.checks import StoreCheck

_EVERY_S = 5.0
_LOOKS_S = 20.0
"""So long somebody counts as looking who asked for the page; a live one asks again within that."""
_TIMEOUT_S = 3.0
_GOOD = "200-399"
_AT_ONCE = 16


class ClusterWatch:
    """Keeps what was found last. All but what it does in threads belongs to the event loop's."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        """`changed` is called when something else was found."""
        self._settings, self._changed = settings, changed
        self._client: kube.Client | None = None
        self._until = 0.0
        self._news = asyncio.Event()
        self.seen: Seen | None = None
        """None: nobody looked yet."""

    @property
    def is_configured(self) -> bool:
        """Whether there is anything to look at."""
        return self._settings.console.kubernetes or bool(self._settings.console.checks)

    def look(self) -> None:
        """Note that somebody views the page."""
        was_idle = time.monotonic() > self._until
        self._until = time.monotonic() + _LOOKS_S
        if was_idle:
            self._news.set()

    async def run(self) -> None:
        """Query while somebody views the page, until cancelled."""
        while self.is_configured:
            self._news.clear()
            if time.monotonic() < self._until:
                before, self.seen = self.seen, await asyncio.to_thread(self._found)
                if before is None or not _is_same(before, self.seen):
                    self._changed()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _EVERY_S)
            else:
                await self._news.wait()

    def failed(self, why: str) -> None:
        """Take note that `run` failed, and why: what was found before is not shown as what is so now."""
        self.seen = Seen(stamp(), error=why)
        self._changed()

    def close(self) -> None:
        """End all requests."""
        if self._client is not None:
            self._client.close()

    def _found(self) -> Seen:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stores = pool.map(_checked, self._settings.console.checks)
            found = Seen(stamp())
            if self._settings.console.kubernetes:
                try:
                    client = self._opened()
                    nodes = [each.value for each in client.list_all(kube.NODES).entries]
                    pods = [each.value for each in client.list_all(kube.POD_STATES).entries]
                    found = Seen(
                        found.at,
                        [node for node in nodes if node is not None],
                        [pod for pod in pods if pod is not None],
                    )
                except LbsyncError as error:
                    found = Seen(found.at, error=str(error))
            return msgspec.structs.replace(found, stores=tuple(stores))

    def _opened(self) -> kube.Client:
        if self._client is None:
            chosen = self._settings.deployer
            self._client = kube.Client(kube.load(chosen.kubeconfig, chosen.context))
        return self._client


def _checked(check: StoreCheck) -> StoreSeen:
    if not check.is_http:
        answer = http_probe.connects(check.host, check.port, _TIMEOUT_S)
        said = answer.problem or "it takes connections"
        return StoreSeen(check.name, check.url, "critical" if answer.problem else "ok", said)
    question = http_probe.Question(path=check.path, host=check.host, timeout=_TIMEOUT_S)
    answer = http_probe.ask(check.host, check.port, question)
    is_good = not answer.problem and http_probe.is_good(answer.status, _GOOD)
    said = answer.problem or f"it answers {answer.status}"
    return StoreSeen(check.name, check.url, "ok" if is_good else "critical", said)


def _is_same(one: Seen, other: Seen) -> bool:
    """Whether nothing but the time differs."""
    return (one.nodes, one.pods, one.stores, one.error) == (
        other.nodes, other.pods, other.stores, other.error,
    )  # fmt: skip
