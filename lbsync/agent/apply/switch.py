"""From a validated generation to one that HAProxy was verified to serve, or back again.

The order guarantees this: the link is moved, HAProxy reloads, the worker is queried; and if any step
fails, the previous generation is live again before the failure is reported.
This is a single synchronous call: a shutdown waits for it.
"""

import contextlib
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec

from lbsync import filelock
from lbsync.agent.apply.reload import Reloader, ReloadProof, StateBefore
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.generations import carried_state
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.runtime import state_file
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.readback import Mismatch, differences
from lbsync.atomic import replace_file
from lbsync.clients.haproxy import sockets
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import ApplyFailed, Denied, LbsyncError, Unavailable, cannot
from lbsync.model.rendered import Rendered


class ApplyResult(msgspec.Struct, frozen=True):
    """The result of an apply; never claims more than was verified."""

    outcome: Literal["confirmed", "live"]
    """`confirmed`: HAProxy was verified to serve it. `live`: it is what HAProxy will read when it
    starts, but HAProxy's socket does not answer."""
    generation: Generation
    seconds: float
    reload: ReloadProof | None = None
    """None when no reload was needed or possible."""
    mismatches: tuple[Mismatch, ...] = ()
    """What runs differently from the configuration despite the proof."""
    old_workers: int = 0
    """Workers that a reload replaced and that still finish their connections."""
    detail: str = ""
    """For `live`: one sentence about what does not answer."""
    by_hand: tuple[str, ...] = ()
    """What was set by hand and is kept, one sentence each."""
    healed: tuple[str, ...] = ()
    """What drifted and was healed, one sentence each."""
    verified_at: float = 0.0
    """Seconds since 1970 when everything was last read back; 0: this apply did not."""
    steps: int = 0
    """Number of runtime changes made instead of a reload."""
    reasons: tuple[str, ...] = ()
    """Why it took a reload."""
    cause: str = ""
    """Of a reload: `change`, `start`, `heal` or `rollback`, as in `reload_limiter.Cause`."""
    needless: bool = False
    """The reload changed nothing that runs; this should never happen."""
    worker: str = ""
    """Process id of the worker that was verified."""
    base: str = ""
    """Digest that HAProxy gives in `show info`: of the generation it loaded; empty: unknown."""


