"""The values that say where an API server is and as whom to speak to it."""

from typing import Protocol

import msgspec


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate with its key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Certificate(…)"


class Access(msgspec.Struct, frozen=True):
    """What to show now: one of token and certificate is enough, both may be there."""

    token: str | None = None
    certificate: Certificate | None = None
    authority: bytes | None = None
    """PEM of the authorities that sign the server's certificate; None means the system's."""

    def __repr__(self) -> str:
        shown = [name for name in self.__struct_fields__ if getattr(self, name)]
        return f"Access({', '.join(shown)})"


class Credentials(Protocol):
    """Where `Access` comes from. Called from several threads; each keeps its own lock."""

    def current(self) -> Access:
        """Return what to show now. Raises `Unavailable` when there is nothing to show."""
        ...

    def refused(self, access: Access, /) -> None:
        """Tell that the server said 401 to `access`: the next `current` looks for better.

        When another thread has already caused that (what is cached is no longer `access`),
        nothing more happens.
        """
        ...


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where one API server is, and how to be believed there."""

    server: str
    """`https://host:port`, possibly with a path in front of `/api`."""
    credentials: Credentials
    source: str
    """For messages: "kubeconfig /etc/lbsync/kubeconfig, context prod" or "in-cluster"."""
    tls_server_name: str | None = None
    """Name expected in the server's certificate, where it differs from the host."""
    insecure: bool = False
    """True: do not verify the server. Anybody in between can then empty the balancers."""
    proxy_url: str | None = None
    namespace: str = "default"
    """The namespace that the context or the ServiceAccount belongs to."""
