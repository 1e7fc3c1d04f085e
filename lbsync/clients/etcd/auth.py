"""Password authentication: one token for the whole cluster, replaced when etcd refuses it.

A simple token dies with its time to live (`--auth-token-ttl`, 300 s unused) and with a restart of
the member that made it; only the next call tells. An open watch outlives its token.
"""

import threading
from collections.abc import Callable

Metadata = tuple[tuple[str, str], ...]


class Tokens:
    """Hands out the metadata that authenticates a call."""

    def __init__(self, authenticate: Callable[[], str | None] | None) -> None:
        """Take the call that trades user and password for a token; None: no user is set.

        The call returns None when authentication is not enabled in etcd, so that `user` may be
        configured before it is switched on.
        """
        self._authenticate = authenticate
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None

    def metadata(self) -> Metadata:
        """Return what to send with a call; authenticates on first use. Raises `RpcFailure`."""
        if self._authenticate is None:
            return ()
        with self._lock:
            if self._metadata is None:
                token = self._authenticate()
                self._metadata = () if token is None else (("token", token),)
            return self._metadata

    def drop(self, used: Metadata) -> None:
        """Forget the token that was refused, unless another thread already replaced it."""
        with self._lock:
            if self._metadata == used:
                self._metadata = None
