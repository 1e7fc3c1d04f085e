"""Addresses in settings: where to listen, whom to trust, where to connect. Valid by construction."""

import ipaddress
from urllib.parse import urlsplit

from lbsync.settings.values import text_of

_MAX_PORT = 65535


class IpAddress(str):
    """An IPv4 or IPv6 address in canonical form."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "IpAddress":
        """Return the address."""
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
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} has no port: write it like 0.0.0.0:80 or [::]:80")
        if not 1 <= int(port) <= _MAX_PORT:
            raise ValueError(f"{text!r}: a port is between 1 and {_MAX_PORT}")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        address = IpAddress.parse("0.0.0.0" if host == "*" else bare)
        if ":" in address and bare == host:
            raise ValueError(f"{text!r}: write an IPv6 address in brackets, like [::]:80")
        return cls(f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}")

    @property
    def address(self) -> str:
        """The IP address without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])


class NameServer(str):
    """A name server: `10.0.0.2`, `10.0.0.2:5353`, `[fd00::2]:53`; the port is 53 when left out."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "NameServer":
        """Return it as `IP:PORT`."""
        text = text_of(raw, "name server")
        try:
            address = IpAddress.parse(text)
        except ValueError:
            try:
                return cls(Bind.parse(text))
            except ValueError:
                raise ValueError(
                    f"{text!r} is no name server: write an IP address, or IP:PORT"
                ) from None
        return cls(f"[{address}]:53" if ":" in address else f"{address}:53")


class Network(str):
    """A network in CIDR form: `10.0.0.0/8`, `fd00::/8`; a bare address is a network of one."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Network":
        """Return the network in canonical form."""
        text = text_of(raw, "network")
        if "%" in text:
            raise ValueError(f"{text!r} is no network: leave the zone out, it belongs to one host")
        try:
            return cls(str(ipaddress.ip_network(text)))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no network ({error}): write one like 10.0.0.0/8"
            ) from None


class Endpoint(str):
    """Where an etcd member answers clients: `http://10.0.0.5:2379`, `https://etcd-1:2379`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Endpoint":
        """Return scheme, host and port; the port is 2379 when left out."""
        text = text_of(raw, "endpoint")
        cure = "write it like http://10.0.0.5:2379 or https://etcd-1.example.com:2379"
        try:
            url = urlsplit(text)
            port = url.port or 2379
        except ValueError as error:
            raise ValueError(f"{text!r} is no endpoint ({error}): {cure}") from None
        if url.scheme not in {"http", "https"} or not url.hostname or " " in text:
            raise ValueError(f"{text!r} is no endpoint: {cure}")
        if url.username is not None:
            raise ValueError("an endpoint holds no password: use user and password_file instead")
        if url.path.strip("/") or url.query or url.fragment:
            raise ValueError(f"{text!r} has something after the port: {cure}")
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        return cls(f"{url.scheme}://{host}:{port}")


class LogTarget(str):
    """Where HAProxy sends its log: a socket's path, `IP:PORT` (UDP), `stdout` or `stderr`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "LogTarget":
        """Return the target."""
        text = text_of(raw, "log target")
        if text in {"stdout", "stderr"} or (text.startswith("/") and " " not in text):
            return cls(text)
        try:
            return cls(Bind.parse(text))
        except ValueError:
            raise ValueError(
                f"{text!r} is no log target: write /dev/log, IP:PORT, stdout or stderr"
            ) from None
