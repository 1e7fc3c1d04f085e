"""Kubernetes Events: what the owner of an object is told, where `kubectl describe` shows it.

Written from a thread of its own: an API server that dawdles must not keep servers from being
published. What cannot be written is dropped; the report in the store stays.
"""

import queue
from collections.abc import Iterable

from lbsync import log
from lbsync.clients.kube import Cluster, ObjectReference
from lbsync.errors import LbsyncError
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.reports import Said, news
from lbsync.threads import SupervisedThread

_MOST = 500
_MOST_SENTENCES = 5


class EventRecorder:
    """Posts Events until it is closed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._queue: queue.Queue[tuple[ObjectReference, tuple[Said, ...]] | None] = queue.Queue(
            _MOST
        )
        self._failing = log.Failing("events cannot be written", "events are written again")
        self._thread = SupervisedThread(self._run, "kubernetes-events")
        self._thread.start()

    def tell(self, units: Iterable[ServiceChanges], lister: Lister) -> None:
        """Post what was written for owners to read and not said before, soon. Never blocks."""
        dropped = 0
        for unit in units:
            said = news(unit.report) if unit.report else ()
            about = _reference(unit, lister) if said else None
            if about is None:
                continue
            try:
                self._queue.put_nowait((about, said))
            except queue.Full:
                dropped += 1
        if dropped:
            log.get().warning(f"too many events at once; {dropped} are dropped")

    def tell_namespace(self, namespace: str, sentence: str) -> None:
        """Post, soon, that a namespace cannot be read: to the namespace itself, where its owners look."""
        about = ObjectReference(
            api_version="v1", kind="Namespace", namespace=namespace, name=namespace, uid=""
        )
        try:
            self._queue.put_nowait((about, (Said(sentence, is_refusal=True),)))
        except queue.Full:
            log.get().warning("too many events at once; some are dropped", name=namespace)

    def close(self) -> None:
        """End, without what has not been posted yet."""
        self._thread.stop()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._queue.put(None)

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            about, news = told
            for said in news[:_MOST_SENTENCES]:
                self._post(about, said)

    def _post(self, about: ObjectReference, said: Said) -> None:
        reason = "NotPublished" if said.is_refusal else "PublishedWithWarning"
        try:
            self._cluster.post_event(about, reason=reason, message=said.sentence, kind="Warning")
        except LbsyncError as error:
            self._failing.failed(str(error))
            return
        self._failing.recovered()


def _reference(unit: ServiceChanges, lister: Lister) -> ObjectReference | None:
    ns, _, name = unit.name.partition("/")
    version, kind, uid = "v1", "Service", ""
    if unit.kind == "service":
        service = lister.service(unit.name) or lister.unlabelled.get(unit.name)
        uid = service.uid if service is not None else ""
    else:
        version, kind = "networking.k8s.io/v1", "Ingress"
        uids = {(found.namespace, found.name): found.uid for found in lister.ours}
        uid = uids.get((ns, name), "")
    if not uid:
        return None
    return ObjectReference(api_version=version, kind=kind, namespace=ns, name=name, uid=uid)
