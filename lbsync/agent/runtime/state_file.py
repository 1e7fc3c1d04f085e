"""What a reload would forget: which servers are down, and what a person set by hand. Pure.

Without a state file every server starts as up, so a dead one gets its share of requests until its
first check (measured). HAProxy reads the file when `global` has `server-state-file` and the proxies
`load-server-state-from-file global` (configuration manual, section 3.1).

What it makes of a row has traps, all measured on 2.6 and 2.8: the address comes from the
configuration but the *port* from the row; a weight from the row wins where the configured weight
is that of the row; maintenance that a command began goes on, whoever began it. So the file is
written anew for each configuration, of rows that can only mean what is wanted. TLS, and where checks
go, hold from the row against the configuration, too: the rows end before these columns, which HAProxy
takes from nowhere but the configuration then.

A server that was never found good does not begin as up where another one of its backend is: else it
would get its share of requests until its checks have failed.
"""

from collections.abc import Callable, Iterator, Mapping

from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.haproxycfg.inheritance import Bases, proxy
from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.agent.haproxycfg.server_options import options
from lbsync.agent.runtime import readback
from lbsync.agent.runtime.changes.server_words import health_before_first, proves, verdict_of
from lbsync.agent.runtime.model import RuntimeConfig, runtime_settings
from lbsync.clients.haproxy.answers import (
    STATE_ADDRESS,
    STATE_BACKEND,
    STATE_FQDN,
    STATE_NAME,
    STATE_PORT,
)

_OP, _ADMIN, _WEIGHT, _CONFIGURED_WEIGHT = 5, 6, 7, 8
_CHECK_STATUS, _CHECK_STATE, _AGENT_STATE = 10, 13, 14
_STATE = slice(STATE_ADDRESS, _CONFIGURED_WEIGHT + 1)
_COLUMNS = STATE_PORT + 2
"""Those that HAProxy demands: up to the SRV record."""
_MAINT, _CONFIGURED_MAINT, _DRAIN = 1, 4, 8
_STOPPED, _RUNNING, _STOPPING = "0", "2", "3"
_SERVING = frozenset(("1", "2"))
_UNKNOWN, _NEW = "0", "1"
"""Check states of a server that no check has looked at yet; of one without checks, too."""
_CONFIGURED, _ENABLED = 2, 4
"""Bits of a check's state."""
_AS_WRITTEN = frozenset(("0", "6", "7", "22", "23"))
"""States of a check, and of an agent's, in which nobody has changed it: none, on, under way."""


def rows(answer: str, running: RuntimeConfig | None, config: Config) -> str:
    """Return the state file for `config`: the rows of `show servers state` that hold for it.

    A row is kept where backend, server, address and port are those of `config`. Of what `running`
    asked for itself (maintenance, weights) nothing is kept: `config` says it anew. What it did not
    ask for is a person's doing and stays while the same is wanted of the server: maintenance, drain,
    weight. None for `running`: it is not known what was asked for; maintenance and drain stay.
    """
    lines = answer.rstrip("\n").split("\n")
    wanted, known = _wanted(config), _Known()
    kept = list(_kept(lines[2:], running, wanted, known))
    return "\n".join([*lines[:2], *kept, *_unproved(known, wanted), ""])


class _Side:
    """The servers of one configuration by backend, each looked up when first asked for."""

    def __init__(
        self, sections: Mapping[str, Section], base: Callable[[Section], Section | None]
    ) -> None:
        self._sections = sections
        self._base = base
        self._known: dict[str, tuple[Section | None, dict[str, Server]]] = {}

    def section(self, backend: str) -> Section | None:
        """Return the proxy of that name that has servers."""
        return self._sections.get(backend)

    def base(self, section: Section) -> Section | None:
        """Return the `defaults` that a proxy stands on."""
        return self._base(section)

    def find(self, backend: str, name: str) -> tuple[Server, Section | None] | None:
        """Return a server and the `defaults` it stands on."""
        section = self._sections.get(backend)
        if section is None:
            return None
        if backend not in self._known:
            servers = {server.name: server for server in section.servers}
            self._known[backend] = (self._base(section), servers)
        base, servers = self._known[backend]
        server = servers.get(name)
        return None if server is None else (server, base)

    def words(self, backend: str, server: Server) -> tuple[str, ...]:
        """Return the options of a server that was found, inherited ones included."""
        inherits = proxy(self._sections[backend], self._known[backend][0])
        return (*inherits.inherited(server), *server.options)

    def verdict(self, backend: str, name: str) -> object:
        """Return what decides whether a server is good; None: there is none of that name."""
        if (found := self.find(backend, name)) is None:
            return None
        checks = proxy(self._sections[backend], found[1]).checks
        return checks, verdict_of(self.words(backend, found[0]))


