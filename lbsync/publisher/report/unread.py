"""Namespaces that cannot be read: told once each in the log and as an Event, and again when they can."""

from collections.abc import Mapping

from lbsync import log
from lbsync.model.publishing import unread_sentence
from lbsync.publisher.report.events import EventRecorder
from lbsync.values.plural import first_few

_MOST = 100
"""Of how many namespaces the heartbeat tells."""
_MOST_LINES = 3
"""Of how many namespaces at once the log has a line each."""


class Unread:
    """Remembers what was told. Used by one thread."""

    def __init__(self, events: EventRecorder | None) -> None:
        """`events`: who posts Events; None: nobody."""
        self._events = events
        self._told: dict[str, str] = {}

    def tell(self, unread: Mapping[str, str]) -> None:
        """Take note of the namespaces that cannot be read now, with the reason."""
        back = sorted(self._told.keys() - unread.keys())
        news = {name: why for name, why in sorted(unread.items()) if self._told.get(name) != why}
        for namespace in back if len(back) <= _MOST_LINES else ():
            log.get().info("a namespace is read again", namespace=namespace)
        if len(back) > _MOST_LINES:
            log.get().info(f"{len(back)} namespaces are read again", some=back[:_MOST_LINES])
        for at, (namespace, why) in enumerate(news.items()):
            sentence = unread_sentence(namespace, why)
            if at < _MOST_LINES:
                log.get().error(sentence, namespace=namespace)
            if self._events is not None:
                self._events.tell_namespace(namespace, sentence)
        if len(news) > _MOST_LINES:
            more = list(news)[_MOST_LINES:]
            log.get().error(
                f"{len(more)} more namespaces are not read: {first_few(more, _MOST_LINES)}"
            )
        self._told = dict(unread)


def recorded(unread: Mapping[str, str]) -> dict[str, str]:
    """Return the part of them that has its place in the heartbeat."""
    return {namespace: unread[namespace] for namespace in sorted(unread)[:_MOST]}
