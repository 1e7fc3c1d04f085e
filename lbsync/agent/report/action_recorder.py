"""Actions that people request from this host, recorded in the history of the fleet."""

from collections import deque

from lbsync.agent.control import OperatorAction
from lbsync.clients.source import Put, Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.fleet import history
from lbsync.model.orders import HistoryRecord
from lbsync.schema.decode import encode
from lbsync.schema.orders import HISTORY
from lbsync.schema.reading import one_line

_MOST = 100
"""Actions that wait for an etcd that is away."""
_MOST_DETAIL = 300


class ActionRecorder:
    """Noted by the thread of the passes, written by that of the reports."""

    def __init__(self, source: Source, host: str) -> None:
        """Nothing is written yet."""
        self._source = source
        self._host = host
        self._waiting: deque[OperatorAction] = deque(maxlen=_MOST)

    def note(self, action: OperatorAction) -> None:
        """Take note; see `Control.on_action`."""
        if not action.request.ordered:
            self._waiting.append(action)

    def write(self) -> None:
        """Write what was noted. What etcd does not let this host write is dropped, the rest waits."""
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except Unavailable as error:
                if not history.is_denied(error):
                    return
            except LbsyncError:
                pass  # etcd refuses this one, as it will the next time
            self._waiting.popleft()

    def _write(self, action: OperatorAction) -> None:
        request = action.request
        by = f"{request.by or 'somebody'} on {self._host}"
        detail = (
            one_line(request.value, _MOST_DETAIL)
            if action.command in ("drain", "rollback", "confirm")
            else ""
        )
        record = HistoryRecord(request.since, by, action.command, self._host, detail, self._host)
        # The same name each time: an agent that was restarted tells again what stands.
        key = f"{HISTORY}{request.since}-{self._host}-{action.command.replace(' ', '')}"
        if self._source.get(key) is None:
            old = history.too_many(self._source)
            self._source.commit([], [Put(key, encode(record)), *old])
