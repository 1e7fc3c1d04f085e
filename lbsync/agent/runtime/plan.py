"""From the running and the desired state to steps, or to the reason for a reload. Pure.

It works on parsed configuration, so that it supports any templates. What it does not understand
needs a reload, which is always correct, only slower.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from lbsync.agent.file_names import BACKEND_MAPS
from lbsync.agent.haproxycfg.config import Config, Placed
from lbsync.agent.haproxycfg.inheritance import Bases
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.changes import maps
from lbsync.agent.runtime.changes.backends import plan_gone, plan_new, plan_return
from lbsync.agent.runtime.changes.certificates import Certificates, plan_certificates
from lbsync.agent.runtime.changes.change_set import Phase, Plan, PlanBuilder
from lbsync.agent.runtime.changes.maps import Change, plan_changes, plan_entries, plan_whole
from lbsync.agent.runtime.changes.section_diff import Pair, first_change, title
from lbsync.agent.runtime.changes.servers import LeavingServer, plan_section
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.clients.haproxy.capabilities import Capabilities

_BEFORE_A_RELOAD = frozenset((Phase.ADD, Phase.RAISE, Phase.LOWER))
_SERVERS = frozenset(("backend", "listen"))
_NOBODY: dict[str, LeavingServer] = {}


def plan(
    running: RuntimeConfig,
    config: Config,
    files: Mapping[str, bytes],
    can: Capabilities,
    backend_maps: frozenset[str] = BACKEND_MAPS,
) -> Plan:
    """Return how `running` becomes `config` with `files`, on a HAProxy that can do this much.

    `backend_maps` are the map files whose values name backends. Comments, blank lines, the order of
    sections and the digest in `description` make no difference. Where a reload is needed, the plan's
    steps are those for servers of sections that need none: they may run before it, so that one change
    does not wait for another.
    """
    servers, rest = PlanBuilder(), PlanBuilder()
    _plan_sections(servers, running, config, can)
    # If a section needs a reload, files need not be compared: it reads them all.
    if not servers.reasons:
        known = Certificates(running.uses, running.files, files, can.payload_bytes)
        _plan_files(rest, running, config, known, backend_maps)
    if reasons := servers.reasons or rest.reasons:
        return Plan(servers.finish(_BEFORE_A_RELOAD).stages, reasons)
    servers.merge(rest)
    return servers.finish()


def plan_one(running: RuntimeConfig, section: Section, can: Capabilities, line: int = 1) -> Plan:
    """Return what a new version of one section, or a new section, asks for; all others stay as they run.

    `line`: its line number, for the reason. It may differ only in its servers, and be new only where
    HAProxy knows what it stands on; else the plan asks for a reload.
    """
    draft = PlanBuilder()
    planner = _Sections(draft, running, can)
    old = running.sections.by_name.get((section.kind, section.name))
    if old is None:
        planner.new(Placed(section, line))
    else:
        planner.changed(old, Placed(section, line))
    return draft.finish()


def plan_removal(running: RuntimeConfig, backend: str, can: Capabilities) -> Plan:
    """Return what it takes that a backend is gone; all others stay as they run."""
    draft = PlanBuilder()
    section = running.sections.by_name.get(("backend", backend))
    if section is not None:
        plan_gone(draft, section, can, running.sections.base(section))
    return draft.finish()


def plan_map(
    running: RuntimeConfig,
    path: str,
    gone: Iterable[tuple[str, str]],
    come: Iterable[tuple[str, str]],
    backend_maps: frozenset[str] = BACKEND_MAPS,
) -> Plan:
    """Return what changed lines of one map ask for: pairs of key and value that left and came.

    A key that left and came again changes its value. Where the order of the file counts, or a key is
    repeated, only the whole new content can tell: the plan then asks for a reload, and `plan` will
    find a better way.
    """
    draft = PlanBuilder()
    lookup = running.lookups.get(path)
    goes, comes, other = maps.changed_pairs(gone, come)
    known = running.entries(path)
    if lookup is None or lookup.ordered or not known.unique or path not in running.files:
        draft.reload(f"{path}: its order counts, or it is not known as a map")
    elif any(key in known.values for key, _ in comes) or not all(
        key in known.values for key in (*goes, *(key for key, _ in other))
    ):
        draft.reload(f"{path}: it does not hold what it should")
    else:
        change = Change(path, lookup, path in backend_maps)
        plan_changes(draft, change, goes, comes, other)
        if maps.is_slow_by_key(len(goes) + len(other), len(known)) and not draft.reasons:
            draft = PlanBuilder()
            plan_whole(draft, change, known, known.changed(goes, (*other, *comes)))
    return draft.finish()


def merge(plans: Iterable[Plan]) -> Plan:
    """Return several plans for one HAProxy as one, in the right order."""
    draft = PlanBuilder()
    for each in plans:
        draft.add(each)
    return draft.finish()


def _plan_sections(
    draft: PlanBuilder, running: RuntimeConfig, config: Config, can: Capabilities
) -> None:
    fresh, gone = running.sections.differing(config)
    moved = running.sections.same_bases(config)
    if not fresh and not gone and not moved:
        return
    planner = _Sections(draft, running, can, config)
    left: dict[tuple[str, str], list[Section]] = {}
    for section in gone:
        left.setdefault((section.kind, section.name), []).append(section)
    come: dict[tuple[str, str], list[Placed]] = {}
    for placed in fresh:
        come.setdefault((placed.section.kind, placed.section.name), []).append(placed)
    for key, news in come.items():
        olds = left.pop(key, [])
        if not olds and len(news) == 1:
            planner.new(news[0])
        elif len(olds) == len(news) == 1:
            planner.changed(olds[0], news[0])
        elif {old.text for old in olds} != {placed.section.text for placed in news}:
            draft.reload(f"{_place(news[0])}: there are several of that name, and one changed")
    for key in sorted(left):
        planner.gone(left[key][0])
    planner.finish()
    if moved:
        draft.reload(f"{moved}: it stands on another 'defaults' section than before")


class _Sections:
    """Plans for sections that came, changed or went."""

    def __init__(
        self,
        draft: PlanBuilder,
        running: RuntimeConfig,
        can: Capabilities,
        config: Config | None = None,
    ) -> None:
        """`config`: as wanted; None: what runs, but for the section in question."""
        self._draft = draft
        self._running = running
        self._can = can
        self._config = config
        self._unused: list[Placed] = []

    @cached_property
    def _bases(self) -> Bases | None:
        return Bases(self._config.placed) if self._config else None

    @cached_property
    def _defaults(self) -> dict[str, Placed]:
        """The wanted `defaults` that have a name."""
        found = self._config.of("defaults") if self._config else ()
        return {placed.section.name: placed for placed in found}

    def new(self, placed: Placed) -> None:
        """Plan for a section that does not run."""
        section = placed.section
        if section.kind == "defaults" and section.name:
            known = self._running.defaults.get(section.name)
            if known is None or known.text != section.text:
                self._unused.append(placed)
            return
        base = self._bases.of(section) if self._bases else self._running.sections.base(section)
        left = self._running.leaving.backends.get(section.name)
        ground = self._running.ground(self._can)
        if left is None or left.section is None or section.kind != "backend":
            pair = Pair(section, section, placed.line, base)
            if left is None:
                plan_new(self._draft, pair, ground, self._settings_of(section))
            else:
                plan_return(self._draft, pair, ground, left, {})
            return
        if left.section.inherits != section.inherits:
            self._settings_changed(left.section, placed)
            return
        leaving = self._running.leaving.servers.get(section.name, _NOBODY)
        plan_return(
            self._draft, Pair(left.section, section, placed.line, base), ground, left, leaving
        )

    def changed(self, old: Section, placed: Placed) -> None:
        """Plan for a section that runs otherwise."""
        new = placed.section
        if old.inherits != new.inherits:
            self._settings_changed(old, placed)
            return
        leaving = self._running.leaving.servers if old.kind in _SERVERS else {}
        pair = Pair(old, new, placed.line, self._running.sections.base(old))
        plan_section(self._draft, pair, self._can, leaving.get(old.name, _NOBODY))

    def gone(self, section: Section) -> None:
        """Plan for a section that runs and should not.

        What nothing uses any more may stay in HAProxy's memory: the last backend of its settings is gone.
        """
        if section.kind == "defaults" and section.name:
            return
        if section.kind == "userlist" and self._can.backends:
            return
        plan_gone(self._draft, section, self._can, self._running.sections.base(section))

    def finish(self) -> None:
        """Plan for new `defaults` on which nothing stands that has asked for a reload."""
        if self._unused and not self._draft.reasons:
            self._draft.reload(f"{_place(self._unused[0])}: the section is new")

    def _settings_of(self, section: Section) -> str:
        placed = self._defaults.get(section.inherits)
        return _place(placed) if placed else ""

    def _settings_changed(self, old: Section, placed: Placed) -> None:
        """A backend stands on other settings than before, which it cannot change while it runs."""
        before = self._running.defaults.get(old.inherits)
        now = self._defaults.get(placed.section.inherits)
        what = f"defaults {placed.section.inherits or 'without a name'}"
        if now is not None:
            what = _place(now)
            if before is not None:
                what = first_change(before, now.section, now.line) or what
        self._draft.reload(f"{_place(placed)}: its settings changed ({what})")


def _place(placed: Placed) -> str:
    return f"{title(placed.section)}, line {placed.line}"


def _plan_files(
    draft: PlanBuilder,
    running: RuntimeConfig,
    config: Config,
    certificates: Certificates,
    backend_maps: frozenset[str],
) -> None:
    files = certificates.new
    changed = running.changed_files(files)
    if not changed:
        return
    concerned = [path for path in changed if certificates.concerns(path)]
    plan_certificates(draft, certificates, concerned)
    for path in changed:
        if path in concerned:
            continue
        lookup = running.lookups.get(path)
        if path in files and path in running.files and lookup is not None:
            change = Change(path, lookup, path in backend_maps)
            wanted = maps.read(files[path], lookup.kind)
            plan_entries(draft, change, running.entries(path), wanted)
        elif _mentioned(config, path) or _listed(running, files, path):
            draft.reload(f"{path}: it changed, and HAProxy reads it only when it starts")


def _listed(running: RuntimeConfig, files: Mapping[str, bytes], path: str) -> bool:
    """Tell whether a line of a crt-list may name a file in its options."""
    name = path.encode()
    held = (files.get(each, b"") + running.files.get(each, b"") for each in running.uses.lists)
    return any(name in data for data in held)


def _mentioned(config: Config, path: str) -> bool:
    """Tell whether any section may name a file or a directory above it."""
    names = "|".join(map(re.escape, [path, *path.split("/")[:-1]]))
    meant = re.compile(rf"(?:{names})/?(?![A-Za-z0-9._/-])")
    return any(meant.search(placed.section.text) for placed in config.placed)
