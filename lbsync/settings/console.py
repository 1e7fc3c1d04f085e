"""The section for `lbsync console`: [console]."""

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Bind, Network
from lbsync.values.basic import Duration, FilePath
from lbsync.values.checks import StoreCheck
from lbsync.values.names import Host


class Console(msgspec.Struct, frozen=True):
    """Where the fleet console listens, and how it is protected; see docs/console.md."""

    bind: Annotated[
        Bind,
        Meta(description="Address and port. An address other than loopback requires at least one token, and "
             "`tls_cert` or `plain_text`."),
    ] = Bind("127.0.0.1:8480")  # fmt: skip
    names: Annotated[
        tuple[Host, ...],
        Meta(description="Host names under which the console is reached, without port. Requests for any other name "
             "get 421, so that another site cannot lead a browser here under a name of its own (DNS "
             "rebinding). Addresses and `localhost` are always accepted. Empty: on loopback, only "
             "these; otherwise, any name."),
    ] = ()  # fmt: skip
    tls_cert: Annotated[
        FilePath | None,
        Meta(description="PEM file with the certificate and its intermediate certificates. Read again on SIGHUP, "
             "for new connections."),
    ] = None  # fmt: skip
    tls_key: Annotated[
        FilePath | None, Meta(description="PEM file with the private key of `tls_cert`.")
    ] = None
    plain_text: Annotated[
        bool,
        Meta(description="Serve an address other than loopback without TLS: tokens are then sent in plain text. "
             "For use behind a proxy that terminates TLS."),
    ] = False  # fmt: skip
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="Proxies in front, whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted."),
    ] = ()  # fmt: skip
    tokens_file: Annotated[
        FilePath | None,
        Meta(description="File in which `lbsync token` stores the hashes of tokens. Empty: `console-tokens.json` "
             "in `state_dir`."),
    ] = None  # fmt: skip
    kubernetes: Annotated[
        bool,
        Meta(description="Show the nodes and pods of the cluster in `[deployer]` on the cluster page. Needs "
             "permission to list both."),
    ] = False  # fmt: skip
    checks: Annotated[
        tuple[StoreCheck, ...],
        Meta(description='Data stores shown on the cluster page, as in `["main=tcp://10.0.0.5:5432", '
             '"search=http://10.0.0.9:9200/_cluster/health"]`: whether they accept connections, or '
             "answer with 200 to 399. They are checked only while somebody views the page."),
    ] = ()  # fmt: skip
    session_life: Annotated[
        Duration,
        Meta(extra={"min": "1m", "max": "7d"},
             description="How long a login in a browser lasts. 12h: a working day, or a night on call."),
    ] = Duration(43_200_000)  # fmt: skip
    max_streams: Annotated[
        int,
        Meta(ge=1, le=10_000,
             description="Maximum number of pages with live updates at once; further pages are shown with a note "
             "that they must be reloaded by hand."),
    ] = 200  # fmt: skip

    @property
    def is_local(self) -> bool:
        """Only this host can connect."""
        return ipaddress.ip_address(self.bind.address).is_loopback
