"""What a reload would forget: which servers are down, drained or in maintenance. Pure.

Without a state file every server starts as up, so a dead one gets its share of requests until its
first check, after every reload (measured: eight clients, eight failed requests). HAProxy reads
the file when `global` has `server-state-file` and the proxies `load-server-state-from-file global`.

A trap: it takes the address from the configuration but the *port* from the state file (measured, all
versions). So the file belongs to one generation, inside its directory, and holds only servers whose
address and port are those of that generation. For a server given by name the name counts: with
`init-addr last` HAProxy goes on with the address it had, and needs no answer of a name server first.
"""

from collections.abc import Callable
from pathlib import Path

from lbsync.agent.sections import Config
from lbsync.clients.haproxy.answers import (
    STATE_ADDRESS,
    STATE_ADMIN,
    STATE_BACKEND,
    STATE_FQDN,
    STATE_NAME,
    STATE_PORT,
)

_HEAD_LINES = 2
"""The version of the format, and the names of the columns."""


def place(config: Config, live: Path) -> str | None:
    """Return where a configuration wants the state, relative to its generation.

    None unless it names a file below the live link, as in
    `server-state-file /var/lib/lbsync/live/servers.state`: a file elsewhere would outlive its
    generation. (HAProxy does not apply `default-path` to this one, so it is absolute.)
    """
    for placed in config.of("global"):
        path = Path(placed.section.state_file)
        if live in path.parents and ".." not in path.parts:
            return str(path.relative_to(live))
    return None


def kept(answer: str, config: Config, ours: Callable[[str, str], bool]) -> str:
    """Return the rows of `show servers state` that hold for a configuration, as a state file.

    `ours` tells of a backend and server whether the agent itself drained it or put it in
    maintenance: what it did for the configuration before must not outlive that. What an operator
    did must.
    """
    wanted = {
        (placed.section.name, server.name, server.address, str(server.port))
        for placed in config.of("backend", "listen")
        for server in placed.section.servers
        if server.address and server.port
    }
    lines = answer.rstrip("\n").split("\n")
    rows = [
        line
        for line in lines[_HEAD_LINES:]
        if _identity(line) in wanted and not (_is_set(line) and ours(*_name(line)))
    ]
    return "\n".join([*lines[:_HEAD_LINES], *rows, ""])


def _name(row: str) -> tuple[str, str]:
    columns = row.split(" ", STATE_NAME + 1)
    return columns[STATE_BACKEND], columns[STATE_NAME]


def _is_set(row: str) -> bool:
    return row.split(" ", STATE_ADMIN + 1)[STATE_ADMIN] != "0"


def _identity(row: str) -> tuple[str, str, str, str] | None:
    columns = row.split(" ", STATE_PORT + 1)
    if len(columns) <= STATE_PORT:
        return None
    return (
        columns[STATE_BACKEND],
        columns[STATE_NAME],
        columns[STATE_ADDRESS] if columns[STATE_FQDN] == "-" else columns[STATE_FQDN],
        columns[STATE_PORT],
    )
