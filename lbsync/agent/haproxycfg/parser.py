"""One section of haproxy.cfg: what lbsync keeps of its lines. Pure.

Sources of the rules: configuration manual, sections 4 (proxies), 5.1 (bind), 5.2 (server), 11.1
(address formats).
"""

import itertools
import re
from collections.abc import Iterator

import msgspec

from lbsync.agent.haproxycfg import expressions
from lbsync.agent.haproxycfg.expressions import Value
from lbsync.agent.haproxycfg.lexer import UNKNOWN, words
from lbsync.agent.haproxycfg.server_facts import Facts, facts, is_disabled, weight_of
from lbsync.agent.haproxycfg.server_options import options
from lbsync.agent.section_kinds import KINDS


class Bind(msgspec.Struct, frozen=True, gc=False):
    """One address a section listens on."""

    address: str
    """IP as written, without brackets; `*` for every address; the path of a unix socket; empty
    when it cannot be told (environment variable, inherited file descriptor)."""
    port: int
    """0 for a unix socket, and where it cannot be told."""
    line: int
    """Counted from the section's first line, which is 0."""
    kind: str = "tcp"
    """`tcp`, `udp` (QUIC), `unix`, or `other`: not to be judged from here (an inherited
    descriptor, another network namespace, an address that is not local on purpose)."""
    apart: str = ""
    """Words that let the same address be bound twice on purpose (`thread`, `interface` …)."""
    both_families: bool = False
    """An IPv6 wildcard that takes IPv4 too (`v4v6`)."""


class Server(msgspec.Struct, frozen=True, gc=False):
    """One server of a backend."""

    name: str
    address: str
    """As written, without brackets; empty when it is no address (unix socket, variable)."""
    port: int
    """0 when none is given, or when it is relative to the client's (`+5`)."""
    line: int
    """Counted from the section's first line, which is 0."""
    weight: int | None = None
    """None: not given here nor by `default-server` of this section."""
    disabled: bool | None = None
    """None: not given here nor by `default-server` of this section."""
    options: tuple[str, ...] = ()
    """Every word after the address, for comparison."""


class Section(msgspec.Struct, frozen=True, gc=False):
    """One section, without its place in the file (so that it can be cached)."""

    kind: str
    name: str
    text: str
    inherits: str = ""
    """The `defaults` section it names with `from`; empty: the last one before it."""
    binds: tuple[Bind, ...] = ()
    servers: tuple[Server, ...] = ()
    weight: int | None = None
    """What `default-server` of this section says."""
    disabled_servers: bool | None = None
    """What `default-server` of this section says."""
    disabled: bool = False
    """The section itself is `disabled`."""
    maps: tuple[tuple[str, str], ...] = ()
    """Files that map converters load, each with how it is matched (`beg`; empty: by the whole key)."""
    lists: tuple[str, ...] = ()
    """Files that ACLs load with `-f`."""
    keys_of_maps: bool = False
    """Some ACL has `-M`: it reads a map, for its keys alone."""
    errorfiles: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    """Backends named outright by `default_backend` and `use_backend`."""
    description: str = ""
    """Of `global`: the words after `description`."""
    default_path: str = ""
    """Of `global`: the first word after `default-path`."""
    state_file: str = ""
    """Of `global`: the word after `server-state-file`."""
    stats_file: str = ""
    """Of `global`: the word after `stats-file`."""
    conditional: bool = False
    """Holds `.if`: which of its lines count, only HAProxy knows."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of ours that it loads, certificates left out; of ten thousand backends nearly none does."""
        if not (self.maps or self.lists or self.errorfiles):
            return ()
        return (*dict(self.maps), *self.lists, *self.errorfiles)


class _Draft:
    """A section while its lines are being read."""

    def __init__(self, kind: str, head: list[str]) -> None:
        self.kind = kind
        named = head[1:2] if head[1:2] != ["from"] else []
        self.name = named[0] if named else ""
        self.inherits = head[head.index("from") + 1] if "from" in head[1:-1] else ""
        self.lines: list[str] = []
        self.binds: list[Bind] = []
        self.servers: list[Server] = []
        self.default_server: list[str] = []
        self.disabled = False
        self.maps: set[tuple[str, str]] = set()
        self.lists: set[str] = set()
        self.keys_of_maps = False
        self.errorfiles: set[str] = set()
        self.backends: set[str] = set()
        self.globals: dict[str, str] = {}
        self.conditional = False

    def evaluates(self, found: Value | None) -> None:
        """Note what a line lets HAProxy evaluate."""
        if found is not None:
            self.maps.update(pair for pair in found.maps if UNKNOWN not in pair[0])
            self.lists.update(file for file in found.lists if UNKNOWN not in file)
            self.keys_of_maps |= found.keys_of_maps

    def finish(self) -> Section:
        """Return what was read."""
        defaults = tuple(options(self.default_server))
        return Section(
            kind=self.kind,
            name=self.name,
            text="\n".join(self.lines),
            inherits=self.inherits,
            binds=tuple(self.binds),
            servers=tuple(self.servers),
            weight=weight_of(defaults),
            disabled_servers=is_disabled(defaults),
            disabled=self.disabled,
            maps=tuple(sorted(self.maps)),
            lists=tuple(sorted(self.lists)),
            keys_of_maps=self.keys_of_maps,
            errorfiles=tuple(sorted(self.errorfiles)),
            backends=tuple(sorted(self.backends)),
            description=self.globals.get("description", ""),
            default_path=self.globals.get("default-path", ""),
            state_file=self.globals.get("server-state-file", ""),
            stats_file=self.globals.get("stats-file", ""),
            conditional=self.conditional,
        )


