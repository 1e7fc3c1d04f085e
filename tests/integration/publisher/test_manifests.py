"""The manifests: every field is one the API has, and the rights are enough and none too many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, node, service
from harness.fake_kube.place import User
from harness.publisher import Store
from lbsync.settings import Settings, load
from tests.driven import Driven
from tests.kube import asked_for

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "deploy/kubernetes/publisher.yaml").read_text()
Pairs = set[tuple[str, str]]


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Any part of an object; the fields are those of the API reference that are used here."""


class Meta(Part):
    name: str
    namespace: str = ""
    labels: dict[str, str] = {}


class Namespace(Part, tag_field="kind", tag="Namespace"):
    api_version: str
    metadata: Meta


class ServiceAccount(Part, tag_field="kind", tag="ServiceAccount"):
    api_version: str
    metadata: Meta


class Rule(Part):
    api_groups: list[str]
    resources: list[str]
    verbs: list[str]


class ClusterRole(Part, tag_field="kind", tag="ClusterRole"):
    api_version: str
    metadata: Meta
    rules: list[Rule]


class RoleRef(Part):
    api_group: str
    kind: str
    name: str


class Subject(Part):
    kind: str
    name: str
    namespace: str


class ClusterRoleBinding(Part, tag_field="kind", tag="ClusterRoleBinding"):
    api_version: str
    metadata: Meta
    role_ref: RoleRef
    subjects: list[Subject]


class ConfigMap(Part, tag_field="kind", tag="ConfigMap"):
    api_version: str
    metadata: Meta
    data: dict[str, str]


class Selector(Part):
    match_labels: dict[str, str]


class HttpGet(Part):
    path: str
    port: str


class Probe(Part):
    http_get: HttpGet
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    failure_threshold: int = 3


class ContainerPort(Part):
    name: str
    container_port: int


class Capabilities(Part):
    drop: list[str]


class ContainerSecurity(Part):
    allow_privilege_escalation: bool
    read_only_root_filesystem: bool
    capabilities: Capabilities


class Resources(Part):
    requests: dict[str, str]
    limits: dict[str, str]


class Mount(Part):
    name: str
    mount_path: str
    read_only: bool
    sub_path: str = ""


class Container(Part):
    name: str
    image: str
    args: list[str]
    ports: list[ContainerPort]
    liveness_probe: Probe
    readiness_probe: Probe
    resources: Resources
    security_context: ContainerSecurity
    volume_mounts: list[Mount]


class Named(Part):
    name: str


class Secret(Part):
    secret_name: str
    default_mode: int


class Volume(Part):
    name: str
    config_map: Named | None = None
    secret: Secret | None = None


class Seccomp(Part):
    type: str


class PodSecurity(Part):
    run_as_non_root: bool
    run_as_user: int
    run_as_group: int
    fs_group: int
    seccomp_profile: Seccomp


class Spread(Part):
    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: Selector


class PodSpec(Part):
    service_account_name: str
    enable_service_links: bool
    termination_grace_period_seconds: int
    security_context: PodSecurity
    topology_spread_constraints: list[Spread]
    containers: list[Container]
    volumes: list[Volume]


class PodMeta(Part):
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class Template(Part):
    metadata: PodMeta
    spec: PodSpec


class Rolling(Part):
    max_unavailable: int
    max_surge: int


class Strategy(Part):
    type: str
    rolling_update: Rolling


class DeploymentSpec(Part):
    replicas: int
    strategy: Strategy
    selector: Selector
    template: Template


class Deployment(Part, tag_field="kind", tag="Deployment"):
    api_version: str
    metadata: Meta
    spec: DeploymentSpec


class BudgetSpec(Part):
    max_unavailable: int
    selector: Selector


class PodDisruptionBudget(Part, tag_field="kind", tag="PodDisruptionBudget"):
    api_version: str
    metadata: Meta
    spec: BudgetSpec


Manifest = (
    Namespace
    | ServiceAccount
    | ClusterRole
    | ClusterRoleBinding
    | ConfigMap
    | Deployment
    | PodDisruptionBudget
)
VERSIONS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "ConfigMap": "v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "Deployment": "apps/v1",
    "PodDisruptionBudget": "policy/v1",
}


def manifests(text: str = TEXT) -> dict[str, Any]:
    found = [msgspec.convert(one, Manifest) for one in yaml.safe_load_all(text)]
    return {type(one).__name__: one for one in found}


def pod() -> PodSpec:
    found: Deployment = manifests()["Deployment"]
    return found.spec.template.spec


def test_every_field_is_one_of_the_api() -> None:
    found = manifests()
    assert {kind: one.api_version for kind, one in found.items()} == VERSIONS
    with pytest.raises(msgspec.ValidationError):
        manifests(TEXT.replace("runAsNonRoot", "runAsNonroot"))


def test_the_parts_find_each_other() -> None:
    found = manifests()
    deployment: Deployment = found["Deployment"]
    labels = deployment.spec.template.metadata.labels
    selectors = [
        deployment.spec.selector,
        found["PodDisruptionBudget"].spec.selector,
        pod().topology_spread_constraints[0].label_selector,
    ]
    assert [selector.match_labels for selector in selectors] == [labels] * 3
    binding: ClusterRoleBinding = found["ClusterRoleBinding"]
    assert binding.role_ref.name == found["ClusterRole"].metadata.name
    account = found["ServiceAccount"].metadata
    assert [(s.name, s.namespace) for s in binding.subjects] == [(account.name, account.namespace)]
    assert pod().service_account_name == account.name
    assert {m.name for m in pod().containers[0].volume_mounts} == {v.name for v in pod().volumes}
    namespaces = {one.metadata.namespace for one in found.values()} - {""}
    assert namespaces == {found["Namespace"].metadata.name}


def settings(tmp_path: Path) -> Settings:
    """Load the settings of the ConfigMap as the pod does."""
    file = tmp_path / "lbsync.toml"
    file.write_text(manifests()["ConfigMap"].data["lbsync.toml"])
    return load(file, environ={})


def test_the_settings_are_right_and_the_probes_ask_where_it_listens(tmp_path: Path) -> None:
    container = pod().containers[0]
    bind = settings(tmp_path).publisher.http_bind
    assert bind is not None
    assert [port.container_port for port in container.ports] == [bind.port]
    probes = (container.liveness_probe, container.readiness_probe)
    assert [p.http_get.path for p in probes] == ["/healthz", "/readyz"]
    assert {p.http_get.port for p in probes} == {container.ports[0].name}
    assert container.args[-1] == "publish"


def test_the_files_that_the_settings_name_are_mounted(tmp_path: Path) -> None:
    etcd = settings(tmp_path).etcd
    mounts = [mount.mount_path for mount in pod().containers[0].volume_mounts]
    for path in (etcd.ca, etcd.cert, etcd.key):
        assert any(str(path).startswith(f"{mount}/") for mount in mounts), path


def test_it_runs_without_any_privilege() -> None:
    assert pod().security_context.run_as_non_root
    assert pod().security_context.run_as_user > 0
    assert pod().security_context.seccomp_profile.type == "RuntimeDefault"
    security = pod().containers[0].security_context
    assert security.read_only_root_filesystem
    assert not security.allow_privilege_escalation
    assert security.capabilities.drop == ["ALL"]
    assert {"cpu", "memory"} <= pod().containers[0].resources.requests.keys()
    assert {"cpu", "memory"} <= pod().containers[0].resources.limits.keys()


def rights(text: str = TEXT) -> Pairs:
    role: ClusterRole = manifests(text)["ClusterRole"]
    return {(verb, name) for r in role.rules for verb in r.verbs for name in r.resources}


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
