"""The WSGI application: a page for each path, to be read and nothing else."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from lbsync.errors import LbsyncError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/."""
_READING = ("GET", "HEAD")


class Answer(msgspec.Struct, frozen=True):
    """What a page says."""

    body: str
    is_well: bool = True
    """Else the answer is 503, which probes take for a no."""
    media_type: str = TEXT


Page = Callable[[], Answer]
"""Makes the answer; called from a thread of the server. May raise `LbsyncError`: 503 with its sentence."""


class Pages:
    """Answers GET and HEAD for each path that has a page; a query is left alone."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        """`pages`: path to page."""
        self._pages = pages

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        headers: list[tuple[str, str]] = []
        page = self._pages.get(path)
        if page is None:
            status, answer = (
                "404 Not Found",
                Answer(f"there are: {' '.join(sorted(self._pages))}\n"),
            )
        elif method not in _READING:
            status, answer = "405 Method Not Allowed", Answer("nothing can be changed here\n")
            headers = [("Allow", ", ".join(_READING))]
        else:
            answer = _asked(page)
            status = "200 OK" if answer.is_well else "503 Service Unavailable"
        body = answer.body.encode("utf-8", "backslashreplace")
        # Whoever asks wants what is so now; and a browser is to guess at nothing.
        headers += [
            ("Content-Type", answer.media_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start(status, headers)
        return [] if method == "HEAD" else [body]


def _asked(page: Page) -> Answer:
    try:
        return page()
    except LbsyncError as error:
        return Answer(f"{error}\n", is_well=False)
