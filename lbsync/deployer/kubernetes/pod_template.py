"""A user's pod template: only the necessary checks are made here, the rest by the API server. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from lbsync.model.record import Record
from lbsync.values.kubernetes import LabelName, Words

OURS = "lbsync.io/"
"""Labels and annotations that begin so are the deployer's own."""
_DEPLOYMENT_ONLY = "Always"


class TemplateMetadata(Record, frozen=True):
    """Labels and annotations that pods get beside the deployer's own."""

    labels: dict[LabelName, str] = msgspec.field(default_factory=dict)
    annotations: dict[LabelName, Words] = msgspec.field(default_factory=dict)


class PodTemplate(Record, frozen=True):
    """As `spec.template` of a Deployment. Fields of `spec` are those of the Kubernetes API, which refuses
    unknown ones itself before anything starts."""

    spec: dict[str, Any]
    metadata: TemplateMetadata = TemplateMetadata()


def containers(spec: Mapping[str, Any], kind: str = "containers") -> list[dict[str, Any]]:
    """Return the containers of a pod's `spec`, as far as they are any."""
    listed = spec.get(kind)
    listed = listed if isinstance(listed, list) else []
    return [found for found in listed if isinstance(found, dict)]


def main_container(spec: Mapping[str, Any], name: str | None) -> dict[str, Any] | None:
    """Return the app's own container: that of this name, or the first."""
    found = containers(spec)
    return next((c for c in found if name is None or c.get("name") == name), None)


def wrong_with_template(
    template: PodTemplate, container: str | None, *, has_image: bool, env: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with a template: `container` names the app's own, which gets the image and `env`."""
    spec = template.spec
    listed = spec.get("containers")
    if not isinstance(listed, list) or not listed:
        yield "pod.spec.containers: required: a list of at least one container"
        return
    yield from _wrong_containers(listed)
    main = main_container(spec, container)
    if main is None:
        yield f"container: pod.spec has no container {container!r}; name one that it has"
        return
    place = f"pod.spec.containers[{listed.index(main)}]"
    if not has_image and not isinstance(main.get("image"), str):
        yield f"{place}.image: required, but missing; write it there, or as image of the app"
    taken = {found.get("name") for found in _dicts(main.get("env"))}
    for name in env:
        if name in taken:
            yield f"env.{name}: {place}.env has it, too; keep one of them"
    yield from _wrong_spec(spec)
    for kind in ("labels", "annotations"):
        for name in getattr(template.metadata, kind):
            if name.startswith(OURS):
                yield f"pod.metadata.{kind}.{name}: names that begin with {OURS} are the deployer's; take it out"


def _wrong_spec(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("restartPolicy", _DEPLOYMENT_ONLY) != _DEPLOYMENT_ONLY:
        yield "pod.spec.restartPolicy: a Deployment's pods are restarted always; take it out"
    if spec.get("hostNetwork") is True:
        yield "pod.spec.hostNetwork: two versions on one node would want the same port; take it out"
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or grace < 0):
        yield "pod.spec.terminationGracePeriodSeconds: write a whole number of seconds"


def _wrong_containers(listed: list[Any]) -> Iterator[str]:
    seen: set[str] = set()
    for index, found in enumerate(listed):
        place = f"pod.spec.containers[{index}]"
        name = found.get("name") if isinstance(found, dict) else None
        if not isinstance(found, dict):
            yield f"{place}: it is no container: write an object in {{ }}"
        elif not isinstance(name, str) or not name:
            yield f"{place}.name: required, but missing"
        elif name in seen:
            yield f"{place}.name: two containers are named {name!r}; give each its own name"
        else:
            seen.add(name)


def _dicts(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
