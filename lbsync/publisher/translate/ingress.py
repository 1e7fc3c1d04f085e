"""Ingresses: which are ours, and what they say of hosts and paths."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from lbsync.kube_objects import Backend, Ingress, IngressClass, IngressPath, Service
from lbsync.publisher.translate.options import (
    CONTROLLER,
    EVERY_HOST,
    HOSTS,
    OLD_CLASS,
    PUBLISH_LABEL,
    Options,
)
from lbsync.publisher.translate.report import Notice, Report, shown
from lbsync.values.names import Host, PathPrefix

_EXPRESSION = re.compile(r"[\\^\[\]{}|*?]|\(.*\)|\.\+|\$$")
"""What a path that is meant literally hardly holds: a regular expression, or a `*` for anything."""
_REPEATS = "*+?{"


class Rule(msgspec.Struct, frozen=True):
    """One host and path that leads to a port of a Service."""

    host: Host
    path: PathPrefix
    port: str
    """Name or number; "" where the Ingress gives none."""
    ingress: str
    """`Ingress shop/web`."""


class IngressClasses(msgspec.Struct, frozen=True):
    """The names of the classes that this publisher serves."""

    names: frozenset[str]
    default: bool = False
    """True: an Ingress that names no class is ours."""
    parameters: Mapping[str, str] = {}
    """By class: the object that its `spec.parameters` name."""
    default_parameters: str = ""
    """The same of the default class."""

    def parameters_of(self, ingress: Ingress) -> str:
        """Return the object that the parameters of an Ingress's class name; empty: there are none."""
        name = ingress.annotations.get(OLD_CLASS) or ingress.class_name
        return self.parameters.get(name, "") if name else self.default_parameters


def our_classes(classes: Iterable[IngressClass], options: Options) -> IngressClasses:
    """Return the classes that name our controller, and the one that the options name."""
    ours = [
        found
        for found in classes
        if found.controller == CONTROLLER or found.name == options.ingress_class
    ]
    names = frozenset(found.name for found in ours) | {options.ingress_class}
    parameters = {found.name: found.parameters for found in ours if found.parameters}
    default = [found for found in ours if found.is_default]
    of_default = next((found.parameters for found in default if found.parameters), "")
    return IngressClasses(names, bool(default), parameters, of_default)


def is_ours(ingress: Ingress, classes: IngressClasses) -> bool:
    """Tell whether the Ingress is ours; the old annotation counts before `ingressClassName`."""
    name = ingress.annotations.get(OLD_CLASS) or ingress.class_name
    return not ingress.deleting and (name in classes.names if name else classes.default)


def oldest_first(ingresses: Iterable[Ingress]) -> list[Ingress]:
    """Return the Ingresses in the order in which they claim."""
    return sorted(ingresses, key=lambda found: (found.created, found.namespace, found.name))


def leading_to(service: Service, ingresses: Iterable[Ingress]) -> list[Ingress]:
    """Return those that have a rule for `service`, the oldest first."""
    return oldest_first(
        found
        for found in ingresses
        if found.namespace == service.namespace
        and not found.deleting
        and any(backend.service == service.name for backend in backends(found))
    )


def backends(ingress: Ingress) -> list[Backend]:
    """Return all backends that an Ingress names."""
    found = [path.backend for rule in ingress.rules for path in rule.paths]
    return [*found, *([ingress.default_backend] if ingress.default_backend else [])]


def rules_for(service: Service, ingress: Ingress, report: Report) -> list[Rule]:
    """Return the hosts and paths of `ingress` that lead to `service`, in the order given.

    A host or path that HAProxy cannot serve is reported to the Ingress and left out.
    """
    named = [
        (entry.host, path)
        for entry in ingress.rules
        for path in entry.paths
        if path.backend.service == service.name
    ]
    default = ingress.default_backend
    if default is not None and default.service == service.name:
        # Of a rule without paths, the default backend takes everything (API reference, `http`).
        hosts = [entry.host for entry in ingress.rules if not entry.paths]
        whole = IngressPath("/", "Prefix", default)
        named += [(host, whole) for host in dict.fromkeys((*hosts, ""))]
    found = [_rule(ingress, host, path, report) for host, path in named]
    return [rule for rule in found if rule is not None]


