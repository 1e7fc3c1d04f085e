"""Apps on Kubernetes, from a document to requests: deployer, cluster, publisher, two balancers, clients at both."""

import hashlib
import hmac
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import launch
from harness.agent import command
from harness.console import ConsoleProcess
from harness.etcd import open_etcd
from harness.fake_kube import Controllers, FakeKube, Trouble
from harness.fake_kube.web_pods import WebPods
from harness.load import Load
from harness.publisher import PublisherProcess, Store
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.source import Put
from lbsync.deployer.kubernetes import manifests
from lbsync.errors import Exit
from lbsync.model.deploying import AppRecord, VersionRecord, VersionsRecord
from lbsync.schema.decode import encode
from tests.e2e.conftest import Host

SITE = "app.example"
DOCUMENT = """
namespace: shop
name: app
image: app:1
replicas: 2
port: {port}
service:
  hosts: [app.example]
  check: {{path: /health, interval: 100ms, fall: 2}}
probe: {{path: /health, interval: 100ms, good: 2}}
strategy: {{watch: 1s, drain_timeout: 2s, ready_timeout: 60s, stage_timeout: 60s}}
"""


class Site:
    """A cluster beside two balancers, and an app's document."""

    def __init__(self, fleet: tuple[Host, Host], directory: Path) -> None:
        self.stacks = [stack for stack, _ in fleet]
        self.pods = WebPods()
        self.fake = FakeKube().start()
        self.fake.namespace("shop")
        self.controllers = Controllers(
            self.fake, start_pod=self.pods.start, stop_pod=self.pods.stop, grace=0.3
        ).start()
        self.store = Store(self.stacks[0].etcd.urls)
        self.publisher = PublisherProcess(self.store, self.fake, directory).start()
        self.document = directory / "app.yaml"
        self.write()
        self.kubeconfig = self.fake.kubeconfig(directory / "deployer.kubeconfig")

    @property
    def settings(self) -> tuple[str, ...]:
        """What commands are told beside the host's own settings."""
        chosen = {"kubeconfig": self.kubeconfig, "lease_ttl": "2s"}
        return tuple(word for n, v in chosen.items() for word in ("--set", f"deployer.{n}={v}"))

    def write(self) -> None:
        """Write the document as it is at first."""
        self.document.write_text(DOCUMENT.format(port=self.pods.port))

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.stacks[0], *self.settings, "deploy", *words)

    def apply(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.deploy("apply", "-f", str(self.document), *words)

    def apply_while_the_api_server_restarts(self) -> subprocess.CompletedProcess[str]:
        """Begin, take the API server away once the pods are being made, and bring it back a moment later."""
        stopper = threading.Thread(target=self._restart)
        stopper.start()
        try:
            return self.apply("--wait")
        finally:
            stopper.join()

    def _restart(self) -> None:
        wait_until("the pods", lambda: self.fake.objects("Pod"), timeout=60)
        self.fake.stop()
        threading.Event().wait(2.0)
        self.fake.start()

    def answers(self) -> list[str]:
        """What each balancer answers; the status where that is not 200."""
        got = [stack.get(SITE) for stack in self.stacks]
        return [one.body if one.status == 200 else str(one.status) for one in got]

    def objects(self) -> list[str]:
        """What there is of apps in the cluster."""
        kinds = ("Service", "Deployment", "ReplicaSet", "Pod")
        return [found["metadata"]["name"] for kind in kinds for found in self.fake.objects(kind)]

    def keys(self) -> list[str]:
        """What there is of the app below the prefix."""
        found = self.store.present("services", "endpoints", "routes")
        return [key for key in found if key.split("/")[1:3] == ["shop", "app"]]

    def close(self) -> None:
        self.publisher.stop()
        self.store.close()
        self.controllers.stop()
        self.fake.stop()
        self.pods.stop_all()


@pytest.fixture(scope="module")
def cluster(fleet: tuple[Host, Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(fleet, tmp_path_factory.mktemp("apps"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def site(cluster: Site) -> Iterator[Site]:
    """The one cluster, without an app in it."""
    cluster.write()
    yield cluster
    ended = cluster.deploy("remove", "shop/app", "--yes")
    assert ended.returncode in (Exit.OK, Exit.REJECTED), ended.stderr


def test_an_app_is_deployed_switched_and_removed_and_no_request_is_lost(site: Site) -> None:
    shown = site.apply("--dry-run")
    assert shown.returncode == Exit.CHANGED, shown.stderr
    assert re.search(r"Deployment shop/app-[0-9]+, 2 pods of app:1\n", shown.stdout)
    assert "warning: container app has no requests.cpu" in shown.stderr
    assert site.objects() == site.keys() == []
    first = site.apply("--wait")
    assert first.returncode == Exit.OK, first.stdout + first.stderr
    assert site.answers() == ["app:1", "app:1"]
    again = site.apply("--wait")
    assert again.returncode == Exit.REJECTED
    assert "runs just this, as version " in again.stderr
    loads = [Load(stack.http_port, SITE, workers=4, rate=80).start() for stack in site.stacks]
    second = site.apply("--image", "app:2", "--wait")
    assert second.returncode == Exit.OK, second.stdout + second.stderr
    assert site.answers() == ["app:2", "app:2"]
    late = [Load(stack.http_port, SITE, workers=4, rate=80).start() for stack in site.stacks]
    wait_until("requests", lambda: all(load.answers["app:2"] > 50 for load in (*loads, *late)))
    for load in (*loads, *late):
        load.stop()
    assert [load.failures for load in (*loads, *late)] == [[], [], [], []]
    assert [set(load.answers) for load in late] == [{"app:2"}, {"app:2"}], "none of the old version"
    gone = site.deploy("remove", "shop/app", "--yes")
    assert gone.returncode == Exit.OK, gone.stdout + gone.stderr
    assert site.objects() == site.keys() == []
    wait_until("nobody leads there", lambda: site.answers() == ["404", "404"])


def change(site: Site, old: str, new: str) -> None:
    """Change a line of the document."""
    text = site.document.read_text()
    assert old in text
    site.document.write_text(text.replace(old, new))


def test_what_fails_leaves_nothing_behind_or_the_old_version_as_it_was(site: Site) -> None:
    crash = Trouble(waiting="CrashLoopBackOff", ended="Error", code=3, restarts=1)
    site.controllers.trouble("app:1", crash)
    site.fake.logs["app:1"] = "no database\n"
    failed = site.apply("--wait")
    assert failed.returncode == Exit.DEPLOYMENT_FAILED, failed.stdout + failed.stderr
    assert "ends again and again (CrashLoopBackOff): the last time with code 3" in failed.stdout
    assert "app: no database" in failed.stdout
    assert site.objects() == []
    wait_until("the publisher to follow", lambda: site.keys() == [])

    site.controllers.trouble("app:1", None)
    done = site.apply_while_the_api_server_restarts()
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert site.answers() == ["app:1", "app:1"]
    standing = site.objects()
    (old,) = (found["metadata"]["name"] for found in site.fake.objects("Deployment"))

    load = Load(site.stacks[0].http_port, SITE, workers=4, rate=80).start()
    change(site, "ready_timeout: 60s", "ready_timeout: 3s, keep_old: 0")
    site.pods.prepare = unwell
    bad = site.apply("--image", "app:3", "--wait")
    assert bad.returncode == Exit.DEPLOYMENT_FAILED, bad.stdout + bad.stderr
    assert "answers 503" in bad.stdout
    assert site.objects() == standing
    assert site.answers() == ["app:1", "app:1"]

    other = site.document.read_text().replace("name: app", "name: other")
    (site.document.parent / "other.yaml").write_text(other)
    taken = site.deploy("apply", "-f", str(site.document.parent / "other.yaml"), "--wait")
    assert taken.returncode == Exit.REJECTED, taken.stdout + taken.stderr
    assert SITE in taken.stderr
    assert "shop/app" in taken.stderr
    assert site.objects() == standing

    site.pods.prepare = lambda _: None
    change(site, "ready_timeout: 3s", "ready_timeout: 60s")
    last = site.apply("--image", "app:4", "--wait")
    assert last.returncode == Exit.OK, last.stdout + last.stderr
    assert old not in site.objects(), "nobody wanted the old version to be kept"
    assert site.answers() == ["app:4", "app:4"]

    back = site.deploy("rollback", "shop/app", "--wait")
    load.stop()
    assert back.returncode == Exit.OK, back.stdout + back.stderr
    assert site.answers() == ["app:1", "app:1"], "it was made anew"
    assert load.failures == []


def unwell(web: WebServer) -> None:
    web.health = 503


def test_who_dies_while_pods_are_made_is_followed_by_another_one(site: Site) -> None:
    """Nothing is made twice, and the version that was begun is the one that is deployed."""
    site.pods.prepare = unwell
    words = ("--config", str(site.stacks[0].config_file), *site.settings, "deploy", "apply")
    argv = [sys.executable, "-m", "lbsync", *words, "-f", str(site.document), "--wait"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_until("the pods", lambda: len(site.pods.of("app:1")) == 2, timeout=60)
        first.kill()
    made = site.objects()
    for web in site.pods.of("app:1"):
        web.health = 200
    site.pods.prepare = lambda _: None
    second = site.deploy("resume", "shop/app", "--wait")
    assert second.returncode == Exit.OK, second.stdout + second.stderr
    assert site.objects() == made
    assert site.answers() == ["app:1", "app:1"]


class Rest:
    """The site's console, asked as a program asks it."""

    def __init__(self, site: Site, directory: Path) -> None:
        urls = [str(url) for url in site.stacks[0].etcd.urls]
        self.console = ConsoleProcess(directory, urls, "/lbsync/").start(*site.settings)
        self.token = self.add("ci", "admin")

    def add(self, name: str, right: str, *more: str) -> str:
        """Make a token."""
        return self.console.command("token", "add", name, "--right", right, *more)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Ask, and return what is begun."""
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        text = "" if body is None else json.dumps(body)
        status, _, said = self.console.ask(method, path, text, told | headers)
        assert status == 202, said
        return json.loads(said)

    def ended(self, begun: Any) -> str:
        """Follow what was begun to its end; return how it ended."""
        path = f"/api/deployments/shop/app/{begun['deployment']}/events"
        head = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        with self.console.stream(path, **head) as events:
            told = [(kind, data) for kind, _, data in events]
        assert told[-1][0] == "end", told
        return told[-1][1]


@pytest.fixture
def rest(site: Site, tmp_path: Path) -> Iterator[Rest]:
    made = Rest(site, tmp_path)
    yield made
    made.console.stop()


class Staging:
    """Another environment in the same etcd: an app that runs there, in a cluster of its own."""

    def __init__(self, site: Site, directory: Path) -> None:
        self.fake = FakeKube().start()
        self.site, self.directory = site, directory
        self.store = open_etcd(site.stacks[0].etcd.urls, "/staging-deploy/")
        self.run("image://sha256:1")

    def run(self, *images: str) -> None:
        """Have a live version 7, with a pod for each image, as nodes name them."""
        document = yaml.safe_load(DOCUMENT.format(port=80)) | {"image": "app:7"}
        version = VersionRecord("v7", 7, document)
        app = AppRecord("kubernetes", version.document)
        self.store.commit(
            [],
            [
                Put("versions/shop/app", encode(VersionsRecord(8, live=version))),
                Put("apps/shop/app", encode(app)),
            ],
        )
        for found in self.fake.objects("Pod"):
            self.fake.delete("Pod", "shop", found["metadata"]["name"])
        for number, image in enumerate(images):
            self.fake.put(pod_of_version_7(f"app-7-{number}", image))

    def promote(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Promote what runs here, with these fields of the environment `prod`."""
        config = self.directory / "staging.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in environment.items()]
        config.write_text(
            'prefix = "/staging/"\n'
            f"[etcd]\nendpoints = {json.dumps(list(map(str, self.site.stacks[0].etcd.urls)))}\n"
            f'[deployer]\nkubeconfig = "{self.fake.kubeconfig(self.directory / "staging.kube")}"\n'
            "[deployer.environments.prod]\n" + "\n".join(lines) + "\n"
        )
        return launch.run(["--config", str(config), "deploy", "promote", "shop/app", *words])

    def stop(self) -> None:
        self.store.close()
        self.fake.stop()


def pod_of_version_7(name: str, image: str) -> dict[str, Any]:
    """A pod that is well, as its node tells of it."""
    labels = manifests.marks("app") | {manifests.VERSION: "v7"}
    running = {
        "name": "app",
        "imageID": image,
        "ready": True,
        "restartCount": 0,
        "state": {"running": {}},
    }
    ready = {"type": "Ready", "status": "True"}
    return {
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:7"}]},
        "status": {"phase": "Running", "podIP": "10.1.0.7", "conditions": [ready], "containerStatuses": [running]},
    }  # fmt: skip


@pytest.fixture
def staging(site: Site, tmp_path: Path) -> Iterator[Staging]:
    made = Staging(site, tmp_path)
    yield made
    made.stop()


def test_what_runs_in_one_environment_is_deployed_in_another_by_its_digest(
    site: Site, rest: Rest, staging: Staging, tmp_path: Path
) -> None:
    digest = f"sha256:{'cd' * 32}"
    (tmp_path / "token").write_text(f"{rest.add('staging', 'deploy', '--namespace', 'shop')}\n")
    (tmp_path / "reader").write_text(rest.add("reader", "read"))
    prod = {"url": rest.console.url, "token_file": str(tmp_path / "token")}

    def refused(*words: str, code: int = Exit.REJECTED, **changes: str) -> str:
        ended = staging.promote(*words, **(prod | changes))
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stderr

    told = refused("--to", "live")
    assert "there is no environment 'live'" in told
    assert "there are prod" in told
    staging.run("sha256:" + "1" * 64)
    assert "pod app-7-0 does not tell the digest of its image" in refused("--to", "prod")
    staging.run(f"app@{digest}", f"app@sha256:{'ef' * 32}")
    assert "its pods run 2 different images" in refused("--to", "prod")
    staging.run(f"docker-pullable://mirror.example.com/app@{digest}")
    assert "prod (http://127.0.0.1:" in (told := refused("--to", "prod"))
    assert "shop/app: it has no document yet" in told
    told = refused("--to", "prod", token_file=str(tmp_path / "reader"))
    assert "This needs a token with the right 'deploy'" in told
    told = refused("--to", "prod", code=Exit.UNAVAILABLE, url="http://127.0.0.1:1")
    assert "prod (http://127.0.0.1:1) does not answer: " in told

    document = yaml.safe_load(DOCUMENT.format(port=site.pods.port))
    document |= {"strategy": {"watch": "0", "drain_timeout": "2s"}}
    first = rest.ask("POST", "/api/apps/shop/app/deployments", {"document": document})
    assert rest.ended(first) == "deployed"
    done = staging.promote("--to", "prod", "--wait", **prod)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert f"version 7 runs app@{digest}" in done.stdout
    assert "2 of 2 converged" in done.stdout
    assert site.answers() == [f"app@{digest}"] * 2
    crash = Trouble(waiting="CrashLoopBackOff", ended="Error", code=3, restarts=1)
    bad = f"app@sha256:{'ef' * 32}"
    site.controllers.trouble(bad, crash)
    staging.run(bad)
    failed = staging.promote("--to", "prod", "--wait", **prod)
    site.controllers.trouble(bad, None)
    assert failed.returncode == Exit.DEPLOYMENT_FAILED, failed.stdout + failed.stderr
    assert "ends again and again (CrashLoopBackOff)" in failed.stdout


def test_a_build_server_and_registries_deploy_by_rest_and_the_app_is_taken_away(
    site: Site, rest: Rest
) -> None:
    """A document, then what GitHub and Docker Hub's kind of registry send of a pushed image, then DELETE."""
    document = yaml.safe_load(DOCUMENT.format(port=site.pods.port))
    document |= {"image": "ghcr.io/acme/app:1", "strategy": {"watch": "0", "drain_timeout": "2s"}}
    first = rest.ask("POST", "/api/apps/shop/app/deployments", {"document": document})
    assert "warning" not in first
    assert any("no requests.cpu" in said for said in first["warnings"])
    assert rest.ended(first) == "deployed"
    assert site.answers() == ["ghcr.io/acme/app:1"] * 2

    digest = f"sha256:{'ab' * 32}"
    tag = {"tag": {"name": "2", "digest": digest}}
    package = {
        "package_type": "CONTAINER",
        "package_version": {"package_url": "ghcr.io/acme/app:2", "container_metadata": tag},
    }
    key = rest.add("github", "deploy", "--signs")
    body = json.dumps({"action": "published", "package": package})
    signature = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
    signed = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Delivery": "d-1"}
    status, _, said = rest.console.ask("POST", "/hooks/shop/app", body, signed)
    assert status == 202, said
    again = rest.console.ask("POST", "/hooks/shop/app", body, signed)[2]
    assert json.loads(said)["deployment"] == json.loads(again)["deployment"]
    assert rest.ended(json.loads(said)) == "deployed"
    assert site.answers() == [f"ghcr.io/acme/app:2@{digest}"] * 2

    hub = {"push_data": {"tag": "3"}, "repository": {"repo_name": "ghcr.io/acme/app"}}
    assert rest.ended(rest.ask("POST", "/hooks/shop/app?tags=3*", hub)) == "deployed"
    assert site.answers() == ["ghcr.io/acme/app:3"] * 2

    begun = rest.ask("DELETE", "/api/apps/shop/app")
    assert rest.ended(begun) == "removed"
    assert site.objects() == site.keys() == []
