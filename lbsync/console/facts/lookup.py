"""Which service answers a URL."""

import msgspec
from msgspec import UNSET

from lbsync.console.facts.services import ServiceIndex, ServiceRow
from lbsync.model import lookup
from lbsync.model.routes import shown
from lbsync.values.names import Host

_FEW = 20


class LookupView(msgspec.Struct, frozen=True):
    """The answer."""

    url: str
    sentence: str
    """The whole answer in words."""
    service: str = ""
    route: str = ""
    """By which host and path it is found."""
    row: ServiceRow | None = None
    is_error: bool = False
    """The URL could not be read."""


def lookup_view(index: ServiceIndex, url: str) -> LookupView:
    """Return who answers `url`; an empty one asks for nothing."""
    if not url.strip():
        return LookupView("", "")
    try:
        asked = lookup.parse(url)
    except ValueError as error:
        return LookupView(url, str(error), is_error=True)
    if asked.scheme == "tcp":
        return _by_port(index, url, asked.port)
    if asked.refused:
        return LookupView(url, f"Nobody is asked: HAProxy answers 400, because {asked.refused}.")
    service, route = lookup.owner(asked, index.state.owners)
    if not service:
        return LookupView(url, "Nobody claims it: HAProxy answers 404.")
    row = index.row(service)
    said = f"{service} answers, by its claim on {shown(route)}."
    if group := index.state.services[service].record.preview_hosts.get(Host(asked.host)):
        said = _previewed(index, service, group)
    elif not any(group.share and group.up for group in row.groups):
        said = (
            f"{service} has it, by its claim on {shown(route)}, but no server: HAProxy answers 503."
        )
    elif asked.scheme == "http" and _redirects(index, service):
        said += " Over plain HTTP the client is redirected to https first."
    return LookupView(url, said, service, route, row)


def _previewed(index: ServiceIndex, service: str, group: str) -> str:
    """Return who gets an answer by a host that leads to one group, and from where."""
    record = index.state.services[service].record
    networks = () if record.preview is UNSET else record.preview.networks
    said = f"{service} answers from its group {group}, whatever share that has, but to clients in "
    said += f"{', '.join(networks[:_FEW])}{' and more' if len(networks) > _FEW else ''} alone; to others 403."
    found = [row for row in index.row(service).groups if row.group == group]
    if not any(row.up for row in found):
        said += f" {'It has no server' if found else 'There is no such group'} now: HAProxy answers 503."
    return said


def _redirects(index: ServiceIndex, service: str) -> bool:
    return any(backend.https for backend in index.state.services[service].backends)


def _by_port(index: ServiceIndex, url: str, port: int) -> LookupView:
    for name, service in index.state.services.items():
        if service.record.mode == "tcp" and service.record.listen == port:
            said = f"{name} answers on port {port}."
            return LookupView(url, said, name, f":{port}/", index.row(name))
    return LookupView(url, f"No tcp service listens on port {port}.")
