"""The files of the state directory, written again from memory when somebody removed them.

`rm -rf` there, or a file system mounted over it, stops nothing that runs. But HAProxy could not start
again, and the next agent would know neither last good versions nor requests of operators.
"""

from collections.abc import Callable

from lbsync import log
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.control import Control
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.guard.guard import Guard
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.errors import Superseded
from lbsync.model.rendered import Rendered


class StateFiles:
    """What should be on disk; checked before each pass."""

    def __init__(
        self,
        store: Store,
        accepted: AcceptedStore,
        control: Control,
        guard: Guard,
        occupied: OccupiedPorts,
    ) -> None:
        """Nothing is checked yet."""
        self._store = store
        self._accepted = accepted
        self._control = control
        self._guard = guard
        self._occupied = occupied
        self.lock: Callable[[], str] = str
        """Takes the host's lock again if it was lost, and returns what happened; raises `Superseded`."""
        self.are_ours = True
        """False: another agent uses them now."""
        self._lost = ""
        self._served: tuple[Generation, Rendered] | None = None

    def note_served(self, generation: Generation, rendered: Rendered | None = None) -> None:
        """Remember what HAProxy serves; without `rendered` it is read from disk."""
        if self._served is None or self._served[0].name != generation.name:
            self._served = generation, load(generation) if rendered is None else rendered

    def check(self) -> None:
        """Make sure that no other agent uses the directory, for example after this process was stopped.

        Raises `Superseded`; `LbsyncError` when the lock cannot be taken again.
        """
        try:
            self._lost = self.lock() or self._lost
        except Superseded:
            self.are_ours = False
            raise

    def restore(self, runtime: HaproxyRuntime) -> None:
        """Write what is gone again, and log it. Raises `LbsyncError` when the disk refuses, `Superseded`
        when another agent took the lock; nothing is written then."""
        self.check()
        lost = self._lost or ("accepted.db was removed" if self._accepted.is_gone else "")
        if self._control.recreate():
            lost = lost or f"{self._control.path} was removed"
        if not lost:
            return
        self._lost = lost  # until all is written
        self._guard.window.unsaved.update(self._guard.window.rows)
        self._accepted.rewrite()
        self._accepted.remember(self._guard.window)
        self._occupied.rewrite()
        runtime.rewrite_journal()
        self._make_live(runtime.base)
        self._lost = ""
        log.get().warning(
            f"{lost} under the running agent: what it remembers was written anew; HAProxy served on"
        )

    def _make_live(self, base: str) -> None:
        """Restore the served generation, so that HAProxy finds it when it starts."""
        if self._served is None or self._store.live() is not None:
            return
        gone, rendered = self._served
        live = self._store.make_live(self._store.stage(rendered, gone.meta.revision))
        if base in (gone.digest, gone.meta.base):  # that it runs was proved
            live = self._store.mark_confirmed(live, gone.meta.base)
        self._served = live, rendered
