"""A deployer that is killed or frozen, in whatever phase: another one goes on, and the first one writes nothing."""

import contextlib
import itertools
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import launch
from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Put
from lbsync.console.deployer import Deployer
from lbsync.deployer import requests
from lbsync.deployer.commands import Command
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.page import Page
from lbsync.errors import Conflict
from lbsync.model.deploying import DeploymentRecord, VersionsRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.settings import load
from tests.balancers import Balancer

numbers = itertools.count(1)
TTL_S = 2.0
#: Phase to the flags with which a deployment stays in it for a while.
STAYS: dict[str, tuple[str, ...]] = {
    "converged": ("--watch", "10s"),
    "healthy": ("--watch", "0"),
    "switching": ("--steps", "50", "--manual", "--watch", "0"),
    "reverting": ("--watch", "60s"),
}


class Site:
    """Two balancers, and services with a live group blue and a group green."""

    def __init__(self, etcd: Etcd, directory: Path) -> None:
        self.prefix = f"/takeover{next(numbers)}/"
        self.source = open_etcd(etcd.urls, self.prefix)
        self.store: EtcdSource = open_etcd(etcd.urls, deploying.deploy_prefix(self.prefix))
        self.ledger = Ledger(self.store, self.prefix, "the test")
        self.balancers = [Balancer(etcd.urls, self.prefix, name) for name in ("lb-1", "lb-2")]
        self.config = directory / "lbsync.toml"
        urls = json.dumps(list(etcd.urls))
        self.config.write_text(
            f'prefix = "{self.prefix}"\nstate_dir = "{directory}"\n[etcd]\nendpoints = {urls}\n'
            f'[deployer]\nlease_ttl = "{TTL_S:.0f}s"\n'
        )
        self.processes: list[launch.Process] = []
        self.server: Deployer | None = None

    def service(self, name: str, *, is_down: bool = False) -> ServiceId:
        def group(port: int) -> bytes:
            server = {"name": f"s{port}", "address": "192.0.2.1", "port": port}
            return json.dumps({"servers": [server]}).encode()

        if is_down:
            for balancer in self.balancers:
                balancer.down.add(f"shop/{name}/green")
        self.source.commit(
            [],
            [
                Put(f"services/shop/{name}", b'{"mode":"http","hosts":["%s.example"]}' % name.encode()),
                Put(f"endpoints/shop/{name}/blue", group(1)),
                Put(f"endpoints/shop/{name}/green", group(2)),
                Put(f"routes/shop/{name}", b'{"groups":{"blue":100}}'),
            ],
        )  # fmt: skip
        return ServiceId("shop", name)

    def switch(self, app: ServiceId, *flags: str) -> launch.Process:
        words = ["--config", str(self.config), "switch", str(app), "green", "--wait", *flags]
        with (self.config.parent / f"{app.name}.log").open("wb") as log:
            process = launch.start(words, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def page(self, app: ServiceId) -> Page:
        return self.ledger.page(app, self.newest(app).id)

    def newest(self, app: ServiceId) -> DeploymentRecord:
        records = self.ledger.deployments(app)
        if not records:
            raise OSError("no deployment yet")
        return records[0]

    def wait_for(self, app: ServiceId, *phases: str) -> DeploymentRecord:
        def is_there() -> bool:
            return self.newest(app).phase in phases

        wait_until(f"{app} to be {' or '.join(phases)}", is_there, timeout=60, every=0.1)
        return self.newest(app)

    def command(self, app: ServiceId, what: Command) -> None:
        requests.command(self.ledger, app, self.newest(app).id, what, "ann")

    def serve(self) -> None:
        """Have a server carry out what nobody else does."""
        self.server = Deployer(load(self.config, environ={}), "a test")
        self.server.start()

    def groups(self, app: ServiceId) -> dict[str, int]:
        route = self.page(app).route
        return dict(route.groups) if route else {}

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGKILL)
            process.wait(30)
        if self.server is not None:
            self.server.close()
        for balancer in self.balancers:
            balancer.stop()
        for source in (self.source, self.store):
            source.close()


@pytest.fixture
def site(etcd: Etcd, tmp_path: Path) -> Iterator[Site]:
    site = Site(etcd, tmp_path)
    try:
        yield site
    finally:
        site.stop()


def test_whoever_dies_or_freezes_in_any_phase_is_replaced_and_writes_nothing_more(
    site: Site,
) -> None:
    signals = {"dies": signal.SIGKILL, "freezes": signal.SIGSTOP}
    apps = {
        f"{phase}-{word}": site.service(f"{phase}-{word}", is_down=phase == "healthy")
        for phase in STAYS
        for word in signals
    }
    processes = {
        name: site.switch(app, *STAYS[name.partition("-")[0]]) for name, app in apps.items()
    }
    for name, app in apps.items():
        phase, _, word = name.partition("-")
        _bring(site, app, phase)
        processes[name].send_signal(signals[word])
    site.serve()
    _clear_the_way(site, apps)
    for name, app in apps.items():
        reverts = name.startswith("reverting")
        ended = site.wait_for(app, "deployed", "failed", "rolled back", "cancelled")
        assert ended.phase == ("cancelled" if reverts else "deployed"), (name, ended)
        assert site.groups(app) == {"blue" if reverts else "green": 100}
        assert site.page(app).versions().active == ""
        told = [event.text for event in site.ledger.events(app, ended.id)]
        assert any(text.endswith("from here on") for text in told)
    before = {name: _revisions(site.page(app)) for name, app in apps.items()}
    for name, process in processes.items():
        if name.endswith("freezes"):
            process.send_signal(signal.SIGCONT)
            # It finds how it ended, and says so.
            assert process.wait(60) == (12 if name.startswith("reverting") else 0)
    assert {name: _revisions(site.page(app)) for name, app in apps.items()} == before


