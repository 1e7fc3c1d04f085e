"""What the client writes: tried first, and only into the very object that was meant."""

import pytest

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import deployment
from lbsync.clients.kube import DEPLOYMENTS, Client
from lbsync.errors import Conflict, Rejected


def test_what_is_tried_only_is_judged_and_leaves_nothing(fake: FakeKube, client: Client) -> None:
    version = fake.storage.version
    made = deployment("web")
    assert client.create(DEPLOYMENTS, "default", made, dry_run=True).name == "web"
    made["spec"]["template"]["spec"]["container"] = []
    with pytest.raises(Rejected, match=r'unknown field "spec\.template\.spec\.container"'):
        client.create(DEPLOYMENTS, "default", made, dry_run=True)
    with pytest.raises(Rejected, match=r"\.spec\.template\.spec\.container: field not declared"):
        client.apply(DEPLOYMENTS, "default", made, manager="me")
    assert fake.storage.version == version
    assert fake.get("Deployment", "default", "web") is None


def test_an_object_that_took_the_place_of_another_is_left_alone(
    fake: FakeKube, client: Client
) -> None:
    made = client.apply(DEPLOYMENTS, "default", deployment("web"), manager="me")
    fake.delete("Deployment", "default", "web")
    fake.put(deployment("web"))
    before = fake.get("Deployment", "default", "web")
    change = {"metadata": {"uid": made.uid}, "spec": {"replicas": 0}}
    with pytest.raises(Conflict):
        client.patch(DEPLOYMENTS, "default", "web", change, manager="me")
    with pytest.raises(Conflict):
        client.delete(DEPLOYMENTS, "default", "web", made.uid, "1")
    applied = deployment("web", replicas=3)
    applied["metadata"]["uid"] = made.uid
    with pytest.raises(Conflict):
        client.apply(DEPLOYMENTS, "default", applied, manager="me")
    assert fake.get("Deployment", "default", "web") == before
