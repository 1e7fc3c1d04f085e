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
    """Who may claim which hosts, ports and servers. An entry is `NAMESPACE=WHAT`; `*` stands for every
    namespace, `-` for none.

    Of all entries that cover a claim the narrowest decides: its namespaces may have it, others may not. What
    no entry of yours covers goes by the rules below. A key that claims what it may not is refused like any
    other bad value: what it said before, and was served, stays. The same entries belong in the settings of
    every agent of a fleet, and of its publishers, who tell the owner of a Kubernetes Service.
    """

    hosts: Annotated[
        tuple[HostClaim, ...],
        Meta(description="Hosts and whose they are: with `bank=*.bank.example.com` only namespace `bank` may "
             "claim these. A wildcard over hosts that are another's is refused. Without an entry any "
             "namespace may claim a host, but nobody a whole top-level domain (`*.com`) or any host (`*`, "
             "and services without `hosts`): `*=*` allows that to all."),
    ] = ()  # fmt: skip
    listen: Annotated[
        tuple[PortClaim, ...],
        Meta(description="Ports of tcp services. Without an entry 1024 to 32767 are anybody's: those below "
             "belong to the host's own daemons, those above to its outgoing connections (Linux, "
             "`net.ipv4.ip_local_port_range`). HAProxy's own ports, those in `etcd.endpoints`, and one on "
             "which this host's own programs were seen to listen within 30 days are refused; the last of "
             "these is allowed by an entry for that port alone."),
    ] = ()  # fmt: skip
    servers: Annotated[
        tuple[ServerClaim, ...],
        Meta(description="Networks, and DNS names, of servers. Without an entry any address is good, but for "
             "those that mean this host or its cloud: loopback, link-local (with the clouds' metadata), "
             "multicast, reserved ones; and any DNS name but those of the clouds' metadata. What a name "
             "resolves to is not known when it is judged: `-=*` refuses all names that have no entry. "
             "`*=127.0.0.0/8` allows servers on the hosts themselves."),
    ] = ()  # fmt: skip
