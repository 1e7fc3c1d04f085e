"""One section in its running and its desired state: steps for its servers, reasons for a reload for the rest.
Pure."""

from collections.abc import Callable
from functools import cached_property

import msgspec

from lbsync.agent.haproxycfg.inheritance import Proxy, proxy
from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.haproxycfg.parser import Server
from lbsync.agent.haproxycfg.server_options import Option
from lbsync.agent.runtime.changes.change_set import Phase, PlanBuilder
from lbsync.agent.runtime.changes.section_diff import Pair, first_difference, other_lines_differ
from lbsync.agent.runtime.changes.server_words import (
    Unfit,
    files_of,
    for_add,
    lasting,
    proof,
    same_options,
    sendable,
)
from lbsync.agent.runtime.changes.steps import (
    AddServer,
    DeleteServer,
    Proof,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
)
from lbsync.agent.runtime.readback import is_disabled, is_ip, weight_of
from lbsync.clients.haproxy.capabilities import Capabilities

_MOST_WEIGHT = 256


class LeavingServer(msgspec.Struct, frozen=True):
    """A server that was removed and has not been deleted yet."""

    server: Server | None
    """As it was; None after a restart of the agent: HAProxy does not tell all of it."""
    inherited: tuple[str, ...] = ()
    """Words that `default-server` gave it."""


def plan_section(
    draft: PlanBuilder, pair: Pair, can: Capabilities, leaving: dict[str, LeavingServer]
) -> None:
    """Plan what leads from one section to the other; `leaving` by server name."""
    old, new = pair.old, pair.new
    if old.text == new.text or other_lines_differ(draft, pair):
        return
    before = {server.name: server for server in old.servers}
    after = {server.name: server for server in new.servers}
    both = ServerSections(pair, can)
    if both.in_order and not _same_order(before, after):
        draft.reload(f"{pair.at(0)}: 'balance first' takes its servers in another order")
        return
    for server in new.servers:
        known = before.get(server.name)
        if known is not None:
            _change(draft, both, known, server)
        elif (left := leaving.get(server.name)) is not None:
            _bring_back(draft, both, left, server)
        else:
            _add(draft, both, server)
    for server in old.servers:
        if server.name not in after:
            _retire(draft, both, server)


class ServerSections:
    """A pair of sections, with what their servers inherit; read when first asked for."""

    def __init__(self, pair: Pair, can: Capabilities) -> None:
        self.pair = pair
        self.can = can
        self.backend = pair.new.name

    @cached_property
    def then(self) -> Proxy:
        """What the old section says to all its servers."""
        return proxy(self.pair.old, self.pair.base)

    @cached_property
    def now(self) -> Proxy:
        """What the new section says to all its servers."""
        return proxy(self.pair.new, self.pair.base)

    @cached_property
    def own_defaults(self) -> bool:
        """One of the sections has a `default-server` of its own."""
        return "default-server" in self.pair.old.text or "default-server" in self.pair.new.text

    @cached_property
    def in_order(self) -> bool:
        """Servers are tried in the order of their ids."""
        texts = (self.pair.new.text, self.pair.base.text if self.pair.base else "")
        return any("first" in text for text in texts) and self.now.balance == "first"

    def proof(self, server: Server) -> Proof:
        """Return what brings a new server of the new section up."""
        words = (*self.now.inherited(server), *server.options)
        return proof(words, persistent=self.now.persistent)

    def checks(self, server: Server) -> bool:
        """Tell whether a server of the new section has health checks of its own."""
        said = {option[0] for option in _words(self.now, server)}
        return "check" in said and not said & {"no-check", "track"}

    @cached_property
    def loaded(self) -> frozenset[str]:
        """Files that servers of the old section use."""
        words = ((*self.then.inherited(s), *s.options) for s in self.pair.old.servers)
        return frozenset[str]().union(*map(files_of, words))


def _same_order(before: dict[str, Server], after: dict[str, Server]) -> bool:
    """Tell whether new servers stand last and the others as before; new ones get higher ids."""
    kept = [name for name in before if name in after]
    return list(after)[: len(kept)] == kept


def _change(draft: PlanBuilder, both: ServerSections, old: Server, new: Server) -> None:
    pair, name = both.pair, new.name
    same_words = old.options == new.options and not both.own_defaults
    if not same_words:
        was, now = _words(both.then, old), _words(both.now, new)
        if not same_options(was, now):
            found = first_difference(was, now)
            what = found[1] if found else "its options changed"
            draft.reload(f"{pair.at(new.line)}: server {name}: {what}")
            return
    if (old.address, old.port) != (new.address, new.port) or not (new.address and new.port):
        if plain(old) and plain(new):
            proved = both.proof(new)
            draft.do(Phase.RAISE, SetAddress(both.backend, name, new.address, new.port, proved))
        elif _address_word(pair.old_lines, old) != _address_word(pair.new_lines, new):
            draft.reload(
                f"{pair.at(new.line)}: server {name} is given otherwise than by IP address and port"
            )
            return
    if not same_words:
        _weigh(draft, both, weight_of(old, pair.base), new)
        _place(draft, both, is_disabled(old, pair.base), new)


