"""Host state that goes into a generation, so that HAProxy's start does not depend on it.

HAProxy reads /etc/resolv.conf (`parse-resolv-conf`) and the system's authorities (`@system-ca`) when it
starts, and does not start without them (measured on 2.6 and 2.8). So they are read here and rendered;
if they become unreadable, the last ones are used.
"""

import re
from collections.abc import Callable

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.clients import host_files
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered

SYSTEM_AUTHORITIES = "ca/system.pem"
"""Path of the system's authorities within a generation."""
#: The C library's default where resolv.conf(5) names no server.
_LOCAL = ("127.0.0.1:53",)
_RESOLVERS = re.compile(r"^resolvers lbsync\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
_NAME_SERVER = re.compile(r"^[ \t]+nameserver[ \t]+\S+[ \t]+(\S+)", re.MULTILINE)


class HostState(msgspec.Struct, frozen=True):
    """What templates see of the host."""

    name_servers: tuple[str, ...] = ()
    """`IP:PORT` each; empty if no server is given by name."""
    files: tuple[tuple[str, bytes], ...] = ()
    """Path and content of files for the generation."""
    problems: tuple[str, ...] = ()
    """A sentence for each file that could not be read."""


class HostFiles:
    """Reads what the services need of the host, and remembers it."""

    def __init__(
        self,
        name_servers: tuple[str, ...] = (),
        *,
        resolv_conf: Callable[[], tuple[str, ...]] = host_files.name_servers,
    ) -> None:
        """`name_servers`: `IP:PORT` each, from the settings; nothing: those of `resolv_conf`."""
        self._chosen = name_servers
        self._resolv_conf = resolv_conf
        self._authorities = host_files.SystemAuthorities()
        self._last_name_servers: tuple[str, ...] = ()
        self._last_authorities = b""

    def remember(self, rendered: Rendered) -> None:
        """Take over what an earlier generation was made with."""
        for file in rendered.files:
            if file.path == SYSTEM_AUTHORITIES:
                self._last_authorities = file.data
            elif file.path == MAIN_FILE:
                section = _RESOLVERS.search(file.data.decode(errors="replace"))
                found = _NAME_SERVER.findall(section[0]) if section else []
                self._last_name_servers = tuple(found)

    def read(self, desired: Desired) -> HostState:
        """Return what these services need."""
        problems: list[str] = []
        servers = self._name_servers(problems) if desired.by_name else ()
        files: tuple[tuple[str, bytes], ...] = ()
        if desired.trusts_system and (text := self._system(problems)):
            files = ((SYSTEM_AUTHORITIES, text),)
        return HostState(servers, files, tuple(problems))

    def _name_servers(self, problems: list[str]) -> tuple[str, ...]:
        if self._chosen:
            return self._chosen
        if found := self._resolv_conf():
            shown = (f"[{address}]" if ":" in address else address for address in found)
            self._last_name_servers = tuple(f"{address}:53" for address in shown)
            return self._last_name_servers
        servers = self._last_name_servers or _LOCAL
        problems.append(
            f"/etc/resolv.conf: no name server can be read from it; {', '.join(servers)} is asked: "
            "mend it, or set proxy.name_servers"
        )
        return servers

    def _system(self, problems: list[str]) -> bytes:
        if text := self._authorities.read():
            self._last_authorities = text
        elif self._last_authorities:
            problems.append(
                "the system's authorities cannot be read; the last ones count: "
                "install ca-certificates, or give the services a ca of their own"
            )
        else:
            problems.append(
                "the system has no authorities, so servers cannot be verified by them: "
                "install ca-certificates, or give the services a ca of their own"
            )
        return self._last_authorities
