"""Who may claim which host, port and server: settings `[claims]`, asked for a record. Pure.

Agents ask before they accept a key, `lbsync service put` before it writes one, and a publisher before
it publishes a Service. Of all entries that cover a claim the narrowest decides.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from msgspec import UNSET

from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.values.addresses import Endpoint
from lbsync.values.claims import EVERYBODY, NOBODY, Claims, HostClaim, PortClaim, ServerClaim
from lbsync.values.names import Address

#: Ports of daemons, and those that Linux gives to outgoing connections, are nobody's by default.
_PORTS = (PortClaim("-=1-65535"), PortClaim("*=1024-32767"))
_HOSTS = (HostClaim("-=*"),)
_NETWORKS = {
    "127.0.0.0/8": "loopback",
    "::1/128": "loopback",
    "0.0.0.0/8": "this host",
    "::/128": "this host",
    "169.254.0.0/16": "link-local, with the metadata of clouds",
    "fe80::/10": "link-local",
    "fd00:ec2::/32": "a cloud's own services, with its metadata",
    "fd20:ce::254/128": "the metadata of a cloud",
    "fd00:42::42/128": "the metadata of a cloud",
    "fd00:a9fe:a9fe::1/128": "the metadata of a cloud",
    "100.100.100.200/32": "the metadata of a cloud",
    "192.0.0.192/32": "the metadata of a cloud",
    "168.63.129.16/32": "a cloud's own service",
    "224.0.0.0/4": "multicast",
    "ff00::/8": "multicast",
    "240.0.0.0/4": "reserved",
}
_NAMES = (
    *("metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"),
    *("metadata.azure.internal", "api.metadata.cloud.ibm.com", "metadata.tencentyun.com"),
    *("metadata.packet.net", "metadata.platformequinix.com", "rancher-metadata.rancher.internal"),
    *("*.localhost", "localhost", "localhost.localdomain", "localhost4.localdomain4"),
    *("localhost6.localdomain6", "host.docker.internal", "host.containers.internal"),
)
_SERVERS = (
    *(ServerClaim(f"*={what}") for what in ("0.0.0.0/0", "::/0", "*")),
    *(ServerClaim(f"-={what}") for what in (*_NETWORKS, *_NAMES)),
)
_TRANSLATED = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96"))
)
"""Whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215) and SIIT (RFC 2765)."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _by_what(
    defaults: Iterable[HostClaim | PortClaim | ServerClaim],
    given: Iterable[HostClaim | PortClaim | ServerClaim],
) -> dict[str, frozenset[str]]:
    """Return what is claimed to whose it is; what is given replaces a default for the same."""
    found: dict[str, set[str]] = {}
    for entry in given:
        found.setdefault(entry.what, set()).add(entry.namespace)
    merged = {entry.what: {entry.namespace} for entry in defaults} | found
    return {what: frozenset(namespaces) for what, namespaces in merged.items()}