def _weigh(draft: PlanBuilder, both: ServerSections, old: int, server: Server) -> None:
    weight = weight_of(server, both.pair.base)
    if weight == old:
        return
    if both.now.static or weight > _MOST_WEIGHT:
        why = f"'balance {both.now.balance}' takes no other weights while it runs"
        draft.reload(f"{both.pair.at(server.line)}: server {server.name}: {why}")
        return
    phase = Phase.RAISE if weight > old else Phase.LOWER
    draft.do(phase, SetWeight(both.backend, server.name, weight))


def _place(draft: PlanBuilder, both: ServerSections, was_out: bool, server: Server) -> None:
    out = is_disabled(server, both.pair.base)
    if out and not was_out:
        draft.do(Phase.LOWER, SetState(both.backend, server.name, "maint"))
    elif was_out and not out:
        draft.do(Phase.RAISE, SetState(both.backend, server.name, "ready", both.proof(server)))


def _words(inherits: Proxy, server: Server) -> tuple[Option, ...]:
    return (*lasting(inherits.inherited(server)), *lasting(server.options))


def _address_word(lines: list[str], server: Server) -> str:
    line = words(lines[server.line])
    return line[2] if len(line) > 2 else ""


def plain(server: Server) -> bool:
    """Tell whether a server is given by IP address and port."""
    return is_ip(server.address) and 0 < server.port < 1 << 16


def _add(draft: PlanBuilder, both: ServerSections, server: Server) -> None:
    pair = both.pair
    try:
        draft.do(Phase.ADD, addition(both, server))
    except Unfit as error:
        draft.reload(f"{pair.at(server.line)}: server {server.name} is new, and {error}")


def addition(
    both: ServerSections, server: Server, loaded: Callable[[], frozenset[str]] | None = None
) -> AddServer:
    """Return the step that adds a server of the new section. Raises `Unfit`.

    `loaded`: files that servers use already; None: those of the old section count.
    """
    if both.now.static:
        raise Unfit(f"'balance {both.now.balance}' takes no more servers while it runs")
    if both.now.dynamic_cookies:
        raise Unfit("'dynamic-cookie-key' needs a start")
    if not plain(server) or not sendable(server.name):
        raise Unfit("it is not given by IP address and port")
    inherited = both.now.inherited(server)
    files = frozenset[str]()
    if files_of((*inherited, *server.options)):
        files = both.loaded if loaded is None else loaded()
    said = for_add(inherited, server.options, both.can, files)
    proved = both.proof(server)
    return AddServer(both.backend, server.name, server.address, server.port, said, proved)


def _bring_back(
    draft: PlanBuilder, both: ServerSections, left: LeavingServer, server: Server
) -> None:
    """A name that was on its way out is wanted again: the same server, perhaps elsewhere."""
    old, pair = left.server, both.pair
    if both.now.static:
        draft.reload(f"{pair.at(server.line)}: server {server.name} is new")
        return
    if old is None:
        # It may have connections, which nothing but their end lets it go for; and a maintenance that was
        # begun for its sake would look like a person's.
        why = "one of that name is on its way out, and what it is like is not known"
        draft.reload(f"{pair.at(server.line)}: server {server.name} is new; {why}")
        return
    was = (*lasting(left.inherited), *lasting(old.options))
    if not same_options(was, _words(both.now, server)) or not plain(server):
        # What runs under this name is another server: it has to go first, even with connections.
        draft.do(Phase.ADD, DeleteServer(both.backend, server.name))
        _add(draft, both, server)
        return
    proved = both.proof(server)
    draft.do(Phase.ADD, SetAddress(both.backend, server.name, server.address, server.port, proved))
    draft.do(Phase.ADD, SetWeight(both.backend, server.name, weight_of(server, pair.base)))
    out = is_disabled(server, pair.base)
    draft.do(Phase.ADD, SetState(both.backend, server.name, "maint" if out else "ready", proved))


def _retire(draft: PlanBuilder, both: ServerSections, server: Server) -> None:
    if both.now.static:
        why = f"'balance {both.now.balance}' loses no servers while it runs"
        draft.reload(f"{both.pair.at(0)}: server {server.name} is gone, and {why}")
    elif not sendable(server.name):
        draft.reload(f"{both.pair.at(0)}: server {server.name} is gone")
    else:
        draft.do(Phase.RETIRE, RetireServer(both.backend, server.name))
