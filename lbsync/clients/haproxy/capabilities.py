"""What the running HAProxy can do, found by asking it, and what lbsync therefore does.

Words of the runtime API are asked for, since packages leave some out and a socket's level forbids others.
Words of the configuration cannot be asked for: the release is their floor (`at_least`).
"""

import re

import msgspec

from lbsync.clients.haproxy import known_faults
from lbsync.clients.haproxy.known_faults import Fault, Version
from lbsync.clients.haproxy.sockets import WorkerSocket

_COMMAND = re.compile(r"^  ((?:[a-z][a-z0-9-]*(?: |$))+)", re.MULTILINE)
"""A line of `help`: the words of a command, then its arguments."""
_DENIED = "Permission denied"
_NEEDS_A_NAME = "Require backend name."
"""The answer to `add backend` alone where that command is there for this socket."""
_WORDS_OF_SERVERS = "List of keywords supported for dynamic server:"
_SINCE: dict[str, tuple[int, int]] = {
    "add backend": (3, 4),
    "dump stats-file": (3, 0),
    "show ssl sni": (3, 2),
    "wait": (3, 0),
}
"""Commands that not every release has, for where none can be asked."""
PAYLOAD_BYTES = 15_000
"""What a command may carry in each release; 2.6 drops a longer one without a word, 3.3.0 hangs (measured)."""
_LONG_PAYLOAD_BYTES = 120_000
"""The same since 3.4, where `tune.cli.max-payload-size` is 128 kB by default; with less of it HAProxy refuses the
command, and a reload does it."""
WORDS_SINCE: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("cookie", "shard"), (2, 8)),
    **dict.fromkeys(("guid", "hash-key", "pool-conn-name"), (3, 0)),
    **dict.fromkeys(("curves", "sigalgs", "client-sigalgs", "set-proxy-v2-tlv-fmt"), (3, 0)),
    "init-state": (3, 1),
    **dict.fromkeys(("idle-ping", "strict-maxconn", "check-reuse-pool"), (3, 2)),
    "check-pool-conn-name": (3, 2),
    "renegotiate": (3, 3),
    **dict.fromkeys(("no-sni-auto", "no-check-sni-auto", "healthcheck"), (3, 4)),
}
"""The first branch whose `add server` takes a keyword, tried on each; all others are taken from 2.6 on."""


class Ability(msgspec.Struct, frozen=True):
    """One thing that HAProxy can do or not, and what that means."""

    name: str
    has: bool
    effect: str
    """What lbsync does because of it."""

    def __str__(self) -> str:
        return f"{self.name}: {self.effect}"


class Capabilities(msgspec.Struct, frozen=True):
    """What one HAProxy can do."""

    version: Version
    commands: frozenset[str] = frozenset()
    """First words of the commands it knows, as `show ssl sni`; experimental ones are not among them."""
    server_words: frozenset[str] = frozenset()
    """Keywords that `add server` takes; empty if it does not tell, before 3.2."""
    admin: bool = True
    """The socket may change things (`level admin`)."""

    @property
    def name(self) -> str:
        """The release as people write it."""
        return ".".join(map(str, self.version))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The known faults of this release."""
        return known_faults.of(self.version)

    @property
    def backends(self) -> bool:
        """Backends can be added and removed while it runs."""
        return self.has("add backend")

    @property
    def server_cookies(self) -> bool:
        """A server that is added may have a `cookie`."""
        return self.takes("cookie")

    @property
    def payload_bytes(self) -> int:
        """How many bytes a command may carry behind `<<`."""
        return _LONG_PAYLOAD_BYTES if self.at_least(3, 4) else PAYLOAD_BYTES

    def has(self, command: str) -> bool:
        """Tell whether it knows a command, given by its first words."""
        return command in self.commands

    def takes(self, keyword: str) -> bool:
        """Tell whether `add server` takes a keyword that lbsync knows."""
        since = WORDS_SINCE.get(keyword)
        if since is None:
            return True
        return keyword in self.server_words if self.server_words else self.version[:2] >= since

    def at_least(self, major: int, minor: int, patch: int = 0) -> bool:
        """Tell whether it is this release or a later one; for words that can only be tried at a start."""
        return self.version >= (major, minor, patch)

    def abilities(self) -> tuple[Ability, ...]:
        """Return what matters to whoever runs it."""
        return (
            self.changes,
            Ability(
                "new and removed services",
                self.backends,
                "while it runs, where HAProxy knows the settings of the service already"
                if self.backends
                else "each takes a reload; HAProxy 3.4 and later need none",
            ),
            Ability(
                "new servers with a cookie",
                self.server_cookies,
                "while it runs"
                if self.server_cookies
                else "each takes a reload; HAProxy 2.8 and later need none",
            ),
        )

    @property
    def changes(self) -> Ability:
        """Whether servers and maps can be changed while it runs."""
        kinds = {
            "servers": any(fault.servers for fault in self.faults),
            "maps": any(fault.maps for fault in self.faults),
        }
        broken = " and ".join(kind for kind, is_broken in kinds.items() if is_broken)
        if not self.admin:
            effect = "HAProxy's socket may not change anything, so each takes a reload; write 'level admin' there"
        elif broken:
            effect = f"{broken} by a reload, since this release has a fault there"
        else:
            effect = "while it runs"
        return Ability("changes of servers and maps", self.admin and not broken, effect)


def ask(worker: WorkerSocket, version: Version) -> Capabilities:
    """Ask the HAProxy that runs. `version`: what it says in `show info`. Raises `Unavailable`.

    Nothing is changed; one process need be asked only once.
    """
    commands = commands_in(worker.run(["help"]))
    if worker.run(["add backend"]).strip() != _NEEDS_A_NAME:
        commands -= {"add backend"}
    words = worker.run(["add server help"])
    return Capabilities(version, commands, server_words_in(words), _DENIED not in words)


def of_release(version: Version) -> Capabilities:
    """Return what a release can do by its number alone, for where none runs that could be asked."""
    commands = frozenset(command for command, first in _SINCE.items() if version[:2] >= first)
    return Capabilities(version, commands)


def commands_in(answer: str) -> frozenset[str]:
    """Read the answer to `help`. Pure."""
    return frozenset(found.strip() for found in _COMMAND.findall(answer))


def server_words_in(answer: str) -> frozenset[str]:
    """Read the answer to `add server help`; empty if it is none (before 3.2). Pure."""
    head, *lines = answer.strip().split("\n")
    return frozenset(lines) if head == _WORDS_OF_SERVERS else frozenset()
