"""Pods that answer: a toy web server for each, all on one port and each on an address of its own."""

import itertools
from collections.abc import Callable

from harness.fake_kube.status import Json
from harness.ports import free_port
from harness.web import WebServer


class WebPods:
    """`start` and `stop` are what `Controllers` take; each pod answers with the image it runs."""

    def __init__(self, prepare: Callable[[WebServer], None] = lambda _: None) -> None:
        """`prepare` is called with each server before its pod can be ready; its name is the image."""
        self.port = free_port()
        self.prepare = prepare
        self._numbers = itertools.count(2)
        self._webs: dict[str, WebServer] = {}

    def start(self, pod: Json) -> str:
        """Start a pod's server; return its address."""
        number = next(self._numbers)
        address = f"127.8.{number // 250}.{number % 250 + 1}"
        image = pod["spec"]["containers"][0]["image"]
        web = WebServer(image, self.port, address)
        self.prepare(web)
        self._webs[pod["metadata"]["name"]] = web
        return address

    def stop(self, pod: Json) -> None:
        """Stop a pod's server."""
        self._webs.pop(pod["metadata"]["name"]).stop()

    def stop_all(self) -> None:
        """Stop all that run."""
        for web in self._webs.values():
            web.stop()

    def of(self, image: str) -> list[WebServer]:
        """Return the servers of all pods that run an image."""
        return [web for web in self._webs.values() if web.name == image]
