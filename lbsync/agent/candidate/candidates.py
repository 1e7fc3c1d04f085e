"""A set that can go live: staged on disk and validated there."""

from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.agent.candidate import bind_probe
from lbsync.agent.candidate.attribution import newest_changes
from lbsync.agent.candidate.bind_probe import Ports
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.candidate.search import CandidateSearch
from lbsync.agent.candidate.validate import Refused, Validation, alike, begin, finding
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.states import PassInput, RenderedState
from lbsync.agent.file_names import HOST_MAP, MAIN_FILE
from lbsync.agent.generations import host_map as stored_host_map
from lbsync.agent.generations.integrity import IntegrityCheck
from lbsync.agent.generations.read import LoadedGeneration, parsed
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config, Parser, main_data
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.agent.haproxycfg.loops import Loops
from lbsync.agent.haproxycfg.parser import Bind
from lbsync.agent.runtime import host_map
from lbsync.clients.haproxy import listeners, processes, sockets
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import LbsyncError, Unavailable
from lbsync.model.rendered import Rendered


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A rendered set that HAProxy accepts, or is about to judge, and what it was made from."""

    state: RenderedState
    config: Config
    """The parsed `haproxy.cfg` of the set."""
    generation: Generation
    """Where the set is on disk."""
    is_live: bool
    """The live generation is already the desired state; else `generation` is staged beside it."""
    check: Validation | None = None
    """Whose verdict is yet to come; None: HAProxy accepts the set."""

    @property
    def rendered(self) -> Rendered:
        """The files of the set."""
        return self.state.rendered


class CandidateBuilder:
    """Stages candidates on disk and validates them by our own rules and `haproxy -c`."""

    def __init__(
        self,
        store: Store,
        builder: DesiredBuilder,
        parser: Parser,
        options: HaproxyOptions,
        *,
        occupied: OccupiedPorts,
        watchdog_ping: Callable[[], None],
    ) -> None:
        """`occupied`: ports of other programs. `watchdog_ping` is called before each try."""
        self._occupied = occupied
        self._store = store
        self._parser = parser
        self._options = options
        self._watchdog_ping = watchdog_ping
        self._search = CandidateSearch(builder, watchdog_ping)
        self._integrity = IntegrityCheck(HOST_MAP)
        self._warned = log.OnChange()
        self._loops: Loops | None = None

    def build(
        self,
        wanted: PassInput,
        confirmed: LoadedGeneration | None,
        ready: Candidate | None = None,
        *,
        may_be_unchecked: Callable[[Candidate], bool] = lambda _: False,
    ) -> Candidate:
        """Return a set that HAProxy accepts, as close to the desired state as possible.

        `ready`: a prebuilt candidate, used if it is still wanted, else removed. `may_be_unchecked`: for which
        candidates the verdict of `haproxy -c` is not waited for; ask `checked` for it. Raises `Refused` when
        no service is at fault, or too many would be; `TemplateError` and `Rejected` when nothing can be
        rendered; `ApplyFailed` when the disk refuses a generation; `Unavailable` when `haproxy -c`
        cannot run.
        """
        known = self._known_binds(confirmed)
        self._occupied.observe(bind.port for bind in known)

        def judge(state: RenderedState) -> Candidate:
            nonlocal ready
            if (live := self._live(state.rendered)) is not None:
                self.forget(ready)
                return Candidate(state, self._config(state, confirmed), live, is_live=True)
            if ready is not None and ready.rendered.digest == state.rendered.digest:
                return msgspec.structs.replace(ready, state=state)
            self.forget(ready)
            ready = None
            begun = self._stage(state, known, wanted.accepted)
            return begun if may_be_unchecked(begun) else self.checked(begun)

        def try_out(state: RenderedState) -> None:
            self.forget(self.checked(self._stage(state, known, wanted.accepted)))

        return self._search.run(wanted, judge, try_out)

    def checked(self, candidate: Candidate) -> Candidate:
        """Return the candidate once HAProxy has accepted it; it is removed if that refuses it.

        Raises `Refused`, and `Unavailable` when `haproxy -c` takes too long.
        """
        if candidate.check is None:
            return candidate
        try:
            verdict = candidate.check.verdict()
        except LbsyncError:
            self._store.discard(candidate.generation)
            raise
        for what, warnings in alike(verdict.warnings).items():
            if self._warned.is_new(what):
                log.get().warning(f"HAProxy warns: {warnings[0]}")
        return msgspec.structs.replace(candidate, check=None)

    def load_failed(
        self,
        wanted: PassInput,
        candidate: Candidate,
        failure: LoadFailed,
        confirmed: LoadedGeneration | None,
    ) -> bool:
        """Quarantine what may have made a reload fail; tell whether there is anything."""
        live, config = self._store.live_link, candidate.config
        findings = tuple(finding(alert, live, config) for alert in failure.alerts)
        binds = [bind for _, bind in config.binds()]
        added = bind_probe.added(binds, self._known_binds(confirmed))
        binders = {placed.section.name for placed, bind in config.binds() if bind in added}
        return self._search.load_failed(wanted, candidate.state, findings, binders)

    def forget(self, candidate: Candidate | None) -> None:
        """Remove a candidate that is no longer wanted from disk."""
        if candidate is not None and candidate.check is not None:
            candidate.check.end()
        if candidate is not None and not candidate.is_live:
            self._store.discard(candidate.generation)

    def _live(self, rendered: Rendered) -> Generation | None:
        """Return the live generation if it is the desired state and undamaged on disk."""
        live = self._store.live()
        if live is None or live.digest != rendered.digest:
            return None
        if damaged := self._integrity.damaged(live, rendered):
            log.get().error(f"somebody changed {live.path / damaged}; it is written anew")
            return None
        return live

    def _config(self, state: RenderedState, confirmed: LoadedGeneration | None) -> Config:
        if confirmed is not None and confirmed.rendered.digest == state.rendered.digest:
            return confirmed.config
        return self._parser.read(main_data(state.rendered))

    def _stage(self, state: RenderedState, known: tuple[Bind, ...], accepted: Entries) -> Candidate:
        self._watchdog_ping()
        staged = self._again(state) or self._store.stage(state.rendered, state.desired.revision)
        try:
            check = begin(
                staged,
                state.rendered,
                self._parser,
                self._options,
                known_binds=known,
                ports=self._ports,
            )
        except LbsyncError:
            self._store.discard(staged)
            raise
        candidate = Candidate(state, check.config, staged, is_live=False, check=check)
        try:
            self._refuse_loops(state, check.config, known, accepted)
        except LbsyncError:
            self.forget(candidate)
            raise
        return candidate

    def _again(self, state: RenderedState) -> Generation | None:
        """Return the newest generation if exactly that is wanted again, as after a rollback: it keeps its
        number. Older ones are staged again, so that numbers show in which order they were served."""
        there = self._store.newest(state.rendered.digest)
        if there is None or IntegrityCheck(HOST_MAP).damaged(there, state.rendered):
            return None
        try:
            stored_host_map.update(there, state.rendered, host_map.of(state.rendered))
        except OSError:
            return None  # staging will say what is wrong with the disk
        meta = msgspec.structs.replace(there.meta, revision=state.desired.revision)
        return msgspec.structs.replace(there, meta=meta)

    def _refuse_loops(
        self, state: RenderedState, config: Config, known: tuple[Bind, ...], accepted: Entries
    ) -> None:
        """Raise `Refused` if a server is HAProxy itself.

        A service that is served as it is stored is only warned of while HAProxy listens at no other port: an address
        has come to this host since then, as that of a pair of balancers does. To refuse it would hold up the changes
        of all others for as long as the address stays.
        """
        binds = [bind for _, bind in config.binds()]
        loops = Loops(binds, listeners.own_addresses, self._loops)
        found = list(loops.of(state.desired.services))
        self._loops = loops
        if found and {bind.port for bind in binds} <= {bind.port for bind in known}:
            changed = {str(each) for each in newest_changes(state.entries, accepted)}
            served = [loop for loop in found if loop.service not in changed]
            found = [loop for loop in found if loop.service in changed]
            for loop in served:
                if self._warned.is_new(loop.backend, loop.reason):
                    log.get().warning(f"{loop.service} is served on: {loop.reason}")
        if found:
            raise Refused([Finding(MAIN_FILE, 0, loop.backend, loop.reason) for loop in found])

    def _known_binds(self, confirmed: LoadedGeneration | None) -> tuple[Bind, ...]:
        """Return the binds HAProxy may hold now, which are not probed."""
        if confirmed is not None:
            return tuple(bind for _, bind in confirmed.config.binds())
        live = self._store.live()
        if live is None:
            return ()
        return tuple(bind for _, bind in parsed(live, self._parser).config.binds())

    def _ports(self) -> Ports:
        self._occupied.observe(at_once=True)
        return msgspec.structs.replace(self._seen_ports(), past=self._occupied.known())

    def _seen_ports(self) -> Ports:
        first_free = listeners.first_free_port()
        master = sockets.master(self._options)
        if master is None:
            return Ports(first_free=first_free, listeners=_listeners)
        try:
            proc = master.show_proc(retry_s=0)
        except Unavailable:
            return Ports(first_free=first_free, listeners=_listeners)
        workers = [proc.current, *proc.old_workers]
        tcp, udp = processes.ports([worker.pid for worker in workers if worker is not None])
        low = processes.may_bind_low_ports(proc.pid)
        return Ports(tcp, udp, low, first_free, listeners=_listeners)


def _listeners() -> list[Bind]:
    return [Bind(address, port, 0) for address, port in listeners.listening()]
