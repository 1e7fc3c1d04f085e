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
    """Where the page of the fleet listens, and how it is protected. Explained in docs/console.md."""

    bind: Annotated[
        Bind,
        Meta(description="Address and port. On another address than loopback it needs at least one token, "
             "and `tls_cert` or `plain_text`."),
    ] = Bind("127.0.0.1:8480")  # fmt: skip
    names: Annotated[
        tuple[Host, ...],
        Meta(description="Host names by which it is asked, without port; any other name gets 421, so that "
             "no page of somebody else can lead a browser here under a name of its own (DNS rebinding). "
             "Addresses and `localhost` are always taken. Empty: on loopback only these, else any name."),
    ] = ()  # fmt: skip
    tls_cert: Annotated[
        FilePath | None,
        Meta(description="PEM file with the certificate and those between it and its authority. Read "
             "again on SIGHUP, for new connections."),
    ] = None  # fmt: skip
    tls_key: Annotated[
        FilePath | None, Meta(description="PEM file with the key of `tls_cert`.")
    ] = None
    plain_text: Annotated[
        bool,
        Meta(description="Serve another address than loopback without TLS: tokens then travel readable. "
             "For a proxy that does TLS in front."),
    ] = False  # fmt: skip
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="Proxies in front, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."),
    ] = ()  # fmt: skip
    tokens_file: Annotated[
        FilePath | None,
        Meta(description="Where the hashes of tokens are kept, by `lbsync token`. Empty: "
             "`console-tokens.json` in `state_dir`."),
    ] = None  # fmt: skip
    kubernetes: Annotated[
        bool,
        Meta(description="Show nodes and pods of the cluster that `[deployer]` names, on the page of the cluster. "
             "Needs the right to list both."),
    ] = False  # fmt: skip
    checks: Annotated[
        tuple[StoreCheck, ...],
        Meta(description='Data stores that the same page shows, as in `["main=tcp://10.0.0.5:5432", '
             '"search=http://10.0.0.9:9200/_cluster/health"]`: whether they take connections, or answer with '
             "200 to 399. They are asked while somebody looks."),
    ] = ()  # fmt: skip
    session_life: Annotated[
        Duration,
        Meta(extra={"min": "1m", "max": "7d"},
             description="How long a login in a browser lasts. 12h: a working day and a night on call."),
    ] = Duration(43_200_000)  # fmt: skip
    max_streams: Annotated[
        int,
        Meta(ge=1, le=10_000,
             description="How many pages may be kept live at once; further ones are shown, and tell "
             "that they have to be loaded again by hand."),
    ] = 200  # fmt: skip

    @property
    def is_local(self) -> bool:
        """Only this host can connect."""
        return ipaddress.ip_address(self.bind.address).is_loopback