class Permission:
    """Answers for one set of settings. Every answer is a reason with its cure; empty: it may."""

    def __init__(self, claims: Claims, etcd: Iterable[Endpoint] = ()) -> None:
        """`etcd`: where etcd answers, which is no server of anybody, unless the very address is given to a
        namespace."""
        self._hosts = _by_what(_HOSTS, claims.hosts)
        self._given_hosts = {entry.what for entry in claims.hosts}
        self._ports = {
            PortClaim(f"-={what}").ports: namespaces
            for what, namespaces in _by_what(_PORTS, claims.listen).items()
        }
        self._servers = _by_what(_SERVERS, claims.servers)
        self._networks = _longest_first(self._servers)
        self._etcd = {(str(_host_of(one)), one.port) for one in etcd}
        self._etcd_ports = frozenset(port for _, port in self._etcd)
        self._octets = _special_octets(self._servers, self._networks)
        self._known: dict[tuple[str, str], str] = {}

    def refusal(self, namespace: str, record: Record) -> str:
        """Return the first thing that a record of this namespace claims and may not, as
        `field: reason; cure`; empty if it may have all."""
        if isinstance(record, ServiceRecord):
            return next(self._service(namespace, record), "")
        if isinstance(record, EndpointsRecord):
            return next(self._endpoints(namespace, record), "")
        return ""

    def host(self, namespace: str, host: str) -> str:
        """Return why a namespace may not claim a host (`*`, `*.suffix` or a name)."""
        what = next(filter(self._hosts.__contains__, _covering(host)))
        owners = self._hosts[what]
        if _is_wide(host) and what == "*" and "*" not in self._given_hosts:
            shown = "any host" if host == "*" else f"{host}, a whole top-level domain,"
            return (
                f"{shown} is for nobody by default; name the hosts, or let the operator add "
                f'"{namespace}={host}" to [claims] hosts'
            )
        if what == "*" and "*" not in self._given_hosts:
            owners = frozenset(EVERYBODY)
        if not _may(namespace, owners):
            return f"{host} is {_owned(owners)} ([claims] hosts: {what}); choose another host"
        if namespace not in owners and (other := self._within(namespace, host)):
            return (
                f"{host} takes in {other}, which is {_owned(self._hosts[other])} ([claims] hosts); name "
                f'the hosts, or let the operator add "{namespace}={host}"'
            )
        return ""

    def port(self, namespace: str, port: int) -> str:
        """Return why a namespace may not listen on a port."""
        fits = [r for r in self._ports if r[0] <= port <= r[1]]
        span = min(fits, key=lambda r: r[1] - r[0])
        if _may(namespace, self._ports[span]):
            return ""
        first, last = span
        shown = (
            "all others"
            if span == (1, 65535)
            else str(first)
            if first == last
            else f"{first}-{last}"
        )
        return (
            f"port {port} is {_owned(self._ports[span])} ([claims] listen: {shown}); choose one "
            f'from {self._free(namespace)}, or let the operator add "{namespace}={port}"'
        )

    def server(self, namespace: str, address: Address) -> str:
        """Return why a namespace may not send traffic to an address."""
        first = address.partition(".")[0]
        if first.isdigit() and int(first) not in self._octets and not address.is_name:
            return ""
        key = (namespace, str(address))
        if key not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[key] = self._server(namespace, address)
        return self._known[key]

    def _service(self, namespace: str, record: ServiceRecord) -> Iterator[str]:
        if record.listen is not UNSET and (wrong := self.port(namespace, record.listen)):
            yield f"listen: {wrong}"
        if record.mode != "http":
            return
        if not record.hosts and (wrong := self.host(namespace, "*")):
            yield f"hosts: there are none, and {wrong}"
        for index, host in enumerate(record.hosts):
            if wrong := self.host(namespace, host):
                yield f"hosts[{index}]: {wrong}"
            if record.redirect.www and not host.startswith("*"):
                twin = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
                if wrong := self.host(namespace, twin):
                    yield f"redirect.www: {wrong}"
        for host, group in record.preview_hosts.items():
            if wrong := self.host(namespace, host):
                yield f"preview.hosts.{group}: {wrong}"

    def _endpoints(self, namespace: str, record: EndpointsRecord) -> Iterator[str]:
        for index, server in enumerate(record.servers):
            if wrong := self.server(namespace, server.address):
                yield f"servers[{index}].address: {wrong}"
            elif server.port in self._etcd_ports and (
                wrong := self._of_etcd(namespace, server.address, server.port)
            ):
                yield f"servers[{index}]: {wrong}"

    def _of_etcd(self, namespace: str, address: Address, port: int) -> str:
        """Return why a namespace may not send traffic to an address and port, if these are etcd's: its clients
        would be led to all keys and metrics, as whoever HAProxy is to it."""
        plain = address if address.is_name else str(_plain(ipaddress.ip_address(address)))
        if (plain, port) not in self._etcd:
            return ""
        what = plain if address.is_name else str(ServerClaim.parse(f"-={plain}").what)
        if _may(namespace, self._servers.get(what, frozenset())):
            return ""
        return (
            f"{address}:{port} is etcd itself ([etcd] endpoints); write another address, or let the operator "
            f'add "{namespace}={what}" to [claims] servers'
        )

    def _server(self, namespace: str, address: Address) -> str:
        what = self._name(address) if address.is_name else self._network(address)
        owners = self._servers[what]
        if _may(namespace, owners):
            return ""
        meaning = _NETWORKS.get(what, "")
        shown = f"{what}, {meaning}" if meaning else what
        return (
            f"{address} is {_owned(owners)} ([claims] servers: {shown}); write another address, or "
            f'let the operator add "{namespace}={what}"'
        )

    def _name(self, address: str) -> str:
        return next(filter(self._servers.__contains__, _covering(address)))

    def _network(self, address: str) -> str:
        plain = _plain(ipaddress.ip_address(address))
        return next(
            what
            for what, network in self._networks
            if plain.version == network.version and plain in network
        )

    def _within(self, namespace: str, host: str) -> str:
        """Return a host of others that a wildcard takes in; empty: there is none."""
        if not host.startswith("*"):
            return ""
        suffix = host[1:]
        for what in sorted(self._given_hosts - {host, "*"}):
            if what.endswith(suffix) and not _may(namespace, self._hosts[what]):
                return what
        return ""

    def _free(self, namespace: str) -> str:
        spans = sorted(span for span, owners in self._ports.items() if _may(namespace, owners))
        return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in spans[:5]) or "none"


def _host_of(endpoint: Endpoint) -> str | ipaddress.IPv4Address | ipaddress.IPv6Address:
    host = endpoint.socket_address[0].partition("%")[0]
    try:
        return _plain(ipaddress.ip_address(host))
    except ValueError:
        return host


def _may(namespace: str, owners: frozenset[str]) -> bool:
    return namespace in owners or EVERYBODY in owners


def _owned(owners: frozenset[str]) -> str:
    names = sorted(owners - {NOBODY})
    return f"for namespace {', '.join(names[:5])} alone" if names else "for nobody"


def _covering(host: str) -> Iterator[str]:
    """Yield all entries that could cover a host, the narrowest first."""
    yield host
    rest = host.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield "*"


def _is_wide(host: str) -> bool:
    return host == "*" or (host.startswith("*.") and "." not in host[2:])


def _longest_first(servers: Mapping[str, object]) -> list[tuple[str, _Network]]:
    found = [(what, ServerClaim(f"-={what}").network) for what in servers]
    return sorted(
        ((what, network) for what, network in found if network is not None),
        key=lambda pair: -pair[1].prefixlen,
    )


def _special_octets(
    servers: Mapping[str, frozenset[str]], networks: Iterable[tuple[str, _Network]]
) -> frozenset[int]:
    """Return the first octets of IPv4 addresses about which more than the widest network is said; of
    nearly all addresses there are, this settles what a look at each network would."""
    if EVERYBODY not in servers["0.0.0.0/0"]:
        return frozenset(range(256))
    found: set[int] = set()
    for what, network in networks:
        if network.version == 4 and what != "0.0.0.0/0":
            first, last = network.network_address.packed[0], network.broadcast_address.packed[0]
            found |= set(range(first, last + 1))
    return frozenset(found)


def _plain(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for: a connection to it goes there."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in net for net in _TRANSLATED) or (0xFFFF < int(address) < 2**32):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
