"""Which port of a Service is meant."""

import re

import msgspec

from lbsync.kube_objects import Service, ServicePort
from lbsync.publisher.translate.report import Refused, shown

_NUMBER = re.compile(r"[0-9]{1,5}\Z")


class PortChoice(msgspec.Struct, frozen=True):
    """One TCP port of a Service, or a bare number for a Service that declares none."""

    name: str
    """That of the Service's port, which slices use too; "" for the unnamed one."""
    number: int
    """The Service's own port, 1-65535."""
    node_port: int = 0
    app_protocol: str = ""
    target: int = 0
    """Where the servers listen, as far as the Service itself says it; 0: it gives a name only."""
    declared: bool = True
    """False: the Service has no `ports`, so the number is that of the servers."""


def choose_port(service: Service, wanted: str, asked_by: str) -> PortChoice:
    """Return the port that `wanted` (name or number; "": the only one) means.

    `asked_by` names who said so, for the refusal. Raises `Refused`. Kubernetes lets one number
    stand for TCP and UDP at once; TCP is what can be meant here.
    """
    if wanted and (not service.ports or service.type == "ExternalName"):
        return _bare(service, wanted, asked_by)
    if not service.ports:
        raise Refused(
            "the Service has no ports",
            "write the servers' port number into annotation lbsync.io/port",
        )
    found = [port for port in service.ports if _is(port, wanted)]
    tcp = [port for port in found if port.protocol == "TCP"]
    if len(tcp) == 1:
        port = tcp[0]
        return PortChoice(port.name, port.port, port.node_port, port.app_protocol, port.target_port)
    if not found:
        raise Refused(
            f"{asked_by} names port {shown(wanted)}, which the Service does not have",
            f"write one of {_list(service)}",
        )
    if not tcp:
        raise Refused(
            f"port {_list(service, found)} is {found[0].protocol}, and HAProxy balances TCP only",
            "choose a TCP port with annotation lbsync.io/port",
        )
    raise Refused(
        "the Service has several TCP ports",
        f"name one of {_list(service)} in annotation lbsync.io/port",
    )


def _is(port: ServicePort, wanted: str) -> bool:
    return 0 < port.port < 65536 and (not wanted or wanted in (port.name, str(port.port)))


def _bare(service: Service, wanted: str, asked_by: str) -> PortChoice:
    for port in service.ports:
        if _is(port, wanted) and port.protocol == "TCP":
            return PortChoice(port.name, port.port, target=port.target_port)
    if not _NUMBER.match(wanted) or not 0 < int(wanted) < 65536:
        raise Refused(
            f"{asked_by} names port {shown(wanted)}, and the Service declares no such port",
            "write the servers' port number, 1 to 65535",
        )
    return PortChoice("", int(wanted), target=int(wanted), declared=False)


def _list(service: Service, ports: list[ServicePort] | None = None) -> str:
    chosen = service.ports if ports is None else ports
    names = [f"{port.name} ({port.port})" if port.name else str(port.port) for port in chosen]
    return ", ".join(names[:10])
