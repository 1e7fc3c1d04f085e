"""Whether HAProxy runs what it should: what differs, who caused it, what heals it. Pure.

What was set by hand is kept: a drain, a maintenance or a weight of a server that no step has changed
since the last read-back. Every other difference is drift and is healed.
"""

from collections.abc import Container, Iterable, Iterator

import msgspec

from lbsync.agent.haproxycfg.inheritance import proxy
from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.agent.runtime import backend_drift, certificate_drift, corrections, readback
from lbsync.agent.runtime.changes import maps
from lbsync.agent.runtime.changes.change_set import Phase, Plan, PlanBuilder, Stage
from lbsync.agent.runtime.changes.maps import Change
from lbsync.agent.runtime.changes.section_diff import Pair
from lbsync.agent.runtime.changes.server_words import Unfit, proof
from lbsync.agent.runtime.changes.servers import ServerSections, addition, plain
from lbsync.agent.runtime.changes.steps import (
    Correct,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
)
from lbsync.agent.runtime.corrections import Correction
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import ObservedState
from lbsync.agent.runtime.readback import Mismatch
from lbsync.clients.haproxy.answers import ServerState
from lbsync.clients.haproxy.capabilities import Capabilities
from lbsync.values.plural import first_few

#: So many differences are named in a sentence.
FEW = 3


class Drift(msgspec.Struct, frozen=True):
    """A difference between what HAProxy runs and the live generation."""

    mismatch: Mismatch
    by_hand: bool = False
    """It was set by hand."""
    heal: Plan = Plan()
    """What heals it: steps, or the reason why only a reload does."""
    server: tuple[str, str] | None = None
    """Backend and name, where it is a server."""

    def __str__(self) -> str:
        return f"{self.mismatch}, set by hand" if self.by_hand else str(self.mismatch)


def compare(running: RuntimeConfig, observed: ObservedState, can: Capabilities) -> list[Drift]:
    """Return every difference; 3,000 servers take 15 ms (measured).

    Health is not compared, nor the address of a server that is given by name.
    """
    return [
        *(
            Drift(mismatch, heal=heal)
            for mismatch, heal in backend_drift.compare(running, observed, can)
        ),
        *_servers(running, observed, can),
        *_maps(running, observed),
        *_limits(running, observed),
        *_server_limits(running, observed),
        *_trust(running, observed),
        *(
            Drift(mismatch, heal=heal)
            for mismatch, heal in certificate_drift.compare(running, observed, can)
        ),
    ]


def healing(findings: Iterable[Drift], *, release: bool = False) -> Plan:
    """Return one plan that heals all drift; with `release`, also what was set by hand."""
    draft = PlanBuilder()
    for found in findings:
        if release or not found.by_hand:
            draft.add(found.heal)
    return draft.finish()


def note_verified(
    running: RuntimeConfig, findings: Iterable[Drift], only: Container[str] | None = None
) -> None:
    """Note which servers were found right: a later difference there was set by hand.

    `only`: the backends that were read; None: all.
    """
    wrong = (found for found in findings if found.server is not None and not found.by_hand)
    fields = [(*f.server, field) for f in wrong if f.server for field in ("weight", "state")]
    unread = [touch for touch in running.touched if only is not None and touch[0] not in only]
    running.verified([*fields, *unread])


def _servers(running: RuntimeConfig, observed: ObservedState, can: Capabilities) -> Iterator[Drift]:
    states: dict[str, list[ServerState]] = {}
    for state in observed.servers:
        states.setdefault(state.backend, []).append(state)
    for section in _compared(running, observed):
        here = states.pop(section.name, [])
        # Only HAProxy knows which servers of a conditional section exist.
        there = observed.backends is None or section.name in observed.backends
        if not there or section.disabled or section.conditional:
            continue
        if running.sections.was_right(section, here):
            continue
        found = list(_section(running, section, here, can))
        yield from found
        if not found and len(here) == len(section.servers):
            running.sections.note_right(section, here)
    # Where backends are seen themselves, so are those that should not be there.
    for unknown in states.values() if observed.backends is None else ():
        for state in unknown:
            where = f"{state.backend}/{state.name}"
            reason = f"{where}: HAProxy runs a backend that is not in the configuration"
            mismatch = Mismatch(where, "server", "absent", "present")
            yield Drift(mismatch, heal=Plan((), (reason,)), server=(state.backend, state.name))


def _compared(running: RuntimeConfig, observed: ObservedState) -> Iterator[Section]:
    """Yield the sections whose servers were read."""
    if observed.only is None:
        yield from (s for s in running.sections.by_name.values() if s.kind in ("backend", "listen"))
        return
    for name in observed.only:
        if (section := running.server_section(name)) is not None:
            yield section


def _section(
    running: RuntimeConfig, section: Section, states: Iterable[ServerState], can: Capabilities
) -> Iterator[Drift]:
    here = {state.name: state for state in states}
    base = running.sections.base(section)
    wanted = running.sections.extras(section)
    for server in section.servers:
        now = here.pop(server.name, None)
        if now is None:
            yield _lost(running, section, server, can)
            continue
        if not readback.same(server, now, base):
            yield from _differing(running, section, server, now)
        if not wanted[server.name].met(now):
            yield from map(_corrected, corrections.of_server(server, now, wanted[server.name]))
    for now in here.values():
        yield from _unwanted(running, now)


