"""The provider calls of one deployment, and their results."""

import time

import msgspec

from lbsync import log
from lbsync.deployer.decision import Act
from lbsync.deployer.observed import Observed
from lbsync.deployer.provider import Fence, Gate, GateView, Provider
from lbsync.errors import Rejected, Unavailable
from lbsync.model.deploying import BEFORE_TRAFFIC, DeploymentRecord, Phase
from lbsync.schema.keys import ServiceId
from lbsync.schema.reading import one_line

_APART_S = 1.0
_ACTS: frozenset[Act] = frozenset({"provision", "publish", "publish old", "remove", "remove app"})
_MADE = GateView(is_made=True, is_done=True, detail="its servers are in etcd")


class Making:
    """The provider calls of this process. A process that takes over repeats them: all of them are idempotent."""

    def __init__(self, provider: Provider, app: ServiceId) -> None:
        self._provider, self._app = provider, app
        self._phase: Phase | None = None
        self._gate: Gate | None = None
        self._view: GateView | None = None
        self._looked_at = float("-inf")
        self._done: set[str] = set()
        self._failed_act = ""
        self.trouble = ""
        """Why the provider does not answer; empty: it does."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ever made, so nothing has to be waited for either."""
        return self._provider.kind == "groups"

    def seen(self, seen: Observed, record: DeploymentRecord) -> Observed:
        """Return what was observed with what the provider says."""
        if self.is_idle:
            return msgspec.structs.replace(seen, gate=_MADE, done=_ACTS)
        if record.phase != self._phase:
            # What was done counts for the phase in which it was.
            self._phase, self._done, self._failed_act = record.phase, set(), ""
        self._look(record)
        done, failed = frozenset(self._done), self._failed_act
        return msgspec.structs.replace(seen, gate=self._view, done=done, failed_act=failed)

    def do(self, record: DeploymentRecord, act: Act, fence: Fence) -> bool:
        """Carry out an action; return whether it is complete. Raises `Conflict` if another process has
        continued."""
        self.trouble = ""
        try:
            is_done = self._ask(record, act, fence)
        except Unavailable as error:
            self.trouble = one_line(str(error))
            return False
        except Rejected as error:
            self._failed_act = one_line(str(error))
            return False
        if is_done:
            self._done.add(act)
        return is_done

    def _ask(self, record: DeploymentRecord, act: Act, fence: Fence) -> bool:
        provider, app, version = self._provider, self._app, record.version
        old = record.old if isinstance(record.old, msgspec.Struct) else None
        if act == "provision":
            provider.provision(app, version, fence, old)
            self._gate, self._looked_at = provider.gate(app, version), float("-inf")
        elif act == "publish":
            provider.publish(app, version, fence, old)
        elif act == "publish old" and old is not None:
            provider.publish(app, old, fence)
        elif act == "remove":
            return provider.remove(app, version, fence)
        elif act == "remove app":
            return provider.remove_app(app, fence)
        return True

    def _look(self, record: DeploymentRecord) -> None:
        """Look at the gate, about once a second, as long as the version has no traffic."""
        if record.phase not in BEFORE_TRAFFIC:
            return
        if self._gate is None and record.phase in ("healthy", "staged"):
            self._gate = self._provider.gate(self._app, record.version)
        if self._gate is None or time.monotonic() - self._looked_at < _APART_S:
            return
        self._looked_at = time.monotonic()
        try:
            self._view = self._gate.look()
        except Unavailable as error:
            log.get().warning("the provider does not answer", app=str(self._app), why=str(error))
        except Rejected as error:
            self._failed_act = one_line(str(error))