def label_of(ingress: Ingress) -> str:
    """Return how an Ingress is called in sentences."""
    return f"Ingress {ingress.namespace}/{ingress.name}"


def _rule(ingress: Ingress, host: str, path: IngressPath, report: Report) -> Rule | None:
    label = label_of(ingress)
    if not host and ingress.annotations.get(HOSTS, "").strip() != EVERY_HOST:
        # Often a host that got lost, by a slip or an empty value in somebody's template.
        report.warn(
            f"path {shown(path.path or '/')} is of no host, and is left out: it would take every host",
            f'name the host, or, if that is meant, set annotation {HOSTS}: "{EVERY_HOST}" here',
            label,
        )
        return None
    if path.path_type == "Exact":
        report.warn(
            f"path {shown(path.path)} of type Exact is served as a prefix: it also takes what lies "
            "below it",
            "use pathType: Prefix if that is meant",
            label,
        )
    is_expression = path.path_type not in ("Prefix", "Exact") and _EXPRESSION.search(path.path)
    try:
        found_host = Host.parse(host or "*")
        found_path = PathPrefix.parse(path.path or "/")
    except ValueError as error:
        cure = _prefix_instead(path.path) if is_expression else "correct the rule"
        report.warn(f"a rule is left out: {error}", cure, label)
        return None
    if is_expression:
        report.warn(
            f"path {shown(path.path)} looks like a pattern, and is served as a prefix that begins with "
            "just these characters: patterns in paths are not read",
            _prefix_instead(path.path),
            label,
        )
    port = str(path.backend.port_number) if path.backend.port_number else path.backend.port_name
    return Rule(found_host, found_path, port, label)


def _prefix_instead(path: str) -> str:
    """Return what to write instead of a path that looks like a pattern."""
    found = _EXPRESSION.search(path)
    if found is None:
        return "write a prefix"
    at = found.start()
    literal, rest = path[:at], path[at:]
    repeated = ""
    if rest[0] in _REPEATS:  # it says how often the character before it comes
        literal, repeated = literal[:-1], literal[-1:]
    if repeated != "/" and not rest.startswith(("(/", "$")):
        literal = literal.rpartition("/")[0]
    if not literal.strip("/"):
        return "write the prefixes that are meant, one path each"
    return f"write prefixes, such as {shown(literal)}, which takes all that lies below it"


def inspect_ingress(
    ingress: Ingress, is_published: Callable[[str, str], bool], parameters: str = ""
) -> tuple[Notice, ...]:
    """Return what is wrong with an Ingress of ours as a whole, whatever its Services are.

    `is_published` tells whether a Service, by namespace and name, carries the label; `parameters`: the
    object that the parameters of its class name.
    """
    report = Report(label_of(ingress))
    if parameters:
        report.warn(
            f"its IngressClass has parameters ({parameters}), which are not read",
            "say what they do in annotations of the Service or of this Ingress, and take "
            "spec.parameters out of the class",
        )
    if ingress.tls_hosts:
        report.warn(
            "spec.tls is not read: no Secret leaves the cluster",
            "put the certificates on the HAProxy hosts, and take spec.tls out",
        )
    named: dict[Any, None] = dict.fromkeys(backend.service for backend in backends(ingress))
    for name in named:
        if not name:
            report.warn("a backend is no Service", "only Services can be backends")
        elif not is_published(ingress.namespace, name):
            report.warn(
                f"Service {ingress.namespace}/{name} is not published, and requests for its paths go to "
                "whichever service has the rest of the host",
                f'give it the label {PUBLISH_LABEL}: "true"',
            )
    if not named:
        report.warn("it has no backend", "give it a rule or a default backend")
    return report.notices()
