"""An app as one document, YAML or JSON: what runs, how its health is verified, and how it is reached.

All errors are reported together, each with its location and how to correct it. Pure, except for reading text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lbsync.clients.files.contents import parse_yaml
from lbsync.decoders import convert
from lbsync.deployer.kubernetes.pod_template import PodTemplate, wrong_with_template
from lbsync.errors import ManyRejected
from lbsync.model.deploying import Strategy
from lbsync.model.record import Record
from lbsync.model.records import Count, Port, ServiceRecord
from lbsync.schema import consistency, reading
from lbsync.schema.decode import as_plain
from lbsync.schema.keys import ServiceId
from lbsync.schema.sentences import sentences
from lbsync.values.basic import Duration
from lbsync.values.http import StatusRange, UriPath
from lbsync.values.kubernetes import (
    AppName,
    EnvironmentName,
    Image,
    LabelName,
    Namespace,
    ObjectName,
    Quantity,
    SecretKey,
    Words,
)
from lbsync.values.names import Host

MAX_DOCUMENT = 1 << 20
"""Bytes. Kubernetes' own limit for an object is that of its etcd, 1.5 MiB; the record holds the document, too."""
_MAX_GRACE = 86_400_000
_MAX_INTERVAL = 60_000
_STAND_INS: dict[str, Any] = {
    "namespace": "any",
    "name": "any",
    "port": 1,
    "service": {"mode": "http", "hosts": ["*"]},
}
_FEW = ("command", "args", "resources", "grace", "pull_secrets", "service_account")
"""Fields that say what a pod template says itself."""


class SecretReference(Record, frozen=True):
    """The value of a variable that a Secret in the app's namespace holds."""

    secret: ObjectName
    key: SecretKey
    optional: bool = False
    """True: without the Secret or its key the variable is left out, and the pod starts all the same."""


class Resources(Record, frozen=True):
    """What the container is given at least, and at most, as Kubernetes counts it."""

    requests: dict[LabelName, Quantity] = msgspec.field(default_factory=dict)
    limits: dict[LabelName, Quantity] = msgspec.field(default_factory=dict)


class Probe(Record, frozen=True):
    """The application's own proof that a pod does its work, asked of every pod before the switch."""

    path: UriPath
    port: Port | UnsetType = UNSET
    """Left out: the app's port."""
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    status: StatusRange = StatusRange("200-399")
    good: Count = 3
    """So many good answers in a row, of each pod."""
    interval: Duration = Duration(1000)
    timeout: Duration = Duration(2000)
    """For each request, from the connection to the last byte of the head."""
    host: Host | UnsetType = UNSET
    """The `Host` that is asked for. Left out: the first host of the service that is no wildcard."""


