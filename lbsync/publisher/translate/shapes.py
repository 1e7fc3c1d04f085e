"""Which records of `services/…` one Service becomes, and with which hosts and paths.

A record stands for every one of its hosts with every one of its paths. An Ingress can say more: other
paths on each host, other ports on each path. So a Service becomes as many records as it takes for
each to be such a product: `<name>`, `<name>.2`, … for more sets of paths, `<name>.p<port>` for further
ports. Names of Services hold no dot, so these are free.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lbsync.kube_objects import Ingress, Service
from lbsync.publisher.translate.annotations import set_aside
from lbsync.publisher.translate.ingress import Rule, label_of, rules_for
from lbsync.publisher.translate.options import EVERY_HOST, HOSTS
from lbsync.publisher.translate.ports import PortChoice, choose_port
from lbsync.publisher.translate.reader import AnnotationValues
from lbsync.publisher.translate.report import Refused, Report
from lbsync.values.names import Host, PathPrefix, is_name


class Shape(msgspec.Struct, frozen=True):
    """One record that a Service becomes."""

    name: str
    port: PortChoice
    hosts: tuple[Host, ...] = ()
    """Empty, with the paths: as the annotations say."""
    paths: tuple[PathPrefix, ...] = ()
    said_by: str = ""
    """The Ingresses that the hosts and paths come from."""


def shapes(
    service: Service, ingresses: Iterable[Ingress], values: AnnotationValues, report: Report
) -> list[Shape]:
    """Return the records that `service` becomes. Raises `Refused`.

    `ingresses` are those that lead to it, the oldest first.
    """
    ingresses = list(ingresses)
    rules = [rule for ingress in ingresses for rule in rules_for(service, ingress, report)]
    if why := set_aside(values):
        for ingress in ingresses:
            report.warn(f"its rules for Service {service.namespace}/{service.name} are not used: {why}",
                        "say it in one place", label_of(ingress))  # fmt: skip
        ingresses, rules = [], []
    if not ingresses:
        try:
            port = choose_port(service, values.placement.port, _asked(values))
        except Refused:
            # The graver of two reasons, and often that of the other: Ingresses name ports, too.
            require_hosts(values.draft)
            raise
        return [Shape(service.name, port)]
    ported = _with_ports(service, rules, report)
    if not ported:
        raise Refused(
            "no rule of its Ingresses can be served, and without hosts it would take every request",
            "correct them, or write annotation lbsync.io/hosts",
        )
    return _divide(service, ported, values)


def require_hosts(draft: Mapping[str, Any]) -> None:
    """Raise `Refused` for a draft that takes every host because nobody named one.

    For the contract no hosts are all hosts. Here they are mostly what is left when the Ingress that
    named them is gone, of another class or not read any more: nothing may be opened by that.
    """
    if draft.get("mode") != "tcp" and not draft.get("hosts"):
        raise Refused(
            "nothing names its hosts, and without hosts it would take every request",
            f'write annotation {HOSTS} (with "{EVERY_HOST}" if every host is meant), or let an '
            "Ingress that the publisher reads lead to it",
        )


def _asked(values: AnnotationValues) -> str:
    return "annotation lbsync.io/port" if values.placement.port else "the Service"


def _with_ports(
    service: Service, rules: list[Rule], report: Report
) -> list[tuple[Rule, PortChoice]]:
    """Return the rules with the ports they mean; each host and path once, the oldest first."""
    found: dict[tuple[Host, PathPrefix], tuple[Rule, PortChoice]] = {}
    for rule in rules:
        try:
            port = choose_port(service, rule.port, rule.ingress)
        except Refused as error:
            report.warn(f"a rule is left out: {error.reason}", error.cure, rule.ingress)
            continue
        first = found.setdefault((rule.host, rule.path), (rule, port))
        if first[1] != port:
            report.warn(
                f"host {rule.host} with path {rule.path} leads to another port in {first[0].ingress}, "
                "which counts",
                "give both the same port",
                rule.ingress,
            )
    return list(found.values())


def _divide(
    service: Service, rules: list[tuple[Rule, PortChoice]], values: AnnotationValues
) -> list[Shape]:
    by_port: dict[PortChoice, list[Rule]] = {}
    for rule, port in rules:
        by_port.setdefault(port, []).append(rule)
    wanted = values.placement.port
    ports = sorted(
        by_port,
        key=lambda port: (wanted not in (port.name, str(port.number)), _order(service, port)),
    )
    found: list[Shape] = []
    for index, port in enumerate(ports):
        base = f"{service.name}.p{port.number}" if index else service.name
        found += _products(base, port, by_port[port])
    for shape in found:
        if not is_name(shape.name):
            raise Refused(
                f"its Ingress rules need a further record {shape.name}, and that name is too long",
                "give the Service a shorter name, or every host the same paths",
            )
    return found


def _order(service: Service, port: PortChoice) -> int:
    numbers = [(entry.name, entry.port) for entry in service.ports]
    place = (port.name, port.number)
    return numbers.index(place) if place in numbers else len(numbers)


def _products(base: str, port: PortChoice, rules: list[Rule]) -> list[Shape]:
    """Return one shape per set of paths; hosts with the same paths share one."""
    paths_of: dict[Host, set[PathPrefix]] = {}
    for rule in rules:
        paths_of.setdefault(rule.host, set()).add(rule.path)
    hosts_of: dict[tuple[PathPrefix, ...], list[Host]] = {}
    for host, paths in paths_of.items():
        hosts_of.setdefault(tuple(sorted(paths)), []).append(host)
    said_by = ", ".join(dict.fromkeys(rule.ingress for rule in rules))
    return [
        Shape(
            f"{base}.{number}" if number > 1 else base, port, tuple(sorted(hosts)), paths, said_by
        )
        for number, (paths, hosts) in enumerate(hosts_of.items(), 1)
    ]
