"""A Kubernetes API server for tests: enough of one to list, watch, write and fail against.

What it answers is pinned by recorded answers of a real kube-apiserver 1.20.2, and the tests of the
client's contract run against it and, where there is one, against a real server alike.
"""

from harness.fake_kube.controllers import Controllers
from harness.fake_kube.kubelet import Trouble
from harness.fake_kube.server import ADMIN, FakeKube, running

__all__ = ["ADMIN", "Controllers", "FakeKube", "Trouble", "running"]
