"""Notifications of registries and pipelines about a pushed image, in three formats. Pure.

Docker Hub (`push_data`, `repository`): https://docs.docker.com/docker-hub/repos/manage/webhooks/. GitHub's events
`package` and `registry_package`: https://docs.github.com/webhooks/webhook-events-and-payloads#package. And `image`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.errors import Rejected
from lbsync.schema.reading import Unreadable, plain
from lbsync.values.kubernetes import Image

_FORMS = 'send {"image": "registry.example.com/shop/cart:1.8"}, or what Docker Hub or GitHub send of a pushed image'
_HUB = (
    "docker.io/library/",
    "docker.io/",
    "index.docker.io/library/",
    "index.docker.io/",
    "library/",
)
_DELETED = frozenset({"deleted", "unpublished"})


class Pushed(msgspec.Struct, frozen=True):
    """What was pushed."""

    image: Image | None
    """None: nothing that could be deployed."""
    why: str = ""
    """Why not."""


def pushed(body: bytes) -> Pushed:
    """Return the image that a payload names. Raises `Rejected` for what is none of the three forms."""
    try:
        found = plain(body)
    except Unreadable as error:
        raise Rejected(f"the body: {error}; {_FORMS}") from error
    if not isinstance(found, dict):
        raise Rejected(f"the body is no JSON object; {_FORMS}")
    if "image" in found:
        return Pushed(_image(_text(found, "image"), _text(found, "digest")))
    if "push_data" in found:
        return _docker_hub(found)
    for name in ("package", "registry_package"):
        if isinstance(found.get(name), dict):
            return _github(found, found[name])
    if "zen" in found and "hook_id" in found:
        return Pushed(None, "GitHub asks whether anybody is here: yes")
    raise Rejected(f"the body is of no form that is known here; {_FORMS}")


def repository(image: Image) -> str:
    """Return what images of one repository have in common; Docker Hub's may be written in several ways."""
    name = image.parts.name
    for prefix in _HUB:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _docker_hub(found: Mapping[str, Any]) -> Pushed:
    data, about = _part(found, "push_data"), _part(found, "repository")
    name, tag = _text(about, "repo_name"), _text(data, "tag")
    if not name or not tag:
        raise Rejected("the body has no repository.repo_name, or no push_data.tag")
    # Only Docker Hub sends these; others of the same form name their registry.
    return Pushed(_image(f"{name.removeprefix('_/')}:{tag}", _text(data, "digest")))


def _github(found: Mapping[str, Any], package: Mapping[str, Any]) -> Pushed:
    kind = _text(package, "package_type").lower()
    if kind not in ("container", "docker"):
        return Pushed(None, f"the package is of type {kind or 'unknown'}, not a container's image")
    if (action := _text(found, "action")) in _DELETED:
        return Pushed(None, f"the package was {action}")
    version = _part(package, "package_version")
    tag = _part(_part(version, "container_metadata"), "tag")
    name, digest = _text(tag, "name"), _text(tag, "digest")
    if not name:
        # Each platform of an image is a package without a tag of its own.
        return Pushed(None, "what was pushed has no tag")
    url = _text(version, "package_url")
    if not url:
        raise Rejected("the body has no package_version.package_url")
    place, _, rest = url.partition("@")[0].rpartition("/")
    return Pushed(_image(f"{place}/{rest.partition(':')[0]}:{name}", digest))


def _image(text: str, digest: str) -> Image:
    if digest and "@" not in text:
        text = f"{text}@{digest}"
    try:
        return Image.parse(text)
    except ValueError as error:
        raise Rejected(f"image: {error}") from error


def _part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _text(found: Mapping[str, Any], name: str) -> str:
    text = found.get(name)
    return text if isinstance(text, str) else ""