class Switcher:
    """Applies generations to the HAProxy of this host, one at a time."""

    def __init__(self, options: HaproxyOptions, store: Store) -> None:
        self._options = options
        self._store = store
        self._reloader = Reloader(options)
        self._master = sockets.master(options)
        self._worker = sockets.worker(options)

    @property
    def is_reloading(self) -> bool:
        """See `Reloader.is_under_way`."""
        return self._reloader.is_under_way

    def apply(
        self,
        generation: Generation,
        rendered: Rendered,
        config: Config,
        running: RuntimeConfig | None = None,
    ) -> ApplyResult:
        """Make a validated generation live, reload, prove it, read it back, record it.

        `running`: what HAProxy is known to run; states that it asked for end with the reload, those
        set by hand do not.

        Raises `ApplyFailed` with HAProxy's own words when HAProxy did not take it, once the previous
        generation is live again; `Conflict` when another reload holds the lock for longer than the
        reload's time limit (nothing was changed).
        """
        started = time.monotonic()
        try:
            with locked(self._options.lock_path, self._options.reload_timeout_s):
                return self._apply(generation, rendered, config, started, running)
        except LbsyncError:
            if generation.seq == 0:
                self._store.discard(generation)  # still staged: nothing else names it
            raise

    def _apply(
        self,
        generation: Generation,
        rendered: Rendered,
        config: Config,
        started: float,
        running: RuntimeConfig | None,
    ) -> ApplyResult:
        previous = self._store.live()
        try:
            before = self._reloader.running()
        except Denied as error:
            # It may well run, but what it loads then could never be verified.
            raise ApplyFailed(f"{error}; nothing was changed") from error
        except Unavailable as error:
            carried_state.empty(generation, config, self._store.live_link)
            live = self._store.make_live(generation)
            self._store.prune()
            return _only_live(live, started, error)
        self._carry_over(generation, config, running)
        self._store.look_for_failure()
        live = self._store.make_live(generation)
        reloaded = self._reload(live, previous, before)
        # A later start must not restore what is long over, such as a maintenance.
        carried_state.empty(live, config, self._store.live_link)
        return self._prove(live, rendered, config, started, reloaded)

    def confirm(self, live: Generation, rendered: Rendered, config: Config) -> ApplyResult | None:
        """Prove, without a reload, that HAProxy serves the live generation.

        None when it serves something else, so that a reload is due. The outcome is `live` while it
        does not answer.
        """
        started = time.monotonic()
        try:
            if self._reloader.served(live.digest):
                return self._prove(live, rendered, config, started, None)
            base = live.meta.base
            if base and self._reloader.served(base):
                return self._prove(live, rendered, config, started, None, base=base)
            return None
        except Denied as error:
            return _only_live(live, started, error)
        except Unavailable as error:
            if self._reloader.refuses_connections():
                return None  # only a reload makes it answer again
            return _only_live(live, started, error)

    def adopt(self, generation: Generation, config: Config, base: str) -> ApplyResult:
        """Make a generation live that HAProxy was verified to run, after runtime changes.

        `base`: digest of the generation it loaded. Raises `ApplyFailed` when the disk refuses it.
        """
        started = time.monotonic()
        with locked(self._options.lock_path, self._options.reload_timeout_s):
            carried_state.empty(generation, config, self._store.live_link)
            live = self._store.mark_confirmed(self._store.make_live(generation), base)
        return ApplyResult("confirmed", live, time.monotonic() - started, base=base)

    def _carry_over(
        self, generation: Generation, config: Config, running: RuntimeConfig | None
    ) -> None:
        """Carry the servers' states and the counters over the reload, where the configuration asks for it.

        An aid, not a condition: without it HAProxy checks every server anew, and counts from 0.
        """
        live = self._store.live_link
        carried_state.empty(
            generation, config, live
        )  # of what is left from when it was live before
        places = carried_state.places(config, live)
        if places.states is not None:
            with contextlib.suppress(OSError, Unavailable):
                text = state_file.rows(self._worker.servers_state(), running, config)
                replace_file(generation.path / places.states, text.encode())
        if places.counters is not None:
            # Last of all: what the old worker counts from now on is lost.
            with contextlib.suppress(OSError, Unavailable):
                replace_file(generation.path / places.counters, self._worker.counters().encode())

    def _reload(
        self, live: Generation, previous: Generation | None, before: StateBefore
    ) -> ReloadProof:
        try:
            return self._reloader.reload(live.digest, before)
        except (ApplyFailed, Unavailable) as error:
            now = "there is no generation before it to go back to"
            if previous is not None:
                now = self._go_back(live, previous)
            if isinstance(error, LoadFailed):
                raise LoadFailed(f"{error}; {now}", error.alerts) from error
            raise ApplyFailed(f"{error}; {now}") from error

    def _go_back(self, live: Generation, previous: Generation) -> str:
        """Make the previous generation live again, also in a HAProxy that did take the new one.

        Return the state this leaves, in words. A reload without a proof may still have happened, and
        then the link alone changes nothing until the next reload.
        """
        # First of all: a HAProxy that restarts now must find a configuration that starts.
        self._store.make_live(previous)
        live = self._store.note_failure(live)
        again = f"generation {previous.name} is live again"
        starts = f"generation {previous.name} is what it starts from"
        try:
            runs = self._reloader.runs()
            if live.digest in runs and live.digest not in (previous.digest, previous.meta.base):
                self._reloader.reload(previous.digest, self._reloader.running())
                again = f"HAProxy had taken it and was reloaded once more: {again}"
            elif not runs & {previous.digest, previous.meta.base}:
                return f"HAProxy runs neither generation {live.name} nor the one before; {starts}"
        except (ApplyFailed, Unavailable) as error:
            return f"HAProxy may run generation {live.name} now ({error}); {starts}"
        if live.meta.confirmed_at is None and live.name != previous.name:
            # Repeated attempts would push out the generations that one can roll back to.
            self._store.discard(live)
        return again

    def _prove(
        self,
        live: Generation,
        rendered: Rendered,
        config: Config,
        started: float,
        reloaded: ReloadProof | None,
        *,
        base: str = "",
    ) -> ApplyResult:
        mismatches = self._read_back(rendered, config)
        confirmed = self._store.confirmed()
        if reloaded or confirmed is None or confirmed.name != live.name:
            confirmed = self._store.mark_confirmed(live, base)
        return ApplyResult(
            "confirmed",
            confirmed,
            time.monotonic() - started,
            reloaded,
            tuple(mismatches),
            self.old_workers(),
            base=base or live.digest,
        )

    def _read_back(self, rendered: Rendered, config: Config) -> list[Mismatch]:
        files = {file.path: file.data for file in rendered.files}
        return read_back(config, files, self._worker)

    def worker_pid(self) -> str:
        """Return the process id of the worker that serves; empty if none answers at once."""
        try:
            return self._worker.show_info(retry_s=0)["Pid"]
        except Unavailable:
            return ""

    def old_workers(self) -> int:
        """Count the replaced workers that are still alive. Raises `Unavailable`."""
        if self._master is None:
            return 0
        return len(self._master.show_proc().old_workers)


def read_back(
    config: Config, files: Mapping[str, bytes], worker: sockets.WorkerSocket
) -> list[Mismatch]:
    """Compare what HAProxy runs with a configuration. Raises `Unavailable`."""
    return differences(config, files, worker.show_servers(), worker.show_maps())


def _only_live(live: Generation, started: float, error: Unavailable) -> ApplyResult:
    detail = f"live, not confirmed: HAProxy does not answer: {error}"
    return ApplyResult("live", live, time.monotonic() - started, detail=detail)


def locked(path: Path, timeout: float) -> AbstractContextManager[object]:
    """Hold the lock that all who reload this HAProxy share. Raises `Conflict` after `timeout` s."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return filelock.hold(path, timeout, what="the reload lock")
    except OSError as error:
        raise ApplyFailed(
            f"{path}: nothing was changed, as the reload lock {cannot('be taken', error)}"
        ) from error