def _corrected(correction: Correction) -> Drift:
    mismatch, command = correction
    if command:
        return Drift(mismatch, heal=Plan((Stage(Phase.RAISE, (Correct(command),)),)))
    return Drift(mismatch, heal=Plan((), (f"{mismatch}; only a reload ends that",)))


def _limits(running: RuntimeConfig, observed: ObservedState) -> Iterator[Drift]:
    """Yield what a command has changed of the process and of frontends."""
    if observed.info:
        yield from map(_corrected, corrections.of_process(running.globals, observed.info))
    for now in observed.frontends:
        for kind in ("frontend", "listen"):
            section = running.sections.by_name.get((kind, now.name))
            if section is not None and not section.disabled and not section.conditional:
                limit = observed.info.get("Hard_maxconn", "")
                found = corrections.of_frontend(section, running.sections.base(section), now, limit)
                yield from map(_corrected, found)


def _server_limits(running: RuntimeConfig, observed: ObservedState) -> Iterator[Drift]:
    """Yield what commands changed of servers that only `show stat` shows; each backend is named once."""
    named: set[str] = set()
    for section in running.sections.by_name.values() if observed.limits else ():
        if section.kind not in ("backend", "listen") or section.disabled or section.conditional:
            continue
        wanted = running.sections.extras(section)
        cookies = section.name in observed.with_cookies
        for server in section.servers:
            name = f"{section.name}/{server.name}"
            now = observed.limits.get((section.name, server.name))
            if now is None:
                continue
            for found in corrections.of_limits(
                server, name, now, wanted[server.name], cookies=cookies
            ):
                if str(found[0]) not in named:
                    named.add(str(found[0]))
                    yield _corrected(found)


def _trust(running: RuntimeConfig, observed: ObservedState) -> Iterator[Drift]:
    """Yield authorities that a command has changed; nothing else changes what HAProxy shows of them while it runs."""
    for path, now in observed.trust.items():
        if running.trusted.get(path, now) != now:
            yield _corrected((Mismatch(path, "authorities", "as loaded", "set by command"), ""))


def _lost(running: RuntimeConfig, section: Section, server: Server, can: Capabilities) -> Drift:
    mismatch = Mismatch(f"{section.name}/{server.name}", "server", "present", "absent")
    draft = PlanBuilder()
    try:
        both = ServerSections(Pair(section, section, 1, running.sections.base(section)), can)
        draft.do(Phase.ADD, addition(both, server))
    except Unfit as error:
        draft.reload(f"{mismatch.where}: it is gone, and {error}")
    return Drift(mismatch, heal=draft.finish(), server=(section.name, server.name))


def _unwanted(running: RuntimeConfig, now: ServerState) -> Iterator[Drift]:
    """Yield a server that should not run; a retired one may, as long as it takes no new sessions."""
    leaves = now.name in running.leaving.servers.get(now.backend, {})
    if leaves and (now.weight == 0 or readback.admin(now.admin_state) != "up"):
        return
    draft = PlanBuilder()
    draft.do(Phase.RETIRE, RetireServer(now.backend, now.name))
    where = f"{now.backend}/{now.name}"
    mismatch = (
        Mismatch(where, "weight", "0", str(now.weight))
        if leaves
        else Mismatch(where, "server", "absent", "present")
    )
    yield Drift(mismatch, heal=draft.finish(), server=(now.backend, now.name))


def _differing(
    running: RuntimeConfig, section: Section, server: Server, now: ServerState
) -> Iterator[Drift]:
    name = (section.name, server.name)
    base = running.sections.base(section)
    for mismatch in readback.compare(server, now, base):
        draft = PlanBuilder()
        by_hand = False
        if mismatch.field in ("address", "port"):
            if plain(server):
                draft.do(Phase.RAISE, SetAddress(*name, server.address, server.port))
            else:
                draft.reload(f"{mismatch.where}: its {mismatch.field} was changed")
        elif mismatch.field == "weight":
            by_hand = (*name, "weight") not in running.touched
            draft.do(Phase.RAISE, SetWeight(*name, readback.weight_of(server, base)))
        else:
            out = readback.is_disabled(server, base)
            # A server that the configuration disables but that works is drift.
            by_hand = not out and (*name, "state") not in running.touched
            inherits = proxy(section, base)
            words = (*inherits.inherited(server), *server.options)
            proved = proof(words, persistent=inherits.persistent)
            draft.do(Phase.RAISE, SetState(*name, "maint" if out else "ready", proved))
        yield Drift(mismatch, by_hand, draft.finish(), name)


def _maps(running: RuntimeConfig, observed: ObservedState) -> Iterator[Drift]:
    for path, pairs in observed.entries.items():
        lookup, wanted = running.lookups.get(path), running.entries(path)
        now = maps.Entries(pairs)
        if lookup is None or maps.equal(lookup, wanted, now):
            continue
        draft = PlanBuilder()
        maps.plan_entries(draft, Change(path, lookup, leads=False), now, wanted)
        yield Drift(Mismatch(path, "entries", *maps.difference(wanted, now)), heal=draft.finish())
    for path in running.lookups.keys() & observed.counts.keys() - observed.entries.keys():
        count = len(running.entries(path))
        if observed.counts[path] != count:
            yield Drift(Mismatch(path, "entries", str(count), str(observed.counts[path])))


def some(findings: list[Drift]) -> str:
    """Return the first few, and how many more there are."""
    return first_few(findings, FEW, "; ")
