"""Values of deployments: of what a strategy is made, and where another deployer is. Valid by construction."""

import ipaddress
import re

from lbsync.values.basic import text_of
from lbsync.values.host_url import host_url

_REQUIRE = re.compile(r"([1-9][0-9]{0,3})(%?)\Z")


class Require(str):
    """How many hosts of the fleet have to confirm: `all`, a number as `2`, or a share as `67%`.

    Every host that reports has to in any case; this says how many that must be, of all that are known.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Require":
        """Return it as written. Raises ValueError with the choices."""
        text = str(raw) if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
        match = _REQUIRE.match(text)
        if text != "all" and (match is None or (match[2] and int(match[1]) > 100)):
            raise ValueError(
                f"{raw!r} is no number of hosts: write all, a number as in 2, or a share as in 67%"
            )
        return cls(text)

    def of(self, hosts: int) -> int:
        """Return how many of so many hosts must confirm; at least one."""
        match = _REQUIRE.match(self)
        if match is None:
            return max(1, hosts)
        wanted = int(match[1])
        # Rounded up: two thirds of two hosts are two.
        return max(1, -(-hosts * wanted // 100)) if match[2] else wanted


class DeployerUrl(str):
    """Where another deployer answers: `https://lbsync.example.com`; `http://` for this very host alone."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "DeployerUrl":
        """Return scheme, host and port. Raises ValueError with the cure."""
        text = text_of(raw, "URL")
        cure = "write it like https://lbsync.example.com or https://10.0.0.5:8480"
        schemes, password = {"http", "https"}, "the token is in token_file"
        url = host_url(text, "URL of a console", schemes, cure=cure, password=password)
        if url.scheme == "http" and not _is_this_host(url.host.strip("[]")):
            raise ValueError(f"{text[:80]!r}: a token would travel readable; use https://")
        return cls(f"{url.scheme}://{url.host}{'' if url.port is None else f':{url.port}'}")


def _is_this_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
