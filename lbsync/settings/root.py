"""All settings as one frozen value."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lbsync.settings.console import Console
from lbsync.settings.deployer import Deployer
from lbsync.settings.general import Agent, Etcd, Log
from lbsync.settings.haproxy import Haproxy, Proxy
from lbsync.settings.outputs import Output, Templates
from lbsync.settings.publisher import Publisher
from lbsync.values.basic import FilePath, HostName, Prefix, SourceSpec
from lbsync.values.claims import Claims

DEFAULT_FILE = "/etc/lbsync/lbsync.toml"


class Settings(msgspec.Struct, frozen=True):
    """Where the desired state comes from, and where this host keeps its own state."""

    source: Annotated[
        SourceSpec,
        Meta(description="`etcd`, or `file:PATH`: a directory that mirrors the keys, or a single YAML or JSON "
             "file."),
    ] = SourceSpec("etcd")  # fmt: skip
    prefix: Annotated[
        Prefix,
        Meta(description="Prefix of all keys in etcd; one etcd cluster can serve several fleets."),
    ] = Prefix("/lbsync/")  # fmt: skip
    host: Annotated[
        HostName,
        Meta(description="This host's name in the keys it writes, unique in the fleet. Empty: the "
             "system's host name."),
    ] = HostName()  # fmt: skip
    state_dir: Annotated[
        FilePath,
        Meta(description="Directory for generations, status and locks. It must be on a disk that survives a "
             "reboot: without etcd, the agent starts from here."),
    ] = FilePath("/var/lib/lbsync")  # fmt: skip
    etcd: Etcd = Etcd()
    agent: Agent = Agent()
    haproxy: Haproxy = Haproxy()
    proxy: Proxy = Proxy()
    claims: Claims = Claims()
    templates: Templates = Templates()
    outputs: tuple[Output, ...] = ()
    publisher: Publisher = Publisher()
    console: Console = Console()
    deployer: Deployer = Deployer()
    log: Log = Log()

    @property
    def given_away_ports(self) -> frozenset[int]:
        """Ports that the operator named alone in `[claims] listen`, and HAProxy's own: these may be
        bound although another program of the host had them."""
        spans = (entry.ports for entry in self.claims.listen)
        return self.proxy.reserved_ports | frozenset(a for a, b in spans if a == b)

    @property
    def reserved_ports(self) -> frozenset[int]:
        """Ports that no tcp service can have: HAProxy's own, the agent's, and those of etcd, which may run
        on this very host: after a restart it would find its port taken, and the agent nothing to follow."""
        etcd = (endpoint.port for endpoint in self.etcd.endpoints)
        own = (bind.port for bind in (self.agent.http_bind,) if bind is not None and bind.port)
        return self.proxy.reserved_ports | frozenset((*etcd, *own))