_GLOBALS = {"description", "default-path", "server-state-file", "stats-file"}
_PROXIES = {"defaults", "frontend", "backend", "listen"}
_BIND_APART = {"thread", "process", "interface", "namespace"}
_MOST_PORTS = 1000
_MOST_SERVERS = 10_000
_FAMILY = re.compile(r"(?:ipv4|ipv6|tcp4|tcp6|tcp)@")


def read_sections(piece: str) -> Iterator[tuple[int, Section]]:
    """Yield each section of a piece of configuration with the offset of its first line.

    Lines before the first section keyword are left out.
    """
    draft: _Draft | None = None
    begun = 0
    for number, line in enumerate(piece.rstrip("\n").split("\n")):
        found = words(line)
        if found and found[0] in KINDS:
            if draft:
                yield begun, draft.finish()
            draft, begun = _Draft(found[0], found), number
        elif draft and found:
            _read(draft, found, number - begun)
        if draft:
            draft.lines.append(line)
    if draft:
        yield begun, draft.finish()


def _read(draft: _Draft, line: list[str], number: int) -> None:
    keyword, rest = line[0], line[1:]
    if keyword.startswith("."):
        draft.conditional = True
    elif draft.kind == "global":
        if keyword in _GLOBALS and rest:
            draft.globals[keyword] = " ".join(rest) if keyword == "description" else rest[0]
    elif draft.kind in _PROXIES:
        _read_proxy(draft, keyword, rest, number)


def _read_proxy(draft: _Draft, keyword: str, rest: list[str], number: int) -> None:
    if keyword == "server":
        if rest[1:]:
            found = facts(tuple(draft.default_server), tuple(rest[2:]))
            draft.servers.append(_server(rest, number, found))
            draft.evaluates(found.evaluated)
        return
    if keyword == "bind" and rest:
        draft.binds += _binds(rest, number)
    elif keyword == "default-server":
        draft.default_server += rest
    elif keyword == "server-template":
        draft.servers += _template(rest, number, draft.default_server)
    elif keyword in ("disabled", "enabled"):
        draft.disabled = keyword == "disabled"
    elif keyword in ("default_backend", "use_backend") and rest:
        if "%" not in rest[0] and UNKNOWN not in rest[0]:
            draft.backends.add(rest[0])
    elif keyword == "errorfile" and len(rest) > 1:
        draft.errorfiles.add(rest[1])
    draft.evaluates(expressions.evaluated(keyword, rest))


def _server(line: list[str], number: int, found: Facts) -> Server:
    address, port = _server_address(line[1])
    return Server(line[0], address, port, number, found.weight, found.disabled, found.words)


def _template(line: list[str], number: int, defaults: list[str]) -> list[Server]:
    """`server-template PREFIX N | 1-N ADDRESS …` makes servers PREFIX1, PREFIX2 …"""
    if len(line) < 3 or not (span := re.fullmatch(r"(?:(\d+)-)?(\d+)", line[1])):
        return []
    first, last = int(span[1] or 1), min(int(span[2]), _MOST_SERVERS)
    made = _server([line[0], *line[2:]], number, facts(tuple(defaults), tuple(line[3:])))
    return [
        msgspec.structs.replace(made, name=f"{line[0]}{index}") for index in range(first, last + 1)
    ]


def _server_address(word: str) -> tuple[str, int]:
    family = _FAMILY.match(word)
    bare = word[family.end() :] if family else word
    if "@" in bare or bare.startswith("/") or UNKNOWN in bare:
        return "", 0
    host, colon, port = bare.rpartition(":")
    if not colon:
        host, port = bare, ""
    return host.removeprefix("[").removesuffix("]"), int(port) if port.isdecimal() else 0


def _binds(line: list[str], number: int) -> Iterator[Bind]:
    options = line[1:]
    apart = " ".join(
        f"{key} {value}" for key, value in itertools.pairwise(options) if key in _BIND_APART
    )
    foreign = "namespace" in options or "transparent" in options
    for word in line[0].split(","):
        for kind, address, port in _bind_addresses(word):
            both = address == "::" and "v6only" not in options and "v4v6" in options
            yield Bind(address, port, number, "other" if foreign else kind, apart, both)


def _bind_addresses(word: str) -> Iterator[tuple[str, str, int]]:
    prefix, at, bare = word.rpartition("@")
    kind = "udp" if prefix in ("quic4", "quic6", "udp", "udp4", "udp6") else "tcp"
    if bare.startswith("/") or prefix == "unix":
        yield "unix", bare, 0
        return
    host, colon, ports = bare.rpartition(":")
    span = re.fullmatch(r"(\d+)(?:-(\d+))?", ports)
    if (
        UNKNOWN in word
        or not colon
        or span is None
        or (at and prefix in ("fd", "abns", "sockpair"))
    ):
        yield "other", "", 0
        return
    address = host.removeprefix("[").removesuffix("]")
    if address in ("", "*", "0.0.0.0"):
        address = "::" if prefix in ("ipv6", "quic6", "tcp6", "udp6") else "*"
    first, last = int(span[1]), int(span[2] or span[1])
    for port in range(first, min(last, first + _MOST_PORTS) + 1):
        yield kind, address, port
