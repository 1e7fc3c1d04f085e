"""Items that were removed from the running HAProxy, and are deleted when their last session has ended."""

from collections.abc import Iterable

from lbsync.agent.haproxycfg.inheritance import proxy
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes.backends import LeavingBackend
from lbsync.agent.runtime.changes.servers import LeavingServer


class Leaving:
    """Servers and whole backends on their way out."""

    def __init__(self) -> None:
        self.servers: dict[str, dict[str, LeavingServer]] = {}
        """Backend to server name to what it was."""
        self.backends: dict[str, LeavingBackend] = {}
        """Name to what it was."""
        self.dropped: dict[str, str] = {}
        """Backends that the live file still has, with the `defaults` they stand on there."""

    def __bool__(self) -> bool:
        return bool(self.servers or self.backends)

    def retire_server(
        self, backend: str, name: str, section: Section | None, base: Section | None
    ) -> None:
        """Note that a server was retired; `section`: its backend as it still has it, if it is known."""
        left = self.servers.setdefault(backend, {})
        found = [s for s in section.servers if s.name == name] if section else []
        if section is not None and found:
            left[name] = LeavingServer(found[0], proxy(section, base).inherited(found[0]))
        else:
            left.setdefault(name, LeavingServer(None))

    def retire_backend(self, name: str, section: Section | None) -> None:
        """Note that a backend was retired; `section`: as it was, if that is known."""
        self.backends[name] = LeavingBackend(section)
        if section is not None:
            self.dropped.setdefault(name, section.inherits)

    def forget_server(self, backend: str, name: str) -> None:
        """Note that a server is gone, or wanted again."""
        names = self.servers.get(backend, {})
        names.pop(name, None)
        if not names:
            self.servers.pop(backend, None)

    def forget_backend(self, name: str) -> None:
        """Note that a backend is gone, with all servers it had."""
        self.backends.pop(name, None)
        self.servers.pop(name, None)

    def want(self, section: Section) -> None:
        """Note that none of a section's servers is leaving any more."""
        if section.name in self.servers:
            for server in section.servers:
                self.forget_server(section.name, server.name)

    def names(self) -> Iterable[tuple[str, str]]:
        """Yield backend and name of each server."""
        return ((backend, name) for backend, left in self.servers.items() for name in left)