def _wanted(config: Config) -> _Side:
    sections = {placed.section.name: placed.section for placed in config.of("backend", "listen")}
    return _Side(sections, Bases(config.placed).of)


def _asked(running: RuntimeConfig) -> _Side:
    found = (s for s in running.sections.by_name.values() if s.kind in ("backend", "listen"))
    return _Side({section.name: section for section in found}, running.sections.base)


class _Known:
    """Which servers have a row, by backend, and where one of them serves."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.serving: dict[str, str] = {}
        """Backend to its id in the rows."""

    def add(self, row: list[str]) -> None:
        """Note a row that is kept."""
        backend = row[STATE_BACKEND]
        self.names.setdefault(backend, set()).add(row[STATE_NAME])
        if row[_OP] in _SERVING and row[_ADMIN] == "0" and row[_WEIGHT] != "0":
            self.serving[backend] = row[0]


def _kept(
    lines: list[str], running: RuntimeConfig | None, wanted: _Side, known: _Known
) -> Iterator[str]:
    asked = _asked(running) if running else None
    ordinary = _Ordinary(wanted, running)
    for line in lines:
        row = line.split(" ", _COLUMNS)
        if len(row) < _COLUMNS:
            continue
        if ordinary.has(row):
            known.add(row)
            yield line if len(row) == _COLUMNS else line[: -len(row[_COLUMNS]) - 1]
            continue
        found = wanted.find(row[STATE_BACKEND], row[STATE_NAME])
        if found is None or not _same_place(row, found[0]):
            continue
        server, base = found
        out = readback.is_disabled(server, base) or _configured_out(row)
        words = wanted.words(row[STATE_BACKEND], server)
        if out or not _believable(row, words) or _is_unproved(row, words):
            continue
        row[_ADMIN] = str(_admin(row))
        for column in (_CHECK_STATE, _AGENT_STATE):
            row[column] = _enabled(row[column])
        weight = readback.weight_of(server, base)
        if running is None or asked is None:
            row[_WEIGHT] = row[_CONFIGURED_WEIGHT] = str(weight)
        elif _is_outdated(row, asked, wanted) or not _settle(row, running, asked, server, weight):
            continue
        known.add(row)
        yield " ".join(row[:_COLUMNS])


def _is_outdated(row: list[str], asked: _Side, wanted: _Side) -> bool:
    """Tell whether a server was found bad by a check that it does not have any more."""
    place = row[STATE_BACKEND], row[STATE_NAME]
    was_bad = row[_OP] not in _SERVING and row[_ADMIN] == "0"
    return was_bad and asked.verdict(*place) != wanted.verdict(*place)


def _is_unproved(row: list[str], words: tuple[str, ...]) -> bool:
    """Tell whether a server has not been found good yet although a check is going to tell."""
    new = row[_CHECK_STATUS] in (_UNKNOWN, _NEW) and row[_OP] != _STOPPED
    return new and proves(words)


def _unproved(known: _Known, wanted: _Side) -> Iterator[str]:
    """Yield a row for each server that nothing is known of, and that must not serve yet."""
    for backend, be_id in known.serving.items():
        section = wanted.section(backend)
        if section is None or len(known.names[backend]) == len(section.servers):
            continue
        for each in section.servers:
            found = wanted.find(backend, each.name)
            if found is None or each.name in known.names[backend]:
                continue
            server, base = found
            words = wanted.words(backend, server)
            if not proves(words) or not server.port or readback.is_disabled(server, base):
                continue
            weight = readback.weight_of(server, base)
            health = health_before_first(words, persistent=proxy(section, base).persistent)
            yield (
                f"{be_id} {backend} 0 {server.name} - {_STOPPING if health else _STOPPED} 0 {weight} {weight} 0 "
                f"{_NEW} 0 {health} {_CONFIGURED | _ENABLED} 0 0 0 - {server.port} -"
            )


class _Ordinary:
    """Rows that mean what is wanted as they are, told cheaply: nearly all of thirty thousand."""

    def __init__(self, wanted: _Side, running: RuntimeConfig | None) -> None:
        self._wanted = wanted
        self._running = running
        self._backend = ""
        self._rows: dict[str, tuple[list[str], str]] = {}

    def has(self, row: list[str]) -> bool:
        """Tell whether a server runs, undisturbed, as it is written before and after the reload."""
        backend = row[STATE_BACKEND]
        if backend != self._backend:  # rows come proxy by proxy
            self._backend, self._rows = backend, self._expected(backend)
        known = self._rows.get(row[STATE_NAME])
        return (
            known is not None
            and known[1] == row[STATE_PORT]
            and known[0] == row[_STATE]
            and row[_CHECK_STATE] in _AS_WRITTEN
            and row[_AGENT_STATE] in _AS_WRITTEN
            and (row[_CHECK_STATUS] not in (_UNKNOWN, _NEW) or row[_CHECK_STATE] == "0")
        )

    def _expected(self, backend: str) -> dict[str, tuple[list[str], str]]:
        """Return server to columns `_STATE` and port."""
        section = self._wanted.section(backend)
        if section is None or (self._running and not self._untouched(self._running, section)):
            return {}
        base = self._wanted.base(section)
        rows = {}
        for server in section.servers:
            if server.port and not readback.is_disabled(server, base):
                weight = str(readback.weight_of(server, base))
                state = [server.address, _RUNNING, "0", weight, weight]
                rows[server.name] = state, str(server.port)
        return rows

    def _untouched(self, running: RuntimeConfig, section: Section) -> bool:
        return (
            running.server_section(section.name) is section
            and running.sections.base(section) is self._wanted.base(section)
            and section.name not in running.leaving.servers
        )


def _same_place(row: list[str], server: Server) -> bool:
    if server.port == 0 or row[STATE_PORT] != str(server.port):
        return False
    address = row[STATE_ADDRESS]
    # With `init-addr last` a server given by name goes on with the address it had.
    if server.address in (address, row[STATE_FQDN]):
        return True
    return readback.is_ip(server.address) and readback.equal_ips(server.address, address)


def _believable(row: list[str], words: tuple[str, ...]) -> bool:
    """Tell whether something will find out when a server that is down, or stops, comes up again."""
    is_up = row[_OP] not in (_STOPPED, _STOPPING) or _admin(row) != 0
    return is_up or any(said[0] in ("check", "agent-check", "track") for said in options(words))


def _enabled(state: str) -> str:
    """Return a check's state without what a command may have done: `disable health` would go on."""
    bits = int(state) if state.isdecimal() else 0
    return str(bits | _ENABLED) if bits & _CONFIGURED else state


