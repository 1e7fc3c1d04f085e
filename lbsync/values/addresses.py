"""Addresses in settings: where to listen, whom to trust, where to connect. Valid by construction."""

import contextlib
import ipaddress
import os

from lbsync.values.basic import text_of
from lbsync.values.host_url import host_url

_MAX_PORT = 65535
_MAX_SOCKET_PATH = 107
"""unix(7): `sun_path` has 108 bytes, one of them for the end."""


_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as a socket for both families spells them (RFC 4291, 2.5.5.2)."""
_FORMS_OF_IPV4 = (*map(ipaddress.IPv6Network, ("::/96", "2002::/16")), _MAPPED)


class IpAddress(str):
    """An IPv4 or IPv6 address in canonical form."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "IpAddress":
        """Return an IPv4 or IPv6 address without a zone. Raises `ValueError` with the cure."""
        text = text_of(raw, "IP address")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(f"{text!r} is no IP address: write one like 0.0.0.0 or ::1") from None
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            raise ValueError(f"{text!r} has a zone, which HAProxy does not take: leave it out")
        return cls(str(address))


class Bind(str):
    """An address and port to listen on: `0.0.0.0:80`, `[::]:80`, `*:80`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Bind":
        """Return it in canonical form; `*` becomes `0.0.0.0`."""
        text = text_of(raw, "address to listen on")
        return cls(_ip_port(f"0.0.0.0{text[1:]}" if text.startswith("*:") else text))

    @property
    def address(self) -> str:
        """The IP address without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])


class HttpBind(str):
    """Where to answer HTTP: `127.0.0.1:9464`, `[::1]:9464`, or the path of a socket."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "HttpBind":
        """Return an address and port in canonical form, or an absolute path. Raises `ValueError`."""
        text = text_of(raw, "address to listen on")
        if not text.startswith("/"):
            return cls(Bind.parse(text))
        if len(os.fsencode(text)) > _MAX_SOCKET_PATH:
            raise ValueError(f"{text!r} is too long for a socket: at most {_MAX_SOCKET_PATH} bytes")
        if any(not char.isprintable() for char in text):
            raise ValueError(f"{text!r} has a character that no socket's path should have")
        return cls(text)

    @property
    def path(self) -> str:
        """Where the socket's file is; empty for an address and port."""
        return str(self) if self.startswith("/") else ""

    @property
    def address(self) -> str:
        """The IP address without brackets; empty for a path."""
        return "" if self.path else Bind(self).address

    @property
    def port(self) -> int:
        """The port, 1 to 65535; 0 for a path."""
        return 0 if self.path else Bind(self).port


class NameServer(str):
    """A name server: `10.0.0.2`, `10.0.0.2:5353`, `[fd00::2]:53`; the port is 53 when left out."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "NameServer":
        """Return it as `IP:PORT`."""
        text = text_of(raw, "name server")
        for form in (text, f"{text}:53", f"[{text}]:53"):
            with contextlib.suppress(ValueError):
                return cls(_ip_port(form))
        raise ValueError(f"{text!r} is no name server: write an IP address, or IP:PORT")


class Network(str):
    """A network in CIDR form: `10.0.0.0/8`, `fd00::/8`; a bare address is a network of one."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Network":
        """Return the network in canonical form: `::ffff:10.0.0.0/104` is 10.0.0.0/8."""
        text = text_of(raw, "network")
        if "%" in text:
            raise ValueError(f"{text!r} is no network: leave the zone out, it belongs to one host")
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no network ({error}): write one like 10.0.0.0/8"
            ) from None
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
            last = int(network.network_address) & 0xFFFFFFFF
            network = ipaddress.IPv4Network((last, network.prefixlen - 96))
        return cls(str(network))

    @property
    def patterns(self) -> list[str]:
        """The networks that mean this one to HAProxy.

        It looks for an IPv4 address in IPv6 networks, too, as `::ffff:a.b.c.d` (measured on 2.6 to 3.4), so that
        every IPv4 client would be in `::/0`: that part is left out.
        """
        network = ipaddress.ip_network(self)
        if isinstance(network, ipaddress.IPv4Network) or not _MAPPED.subnet_of(network):
            return [self]
        return [str(part) for part in sorted(network.address_exclude(_MAPPED))]

    @property
    def is_never_told(self) -> bool:
        """True where all of it are IPv6 forms of IPv4 addresses: by these no client is known, nor by `::1`."""
        network = ipaddress.ip_network(self)
        return isinstance(network, ipaddress.IPv6Network) and any(
            network.subnet_of(form) for form in _FORMS_OF_IPV4
        )

    @property
    def beginnings(self) -> list[str]:
        """How the addresses within begin in hexadecimal, behind `4:` or `6:`: of 10.0.0.0/8 `4:0A`."""
        network = ipaddress.ip_network(self)
        digits, bits = divmod(network.prefixlen, 4)
        parts = network.subnets(new_prefix=4 * digits + 4) if bits else [network]
        length = digits + bool(bits)
        return [
            f"{part.version}:{part.network_address.packed.hex().upper()[:length]}" for part in parts
        ]


