"""Namespaces that cannot be read: told once each in the log and as an Event, and again when they can."""

from collections.abc import Mapping

from lbsync import log
from lbsync.model.publishing import unread_sentence
from lbsync.publisher.report.events import EventRecorder

_MOST = 100
"""Of how many namespaces the heartbeat tells."""


class Unread:
    """Remembers what was told. Used by one thread."""

    def __init__(self, events: EventRecorder | None) -> None:
        """`events`: who posts Events; None: nobody."""
        self._events = events
        self._told: dict[str, str] = {}

    def tell(self, unread: Mapping[str, str]) -> None:
        """Take note of the namespaces that cannot be read now, with the reason."""
        for namespace in self._told.keys() - unread.keys():
            log.get().info("a namespace is read again", namespace=namespace)
        for namespace, why in sorted(unread.items()):
            if self._told.get(namespace) == why:
                continue
            log.get().error(unread_sentence(namespace, why), namespace=namespace)
            if self._events is not None:
                self._events.tell_namespace(namespace, unread_sentence(namespace, why))
        self._told = dict(unread)


def recorded(unread: Mapping[str, str]) -> dict[str, str]:
    """Return the part of them that has its place in the heartbeat."""
    return {namespace: unread[namespace] for namespace in sorted(unread)[:_MOST]}
