"""The manifests of deploy/, and what judges them: Kubernetes' own schemas, strictly, and that of compose files.

An overlay is put together as `kubectl kustomize` does, as far as ours go.
"""

import copy
import functools
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

Document = dict[str, Any]

DEPLOY = Path(__file__).parents[1] / "deploy"
SCHEMAS = Path(__file__).parent / "data/schemas"
RELEASES = sorted(path.stem.partition("-")[2] for path in SCHEMAS.glob("kubernetes-*.json"))
"""Releases of Kubernetes by whose schemas manifests are judged: an old one and a new one (`scripts/schemas`)."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's readers would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if name.tag != "tag:yaml.org,2002:merge"]
        for name in names:
            if names.count(name) > 1:
                raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {name} is there twice")
        return super().construct_mapping(node, deep)


def documents(text: str) -> list[Document]:
    """Return the documents of a file. Raises `yaml.YAMLError`, also for a key that is there twice."""
    return list(yaml.load_all(text, _Loader))


def faults(document: Document, release: str) -> list[str]:
    """Return a sentence for each thing that this release of Kubernetes would refuse, or silently drop."""
    definitions = json.loads((SCHEMAS / f"kubernetes-{release}.json").read_text())["$defs"]
    group, _, version = document["apiVersion"].rpartition("/")
    name = f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{document['kind']}"
    if name not in definitions:
        return [f"{document['apiVersion']} {document['kind']}: {release} has no such object"]
    return _told(_validator(release, name), document)


def compose_faults(document: Document) -> list[str]:
    """Return a sentence for each thing that is not as a compose file has it."""
    schema = json.loads((SCHEMAS / "compose.json").read_text())
    return _told(jsonschema_rs.Draft202012Validator(schema), document)


@functools.cache
def _validator(release: str, name: str) -> jsonschema_rs.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"kubernetes-{release}.json").read_text())
    return jsonschema_rs.Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"})


def _told(validator: jsonschema_rs.Draft202012Validator, document: Document) -> list[str]:
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator.iter_errors(document)
    ]


def kustomized(folder: Path) -> list[Document]:
    """Return what a kustomization makes: its resources, with images, replicas and patches as it says."""
    (wanted,) = documents((folder / "kustomization.yaml").read_text())
    known = {"apiVersion", "kind", "resources", "images", "replicas", "patches"}
    assert wanted.keys() <= known, f"this reads {known} alone"
    found: list[Document] = []
    for name in wanted["resources"]:
        path = folder / name
        found += kustomized(path) if path.is_dir() else documents(path.read_text())
    found = copy.deepcopy(found)
    for patch in wanted.get("patches", ()):
        (change,) = documents(patch["patch"])
        (target,) = (one for one in found if _place(one) == _place(change))
        _merge(target, change)
    for one in found:
        pod = one.get("spec", {}).get("template", {}).get("spec", {})
        for part in [*pod.get("initContainers", ()), *pod.get("containers", ())]:
            for image in wanted.get("images", ()):
                if part["image"].partition(":")[0] == image["name"]:
                    part["image"] = f"{image['newName']}:{image['newTag']}"
        for replicas in wanted.get("replicas", ()):
            if one["metadata"]["name"] == replicas["name"] and "replicas" in one.get("spec", {}):
                one["spec"]["replicas"] = replicas["count"]
    return found


def _place(document: Document) -> tuple[str, str, str]:
    meta = document["metadata"]
    return document["kind"], meta.get("namespace", ""), meta["name"]


def _merge(target: Any, change: Any) -> None:
    """Change an object by a strategic merge: lists whose items have names are merged by them, what is changed first."""
    for name, value in change.items():
        old = target.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list) and all("name" in v for v in value):
            there = {one["name"]: one for one in old}
            for one in value:
                _merge(there.setdefault(one["name"], {}), one)
            changed = [one["name"] for one in value]
            rest = [each for each in old if each["name"] not in changed]
            target[name] = [*map(there.__getitem__, changed), *rest]
        else:
            target[name] = value
