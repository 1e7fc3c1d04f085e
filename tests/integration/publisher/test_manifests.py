"""The publisher's manifest: its parts agree, and the rights are enough and none too many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, node, service
from harness.fake_kube.place import User
from harness.publisher import Store
from lbsync.settings import Settings, load
from tests.driven import Driven
from tests.kube import asked_for
from tests.manifests import Document, documents

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "deploy/kubernetes/publisher.yaml").read_text()
Pairs = set[tuple[str, str]]


def manifests(text: str = TEXT) -> dict[str, Document]:
    return {one["kind"]: one for one in documents(text)}


def pod() -> Document:
    found: Document = manifests()["Deployment"]["spec"]["template"]["spec"]
    return found


def test_the_parts_find_each_other() -> None:
    found = manifests()
    deployment = found["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [
        deployment["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"],
        pod()["topologySpreadConstraints"][0]["labelSelector"],
    ]
    assert [selector["matchLabels"] for selector in selectors] == [labels] * 3
    binding = found["ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == found["ClusterRole"]["metadata"]["name"]
    account = found["ServiceAccount"]["metadata"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]
    assert pod()["serviceAccountName"] == account["name"]
    mounts = pod()["containers"][0]["volumeMounts"]
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in pod()["volumes"]}
    namespaces = {one["metadata"].get("namespace") for one in found.values()} - {None}
    assert namespaces == {found["Namespace"]["metadata"]["name"]}


def settings(tmp_path: Path) -> Settings:
    """Load the settings of the ConfigMap as the pod does."""
    file = tmp_path / "lbsync.toml"
    file.write_text(manifests()["ConfigMap"]["data"]["lbsync.toml"])
    return load(file, environ={})


def test_the_settings_are_right_and_the_probes_ask_where_it_listens(tmp_path: Path) -> None:
    container = pod()["containers"][0]
    bind = settings(tmp_path).publisher.http_bind
    assert bind is not None
    assert [port["containerPort"] for port in container["ports"]] == [bind.port]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
    assert [probe["path"] for probe in probes] == ["/healthz", "/readyz"]
    assert {probe["port"] for probe in probes} == {container["ports"][0]["name"]}
    assert container["args"][-1] == "publish"


def test_the_files_that_the_settings_name_are_mounted(tmp_path: Path) -> None:
    etcd = settings(tmp_path).etcd
    mounts = [mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]]
    for path in (etcd.ca, etcd.cert, etcd.key):
        assert any(str(path).startswith(f"{mount}/") for mount in mounts), path


def test_it_runs_without_any_privilege() -> None:
    whole = pod()["securityContext"]
    assert whole["runAsNonRoot"]
    assert whole["runAsUser"] > 0
    assert whole["seccompProfile"]["type"] == "RuntimeDefault"
    container = pod()["containers"][0]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def rights(text: str = TEXT) -> Pairs:
    rules = manifests(text)["ClusterRole"]["rules"]
    return {(verb, name) for rule in rules for verb in rule["verbs"] for name in rule["resources"]}


def publish(fake: FakeKube, store: Store, driven: Callable[..., Driven], **fields: Any) -> None:
    """Publish a Service that needs nodes, with the rights of the manifest only."""
    hosts = {"lbsync.io/hosts": "a.example", "lbsync.io/nonsense": "x"}
    if fields:
        more = {"lbsync.io/group-label": "color", "lbsync.io/address-mode": "pod"}
        fake.put(service("colored", "shop", labels=PUBLISH, annotations=hosts | more))
    fake.put(node("n1", "10.5.0.1"))
    fake.put(service("np", "shop", labels=PUBLISH, annotations=hosts, type="NodePort"))
    pods = [endpoint("10.0.0.7", pod="p", nodeName="n1")]
    fake.put(endpoint_slice("np-1", "np", pods, "shop", labels=PUBLISH))
    made = driven(address_mode="nodeport", **fields)
    made.until("the node", lambda: store.addresses("shop/np") == ["10.5.0.1"])
    made.until("health", lambda: not made.publisher.healthy)
    if fields.get("events"):
        made.until("an event", lambda: fake.objects("Event"))


def test_the_rights_are_enough_and_none_is_left_over(
    fake: FakeKube, store: Store, driven: Callable[..., Driven]
) -> None:
    fake.users["admin-token"] = User("system:serviceaccount:lbsync:publisher", rights())
    publish(fake, store, driven)
    assert asked_for(fake) == rights()


def test_the_rights_that_are_commented_out_are_those_for_everything_else(
    fake: FakeKube, store: Store, driven: Callable[..., Driven]
) -> None:
    before, _, after = TEXT.partition("kind: ClusterRoleBinding")
    full = before.replace("  # - apiGroups", "  - apiGroups").replace("  #   ", "    ")
    text = f"{full}kind: ClusterRoleBinding{after}"
    fake.users["admin-token"] = User("system:serviceaccount:lbsync:publisher", rights(text))
    publish(fake, store, driven, ingress=True, events=True)
    assert asked_for(fake) == rights(text)
    assert rights(text) > rights()
