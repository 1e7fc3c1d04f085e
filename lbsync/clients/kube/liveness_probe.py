"""Signs of life of an API server whose streams are silent.

A watch on which nothing comes looks the same whether nothing happens or the server hangs: its kernel
goes on acknowledging, so TCP's keepalive is content. So when no stream has brought a byte for a while,
the server is asked something cheap on a connection of its own. No answer in time: the streams are
dropped, each goes its usual way of a broken stream, and the one that finds the server away says so.

A stream on which bookmarks came (one a minute, by the API's sources) and come no longer is dropped by
itself: behind a balancer its server may hang while another one answers.
"""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from lbsync.clients.kube.api import Client
from lbsync.clients.kube.auth.access import ClusterConfig
from lbsync.clients.kube.availability import Availability
from lbsync.clients.kube.errors import ApiUnavailable
from lbsync.clients.kube.reflector import Reflector
from lbsync.clients.kube.timing import Timing
from lbsync.errors import LbsyncError
from lbsync.threads import SupervisedThread


class LivenessProbe:
    """Looks after the streams of one cluster, in a thread of its own."""

    def __init__(
        self,
        config: ClusterConfig,
        availability: Availability,
        reflectors: Sequence[Reflector[Any]],
        timing: Timing,
    ) -> None:
        """`reflectors` may grow while this runs."""
        self._reflectors = reflectors
        self._availability = availability
        self._timing = timing
        patience = msgspec.structs.replace(timing, read=timing.probe, page=timing.probe)
        self._client = Client(config, patience, availability.last_contact)
        self._stop = threading.Event()
        self._thread = SupervisedThread(self._run, "kubernetes-life")

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def close(self) -> None:
        """End. May be called twice."""
        self._stop.set()
        self._client.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._timing.look):
            watched = [found for found in self._reflectors if found.health().ok]
            for reflector in watched:
                if (
                    reflector.last_contact.silence >= self._timing.bookmarks
                    and reflector.has_bookmarks
                ):
                    reflector.drop(
                        f"nothing came for {self._timing.bookmarks:g} s, not even a bookmark"
                    )
            if watched and self._availability.last_contact.silence >= self._timing.quiet:
                self._ask(watched)

    def _ask(self, watched: Sequence[Reflector[Any]]) -> None:
        first = watched[0]
        try:
            # One object and no selector, which would have the server look for one that fits.
            self._client.version(first.kind, first.namespace)
        except ApiUnavailable as error:
            if self._stop.is_set() or not error.is_away:
                return
            self._availability.failed(str(error))
            for reflector in watched:
                reflector.drop("the API server does not answer any more")
        except LbsyncError:
            return  # refused, which is an answer; or no credentials to ask with, which is no sign