class Endpoint(str):
    """Where an etcd member answers clients: `http://10.0.0.5:2379`, `https://etcd-1:2379`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Endpoint":
        """Return scheme, host and port; the port is 2379 when left out.

        A host is an IPv4 address, an IPv6 address in brackets, its zone written as in RFC 6874
        (`[fe80::1%25eth0]`), or a name; `_` is in none of DNS, but in those that Docker gives.
        """
        text = text_of(raw, "endpoint")
        cure = "write it like http://10.0.0.5:2379 or https://etcd-1.example.com:2379"
        password = "use user and password_file instead"
        url = host_url(text, "endpoint", {"http", "https"}, cure=cure, password=password)
        return cls(f"{url.scheme}://{url.host}:{2379 if url.port is None else url.port}")

    @property
    def secure(self) -> bool:
        """Whether it is spoken to by TLS."""
        return self.startswith("https:")

    @property
    def host(self) -> str:
        """Name or address as in the URL: IPv6 in brackets, its zone behind `%25`."""
        return self.partition("://")[2].rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])

    @property
    def socket_address(self) -> tuple[str, int]:
        """Host and port as `socket` takes them: without brackets, the zone behind `%`."""
        return self.host.strip("[]").replace("%25", "%", 1), self.port


def _ip_port(text: str) -> str:
    """Return `IP:PORT` in canonical form. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise ValueError(f"{text!r} has no port: write it like 0.0.0.0:80 or [::]:80")
    if not 1 <= int(port) <= _MAX_PORT:
        raise ValueError(f"{text!r}: a port is between 1 and {_MAX_PORT}")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    address = IpAddress.parse(bare)
    if ":" in address and bare == host:
        raise ValueError(f"{text!r}: write an IPv6 address in brackets, like [::]:80")
    return f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}"


class GelfTarget(str):
    """Where GELF goes: `udp://graylog.example.com:12201`, `tcp://…` or `tls://…`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "GelfTarget":
        """Return kind, host and port; the port is 12201 when left out. Raises `ValueError` with the cure."""
        text = text_of(raw, "target for GELF")
        cure = "write it like udp://graylog.example.com:12201, tcp://… or tls://…"
        schemes, password = {"udp", "tcp", "tls"}, "GELF knows none"
        url = host_url(text, "target for GELF", schemes, cure=cure, password=password)
        return cls(f"{url.scheme}://{url.host}:{12201 if url.port is None else url.port}")

    @property
    def kind(self) -> str:
        """`udp`, `tcp` or `tls`."""
        return self.partition(":")[0]

    @property
    def host(self) -> str:
        """Name or address, without brackets."""
        return self.partition("://")[2].rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])


class LogTarget(str):
    """Where HAProxy sends its log: a socket's path, `IP:PORT` (UDP), `stdout` or `stderr`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "LogTarget":
        """Return a socket's path, `IP:PORT`, `stdout` or `stderr`. Raises `ValueError` with the cure."""
        text = text_of(raw, "log target")
        if text in {"stdout", "stderr"} or (text.startswith("/") and " " not in text):
            return cls(text)
        try:
            return cls(_ip_port(text))
        except ValueError:
            raise ValueError(
                f"{text!r} is no log target: write /dev/log, IP:PORT, stdout or stderr"
            ) from None
