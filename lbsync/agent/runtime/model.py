"""What HAProxy should be running: the configuration it was proved to run, and every step since.

Changed in place, because a change of one service must not cost a walk through ten thousand.
"""

from collections.abc import Iterable, Mapping

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.haproxycfg.inheritance import proxy
from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.agent.runtime.changes import certificates, maps
from lbsync.agent.runtime.changes.backends import Ground
from lbsync.agent.runtime.changes.certificates import BESIDE, Certificates, Uses
from lbsync.agent.runtime.changes.leaving import Leaving
from lbsync.agent.runtime.changes.maps import Entries, Lookup
from lbsync.agent.runtime.changes.server_words import FILES, files_of
from lbsync.agent.runtime.changes.steps import (
    DeleteServer,
    PublishBackend,
    RetireBackend,
    RetireServer,
    Step,
    TouchesServer,
    touched,
)
from lbsync.agent.runtime.journal import Touch
from lbsync.agent.runtime.running_sections import RunningSections
from lbsync.clients.haproxy.capabilities import Capabilities


class RuntimeConfig:
    """The sections and files in force. Used by one thread."""

    def __init__(self, config: Config, files: Mapping[str, bytes]) -> None:
        """`files`: path to content of the generation that HAProxy was proved to serve."""
        self.files: dict[str, bytes] = {}
        """Path to content, without the main file."""
        self.leaving = Leaving()
        """What was removed, but is not deleted yet."""
        self.defaults: dict[str, Section] = {}
        """Those with a name that HAProxy loaded; it keeps them when the file has them no more."""
        self.touched: set[Touch] = set()
        """What steps changed and no read-back has verified since: a difference there is a failed step,
        anywhere else it was set by hand."""
        self.sections = RunningSections(())
        self.lookups: dict[str, Lookup | None] = {}
        """How the configuration uses map and list files."""
        self.uses = Uses()
        """What the binds load."""
        self.found_right: dict[str, str] = {}
        """Map or list file to HAProxy's answer in which every entry was right."""
        self.trusted: dict[str, str] = {}
        """File of authorities to a digest of what HAProxy showed of it at the first look."""
        self.globals = ""
        """The text of all `global` sections."""
        self._entries: dict[str, Entries] = {}
        self._stale: set[str] = set()
        self._load(config, files)

    def _load(self, config: Config, files: Mapping[str, bytes]) -> None:
        sections = [placed.section for placed in config.placed]
        self.globals = "\n".join(s.text for s in sections if s.kind == "global")
        self.sections = RunningSections(config.placed)
        self.defaults |= {s.name: s for s in sections if s.kind == "defaults" and s.name}
        self.lookups = maps.lookups(sections)
        self.uses = certificates.uses(sections)
        self._keep(files)

    def _keep(self, files: Mapping[str, bytes]) -> None:
        for path in self._entries.keys() & files.keys():
            # Entries that were changed alone are not those of the bytes, even if these come back.
            if path in self._stale or self.files.get(path) != files[path]:
                del self._entries[path]
        self._entries = {path: found for path, found in self._entries.items() if path in files}
        self.files = {path: data for path, data in files.items() if path != MAIN_FILE}
        self._stale.clear()
        self.found_right.clear()

    def is_already(self, config: Config, files: Mapping[str, bytes]) -> bool:
        """Tell whether exactly this runs, so that no reload is needed."""
        fresh, gone = self.sections.differing(config)
        texts = sorted(placed.section.text for placed in fresh)
        return texts == sorted(s.text for s in gone) and not self.changed_files(files)

    def entries(self, path: str) -> Entries:
        """Return what HAProxy made of a map or list file, read when first asked for."""
        found = self._entries.get(path)
        if found is None:
            lookup = self.lookups.get(path)
            found = maps.read(self.files.get(path, b""), lookup.kind if lookup else "map")
            self._entries[path] = found
        return found

    def certificates(self) -> list[str]:
        """Return the files that the binds load as certificates, as far as they are among ours."""
        known = Certificates(self.uses, self.files, self.files)
        listed = {path for _, lines in known.lists.values() for path in lines or ()}
        named = {p for p in self.files if known.named(p) and not p.endswith(BESIDE)}
        return sorted((listed | named) & self.files.keys())

    def changed_files(self, files: Mapping[str, bytes]) -> list[str]:
        """Return the paths whose content differs, sorted; the main file is not among them."""
        paths = {path for path in self.files.keys() | files.keys() if path != MAIN_FILE}
        return sorted(
            path for path in paths if path in self._stale or self.files.get(path) != files.get(path)
        )

    def adopt(self, config: Config, files: Mapping[str, bytes], steps: Iterable[Step]) -> None:
        """Note that these steps made HAProxy run `config` and `files`."""
        self._note_leaving(steps)
        fresh, gone = self.sections.differing(config)
        if any(map(_structural, (*gone, *(placed.section for placed in fresh)))):
            self._load(config, files)
            return
        news = {(each.section.kind, each.section.name): each.section for each in fresh}
        for section in gone:
            self.sections.remove(section)
            if (new := news.get((section.kind, section.name))) is not None:
                self._end_holds(section, new)
        for placed in fresh:
            self._put(placed.section)
        self._keep(files)

    def adopt_removal(self, backend: str, steps: Iterable[Step]) -> None:
        """Take over that a backend was retired by steps."""
        self._note_leaving(steps)
        section = self.sections.by_name.get(("backend", backend))
        if section is not None:
            self.sections.remove(section)

    def adopt_section(self, section: Section, steps: Iterable[Step] = ()) -> None:
        """Take over one proxy that was changed by steps; only its servers differ from before."""
        self._note_leaving(steps)
        old = self.sections.by_name.get((section.kind, section.name))
        if old is not None:
            self.sections.forget(old)
            self._end_holds(old, section)
        self._put(section)

    def adopt_entries(
        self, path: str, gone: Iterable[str], come: Iterable[tuple[str, str]]
    ) -> None:
        """Take over changed keys of a map; `come` holds new keys and new values.

        The file's bytes are out of date then: until `adopt`, it is compared by its entries.
        """
        self.found_right.pop(path, None)
        values = self.entries(path).values
        for key in gone:
            values.pop(key, None)
        values.update(come)
        self._stale.add(path)

    def _end_holds(self, old: Section, new: Section) -> None:
        """What was set by hand on a server ends when its configuration changes."""
        before = {server.name: server for server in old.servers}
        for server in new.servers:
            known = before.get(server.name)
            if known is not None and runtime_settings(known) != runtime_settings(server):
                self.touched |= {(new.name, server.name, f) for f in ("weight", "state")}

    def _put(self, section: Section) -> None:
        self.sections.put(section)
        self.leaving.want(section)

    def touch(self, steps: Iterable[Step]) -> set[Touch]:
        """Note what steps are about to change, before they run. Return what is new."""
        found: set[Touch] = set()
        for step in steps:
            if isinstance(step, RetireBackend):
                section = self.sections.by_name.get(("backend", step.backend))
                names = [server.name for server in section.servers] if section else []
                found |= {(step.backend, n, field) for n in names for field in ("weight", "state")}
            elif isinstance(step, TouchesServer):
                found |= {(step.backend, step.name, field) for field in touched(step)}
        found -= self.touched
        self.touched |= found
        return found

    def verified(self, but: Iterable[Touch] = ()) -> None:
        """Note that a read-back found all servers as wanted, except for these and those that leave."""
        going = {each for each in self.touched if each[0] in self.leaving.backends}
        self.touched &= going.union(but)

    def _note_leaving(self, steps: Iterable[Step]) -> None:
        """Remember what was retired; called before the sections change."""
        steps = tuple(steps)
        self.touch(steps)
        for step in steps:
            match step:
                case RetireBackend(backend=name):
                    self.leaving.retire_backend(name, self.sections.by_name.get(("backend", name)))
                case PublishBackend(backend=name):
                    self.leaving.backends.pop(name, None)
                case RetireServer(backend=backend, name=name):
                    section = self.server_section(backend)
                    base = self.sections.base(section) if section else None
                    self.leaving.retire_server(backend, name, section, base)
                case DeleteServer(backend=backend, name=name):
                    self.leaving.forget_server(backend, name)

    def ground(self, can: Capabilities) -> Ground:
        """Return what new backends may stand on."""
        forgotten = "tune.defaults.purge" in self.globals
        return Ground(can, self.defaults, forgotten, self._server_files, self.leaving.dropped)

    def _server_files(self) -> frozenset[str]:
        """Return the files that servers use; all of them are in HAProxy's memory, for any server."""
        found = frozenset[str]()
        for section in (*self.sections.by_name.values(), *self.defaults.values()):
            if any(word in section.text for word in FILES):
                words = proxy(section, self.sections.base(section))
                each = [(*words.inherited(s), *s.options) for s in section.servers]
                each += [said for _, said in words.own.default_server]
                found = found.union(*map(files_of, each))
        return found

    def server_section(self, name: str) -> Section | None:
        """Return the proxy of that name that has servers."""
        return self.sections.by_name.get(("backend", name)) or self.sections.by_name.get(
            ("listen", name)
        )

    def adopt_steps(self, steps: Iterable[Step]) -> None:
        """Note steps that healed drift; they did not change what is wanted."""
        self._note_leaving(steps)


def runtime_settings(server: Server) -> tuple[object, ...]:
    """Return a server's address and what is wanted of it that may also be set by hand."""
    return server.address, server.port, server.weight, server.disabled


def _structural(section: Section) -> bool:
    """Tell whether more than the section itself has to be read again."""
    return bool(section.files or section.binds) or section.kind == "defaults"
