"""Nodes and pods as the console reads them of an API server."""

from pathlib import Path

from msgspec.structs import replace

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import node
from lbsync.console.cluster_watch import ClusterWatch
from lbsync.console.facts.cluster import cluster_view
from lbsync.settings import Console, FilePath, Settings


def test_a_pod_that_is_killed_for_memory_is_read_with_its_restarts(tmp_path: Path) -> None:
    fake = FakeKube().start()
    fake.namespace("shop")
    fake.put(node("n1", "192.0.2.1"))
    state = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "leaks"},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }  # fmt: skip
    status = {
        "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "app", "ready": True, "restartCount": 5, "image": "app:1", "imageID": "", "lastState": state}
        ],
    }  # fmt: skip
    fake.put(pod)
    fake.put_status(pod | {"status": status})
    kubeconfig = FilePath(str(fake.kubeconfig(tmp_path / "kubeconfig")))
    settings = Settings()
    settings = replace(
        settings,
        console=replace(Console(), kubernetes=True),
        deployer=replace(settings.deployer, kubeconfig=kubeconfig),
    )
    watch = ClusterWatch(settings, lambda: None)
    try:
        view = cluster_view(watch._found())
        assert [(p.pod, p.degree, p.restarts, p.last_end) for p in view.pods] == [
            ("shop/leaks", "critical", 5, "OOMKilled")
        ]
        assert [each.node for each in view.nodes] == ["n1"]
        fake.stop()
        assert watch._found().error
    finally:
        watch.close()
        fake.stop()
