"""A HAProxy of dictionaries: what each step of a plan does to it, and nothing more."""

from collections.abc import Iterable

from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.haproxycfg.inheritance import proxy
from lbsync.agent.haproxycfg.server_options import options
from lbsync.agent.runtime import readback
from lbsync.agent.runtime.changes import certificates, maps
from lbsync.agent.runtime.changes.server_words import lasting
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    AddServer,
    DelEntry,
    DeleteServer,
    DropCertificate,
    ListCertificate,
    ReplaceEntries,
    RetireServer,
    SetAddress,
    SetCertificate,
    SetEntry,
    SetState,
    SetWeight,
    Step,
    UnlistCertificate,
)
from lbsync.agent.runtime.model import RuntimeConfig

ServerRow = tuple[str, int, int, bool, frozenset[tuple[str, ...]]]
"""Address, port, weight, maintenance, options."""


class Simulated:
    """What HAProxy would run: servers, leaving ones apart; maps; certificates; crt-lists."""

    def __init__(self, config: Config, files: dict[str, bytes]) -> None:
        running = RuntimeConfig(config, files)
        self.servers: dict[tuple[str, str], ServerRow] = {}
        for placed in config.of("backend", "listen"):
            section = placed.section
            base = running.sections.base(section)
            inherits = proxy(section, base)
            for server in section.servers:
                words = (*inherits.inherited(server), *server.options)
                self.servers[section.name, server.name] = (
                    server.address,
                    server.port,
                    readback.weight_of(server, base),
                    readback.is_disabled(server, base),
                    _in_force(words),
                )
        self.leaving: dict[tuple[str, str], ServerRow] = {}
        self.entries = {
            path: list(maps.read(files[path], use.kind).pairs)
            for path, use in running.lookups.items()
            if use is not None and path in files
        }
        self.certificates = {path: files[path] for path in running.certificates()}
        self.listed = {
            name: list((certificates.read_list(files[name]) or {}).values())
            for name in running.uses.lists
        }

    def view(self) -> tuple[object, ...]:
        """Return all that a client could notice, for comparison."""
        entries = {
            path: pairs if path == "maps/wildcards.map" else sorted(pairs)
            for path, pairs in self.entries.items()
        }
        return (
            self.servers,
            entries,
            self.certificates,
            {n: sorted(x) for n, x in self.listed.items()},
        )

    def run(self, steps: Iterable[Step], files: dict[str, bytes] | None = None) -> None:
        """Take steps; `files` has the content behind `SetCertificate`."""
        for step in steps:
            match step:
                case AddEntry() | SetEntry() | DelEntry() | ReplaceEntries():
                    self._entry(step)
                case SetCertificate() | ListCertificate() | UnlistCertificate() | DropCertificate():
                    self._certificate(step, files or {})
                case _:
                    self._server(step)

    def _server(self, step: Step) -> None:
        assert isinstance(
            step, AddServer | SetAddress | SetWeight | SetState | RetireServer | DeleteServer
        )
        name = (step.backend, step.name)
        if isinstance(step, AddServer):
            assert name not in self.servers and name not in self.leaving, "HAProxy would refuse"
            weights = [int(o[1]) for o in options(step.options) if o[0] == "weight"]
            out = any(o[0] == "disabled" for o in options(step.options))
            self.servers[name] = (
                step.address,
                step.port,
                weights[-1] if weights else 1,
                out,
                _in_force(step.options),
            )
        elif isinstance(step, RetireServer):
            self.leaving[name] = self.servers.pop(name)
        elif isinstance(step, DeleteServer):
            del self.leaving[name]
        else:
            if name in self.leaving:
                self.servers[name] = self.leaving.pop(name)
            row = list(self.servers[name])
            match step:
                case SetAddress(address=address, port=port):
                    row[:2] = [address, port]
                case SetWeight(weight=weight):
                    row[2] = weight
                case SetState(state=state):
                    row[3] = state == "maint"
            self.servers[name] = tuple(row)  # type: ignore[assignment]

    def _entry(self, step: AddEntry | SetEntry | DelEntry | ReplaceEntries) -> None:
        pairs = self.entries[step.file]
        keys = [key for key, _ in pairs]
        match step:
            case AddEntry():
                assert step.key not in keys, "HAProxy would hold it twice"
                pairs.append((step.key, step.value))
            case SetEntry():
                pairs[keys.index(step.key)] = (step.key, step.value)
            case DelEntry():
                del pairs[keys.index(step.key)]
            case ReplaceEntries():
                self.entries[step.file] = list(step.entries)

    def _certificate(
        self,
        step: SetCertificate | ListCertificate | UnlistCertificate | DropCertificate,
        files: dict[str, bytes],
    ) -> None:
        match step:
            case SetCertificate():
                assert step.new == (step.path not in self.certificates)
                self.certificates[step.path] = files[step.path]
            case ListCertificate():
                assert step.path in self.certificates
                self.listed[step.crt_list].append(step.line)
            case UnlistCertificate():
                lines = self.listed[step.crt_list]
                self.listed[step.crt_list] = [x for x in lines if x.split()[0] != step.path]
            case DropCertificate():
                assert not any(
                    line.split()[0] == step.path for lines in self.listed.values() for line in lines
                )
                del self.certificates[step.path]


def _in_force(words: Iterable[str]) -> frozenset[tuple[str, ...]]:
    """Return the options that count: of a repeated keyword the last."""
    last = {option[0]: option for option in lasting(words)}
    return frozenset(o for o in last.values() if o[0] not in ("init-addr", "resolvers"))
