"""The section for who may claim what: [claims]."""

import ipaddress
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Network
from lbsync.values.basic import HOST_LABEL, NAME, text_of

EVERYBODY, NOBODY = "*", "-"
"""What stands for all namespaces, and for none, before the `=` of an entry."""
_HOST = re.compile(rf"(?:\*\.)?{HOST_LABEL}(?:\.{HOST_LABEL})*\Z|\*\Z")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")


def _split(raw: object, what: str, example: str) -> tuple[str, str]:
    """Return namespace and what it is given."""
    text = text_of(raw, f"entry for {what}").strip()
    namespace, equals, given = text.partition("=")
    if not equals or not (namespace in (EVERYBODY, NOBODY) or NAME.match(namespace)):
        raise ValueError(
            f"{text[:80]!r} is no entry: write NAMESPACE={what} (* for every namespace, - for none), "
            f"like {example}"
        )
    return namespace, given


class _Entry(str):
    """`NAMESPACE=WHAT`, in its canonical form."""

    __slots__ = ()

    @property
    def namespace(self) -> str:
        """A namespace, `*` for all, or `-` for none."""
        return self.partition("=")[0]

    @property
    def what(self) -> str:
        """What the namespace is given."""
        return self.partition("=")[2]


class HostClaim(_Entry):
    """A namespace and a host: `bank=*.bank.example.com`; `*` alone is any host."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "HostClaim":
        """Return the entry, the host in lower case."""
        namespace, host = _split(raw, "HOST", "bank=*.bank.example.com")
        host = host.lower().removesuffix(".")
        if not _HOST.match(host) or len(host) > 253:
            raise ValueError(f"{host[:80]!r} is no host: write one like *.bank.example.com or *")
        return cls(f"{namespace}={host}")


class PortClaim(_Entry):
    """A namespace and a port, or ports from one to another: `db=5432`, `games=27000-27999`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "PortClaim":
        """Return `NAMESPACE=PORT` or `NAMESPACE=FIRST-LAST`. Raises `ValueError` with the cure."""
        namespace, text = _split(raw, "PORTS", "db=5432 or games=27000-27999")
        match = _PORTS.match(text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"{text[:80]!r} is no range of ports: write one like 27000-27999")
        return cls(f"{namespace}={first}" if first == last else f"{namespace}={first}-{last}")

    @property
    def ports(self) -> tuple[int, int]:
        """The first and the last port."""
        first, _, last = self.what.partition("-")
        return int(first), int(last or first)


class ServerClaim(_Entry):
    """A namespace and where its servers may be: a network, a DNS name, `*.suffix`, or `*` for any
    name: `kube=10.244.0.0/16`, `crm=*.crm.example.net`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "ServerClaim":
        """Return the entry, the network or name in canonical form."""
        namespace, text = _split(raw, "NETWORK", "kube=10.244.0.0/16")
        name = text.lower().removesuffix(".")
        if _HOST.match(name) and not name.rpartition(".")[2].isdigit():
            return cls(f"{namespace}={name}")
        return cls(f"{namespace}={Network.parse(text)}")

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The network; None for a name."""
        try:
            return ipaddress.ip_network(self.what)
        except ValueError:
            return None


class Claims(msgspec.Struct, frozen=True):
    """Which namespaces may claim which hosts, ports and servers. An entry is `NAMESPACE=WHAT`; `*` stands for
    every namespace, `-` for none.

    Of all entries that cover a claim, the narrowest decides: its namespaces are allowed, all others are not. Claims
    that no entry covers follow the rules below. A key with a claim that is not allowed is refused like any other bad
    value: its last good version stays in force. Use the same entries in the settings of every agent of a fleet and
    of its publishers, which report refusals to the owner of a Kubernetes Service.
    """

    hosts: Annotated[
        tuple[HostClaim, ...],
        Meta(description="Hosts and their namespaces: with `bank=*.bank.example.com`, only namespace `bank` may "
             "claim these hosts. A wildcard that covers hosts of another namespace is refused. Without "
             "an entry, any namespace may claim a host, but none may claim a whole top-level domain "
             "(`*.com`) or every host (`*`, and services without `hosts`); `*=*` allows that to all."),
    ] = ()  # fmt: skip
    listen: Annotated[
        tuple[PortClaim, ...],
        Meta(description="Ports of tcp services. Without an entry, any namespace may use 1024 to 32767: ports "
             "below belong to the host's own daemons, those above to its outgoing connections (Linux, "
             "`net.ipv4.ip_local_port_range`). Refused are HAProxy's own ports, those in "
             "`etcd.endpoints`, and any port on which another program of this host was seen listening "
             "within 30 days; an entry for exactly that port overrides the last rule."),
    ] = ()  # fmt: skip
    servers: Annotated[
        tuple[ServerClaim, ...],
        Meta(description="Networks and DNS names of servers. Without an entry, any address is allowed except those "
             "of this host or its cloud: loopback, link-local (including cloud metadata), multicast "
             "and reserved addresses, and the addresses and ports in `etcd.endpoints`; and any DNS name except "
             "those of cloud metadata services. lbsync "
             "does not know which address a name resolves to: `-=*` refuses all names without an "
             "entry. `*=127.0.0.0/8` allows servers on the HAProxy hosts themselves."),
    ] = ()  # fmt: skip
