"""The state of a version's pods: how many are ready, and why one can never become ready. Pure."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from lbsync.errors import Rejected
from lbsync.kube_objects import ContainerState, PodState
from lbsync.values.kubernetes import Image

_UNUSABLE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_NOT_PULLED = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", *_UNUSABLE})
_NOT_STARTED = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_CRASHING = "CrashLoopBackOff"
_FOR_GOOD = (
    "not found",
    "manifest unknown",
    "unauthorized",
    "denied",
    "does not exist",
    "no match for",
)
"""What registries say of an image that a second try will not bring either."""
PATIENCE_S = 10.0
"""Seconds that a trouble may last which may be over at the second try: a registry that stumbles, a Secret that is
made a moment later, a quota that pods which end still hold."""
UNSCHEDULABLE_S = 20.0
"""The same for a pod that no node takes; while a cluster autoscaler says that it makes one, there is no limit."""


class Trouble(msgspec.Struct, frozen=True):
    """Why a pod is not ready, as reported by its kubelet or the scheduler."""

    pod: str
    reason: str
    """One sentence for people."""
    patience: float
    """Seconds that it may last."""
    kind: str
    """The same while it is the same trouble."""
    container: str = ""
    """Whose log explains it; empty: nobody's."""
    restarted: bool = False
    """The log before the last start explains it."""
    unschedulable: bool = False


def living(pods: Iterable[PodState]) -> list[PodState]:
    """Return those that are to stay: a pod that was told to end, or has ended, is replaced by another one."""
    return [pod for pod in pods if not pod.deleting and pod.phase not in ("Failed", "Succeeded")]


def count_sentence(ready: int, wanted: int) -> str:
    """Return how many are ready, for people."""
    return (
        f"{ready} of {wanted} pod{'' if wanted == 1 else 's'} {'is' if ready == 1 else 'are'} ready"
    )


def image_that_runs(image: Image | None, container: str, pods: Iterable[PodState]) -> Image:
    """Return the image with the digest that the pods of a version really run, by their `status` (`imageID`).

    `image`: as the document names it; None: it does not, and the node's name of it counts. `container`: the app's
    own. Raises `Rejected` if no pod says it, or they do not say the same.
    """
    said = {
        pod.name: one.image_id
        for pod in living(pods)
        for one in pod.containers
        if one.name == container and pod.ready
    }
    if not said:
        raise Rejected("no pod of it is ready, so nothing tells which image it runs")
    found: dict[str, str] = {}
    for pod, identity in said.items():
        name, at, digest = identity.rpartition("@")
        if not at:
            raise Rejected(
                f"pod {pod} does not tell the digest of its image (its imageID is {identity!r}): it was put onto the "
                "node, not pulled; push it to a registry, and deploy it from there"
            )
        # Docker's runtime writes docker-pullable:// before it.
        found.setdefault(digest, image.parts.name if image else name.rpartition("://")[2])
    if len(found) > 1:
        told = " and ".join(sorted(found))
        raise Rejected(
            f"its pods run {len(found)} different images ({told}): its tag was moved meanwhile; deploy it once more"
        )
    ((digest, name),) = found.items()
    try:
        return Image.parse(f"{name}@{digest}")
    except ValueError as error:
        raise Rejected(f"the imageID of its pods is of no image: {error}") from error


def troubles(pods: Sequence[PodState]) -> Iterator[Trouble]:
    """Yield the trouble of each pod that is not ready, as far as anybody has said it."""
    for pod in pods:
        if pod.ready:
            continue
        if pod.unschedulable:
            reason = f"pod {pod.name}: no node takes it: {pod.unschedulable}"
            yield Trouble(pod.name, reason, UNSCHEDULABLE_S, "unschedulable", unschedulable=True)
        for container in pod.containers:
            if (found := _of_container(pod, container)) is not None:
                yield found
                break


def _of_container(pod: PodState, container: ContainerState) -> Trouble | None:
    said = f": {container.message}" if container.message else ""
    if container.waiting in _NOT_PULLED:
        is_final = container.waiting in _UNUSABLE or any(
            word in container.message.lower() for word in _FOR_GOOD
        )
        reason = f"pod {pod.name}: the image of container {container.name} cannot be pulled ({container.waiting}){said}"
        return Trouble(pod.name, reason, 0 if is_final else PATIENCE_S, "image")
    if container.waiting in _NOT_STARTED:
        reason = f"pod {pod.name}: container {container.name} cannot be started ({container.waiting}){said}"
        return Trouble(pod.name, reason, PATIENCE_S, "start")
    if container.waiting == _CRASHING:
        reason = f"pod {pod.name}: container {container.name} ends again and again ({_CRASHING}): {_end(container)}"
        return Trouble(pod.name, reason, 0, "crash", container.name, restarted=True)
    return None


def _end(container: ContainerState) -> str:
    if container.last_end == "OOMKilled":
        return "it was killed for taking more memory than its limit (OOMKilled); raise resources.limits.memory"
    if container.last_end:
        return f"the last time with code {container.last_code} ({container.last_end})"
    return container.message or "nobody says why"
