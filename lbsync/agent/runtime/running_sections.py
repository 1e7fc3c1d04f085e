"""The sections that HAProxy runs, with what was computed from each of them.

Sections that did not change are the same objects from one configuration to the next (`config.Parser`
ensures it), so identity tells most of them apart, and what was computed from one is kept by its identity.
"""

from collections.abc import Iterable

from lbsync.agent.haproxycfg.config import Config, Placed
from lbsync.agent.haproxycfg.inheritance import Bases, Key, proxy
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.corrections import Extras, extras
from lbsync.clients.haproxy.answers import ServerState


class RunningSections:
    """Changed in place, because a change of one section must not cost a walk through ten thousand."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        """`placed`: the sections of a configuration, in its order."""
        placed = list(placed)
        self.by_name: dict[Key, Section] = {
            (each.section.kind, each.section.name): each.section for each in placed
        }
        """By kind and name; of several with one name (`defaults`, `global`) the last."""
        self._by_id = {id(each.section): each.section for each in placed}
        self._bases = Bases(placed)
        self._extras: dict[int, tuple[Section, dict[str, Extras]]] = {}
        self._right: dict[int, tuple[Section, Section | None, int]] = {}
        """A section and its `defaults` to a digest of its servers' states, with which all was right."""

    def put(self, section: Section) -> None:
        """Add a section, or replace the one that was forgotten."""
        self.by_name[section.kind, section.name] = section
        self._by_id[id(section)] = section

    def forget(self, section: Section) -> None:
        """Drop what was computed from a section that another one of its name replaces."""
        self._by_id.pop(id(section), None)
        self._extras.pop(id(section), None)
        self._right.pop(id(section), None)

    def remove(self, section: Section) -> None:
        """Forget a section that does not run any more."""
        self.forget(section)
        self.by_name.pop((section.kind, section.name), None)

    def extras(self, section: Section) -> dict[str, Extras]:
        """Return what else each server of a section should have, computed once."""
        known = self._extras.get(id(section))
        if known is None or known[0] is not section:
            words = proxy(section, self.base(section))
            found = {
                s.name: extras((*words.inherited(s), *s.options), cookies=words.computes_cookies)
                for s in section.servers
            }
            known = self._extras[id(section)] = section, found
        return known[1]

    def was_right(self, section: Section, states: list[ServerState]) -> bool:
        """Tell whether these states were found right before; thirty thousand servers are read in each pass,
        and to compare each of them takes three times as long."""
        known = self._right.get(id(section))
        return known is not None and known == (section, self.base(section), hash(tuple(states)))

    def note_right(self, section: Section, states: list[ServerState]) -> None:
        """Remember that these are the states of all servers of a section, as they should be."""
        self._right[id(section)] = section, self.base(section), hash(tuple(states))

    def base(self, section: Section) -> Section | None:
        """Return the `defaults` section that a proxy inherits from."""
        return self._bases.of(section)

    def same_bases(self, config: Config) -> str:
        """Return a proxy that stands on another `defaults` than before, though neither it nor that section
        changed; empty: none does."""
        for (kind, name), base in Bases(config.placed).unnamed.items():
            if (section := self.by_name.get((kind, name))) is None:
                continue
            old = self.base(section)
            if (old and old.text) != (base and base.text):
                return f"{kind} {name}"
        return ""

    def differing(self, config: Config) -> tuple[list[Placed], list[Section]]:
        """Return the sections of `config` that do not run, and those that run but are not in it."""
        known = self._by_id
        wanted = config.identities
        news, gone = wanted - known.keys(), known.keys() - wanted
        fresh = [placed for placed in config.placed if id(placed.section) in news] if news else []
        return fresh, [known[each] for each in gone]
