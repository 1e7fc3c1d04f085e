"""What pods say of themselves, in sentences, and how long each may go on saying it."""

from typing import Any

import msgspec
import pytest

from lbsync.clients.kube import POD_STATES
from lbsync.deployer.kubernetes import pods
from lbsync.errors import Rejected
from lbsync.kube_objects import PodState
from lbsync.values.kubernetes import Image


def pod(status: dict[str, Any], **meta: Any) -> PodState:
    found = {"metadata": {"name": "cart-1-x", "namespace": "shop"} | meta, "status": status}
    entry = POD_STATES.read(msgspec.json.encode(found))
    assert entry.value is not None
    return entry.value


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "cart", "state": state} | more]}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize(
    ("status", "patience"),
    [
        (waiting("ErrImagePull", "i/o timeout"), pods.PATIENCE_S),
        (waiting("ErrImagePull", "manifest unknown"), 0),
        (waiting("ImagePullBackOff", "unauthorized: no pull secret"), 0),
        (waiting("InvalidImageName"), 0),
        (waiting("CreateContainerConfigError", 'secret "a" not found'), pods.PATIENCE_S),
        (waiting("CrashLoopBackOff"), 0),
    ],
)
def test_what_may_be_over_at_the_second_try_has_time_for_it(
    status: dict[str, Any], patience: float
) -> None:
    (found,) = pods.troubles([pod(status)])
    assert found.patience == patience


@pytest.mark.parametrize(
    "status",
    [
        {},
        READY,
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        waiting("ErrImagePull") | READY,
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
        {"conditions": None, "containerStatuses": None},
    ],
)
def test_a_pod_that_is_ready_or_on_its_way_has_no_trouble(status: dict[str, Any]) -> None:
    assert list(pods.troubles([pod(status)])) == []


def test_a_container_that_prepares_the_pod_is_named() -> None:
    status = {"initContainerStatuses": waiting("CrashLoopBackOff")["containerStatuses"]}
    (found,) = pods.troubles([pod(status)])
    assert (found.container, found.restarted) == ("cart", True)


def test_one_that_ends_or_has_ended_is_not_counted() -> None:
    going = pod(READY, deletionTimestamp="2026-01-01T00:00:00Z")
    assert pods.living([pod(READY), going, pod({"phase": "Failed"})]) == [pod(READY)]


def test_how_many_are_ready_is_said_in_plain_words() -> None:
    assert pods.count_sentence(1, 3) == "1 of 3 pods is ready"
    assert pods.count_sentence(0, 1) == "0 of 1 pod are ready"
    assert pods.count_sentence(1, 1) == "1 of 1 pod is ready"


DIGEST, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"


def running(image_id: str, **meta: Any) -> PodState:
    one = {"name": "cart", "imageID": image_id, "ready": True, "state": {"running": {}}}
    return pod(READY | {"phase": "Running", "containerStatuses": [one]}, **meta)


@pytest.mark.parametrize(
    "image_id",
    [
        f"registry.example.com/shop/cart@{DIGEST}",
        f"docker-pullable://mirror.example.com/cart@{DIGEST}",
    ],
)
def test_an_image_is_named_as_in_the_document_with_the_digest_that_runs(image_id: str) -> None:
    image = Image.parse("registry.example.com/shop/cart:1.7")
    pods_of_it = [
        running(image_id),
        running(f"x@{OTHER}", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    found = pods.image_that_runs(image, "cart", pods_of_it)
    assert found == f"registry.example.com/shop/cart@{DIGEST}"
    assert (
        pods.image_that_runs(None, "cart", [running(f"docker-pullable://a/b@{DIGEST}")])
        == f"a/b@{DIGEST}"
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "no pod of it is ready"),
        ([pod({"containerStatuses": [{"name": "cart", "imageID": f"a@{DIGEST}"}]})], "no pod of it is ready"),
        ([running(f"sha256:{'1' * 64}")], "does not tell the digest of its image"),
        ([running(f"a@{DIGEST}"), running(f"a@{OTHER}", name="cart-1-y")], "run 2 different images"),
        ([running("a@sha256:1")], "is of no image"),
    ],
)  # fmt: skip
def test_an_image_whose_digest_is_not_beyond_doubt_is_not_promoted(
    found: list[PodState], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        pods.image_that_runs(Image.parse("a:1"), "cart", found)