class App(Record, frozen=True):
    """One app."""

    namespace: Namespace
    name: AppName
    service: ServiceRecord
    """The fields of `services/…` in the contract."""
    port: Port
    """Where the container listens."""
    image: Image | UnsetType = UNSET
    replicas: Annotated[int, Meta(ge=1, le=1000)] = 1
    env: dict[EnvironmentName, str | SecretReference] = msgspec.field(default_factory=dict)
    command: tuple[Words, ...] = ()
    args: tuple[Words, ...] = ()
    resources: Resources = Resources()
    grace: Duration | UnsetType = UNSET
    """How long a pod may take to end after it was told to. Left out: as long as the drain, in whole seconds."""
    pull_secrets: tuple[ObjectName, ...] = ()
    service_account: ObjectName | UnsetType = UNSET
    probe: Probe | UnsetType = UNSET
    strategy: Strategy = Strategy()
    pod: PodTemplate | UnsetType = UNSET
    """A whole pod template, in place of the few fields that make one."""
    container: ObjectName | UnsetType = UNSET
    """Which container of `pod` is the app's: it gets `image` and `env`. Left out: the first."""

    @property
    def id(self) -> ServiceId:
        """The service that the app is reached by."""
        return ServiceId(self.namespace, self.name)

    @property
    def grace_seconds(self) -> int:
        """Seconds that a pod has to end, where no template says it."""
        grace = self.strategy.drain_timeout if self.grace is UNSET else self.grace
        return -(-grace // 1000)


class AppRefused(ManyRejected):
    """Raised for a document that is no app. Carries everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the app is refused", [reading.one_line(problem) for problem in problems])


def read(text: bytes, image: str = "") -> App:
    """Return the app that YAML or JSON text describes; `image` takes the place of the one in it.

    Raises `AppRefused`.
    """
    if len(text) > MAX_DOCUMENT:
        raise AppRefused([f"the document has {len(text)} bytes; at most {MAX_DOCUMENT} are read"])
    try:
        raw = parse_yaml(text)
    except ValueError as error:
        raise AppRefused([f"the document is neither YAML nor JSON: {error}"]) from error
    if image and isinstance(raw, dict):
        raw = {**raw, "image": image}
    return from_plain(raw)


def from_plain(raw: object) -> App:
    """Return the app that plain values describe, as they come from JSON or YAML. Raises `AppRefused`."""
    if not isinstance(raw, dict):
        raise AppRefused(
            ["the document is no object: write fields like namespace, name and service"]
        )
    if not reading.is_shallow(raw):
        raise AppRefused(
            ["it is nested too deeply; write fewer lists and objects within each other"]
        )
    if problems := list(_without_json(raw, "")):
        raise AppRefused(problems)
    raw = _with_mode(raw)
    problems = list(sentences(App, raw))
    wrong = {_field(problem) for problem in problems}
    app = _converted(_without(raw, wrong))
    problems += [problem for problem in _wrong_with(app) if _field(problem) not in wrong]
    if problems:
        raise AppRefused(problems)
    return app


def to_plain(app: App) -> dict[str, Any]:
    """Return the app as JSON holds it; `from_plain` of it is an equal app."""
    found: dict[str, Any] = as_plain(app)
    return found


def _field(problem: str) -> str:
    """Return the field that a sentence begins with: of the service, which one of its fields."""
    place = re.split(r"[\[:]", problem, maxsplit=1)[0].split(".")
    return ".".join(place[: 2 if place[0] == "service" else 1])


def _without(raw: dict[str, Any], wrong: set[str]) -> dict[str, Any]:
    """Return what is left without these fields, required ones replaced: what they have to do with each
    other is then found out of the rest."""
    found = {name: value for name, value in raw.items() if name not in wrong}
    if isinstance(service := found.get("service"), dict):
        kept = {name: value for name, value in service.items() if f"service.{name}" not in wrong}
        found["service"] = {"mode": "http", **kept}
    return {**_STAND_INS, **found}


def _converted(raw: object) -> App:
    try:
        return convert(raw, App, lambda kind, value: kind.parse(value))
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        # `sentences` has found nothing: whatever this is, it is told in msgspec's words.
        raise AppRefused([f"it does not fit: {error}"]) from error


def _with_mode(raw: dict[str, Any]) -> dict[str, Any]:
    service = raw.get("service")
    return {**raw, "service": {"mode": "http", **service}} if isinstance(service, dict) else raw


def _without_json(raw: object, place: str) -> Iterator[str]:
    """Yield what YAML can say and JSON cannot: names that are no text, dates, bytes, no numbers."""
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            here = f"{place}.{name}" if place else str(name)
            if not isinstance(name, str):
                yield f"{reading.one_line(here, 200)}: the name is no text: put it in quotes"
            else:
                yield from _without_json(value, here)
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _without_json(value, f"{place}[{index}]")
    elif isinstance(raw, float):
        if not math.isfinite(raw):
            yield f"{place}: it is no number of JSON: write one"
    elif not (raw is None or isinstance(raw, bool | int | str)):
        yield f"{place}: it is a {type(raw).__name__}: put it in quotes"


def _wrong_with(app: App) -> Iterator[str]:
    yield from (f"service.{wrong}" for wrong in consistency.all_wrong_with(app.service))
    owner = app.service.owner
    if owner is not UNSET and owner != owner.strip():
        yield "service.owner: it begins or ends with a blank; take that out"
    if app.service.source is not UNSET:
        yield "service.source: the publisher writes it; take it out"
    if app.service.mode == "http" and not app.service.hosts:
        yield 'service.hosts: required for an http service; write ["*"] if every host is meant'
    yield from _wrong_strategy(app)
    yield from _wrong_texts(app)
    yield from _wrong_times(app)
    if app.pod is UNSET:
        if app.image is UNSET:
            yield "image: required, but missing; write it, or a whole template as pod"
        if app.container is not UNSET:
            yield "container: it names a container of pod, and there is none; take it out"
        return
    for field in _FEW:
        if _is_said(app, field):
            yield f"{field}: the template in pod says that itself; write it there, and take it out here"
    container = None if app.container is UNSET else app.container
    yield from wrong_with_template(
        app.pod, container, has_image=app.image is not UNSET, env=app.env
    )


def _wrong_strategy(app: App) -> Iterator[str]:
    if wrong := consistency.wrong_with_strategy(app.strategy):
        yield f"strategy.{wrong}"
    if app.strategy.preview and app.service.preview is UNSET:
        yield "strategy.preview: the service has none, so nobody could see the version; write service.preview"


def _is_said(app: App, field: str) -> bool:
    default = next(f for f in msgspec.structs.fields(App) if f.name == field).default
    return bool(getattr(app, field) != default)


def _wrong_texts(app: App) -> Iterator[str]:
    """A type that may be an object or a text checks no text by itself."""
    for name, value in app.env.items():
        if isinstance(value, str):
            try:
                Words.parse(value)
            except ValueError as error:
                yield f"env.{name}: {error}"


def _wrong_times(app: App) -> Iterator[str]:
    if app.grace is not UNSET and (app.grace % 1000 or app.grace > _MAX_GRACE):
        yield "grace: Kubernetes counts it in whole seconds, at most a day; write one like 60s"
    probe = app.probe
    if probe is UNSET:
        return
    if probe.timeout > _MAX_INTERVAL:
        yield "probe.timeout: a pod that takes longer than 60s is not well; write less"
    if probe.interval > _MAX_INTERVAL:
        yield "probe.interval: write 60s or less"
    if probe.host is not UNSET and "*" in probe.host:
        yield "probe.host: one name, without *"
