"""Balancers without HAProxy: they verify what is written at once, and answer what they are told to say."""

import threading
from collections.abc import Iterable

from harness.etcd import open_etcd
from harness.wait import wait_until
from lbsync.clients.source import Put
from lbsync.errors import LbsyncError
from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth
from lbsync.model.records import AgentRecord, EndpointsRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.decode import decode_as, encode
from lbsync.schema.fleet import agent_key
from lbsync.schema.health import WATCHERS, asked, health_prefix
from lbsync.schema.keys import FOREIGN, ServiceId
from lbsync.settings import Endpoint
from lbsync.timestamps import stamp


class Balancer:
    """One host of the fleet."""

    def __init__(self, urls: Iterable[Endpoint], prefix: str, name: str) -> None:
        self.down: set[str] = set()
        """Groups (`<ns>/<name>/<group>`) whose servers do not answer their checks."""
        self.sessions: dict[str, int] = {}
        """Sessions of such groups."""
        self.is_frozen = False
        """Nothing is verified or answered."""
        self._name, self._prefix = name, prefix
        self._source = open_etcd(urls, prefix, quiet=FOREIGN)
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._source.listen(WATCHERS, self._news.set)
        self._source.start(self._news.set)
        wait_until("the watch", lambda: self._source.health().ok)
        self._lease = self._source.lease(60)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def tell(self) -> None:
        """Answer anew, as something is otherwise."""
        self._news.set()

    def stop(self) -> None:
        self._stopped.set()
        self._news.set()
        self._thread.join(30)
        self._lease.end()
        self._source.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._news.wait(1.0)
            self._news.clear()
            if not self._stopped.is_set() and not self.is_frozen:
                try:
                    self._say(self._source.snapshot())
                except LbsyncError:
                    continue

    def _say(self, there: Snapshot) -> None:
        now = stamp(milliseconds=True)
        record = AgentRecord(there.revision, 1, "d", now, now, "2.6.12", state="confirmed")
        questions = asked(there)
        services = {str(one): self._groups(one, there) for one in questions.services}
        answer = HealthRecord(now, services=services, asked=questions.newest)
        lease = self._lease.id
        self._source.commit(
            [],
            [
                Put(agent_key(self._name), encode(record), lease),
                Put(f"{health_prefix(self._prefix)}{self._name}", encode(answer), lease),
            ],
        )

    def _groups(self, service: ServiceId, there: Snapshot) -> dict[str, GroupHealth]:
        folder = f"endpoints/{service}/"
        found = {}
        for key, item in there.items.items():
            if key.startswith(folder):
                name = key.removeprefix("endpoints/")
                servers = decode_as(EndpointsRecord, key, item.value).servers
                status = ("DOWN", "L4CON") if name in self.down else ("UP", "L4OK")
                health = tuple(ServerHealth(server.name, *status) for server in servers)
                up = 0 if name in self.down else len(health)
                found[key.removeprefix(folder)] = GroupHealth(
                    up, len(health), health, sessions=self.sessions.get(name, 0)
                )
        return found