def _bring(site: Site, app: ServiceId, phase: str) -> None:
    """Bring a deployment to a phase, in which it then stays."""
    if phase == "reverting":
        site.wait_for(app, "converged")
        for balancer in site.balancers:
            balancer.sessions[f"{app}/green"] = 3
        site.command(app, "cancel")
    site.wait_for(app, phase)


def _clear_the_way(site: Site, apps: dict[str, ServiceId]) -> None:
    for name, app in apps.items():
        if name.startswith("switching"):
            site.command(app, "promote")
    for balancer in site.balancers:
        balancer.down.clear()
        balancer.sessions.clear()
        balancer.tell()


def _revisions(page: Page) -> dict[str, int]:
    """When everything about an app was last written."""
    return {
        key: item.mod_revision
        for key, item in page.snapshot.items.items()
        if not key.startswith(page.keys.agents)
    }


def test_a_switch_that_nobody_waits_for_is_carried_out_by_a_server(site: Site) -> None:
    app = site.service("unattended")
    words = ["--config", str(site.config), "switch", str(app), "green", "--watch", "0"]
    alone = launch.run(words)
    assert (alone.returncode, "nobody would carry it out" in alone.stderr) == (5, True)
    site.serve()
    wait_until("the server", site.ledger.servers)
    begun = launch.run(words)
    assert begun.returncode == 0, begun.stderr
    site.wait_for(app, "deployed")
    assert site.groups(app) == {"green": 100}


def test_a_balancer_that_does_not_verify_a_switch_in_time_has_it_go_back(site: Site) -> None:
    app = site.service("lagging")
    flags = ("--steps", "10", "--manual", "--converge-timeout", "5s", "--watch", "0")
    process = site.switch(app, *flags)
    wait_until("the first step to be verified", lambda: site.newest(app).step_at, timeout=30)
    site.balancers[1].is_frozen = True
    site.command(app, "promote")
    site.wait_for(app, "reverting")
    began = time.monotonic()
    assert site.groups(app) == {"blue": 100}
    while time.monotonic() - began < 1.0:
        # It is not called back before that balancer has said so, however long that takes.
        assert site.newest(app).phase == "reverting"
    site.balancers[1].is_frozen = False
    ended = site.wait_for(app, "rolled back")
    assert process.wait(60) == 11
    assert "1 of 2 converged; lb-2: at revision" in ended.reason


def test_a_command_on_an_older_look_is_refused(site: Site) -> None:
    app = site.service("looked-at", is_down=True)
    site.switch(app)
    record = site.wait_for(app, "healthy")
    with pytest.raises(Conflict, match="has changed meanwhile"):
        requests.command(site.ledger, app, record.id, "pause", "ann", revision=1)
    site.command(app, "pause")
    assert site.newest(app).paused == "ann"
    site.command(app, "cancel")
    assert site.wait_for(app, "cancelled").reason == "cancelled by ann"


def test_who_switched_what_is_noted_in_the_history(site: Site) -> None:
    app = site.service("noted")
    assert site.switch(app, "--watch", "0").wait(30) == 0
    noted = [item.value for item in site.source.below("history/").values()]
    assert any(b'"what":"shop/noted"' in value for value in noted)


def test_a_deployment_whose_record_somebody_removed_is_in_nobodys_way(site: Site) -> None:
    app = site.service("removed", is_down=True)
    process = site.switch(app)
    record = site.wait_for(app, "healthy")
    site.store.commit([], [Delete(deploying.deployment_key(app, record.id))])
    assert process.wait(60) == 5
    for balancer in site.balancers:
        balancer.down.clear()
    assert site.switch(app, "--watch", "0").wait(30) == 0
    assert site.groups(app) == {"green": 100}


def test_an_app_whose_record_cannot_be_read_is_named_beside_the_others(site: Site) -> None:
    app, other = site.service("spoilt"), site.service("fine")
    active = VersionsRecord(active="20260131-120000-abc123")
    site.store.commit(
        [],
        [
            Put(deploying.versions_key(app), b"{bad"),
            Put(deploying.versions_key(other), encode(active)),
            Put(deploying.deployment_key(other, active.active), b"{}"),
            Put(f"{deploying.VERSIONS}nobody", encode(VersionsRecord())),
        ],
    )
    listed = launch.run(["--config", str(site.config), "deploy", "ls"])
    assert listed.returncode == 0
    assert str(other) in listed.stdout
    key = f"{deploying.deploy_prefix(site.prefix)}versions/{app}"
    assert f"not shown: {key}: " in listed.stderr
    assert f"not shown: {deploying.deployment_key(other, active.active)}: " in listed.stderr
