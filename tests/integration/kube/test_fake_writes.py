"""The fake's writes: patches, versions, generations and owners of fields, and kubectl's own lister."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.certificates import Authority
from harness.fake_kube import FakeKube
from harness.fake_kube.objects import deployment, node, service
from lbsync.clients import programs
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.errors import Forbidden, NotFound
from lbsync.clients.kube.transport import Request, Transport
from lbsync.errors import Conflict, Rejected
from tests.kube import FAST

Send = Callable[..., Any]
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def send(config: ClusterConfig) -> Iterator[Send]:
    transport = Transport(config, FAST)

    def request(method: str, path: str, body: Any = None, kind: str = "json", **query: Any) -> Any:
        types = {
            "json": "application/json",
            "merge": "application/merge-patch+json",
            "json-patch": "application/json-patch+json",
            "strategic": "application/strategic-merge-patch+json",
            "apply": "application/apply-patch+yaml",
        }
        data = None if body is None else msgspec.json.encode(body)
        made = Request(
            what=method,
            path=path,
            method=method,
            body=data,
            query=query,
            content_type=types.get(kind, kind),
        )
        return msgspec.json.decode(transport.fetch(made))

    yield request
    transport.close()


def test_a_json_patch_does_its_operations_in_order(fake: FakeKube, send: Send) -> None:
    fake.put(service("web", labels={"a/b": "1"}))
    patch = [
        {"op": "test", "path": "/metadata/labels/a~1b", "value": "1"},
        {"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"},
        {"op": "add", "path": "/spec/ports/-", "value": {"name": "more", "port": 81}},
        {"op": "copy", "from": "/metadata/labels/a~1b", "path": "/metadata/labels/c"},
        {"op": "move", "from": "/metadata/labels/c", "path": "/metadata/labels/d"},
        {"op": "remove", "path": "/spec/selector"},
    ]
    found = send("PATCH", f"{SERVICES}/web", patch, "json-patch")
    assert found["metadata"]["labels"] == {"a/b": "2", "d": "2"}
    assert [port["port"] for port in found["spec"]["ports"]] == [80, 81]
    assert "selector" not in found["spec"]


def test_a_json_patch_whose_test_fails_changes_nothing(fake: FakeKube, send: Send) -> None:
    before = fake.put(service("web"))
    patch = [
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "test", "path": "/spec/type", "value": "NodePort"},
    ]
    with pytest.raises(Rejected, match="HTTP 422"):
        send("PATCH", f"{SERVICES}/web", patch, "json-patch")
    assert fake.get("Service", "default", "web") == {"kind": "Service"} | {
        key: value for key, value in before.items() if key not in ("kind", "apiVersion")
    }


def test_a_strategic_patch_goes_into_lists_by_their_key(fake: FakeKube, send: Send) -> None:
    fake.put(service("web"))
    patch = {
        "spec": {
            "ports": [{"port": 80, "nodePort": None, "name": "web"}, {"port": 81, "name": "b"}]
        }
    }
    found = send("PATCH", f"{SERVICES}/web", patch, "strategic")
    assert [(p["name"], p["port"]) for p in found["spec"]["ports"]] == [("web", 80), ("b", 81)]


def test_an_unknown_patch_type_is_refused(fake: FakeKube, send: Send) -> None:
    fake.put(service("web"))
    with pytest.raises(Rejected, match="HTTP 415"):
        send("PATCH", f"{SERVICES}/web", {}, "text/plain")


def test_status_is_written_through_its_subresource_only(fake: FakeKube, send: Send) -> None:
    fake.put(service("web"))
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    found = send("PATCH", f"{SERVICES}/web", {"status": status}, "merge")
    assert found["status"] == {"loadBalancer": {}}
    patch = {"status": status, "spec": {"type": "NodePort"}}
    found = send("PATCH", f"{SERVICES}/web/status", patch, "merge")
    assert (found["status"], found["spec"]["type"]) == (status, "ClusterIP")


def test_the_generation_counts_changes_of_the_spec(fake: FakeKube, send: Send) -> None:
    fake.put(deployment("web"))
    send("PATCH", f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}}, "merge")
    send("PATCH", f"{DEPLOYMENTS}/web/status", {"status": {"replicas": 1}}, "merge")
    found = send("PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicas": 2}}, "merge")
    assert found["metadata"]["generation"] == 2


def test_a_write_with_an_old_version_is_a_conflict(fake: FakeKube, send: Send) -> None:
    old = fake.put(service("web"))
    fake.patch("Service", "default", "web", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Conflict, match="the object has been modified"):
        send("PUT", f"{SERVICES}/web", old)


def test_applying_takes_away_what_is_no_longer_applied(fake: FakeKube, send: Send) -> None:
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
    path = "/api/v1/namespaces/default/configmaps/cm"
    send("PATCH", path, head | {"data": {"a": "1", "b": "1"}}, "apply", fieldManager="m1")
    found = send("PATCH", path, head | {"data": {"b": "1"}}, "apply", fieldManager="m1")
    assert found["data"] == {"b": "1"}
    # What somebody else wrote meanwhile is theirs.
    send("PATCH", path, {"data": {"b": "2"}}, "merge", fieldManager="m2")
    with pytest.raises(Conflict, match=r'conflict with "m2": \.data\.b'):
        send("PATCH", path, head | {"data": {"b": "1"}}, "apply", fieldManager="m1")


def test_applying_without_a_name_is_refused(send: Send) -> None:
    with pytest.raises(Rejected, match="HTTP 400"):
        send("PATCH", f"{SERVICES}/web", {"spec": {}}, "apply", fieldManager="m")


def test_a_local_policy_on_a_cluster_ip_is_invalid(send: Send) -> None:
    body = service("web", externalTrafficPolicy="Local")
    with pytest.raises(Rejected, match=r"HTTP 422"):
        send("POST", SERVICES, body)


def test_a_health_check_port_is_given_for_local_load_balancers_only(fake: FakeKube) -> None:
    for kind, wanted in (("LoadBalancer", True), ("NodePort", False)):
        found = fake.put(service(kind.lower(), type=kind, externalTrafficPolicy="Local"))
        assert ("healthCheckNodePort" in found["spec"]) is wanted
        assert found["spec"]["ports"][0]["nodePort"] >= 30000


def test_a_namespace_must_be_there(send: Send) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        send("POST", "/api/v1/namespaces/nowhere/services", service("web", "nowhere"))
    with pytest.raises(Rejected, match="does not match the namespace"):
        send("POST", SERVICES, service("web", "nowhere"))


def test_pods_terminate_before_they_are_gone(fake: FakeKube, send: Send) -> None:
    fake.put({"kind": "Pod", "metadata": {"name": "p"}})
    path = "/api/v1/namespaces/default/pods/p"
    assert send("DELETE", path)["metadata"]["deletionGracePeriodSeconds"] == 30
    assert send("DELETE", path, {"gracePeriodSeconds": 0})["status"] == "Success"
    with pytest.raises(NotFound):
        send("GET", path)


def test_rights_are_checked_by_verb_and_resource(fake: FakeKube, send: Send) -> None:
    fake.users["admin-token"].allowed = {("get", "services"), ("list", "services")}
    send("GET", SERVICES)
    with pytest.raises(Forbidden, match='cannot create resource "services"'):
        send("POST", SERVICES, service("web"))


def kubectl(config: Path, *words: str) -> str:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    argv = ["kubectl", "--kubeconfig", str(config), "--cache-dir", str(config.parent / "cache")]
    outcome = programs.run([*argv, *words], 30)
    assert outcome.rc == 0, outcome.said
    return outcome.stdout


@pytest.fixture
def secure(fakes: Callable[..., FakeKube], tmp_path: Path) -> FakeKube:
    """A server with TLS: kubectl shows no token without."""
    authority = Authority(tmp_path / "authority")
    fake = fakes(tls=authority.sign("server"))
    fake.kubeconfig(tmp_path / "config", authority=authority.ca)
    return fake


def test_kubectl_finds_its_way_about(secure: FakeKube, tmp_path: Path) -> None:
    fake, config = secure, tmp_path / "config"
    fake.put(service("web", labels={"a": "b"}))
    fake.put(node("n1", "192.0.2.1"))
    assert "service/web" in kubectl(config, "get", "svc", "-o", "name")
    assert "n1" in kubectl(config, "get", "no")
    kubectl(config, "label", "svc/web", "c=d")
    kubectl(config, "annotate", "svc", "web", "lbsync.io/hosts=a.example")
    found = fake.get("Service", "default", "web")
    assert found is not None
    assert found["metadata"]["labels"] == {"a": "b", "c": "d"}
    assert found["metadata"]["annotations"] == {"lbsync.io/hosts": "a.example"}
    kubectl(config, "delete", "service", "web", "--wait=false")
    assert fake.get("Service", "default", "web") is None


@pytest.mark.parametrize("where", ["--server-side=true", "--server-side=false"])
def test_kubectl_applies_what_it_is_given(where: str, secure: FakeKube, tmp_path: Path) -> None:
    fake, config = secure, tmp_path / "config"
    manifest = tmp_path / "web.json"
    for port in (80, 81):
        body = service("web") | {"apiVersion": "v1"}
        body["spec"] |= {"ports": [{"name": "http", "port": port}]}
        manifest.write_bytes(msgspec.json.encode(body))
        kubectl(config, "apply", where, "--validate=false", "-f", str(manifest))
        found = fake.get("Service", "default", "web")
        assert found is not None
        assert [p["port"] for p in found["spec"]["ports"]] == [port]
