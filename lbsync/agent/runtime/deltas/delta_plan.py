"""From changed services to steps, and to what runs afterwards. Pure apart from what is rendered."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import msgspec

from lbsync.agent.haproxycfg.parser import Section, read_sections
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.changes.release_limits import within_release_limits
from lbsync.agent.runtime.deltas import service_delta
from lbsync.agent.runtime.deltas.service_delta import ServiceDelta
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import merge, plan_map, plan_one, plan_removal
from lbsync.clients.haproxy.capabilities import Capabilities
from lbsync.model.desired import Backend

RenderBackends = Callable[[Sequence[Backend]], Sequence[str]]
"""Renders backends by their template, all at once."""

_Pairs = list[tuple[str, str]]


class _Draft(msgspec.Struct, frozen=True, eq=False):
    """What one service asks for besides its lines in maps."""

    delta: ServiceDelta
    come: list[tuple[Section, Plan]]
    go: list[tuple[str, Plan]]

    @property
    def plans(self) -> list[Plan]:
        return [todo for _, todo in (*self.come, *self.go)]


class DeltaPlan(msgspec.Struct, frozen=True, eq=False):
    """What can change at once."""

    done: tuple[ServiceDelta, ...]
    """The services that have what they want once the steps are done."""
    steps: Plan
    drafts: tuple[_Draft, ...]
    entries: dict[str, tuple[_Pairs, _Pairs]]

    def adopt(self, running: RuntimeConfig) -> None:
        """Take over what the steps have made of `running`."""
        for draft in self.drafts:
            for section, todo in draft.come:
                running.adopt_section(section, todo.steps)
            for name, todo in draft.go:
                running.adopt_removal(name, todo.steps)
        for path, (gone, come) in self.entries.items():
            stay = dict(come)
            running.adopt_entries(path, [key for key, _ in gone if key not in stay], come)


NOTHING = DeltaPlan((), Plan(()), (), {})


def plan_deltas(
    running: RuntimeConfig,
    deltas: Sequence[ServiceDelta],
    render_backends: RenderBackends,
    can: Capabilities,
) -> DeltaPlan:
    """Plan the changes of services; those that need a reload are left out, with all that depends on them."""
    drafts = [
        _draft(running, delta, sections, can)
        for delta, sections in _rendered(deltas, render_backends)
    ]
    ready: list[ServiceDelta] = []
    left: list[ServiceDelta] = []
    for draft in drafts:
        (left if any(todo.reload for todo in draft.plans) else ready).append(draft.delta)
    done = service_delta.independent(ready, left)
    kept = set(map(id, done))
    mine = [draft for draft in drafts if id(draft.delta) in kept]
    entries = service_delta.entry_changes(done)
    plans = [
        within_release_limits(plan_map(running, path, *pairs), can)
        for path, pairs in entries.items()
    ]
    if any(todo.reload for todo in plans):
        return NOTHING
    steps = merge([*(todo for draft in mine for todo in draft.plans), *plans])
    return DeltaPlan(tuple(done), steps, tuple(mine), entries)


def _rendered(
    deltas: Sequence[ServiceDelta], render_backends: RenderBackends
) -> Iterator[tuple[ServiceDelta, list[Section]]]:
    changed = [tuple(delta.backends) for delta in deltas]
    texts = iter(render_backends([backend for each in changed for backend in each]))
    for delta, backends in zip(deltas, changed, strict=True):
        mine = islice(texts, len(backends))
        yield delta, [section for text in mine for _, section in read_sections(text)]


def _draft(
    running: RuntimeConfig, delta: ServiceDelta, sections: Sequence[Section], can: Capabilities
) -> _Draft:
    come = [(s, within_release_limits(plan_one(running, s, can), can)) for s in sections]
    go = [(n, within_release_limits(plan_removal(running, n, can), can)) for n in delta.gone]
    return _Draft(delta, come, go)
