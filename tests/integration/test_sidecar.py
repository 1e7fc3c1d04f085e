"""HAProxy and its agent in one Pod: the manifests agree with themselves, and the arrangement works."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries, one_branch
from harness.stack import Stack, servers
from harness.wait import wait_until
from lbsync.settings import Settings, load
from tests.conftest import demand, interpreter
from tests.manifests import DEPLOY, Document, documents, kustomized

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(pytest.__file__).parents[1]
PRODUCTION = DEPLOY / "overlays/production"
OBJECTS: dict[str, Document] = {
    one["kind"]: one for one in documents((DEPLOY / "kubernetes/sidecar.yaml").read_text())
}
POD: dict[str, Any] = OBJECTS["StatefulSet"]["spec"]["template"]["spec"]
PARTS: dict[str, Any] = {one["name"]: one for one in POD["initContainers"] + POD["containers"]}
COMPOSE: Document = documents((DEPLOY / "compose.yaml").read_text())[0]
TOML: str = OBJECTS["ConfigMap"]["data"]["lbsync.toml"]
#: A container: processes and mounts of its own, a read-only root, a user and no capability.
CONTAINER = (
    "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
    "sh", "-ec", 'mount --bind "$1" "$1"; mount -o remount,bind,ro /; user=$2; group=$3; shift 3; '
    'exec setpriv --reuid="$user" --regid="$group" --groups=65532 --bounding-set=-all --inh-caps=-all '
    '--no-new-privs -- "$@"', "container",
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "lbsync.toml").write_text(TOML)
    return load(tmp_path / "lbsync.toml", environ={})


def test_settings_commands_ports_and_mounts_of_the_pod_agree(settings: Settings) -> None:
    haproxy = PARTS["haproxy"]["command"]
    assert f"{settings.haproxy.master_socket},mode,660" in haproxy
    assert f"{settings.state_dir}/live/haproxy.cfg" in haproxy
    assert [PARTS[name]["args"][-1] for name in ("prepare", "agent")] == ["prepare", "agent"]
    assert len({part["image"] for part in PARTS.values()}) == 1, "what validates is what serves"
    bind = settings.agent.http_bind
    assert bind is not None
    assert [port["containerPort"] for port in PARTS["agent"]["ports"]] == [bind.port]
    assert [str(one).rpartition(":")[2] for one in settings.proxy.http_bind] == [
        str(port["containerPort"]) for port in PARTS["haproxy"]["ports"]
    ]
    assert PARTS["haproxy"]["readinessProbe"]["httpGet"]["path"] == settings.proxy.health_path
    probes = [PARTS["agent"][f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
    assert probes == [{"path": path, "port": "agent"} for path in ("/healthz", "/readyz")]
    volumes = {one["name"] for one in POD["volumes"]}
    for part in PARTS.values():
        mounts = [mount["mountPath"] for mount in part["volumeMounts"]]
        assert {mount["name"] for mount in part["volumeMounts"]} <= volumes
        sockets = (settings.haproxy.master_socket, settings.haproxy.stats_socket)
        for path in (settings.state_dir, *sockets):
            assert any(f"{path}/".startswith(f"{mount}/") for mount in mounts), path
    stated = re.fullmatch(r"sleep (\d+); kill -USR1 1; sleep (\d+)",
                          PARTS["haproxy"]["lifecycle"]["preStop"]["exec"]["command"][-1])  # fmt: skip
    assert stated is not None
    pause, rest = (int(found) for found in stated.groups())
    assert settings.haproxy.hard_stop_after <= rest * 1000
    assert pause + rest <= POD["terminationGracePeriodSeconds"]


def test_nothing_in_the_pod_has_any_privilege() -> None:
    assert POD["securityContext"]["runAsNonRoot"]
    for part in PARTS.values():
        context = part["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["runAsUser"] > 0


def test_compose_and_image_agree_with_the_pod(settings: Settings) -> None:
    made = load(None, environ=COMPOSE["x-balancer"]["environment"])
    assert made.haproxy.master_socket == settings.haproxy.master_socket
    assert made.haproxy.binary == settings.haproxy.binary
    assert made.state_dir == settings.state_dir
    services = COMPOSE["services"]
    assert services["haproxy"]["entrypoint"] == PARTS["haproxy"]["command"]
    grace = int(services["haproxy"]["stop_grace_period"].removesuffix("s"))
    assert made.haproxy.hard_stop_after < grace * 1000
    docker = (DEPLOY / "Dockerfile").read_text()
    assert f" AS {COMPOSE['x-balancer']['build']['target']}\n" in docker
    assert f"{settings.state_dir} " in docker
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[ignored.index("*") :][1] == "!lbsync"


def named(found: list[Document]) -> dict[str, Document]:
    return {one["kind"]: one for one in found}


def test_the_overlay_says_what_its_kustomization_asks_for() -> None:
    built = named(kustomized(PRODUCTION))
    assert built.keys() == OBJECTS.keys()
    assert built["StatefulSet"]["spec"]["replicas"] == 4
    spec = built["StatefulSet"]["spec"]["template"]["spec"]
    images = {part["image"] for part in spec["initContainers"] + spec["containers"]}
    assert images == {"registry.example.com/lbsync-balancer:0.1.0"}
    (agent,) = [part for part in spec["containers"] if part["name"] == "agent"]
    assert [one["name"] for one in agent["env"]] == ["LBSYNC_ETCD_ENDPOINTS", "LBSYNC_HOST"]


def test_kubectl_builds_the_same_overlay() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here")
    argv = [kubectl, "kustomize", str(PRODUCTION)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert named(documents(said)) == named(kustomized(PRODUCTION))


class Pod:
    """The Pod's containers as processes, on the directories of a Stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        stack.config_file.write_text(TOML)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{SITE}",
            "LBSYNC_HOST": "lb-0",
            "LBSYNC_STATE_DIR": str(stack.state),
            "LBSYNC_ETCD_ENDPOINTS": ",".join(str(url) for url in stack.etcd.urls),
            **dict.fromkeys(("LBSYNC_ETCD_CA", "LBSYNC_ETCD_CERT", "LBSYNC_ETCD_KEY"), ""),
            "LBSYNC_AGENT_HTTP_BIND": str(stack.run / "http.sock"),
            "LBSYNC_HAPROXY_BINARY": stack.haproxy.binary,
            "LBSYNC_HAPROXY_MASTER_SOCKET": str(stack.run / "master.sock"),
            "LBSYNC_HAPROXY_STATS_SOCKET": str(stack.run / "stats.sock"),
            "LBSYNC_PROXY_HTTP_BIND": f"127.0.0.1:{stack.http_port}",
            "LBSYNC_PROXY_STATS_BIND": f"127.0.0.1:{stack.stats_port}",
            "LBSYNC_CLAIMS_SERVERS": "*=127.0.0.0/8",
        }

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a container's own command, as its user."""
        part, stack = PARTS[name], self.stack
        words = part.get("command") or [interpreter(65532), "-m", "lbsync", *part["args"]]
        places = {
            "/etc/lbsync/lbsync.toml": str(stack.config_file),
            "/run/lbsync": str(stack.run),
            "/var/lib/lbsync": str(stack.state),
        }
        for ours, theirs in places.items():
            words = [word.replace(ours, theirs) for word in words]
        words = [stack.haproxy.binary if word == "haproxy" else word for word in words]
        user = part["securityContext"]
        argv = [*CONTAINER, str(stack.directory), str(user["runAsUser"]), str(user["runAsGroup"])]
        with (stack.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*argv, *words], env=self.environ, stdout=log, stderr=log, cwd="/"
            )
        return self.running[name]

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send it to the first process of a container; return how that ended."""
        process = self.running.pop(name)
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for first in found.split():
            os.kill(int(first), number)
        return process.wait(60)

    def stop(self) -> None:
        for name in list(self.running):
            self.signal(name, signal.SIGKILL)


@pytest.fixture
def pod(hosts_etcd: Etcd) -> Iterator[Pod]:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can make namespaces")
    branch = one_branch()[0]
    demand(branch in binaries(), f"HAProxy {branch}")
    with tempfile.TemporaryDirectory(prefix="lbsync-test-") as name:
        Path(name).chmod(0o755)
        stack = Stack(Path(name), binaries()[branch], etcd=hosts_etcd, templates=QUICK_START)
        for volume in (stack.state, stack.run):  # as an emptyDir is with fsGroup
            os.chown(volume, 0, POD["securityContext"]["fsGroup"])
            volume.chmod(0o2777)
        made = Pod(stack)
        try:
            yield made
        finally:
            made.stop()
            stack.stop()


def test_a_pod_serves_and_follows_without_any_right(pod: Pod) -> None:
    stack = pod.stack
    said = stack.directory / "prepare.log"
    assert pod.start("prepare").wait(30) == 0, said.read_text()
    pod.running.clear()
    pod.start("haproxy")
    wait_until("the first generation", lambda: stack.get("x").status, timeout=60)
    assert stack.get("x", "/lbsync-health").status == 503, "nobody is sent here yet"

    pod.start("agent")
    wait_until("ready", lambda: stack.get("x", "/lbsync-health").status == 200, timeout=60)
    stack.put(
        {
            "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
            "endpoints/shop/web/default": servers(stack.web("web")),
        }
    )
    wait_until("the service", lambda: stack.get("shop.example").status == 200, timeout=60)

    # A master that has just reloaded begins anew, and takes no connection for a moment.
    told = wait_until("the master", lambda: stack.haproxy.ask("show proc"))
    master = re.search(r"^\d+ +master +(\d+)", told, re.MULTILINE)
    assert master is not None
    assert int(master[1]) > 0, "reloaded through its socket"

    pod.signal("haproxy", signal.SIGKILL)
    pod.start("haproxy")
    wait_until("HAProxy to be back", lambda: stack.get("shop.example").status == 200, timeout=60)
    stack.put({"services/shop/web": {"mode": "http", "hosts": ["new.example"]}})
    wait_until("the change", lambda: stack.get("new.example").status == 200, timeout=60)

    assert pod.signal("haproxy", signal.SIGUSR1) == 0, "as preStop ends it"
    assert pod.signal("agent", signal.SIGTERM) == 0
