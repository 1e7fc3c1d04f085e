"""Whole backends: one that is new is made while HAProxy runs, one that is gone is taken out. Pure.

HAProxy makes a backend from a named `defaults` section that it loaded when it started, and takes nothing
more than its mode and its guid (management guide of 3.4, section 9.3, "add backend", "publish backend",
"del backend"; replies measured on 3.4.7). So a new backend fits that has only servers besides.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes.change_set import Phase, PlanBuilder
from lbsync.agent.runtime.changes.section_diff import Pair, shown, title
from lbsync.agent.runtime.changes.server_words import Unfit, sendable
from lbsync.agent.runtime.changes.servers import (
    LeavingServer,
    ServerSections,
    addition,
    plan_section,
)
from lbsync.agent.runtime.changes.steps import (
    AddBackend,
    PublishBackend,
    RetireBackend,
    SetChecks,
    Step,
)
from lbsync.clients.haproxy.capabilities import Capabilities

_OWN_WORDS = {"mode": 2, "guid": 2}
"""Keywords that `add backend` takes, and how many words the line has."""
_DEFAULT_MODE = "tcp"
"""Of a proxy that is told none; `add backend` demands to be told (measured)."""


class LeavingBackend(msgspec.Struct, frozen=True):
    """A backend that was removed: it gets no new requests, and is deleted after its last one."""

    section: Section | None
    """As it was; None after a restart of the agent: HAProxy does not tell all of it."""
    taken_apart: bool = False
    """Its servers are being deleted."""


class Ground(msgspec.Struct, frozen=True):
    """What a running HAProxy has that a new backend may be based on."""

    can: Capabilities
    defaults: Mapping[str, Section]
    """Those with a name that it loaded."""
    forgotten: bool
    """It was told to forget them (`tune.defaults.purge`)."""
    files: Callable[[], frozenset[str]]
    """Files that servers of any backend use already."""
    dropped: Mapping[str, str] = {}
    """Backends that were removed, but are still in the live file, with the `defaults` they stood on there."""


def plan_new(draft: PlanBuilder, pair: Pair, ground: Ground, place: str = "") -> None:
    """Plan to make the new section of `pair`, or give the reason for a reload.

    `place` of the `defaults` it stands on, for the reason.
    """
    section = pair.new
    if why := _unfit(pair, ground, place):
        draft.reload(f"{pair.at(0)}: {why}")
        return
    both = ServerSections(pair, ground.can)
    steps: list[Step] = [_made(section, pair)]
    for server in section.servers:
        try:
            steps.append(addition(both, server, ground.files))
        except Unfit as error:
            draft.reload(
                f"{pair.at(server.line)}: the section is new, and server {server.name}: {error}"
            )
            return
    draft.do(Phase.CREATE, *steps, PublishBackend(section.name))


def plan_return(
    draft: PlanBuilder,
    pair: Pair,
    ground: Ground,
    left: LeavingBackend,
    leaving: dict[str, LeavingServer],
) -> None:
    """Plan for a backend that is wanted again before it was deleted; `leaving` are its own leaving servers."""
    if left.section is None or left.taken_apart:
        draft.reload(
            f"{pair.at(0)}: the section is new, and one of that name is still on its way out"
        )
        return
    changes = PlanBuilder()
    plan_section(changes, pair, ground.can, leaving)
    if reasons := changes.reasons:
        for reason in reasons:
            draft.reload(reason)
        return
    # All of it before anything leads there, not each change in its own phase.
    draft.do(Phase.CREATE, *changes.finish().steps, PublishBackend(pair.new.name))
    before = {server.name for server in left.section.servers}
    draft.do(Phase.WITHDRAW, *_checks(pair, ground.can, before, on=True))


def _checks(
    pair: Pair, can: Capabilities, names: Collection[str], *, on: bool
) -> Iterator[SetChecks]:
    both = ServerSections(pair, can)
    for server in pair.new.servers:
        if server.name in names and both.checks(server):
            yield SetChecks(both.backend, server.name, on)


def plan_gone(
    draft: PlanBuilder, section: Section, can: Capabilities, base: Section | None
) -> None:
    """Plan to take a backend out, or give the reason for a reload; `base` is what it stands on.

    Its health checks end: what they read, like the host in a map, goes with it, and they would take servers
    for down that the last requests, or a backend that comes back, need.
    """
    if not can.backends or section.kind != "backend" or not sendable(section.name):
        draft.reload(f"{title(section)}: the section is gone")
    elif section.conditional or section.disabled:
        draft.reload(f"{title(section)}: the section is gone, and it was not always in force")
    elif any(words(line)[:1] == ["stick-table"] for line in section.text.split("\n")):
        draft.reload(
            f"{title(section)}: the section is gone, and HAProxy keeps one with a 'stick-table'"
        )
    else:
        names = {server.name for server in section.servers if sendable(server.name)}
        draft.do(Phase.WITHDRAW, *_checks(Pair(section, section, 1, base), can, names, on=False))
        draft.do(Phase.RETIRE, RetireBackend(section.name))


def _unfit(pair: Pair, ground: Ground, place: str) -> str:
    """Return why a new section cannot be made while HAProxy runs; empty: it can."""
    section = pair.new
    name, base = section.name, section.inherits
    if not ground.can.backends or section.kind != "backend" or not sendable(name):
        return "the section is new"  # which ten thousand are in a first start
    more = _more_than_servers(pair)
    reasons = {
        "the section is new, and stands on no 'defaults' that it names with 'from'": not base,
        f"its settings are new to HAProxy ({place or f'defaults {base}'})": (
            base not in ground.defaults or pair.base is None
        ),
        "the section is new, and 'tune.defaults.purge' has HAProxy forget what it stands on": (
            ground.forgotten
        ),
        f"its settings changed (defaults {base})": ground.dropped.get(name, base) != base,
        "the section is new, and not always in force": section.conditional or section.disabled,
        f"the section is new, and HAProxy takes '{more}' only when it starts": bool(more),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _more_than_servers(pair: Pair) -> str:
    """Return the first line that is neither a server nor a word of `add backend`; empty: there is none."""
    for line in pair.new_lines[1:]:
        said = words(line)
        if not said or said[0] == "server":
            continue
        if len(said) != _OWN_WORDS.get(said[0]) or not all(map(sendable, said)):
            return shown(said)
    return ""


def _made(section: Section, pair: Pair) -> AddBackend:
    lines = [words(line) for line in pair.new_lines[1:]]
    said = {line[0]: line[1] for line in lines if len(line) == 2}
    mode = said.get("mode", "")
    if not mode and not _says_mode(pair.base):
        mode = _DEFAULT_MODE
    return AddBackend(section.name, section.inherits, mode, said.get("guid", ""))


def _says_mode(base: Section | None) -> bool:
    return base is not None and any(words(line)[:1] == ["mode"] for line in base.text.split("\n"))
