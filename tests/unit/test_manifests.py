"""What is in deploy/ is as Kubernetes and Docker Compose have it: no field that they do not know, no wrong type."""

from pathlib import Path

import pytest
import yaml

from tests.manifests import (
    DEPLOY,
    RELEASES,
    Document,
    compose_faults,
    documents,
    faults,
    kustomized,
)

FILES = sorted(
    path for path in DEPLOY.glob("kubernetes/*.yaml") if path.name != "kustomization.yaml"
)
FOLDERS = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
COMPOSE = (DEPLOY / "compose.yaml").read_text()
SIDECAR = (DEPLOY / "kubernetes/sidecar.yaml").read_text()


def told(found: list[Document], release: str) -> list[str]:
    return [f"{one['kind']}: {fault}" for one in found for fault in faults(one, release)]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_kubernetes_knows_every_field_of_a_manifest(file: Path, release: str) -> None:
    assert told(documents(file.read_text()), release) == []


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_kubernetes_knows_every_field_that_a_kustomization_makes(
    folder: Path, release: str
) -> None:
    found = kustomized(folder)
    assert told(found, release) == []
    assert [one["kind"] for one in found].count("StatefulSet") == 1


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("runAsNonRoot: true", "runAsNonroot: true", "spec.template.spec.securityContext"),
        ("containerPort: 8080", 'containerPort: "8080"', "containers.0.ports.0.containerPort"),
        ("emptyDir: {}", "emptyDir: []", "spec.template.spec.volumes"),
        ("kind: StatefulSet", "kind: Statefulset", "no such object"),
        ("apiVersion: policy/v1", "apiVersion: policy/v1beta1", "no such object"),
        ("      port: 80\n", "", "spec.ports.0"),
    ],
)
def test_what_kubernetes_would_refuse_or_drop_is_found(
    right: str, wrong: str, place: str, release: str
) -> None:
    assert right in SIDECAR
    assert place in "\n".join(told(documents(SIDECAR.replace(right, wrong)), release))


def test_compose_knows_every_field() -> None:
    (compose,) = documents(COMPOSE)
    assert compose_faults(compose) == []
    for right, wrong in (
        ("stop_grace_period", "stop_graceperiod"),
        ("cap_drop: [ALL]", "cap_drop: ALL"),
        ("restart: unless-stopped", "restart: [no]"),
    ):
        (broken,) = documents(COMPOSE.replace(right, wrong))
        assert compose_faults(broken), wrong


def test_a_key_that_is_there_twice_is_found() -> None:
    text = SIDECAR.replace("  replicas: 2", "  replicas: 2\n  replicas: 3")
    with pytest.raises(yaml.YAMLError, match="replicas is there twice"):
        documents(text)
