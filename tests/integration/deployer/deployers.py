"""Deployers in threads, each of which dies or freezes at a write that is chosen, around one cluster and one etcd."""

import itertools
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.etcd import Etcd, open_etcd
from harness.fake_kube import Controllers, FakeKube
from harness.fake_kube.web_pods import WebPods
from harness.publisher import PublisherProcess, Store
from lbsync.clients.kube import Client
from lbsync.clients.source import Guard, Lease, Put
from lbsync.clients.sources import open_source
from lbsync.deployer import requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.engine import carry_out
from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.provider import Kubernetes
from lbsync.deployer.ledger import Hold, Ledger, Ops, new_id
from lbsync.deployer.run import Run, Tools
from lbsync.deployer.versions.next_version import deploy
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings, load
from tests.balancers import Balancer
from tests.kube import FAST, config_for

TTL_S = 60.0
DOCUMENT = """
namespace: shop
name: {name}
image: {image}
port: {port}
service: {{hosts: [{image}.{name}.example], check: {{path: /health}}}}
probe: {{path: /health, interval: 1ms, good: 1}}
strategy: {{watch: 0, drain_timeout: 0{steps}}}
"""


class Point(NamedTuple):
    """A write: the first of its kind in a phase."""

    phase: str
    what: str
    """`etcd` (the record's next state), `services` or `deployments` (of Kubernetes)."""


class Died(BaseException):
    """Ends a thread as SIGKILL ends a process: nothing is released."""


class Strike:
    """What happens to a deployer at a point."""

    def __init__(self, point: Point | None, *, dies: bool) -> None:
        """`dies`: right after the write; else it freezes right before it, until it is thawed."""
        self._point, self._dies = point, dies
        self.struck, self.thawed = threading.Event(), threading.Event()
        self.phase: Callable[[], str] = str

    def around(self, what: str, write: Callable[[], Any]) -> Any:
        """Do a write, unless it ends here."""
        if self._point != Point(self.phase(), what) or self.struck.is_set():
            return write()
        if not self._dies:
            self.struck.set()
            assert self.thawed.wait(60)
            return write()
        write()
        self.struck.set()
        raise Died


class _Etcd:
    """A store, with a strike around what is written to it."""

    def __init__(self, store: Any, strike: Strike) -> None:
        self._store, self._strike = store, strike

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, expect: Sequence[Guard], ops: Ops) -> int:
        tells = any(op.key.startswith(deploying.EVENTS) for op in ops)
        write = partial(self._store.commit, expect, ops)
        found: int = self._strike.around("etcd", write) if tells else write()
        return found


class _Cluster:
    """A client, with a strike around what is written by it."""

    def __init__(self, client: Client, strike: Strike) -> None:
        self._client, self._strike = client, strike

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in ("create", "apply", "patch", "delete"):
            return found
        return lambda kind, *args, **options: self._strike.around(
            kind.plural, partial(found, kind, *args, **options)
        )


class _Ledger(Ledger):
    """One that remembers on which lease it holds an app."""

    lease: Lease | None = None

    def hold(self, app: ServiceId, deployment: str, ttl: int) -> tuple[Hold, list[Guard], Ops]:
        found = super().hold(app, deployment, ttl)
        self.lease = found[0].lease
        return found


class Deployer:
    """One process."""

    def __init__(self, site: "Site", name: str, strike: Strike) -> None:
        self.strike = strike
        self.ledger = _Ledger(_Etcd(site.store, strike), site.prefix, name)
        self._client = Client(site.cluster, FAST)
        gated: Any = _Cluster(self._client, strike)
        provider = Kubernetes(gated, Settings())
        self._tools = Tools(self.ledger, site.answers, {"kubernetes": lambda: provider}, TTL_S)
        self._news, self.ended = threading.Event(), threading.Event()
        self.fault: BaseException | None = None

    def begin(self, app: ServiceId, deployment: str, hold: Hold | None = None) -> "Deployer":
        """Carry a deployment out, in a thread."""
        run = Run(self._tools, app, deployment, hold)
        self.strike.phase = lambda: run.record.phase if run.record else ""
        threading.Thread(target=self._work, args=(run,), daemon=True).start()
        return self

    def _work(self, run: Run) -> None:
        try:
            carry_out(run, self._news, lambda: None, lambda: False)
        except Died:
            pass
        except BaseException as fault:  # noqa: BLE001 - whatever it is, the test names it
            self.fault = fault
        else:
            run.end()
        self._client.close()
        self.ended.set()


