"""Host state that goes into a generation, so that HAProxy's start does not depend on it.

HAProxy reads /etc/resolv.conf (`parse-resolv-conf`) and the system's authorities (`@system-ca`) when it
starts, and does not start without them (measured on 2.6 and 2.8). So they are read here and rendered;
if they become unreadable, the last ones are used. The same holds for the users of the statistics page.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.haproxycfg.lexer import words
from lbsync.clients import host_files
from lbsync.errors import Rejected
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered
from lbsync.settings.haproxy import Proxy
from lbsync.values.policies import PasswordHash, UserName

SYSTEM_AUTHORITIES = "ca/system.pem"
"""Path of the system's authorities within a generation."""
#: The C library's default where resolv.conf(5) names no server.
_LOCAL = ("127.0.0.1:53",)
_RESOLVERS = re.compile(r"^resolvers lbsync\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
_STATS_USERS = re.compile(r"^userlist lbsync_stats\n(?:[ \t]+.*\n|\n)*", re.MULTILINE)
_NAME_SERVER = re.compile(r"^[ \t]+nameserver[ \t]+\S+[ \t]+(\S+)", re.MULTILINE)


class HostState(msgspec.Struct, frozen=True):
    """What templates see of the host."""

    name_servers: tuple[str, ...] = ()
    """`IP:PORT` each; empty if no server is given by name."""
    stats_users: tuple[tuple[UserName, PasswordHash], ...] = ()
    """Who may see the statistics page, sorted; empty: nobody, where the settings name a file of users."""
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
        users_file: Path | None = None,
        resolv_conf: Callable[[], tuple[str, ...]] = host_files.name_servers,
    ) -> None:
        """`name_servers`: `IP:PORT` each, from the settings; nothing: those of `resolv_conf`.
        `users_file`: who may see the statistics page; None: whoever reaches it."""
        self._chosen = name_servers
        self._users_file = users_file
        self._last_users: tuple[tuple[UserName, PasswordHash], ...] = ()
        self._resolv_conf = resolv_conf
        self._authorities = host_files.SystemAuthorities()
        self._last_name_servers: tuple[str, ...] = ()
        self._last_authorities = b""

    @classmethod
    def of(cls, proxy: Proxy) -> Self:
        """Return what reads the files that these settings ask for."""
        file = proxy.stats_users_file if proxy.stats_bind else None
        return cls(proxy.name_servers, users_file=Path(file) if file else None)

    def remember(self, rendered: Rendered) -> None:
        """Take over what an earlier generation was made with."""
        for file in rendered.files:
            if file.path == SYSTEM_AUTHORITIES:
                self._last_authorities = file.data
            elif file.path == MAIN_FILE:
                text = file.data.decode(errors="replace")
                section = _RESOLVERS.search(text)
                found = _NAME_SERVER.findall(section[0]) if section else []
                self._last_name_servers = tuple(found)
                users = _STATS_USERS.search(text)
                self._last_users = _users_in(users[0]) if users else ()

    def read(self, desired: Desired) -> HostState:
        """Return what these services need."""
        problems: list[str] = []
        servers = self._name_servers(problems) if desired.by_name else ()
        files: tuple[tuple[str, bytes], ...] = ()
        if desired.trusts_system and (text := self._system(problems)):
            files = ((SYSTEM_AUTHORITIES, text),)
        return HostState(servers, self._users(problems), files, tuple(problems))

    def _users(self, problems: list[str]) -> tuple[tuple[UserName, PasswordHash], ...]:
        if self._users_file is None:
            return ()
        try:
            self._last_users = tuple(sorted(host_files.users(self._users_file).items()))
        except Rejected as error:
            so = (
                "the last users stay in force"
                if self._last_users
                else "nobody has access to the statistics page"
            )
            problems.append(f"proxy.stats_users_file: {error}; {so}")
        return self._last_users

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


def _users_in(section: str) -> tuple[tuple[UserName, PasswordHash], ...]:
    """Return the users that an earlier generation was made with."""
    found = []
    for line in section.splitlines():
        match words(line):
            case ["user", name, "password", hashed]:
                try:
                    found.append((UserName.parse(name), PasswordHash.parse(hashed)))
                except ValueError:  # somebody else wrote it
                    continue
    return tuple(found)
