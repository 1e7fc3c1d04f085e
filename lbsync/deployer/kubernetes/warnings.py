"""Warnings about an app that is valid, but not advisable. Pure."""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from lbsync.deployer.kubernetes import manifests
from lbsync.deployer.kubernetes.document import App
from lbsync.deployer.kubernetes.pod_template import containers
from lbsync.errors import Rejected
from lbsync.values.basic import Duration
from lbsync.values.kubernetes import Image

_WANTED = (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
"""A limit of cpu is none of them: it slows a container down where nobody else wants the processor."""
_DEFAULT_GRACE = 30
"""Seconds (API reference, PodSpec)."""


def warnings(app: App) -> list[str]:
    """Return one sentence per warning, with the solution. Raises `Rejected` for an invalid image."""
    spec = manifests.deployment(app, 1, "")["spec"]["template"]["spec"]
    return list(_warnings(app, spec))


def _warnings(app: App, spec: dict[str, Any]) -> Iterator[str]:
    for kind in ("initContainers", "containers"):
        for container in containers(spec, kind):
            yield from _of_container(container)
    if app.probe is UNSET:
        yield (
            "there is no probe: a pod counts as well once it is Ready, whether the application works or not; "
            "write probe: {path: …}"
        )
    grace = spec.get("terminationGracePeriodSeconds")
    grace = _DEFAULT_GRACE if grace is None else grace
    drain = app.strategy.drain_timeout
    if grace * 1000 < drain:
        place = "grace" if app.pod is UNSET else "pod.spec.terminationGracePeriodSeconds"
        yield (
            f"{place}: a pod that is told to end has {Duration(grace * 1000) if grace else 0}, less than the drain "
            f"({drain}): where Kubernetes moves a pod, longer requests are cut; write {drain} or more"
        )


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    name = container.get("name")
    given = container.get("resources")
    given = given if isinstance(given, dict) else {}
    missing = [
        f"{kind}.{resource}"
        for kind, resource in _WANTED
        if not (isinstance(given.get(kind), dict) and resource in given[kind])
    ]
    if missing:
        yield (
            f"container {name} has no {' and no '.join(missing)}: it may take a node's memory from all others, or "
            "be the first to be killed; write resources"
        )
    yield from _of_image(name, container.get("image"))


def _of_image(name: object, image: object) -> Iterator[str]:
    try:
        parts = Image.parse(image).parts
    except ValueError as error:
        raise Rejected(f"container {name}: {error}") from error
    if not parts.digest and parts.tag in ("", "latest"):
        said = "has the tag latest" if parts.tag else "has no tag, which means latest"
        yield (
            f"container {name}: image {image} {said}: what runs changes with the registry, and a rollback finds "
            "the same image; write a tag that does not move, or a digest"
        )
