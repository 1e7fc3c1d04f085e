"""Services that bear `lbsync.io/publish` as an annotation only, which publishes nothing.

No watch shows them: it asks for the label, as watching every Service of a cluster would cost far more than
this is worth. So they are looked for now and then, their metadata alone, page by page.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from lbsync import log
from lbsync.clients.kube import SERVICES, Client, Entry
from lbsync.errors import LbsyncError
from lbsync.kube_objects import Service
from lbsync.publisher.translate.options import PUBLISH_LABEL
from lbsync.threads import SupervisedThread

_AT_LEAST_S = 300.0
"""Between two looks."""
_METADATA = dataclasses.replace(SERVICES, metadata_only=True)


class Unlabelled:
    """Looks for them in a thread of its own: nothing that is published waits for it."""

    def __init__(
        self,
        client: Client,
        namespaces: Sequence[str],
        changed: Callable[[set[str]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is told, from the thread, whose annotation came or went: `<ns>/<name>`."""
        self._client = client
        self._places: Sequence[str | None] = namespaces or (None,)
        self._changed = changed
        self._clock = clock
        self._asked_at = float("-inf")
        self._wanted = threading.Event()
        self._is_closed = False
        self.found: Mapping[str, Service] = {}
        """By `<ns>/<name>`; of what a Service is, only its metadata are right."""
        self._thread = SupervisedThread(self._run, "kubernetes-unlabelled")

    def start(self) -> None:
        """Start the thread that looks for them. Once only."""
        self._thread.start()

    def close(self) -> None:
        """End, once the client is closed too. May be called twice."""
        self._is_closed = True
        self._thread.stop()
        self._wanted.set()

    def ask(self) -> None:
        """Have a look soon, unless there was one lately."""
        now = self._clock()
        if now - self._asked_at >= _AT_LEAST_S:
            self._asked_at = now
            self._wanted.set()

    def look(self) -> None:
        """Look now. A namespace that cannot be read stays as it was known."""
        found: dict[str, Service] = {}
        for place in self._places:
            try:
                listing = self._client.list_all(_METADATA, place, f"!{PUBLISH_LABEL}", keep=_kept)
            except LbsyncError as error:  # whoever needs to know it hears it from the watches
                log.get().debug("Services without the label cannot be listed", why=str(error))
                known = self.found.items()
                found |= {n: s for n, s in known if place in (None, s.namespace)}
                continue
            values = (entry.value for entry in listing.entries)
            found |= {f"{s.namespace}/{s.name}": s for s in values if s is not None}
        before, self.found = self.found, found
        if changed := before.keys() ^ found.keys():
            self._changed(changed)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._is_closed:
                return
            self.look()


def _kept(entry: Entry[Service]) -> Entry[Service]:
    """Return an entry without its value where that says nothing of interest: there may be thousands."""
    value = entry.value
    noted = value.annotations.get(PUBLISH_LABEL, "false") if value is not None else "false"
    return Entry(entry.key, entry.version, None) if noted == "false" else entry