class Site:
    """A cluster with its publisher, two balancers, and what is stored."""

    def __init__(self, etcd: Etcd, directory: Path) -> None:
        self.etcd, self.directory, self.prefix = etcd, directory, "/each-write/"
        self._numbers = itertools.count(1)
        self.fake, self.pods = FakeKube().start(), WebPods()
        self.fake.namespace("shop")
        self.cluster = config_for(self.fake, directory)
        self._controllers = Controllers(
            self.fake, start_pod=self.pods.start, stop_pod=self.pods.stop
        ).start()
        self._published = Store(etcd.urls, self.prefix)
        self._publisher = PublisherProcess(self._published, self.fake, directory).start()
        self.settings = load(self._publisher.config_file, environ={})
        self.store = open_etcd(etcd.urls, deploying.deploy_prefix(self.prefix))
        self.answers = open_source(self.settings, answers=True)
        self.answers.start(lambda: None)
        self.ledger = Ledger(self.store, self.prefix, "the test")
        self._balancers = [Balancer(etcd.urls, self.prefix, name) for name in ("lb-1", "lb-2")]

    def new_app(self) -> ServiceId:
        return ServiceId("shop", f"app{next(self._numbers)}")

    def apply(
        self, app: ServiceId, image: str, deployer: Deployer | None = None, *, manual: bool = False
    ) -> tuple[str, Hold | None]:
        """Begin a deployment; `deployer`: who holds the app from its first write on."""
        made = document.read(
            DOCUMENT.format(
                name=app.name,
                image=image,
                port=self.pods.port,
                steps=", steps: [50], manual: true" if manual else "",
            ).encode()
        )
        ledger = deployer.ledger if deployer else self.ledger
        page = ledger.page(app)
        begun = deploy(page, made, Begun(new_id(), "ann", 0.0))
        hold = requests.begin(
            ledger, page, begun.record, "test", ttl=TTL_S if deployer else 0.0,
            versions=begun.versions,
            extra=[Put(deploying.app_key(app), encode(begun.app))],
        )  # fmt: skip
        return begun.record.id, hold

    def carried_out(self, app: ServiceId, deployment: str) -> str:
        """Have somebody carry a deployment out to its end; return how it ended."""
        deployer = Deployer(self, "B", Strike(None, dies=False)).begin(app, deployment)
        assert deployer.ended.wait(60)
        assert deployer.fault is None, deployer.fault
        found = self.ledger.deployment(app, deployment)
        assert found is not None
        return found.phase

    def time_is_up(self, deployer: Deployer) -> None:
        """End the lease on which a deployer holds its app, without its knowledge."""
        lease = deployer.ledger.lease
        assert lease is not None
        lease.stop()
        self.etcd.ctl("lease", "revoke", f"{lease.id:x}")

    def faults(self, app: ServiceId) -> list[str]:
        """What is not as the record of its versions says."""
        page = self.ledger.page(app)
        versions = page.versions()
        live = getattr(versions.live, "number", 0)
        numbers = {live, *(one.version.number for one in versions.warm)} - {0}
        wanted = {manifests.deployment_name(app.name, number) for number in numbers}
        names = {found["metadata"]["name"] for found in self.fake.objects("Deployment")}
        there = {name for name in names if name.rpartition("-")[0] == app.name}
        service = self.fake.get("Service", app.ns, app.name)
        hosts = service["metadata"]["annotations"].get("lbsync.io/hosts", "") if service else ""
        kept = self.store.read([page.keys.service, page.keys.route], [page.keys.groups]).items
        route = (
            {name for name, share in page.route.groups.items() if share} if page.route else set()
        )
        image = versions.live.document["image"] if live else ""  # type: ignore[union-attr]
        found = {
            "Deployments": there == wanted,
            "Service": (f"{image}.{app.name}" in hosts) if live else service is None,
            "route": route == ({f"v{live}"} if live else set()),
            "keys": bool(kept) == bool(live),
            "lock": page.lock is None,
            "active": not versions.active,
        }
        return [name for name, is_good in found.items() if not is_good]

    def close(self) -> None:
        self._publisher.stop()
        self._controllers.stop()
        self.fake.stop()
        self.pods.stop_all()
        for balancer in self._balancers:
            balancer.stop()
        for source in (self.store, self.answers, self._published):
            source.close()
