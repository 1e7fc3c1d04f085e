"""What Kubernetes and the publisher are given for an app and a version."""

import pytest
from msgspec import UNSET

from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.publication import published
from lbsync.deployer.kubernetes.warnings import warnings
from lbsync.errors import Rejected

APP = """
namespace: shop
name: cart
image: registry.example.com/shop/cart:1.7
port: 8080
replicas: 3
service: {hosts: [cart.example.com], check: {path: /healthz}, balance: leastconn, compression: true, maxconn: 7}
"""


def app(more: str = "", base: str = APP) -> document.App:
    return document.read((base + more).encode())


def pod_of(made: manifests.Object) -> manifests.Object:
    found: manifests.Object = made["spec"]["template"]["spec"]
    return found


def test_each_version_is_a_deployment_of_its_own_and_a_group() -> None:
    made = manifests.deployment(app(), 12, "20260101-000000-abcdef")
    assert made["metadata"]["name"] == "cart-12"
    assert made["metadata"]["annotations"] == {"lbsync.io/deployment": "20260101-000000-abcdef"}
    chosen = {"lbsync.io/app": "cart", "lbsync.io/version": "v12"}
    assert made["spec"]["selector"]["matchLabels"] == chosen
    assert made["spec"]["template"]["metadata"]["labels"].items() >= chosen.items()
    assert manifests.group_of(12) == "v12"


def test_one_service_finds_the_pods_of_every_version_and_says_what_is_published() -> None:
    made = manifests.service(app())
    assert made["metadata"]["name"] == "cart"
    assert made["metadata"]["labels"]["lbsync.io/publish"] == "true"
    assert made["spec"]["selector"] == {"lbsync.io/app": "cart"}
    assert made["spec"]["clusterIP"] == "None"
    assert (
        made["metadata"]["annotations"].items()
        >= {
            "lbsync.io/address-mode": "pod",
            "lbsync.io/group-label": "lbsync.io/version",
            "lbsync.io/hosts": '["cart.example.com"]',
            "lbsync.io/maxconn": "7",
            "lbsync.io/compression": "true",
        }.items()
    )
    assert published(app()) == app().service


def test_variables_come_as_they_are_written_or_from_a_secret() -> None:
    more = """
env: {COST: "$(HOME) $$5", PASSWORD: {secret: db, key: word, optional: true}, APP_NAME: mine}
"""
    env = pod_of(manifests.deployment(app(more), 3, ""))["containers"][0]["env"]
    by_name = {entry.pop("name"): entry for entry in env}
    assert by_name["COST"] == {"value": "$$(HOME) $$$$5"}
    secret = {"name": "db", "key": "word", "optional": True}
    assert by_name["PASSWORD"] == {"valueFrom": {"secretKeyRef": secret}}
    assert by_name["APP_NAME"] == {"value": "mine"}
    assert by_name["APP_VERSION"] == {"value": "3"}


def test_a_pod_is_ready_by_the_probe_where_the_kubelet_can_judge_it_and_by_its_port_elsewhere() -> (
    None
):
    asked = pod_of(manifests.deployment(app("probe: {path: /up, timeout: 1500ms}"), 1, ""))
    probe = asked["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/up"
    assert probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "cart.example.com"}]
    assert probe["timeoutSeconds"] == 2
    strict = pod_of(manifests.deployment(app("probe: {path: /up, status: 401}"), 1, ""))
    assert strict["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": 8080}


def test_a_template_of_ones_own_gets_labels_image_and_variables_and_is_else_left_alone() -> None:
    more = """
container: main
env: {A: b}
pod:
  metadata: {labels: {team: shop}, annotations: {example.com/a: b}}
  spec:
    terminationGracePeriodSeconds: 5
    containers:
    - {name: side, image: side:1}
    - {name: main, image: "main:1", env: [{name: POD_NAME, value: x}], securityContext: {readOnlyRootFilesystem: true}}
"""
    made = manifests.deployment(app(more), 1, "")
    assert made["spec"]["template"]["metadata"]["labels"]["team"] == "shop"
    side, main = pod_of(made)["containers"]
    assert side == {"name": "side", "image": "side:1"}
    assert main["image"] == "registry.example.com/shop/cart:1.7"
    assert main["securityContext"] == {"readOnlyRootFilesystem": True}
    names = [entry["name"] for entry in main["env"]]
    assert sorted(names) == ["A", "APP_NAME", "APP_VERSION", "POD_NAME", "POD_NAMESPACE"]
    assert app(more).pod is not UNSET
    assert document.to_plain(app(more))["pod"]["spec"]["containers"][1]["image"] == "main:1"


def test_a_pod_has_as_long_as_the_drain_to_end_unless_somebody_says_it() -> None:
    for more, seconds in (("", 300), ("strategy: {drain_timeout: 2500ms}", 3), ("grace: 7s", 7)):
        spec = pod_of(manifests.deployment(app(more), 1, ""))
        assert spec["terminationGracePeriodSeconds"] == seconds


def test_what_somebody_else_made_is_left_alone() -> None:
    manifests.refuse_foreign("Service shop/cart", manifests.marks("cart"), "cart")
    for labels in ({}, manifests.marks("other"), {"lbsync.io/app": "cart"}):
        with pytest.raises(Rejected, match="has not made it for app cart"):
            manifests.refuse_foreign("Service shop/cart", labels, "cart")


GOOD = """
strategy: {drain_timeout: 2m}
probe: {path: /up}
resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
grace: 2m
"""


def test_an_app_without_a_fault_is_warned_of_nothing() -> None:
    assert warnings(app(GOOD)) == []


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        (GOOD.replace("probe: {path: /up}", ""), "there is no probe"),
        (GOOD.replace("grace: 2m", "grace: 1m"), "grace: a pod that is told to end has 1m, less than the drain (2m)"),
        (GOOD.replace(", limits: {memory: 1Gi}", ""), "container cart has no limits.memory"),
        (GOOD.replace("cpu: 1, ", ""), "container cart has no requests.cpu"),
        (GOOD.replace("resources", "env: {} #"), "has no requests.cpu and no requests.memory and no limits.memory"),
    ],
)  # fmt: skip
def test_an_app_is_warned_of_what_it_will_be_sorry_for(more: str, warning: str) -> None:
    found = warnings(app(more))
    assert len(found) == 1
    assert warning in found[0]


@pytest.mark.parametrize(
    ("image", "is_warned"),
    [
        ("cart", True), ("cart:latest", True), ("localhost:5000/cart", True), ("cart:1", False),
        ("cart@sha256:" + "a" * 64, False), ("localhost:5000/cart:latest@sha256:" + "a" * 64, False),
    ],
)  # fmt: skip
def test_an_image_that_moves_is_warned_of(image: str, is_warned: bool) -> None:
    base = APP.replace("registry.example.com/shop/cart:1.7", image)
    assert bool(warnings(app(GOOD, base))) == is_warned


def test_a_template_is_warned_of_in_its_own_words() -> None:
    more = """
pod: {spec: {containers: [{name: a}, {name: b, image: "b"}], initContainers: [{name: i, image: "i:latest"}]}}
probe: {path: /up}
"""
    found = "\n".join(warnings(app(more)))
    for said in ("container a has no", "image b has no tag", "image i:latest has the tag latest",
                 "pod.spec.terminationGracePeriodSeconds: a pod"):  # fmt: skip
        assert said in found