def _admin(row: list[str]) -> int:
    """Return what was set by command; both at once HAProxy refuses to read (measured)."""
    bits = int(row[_ADMIN]) if row[_ADMIN].isdecimal() else 0
    return _MAINT if bits & _MAINT else bits & _DRAIN


def _configured_out(row: list[str]) -> bool:
    """Tell whether the server is in maintenance because the configuration it runs says so."""
    both = _MAINT | _CONFIGURED_MAINT
    return row[_ADMIN].isdecimal() and int(row[_ADMIN]) & both == both


def _settle(
    row: list[str], running: RuntimeConfig, asked: _Side, server: Server, weight: int
) -> bool:
    """Change a row to mean what is wanted; False where that is nothing at all."""
    backend, name = row[STATE_BACKEND], row[STATE_NAME]
    if name in running.leaving.servers.get(backend, {}):
        return False  # our own drain
    before = asked.find(backend, name)
    if before is None or readback.is_disabled(before[0], before[1]):
        return False  # our own maintenance: checks have not run meanwhile
    if runtime_settings(before[0]) != runtime_settings(server):
        row[_WEIGHT] = row[_CONFIGURED_WEIGHT] = str(weight)
        return row[_ADMIN] == "0"  # what a person set has ended; no checks have run in it
    old = readback.weight_of(before[0], before[1])
    by_hand = row[_WEIGHT] != str(old) and (backend, name, "weight") not in running.touched
    row[_CONFIGURED_WEIGHT] = str(weight)
    if not by_hand or old != weight:
        row[_WEIGHT] = str(weight)
    return True
