"""Errors of requests: as a page, or as a problem document (RFC 9457). Pure."""

import msgspec

from lbsync import errors
from lbsync.errors import LbsyncError

_STATUS: tuple[tuple[type[LbsyncError], int, str], ...] = (
    (errors.Denied, 403, "etcd does not let the console do that"),
    (errors.Unavailable, 503, "etcd does not answer"),
    (errors.Conflict, 409, "Somebody else was faster"),
    (errors.Rejected, 422, "It was refused"),
    (LbsyncError, 500, "It failed"),
)


class Problem(msgspec.Struct, frozen=True):
    """One refusal or failure."""

    status: int
    """Of HTTP."""
    title: str
    detail: str
    """The cure, or what is known."""
    location: str = ""
    """Where to go on instead."""
    retry_after: float = 0.0
    """Seconds."""


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem as programs read it (RFC 9457, 3.1); `type` is left out: `about:blank`."""

    status: int
    title: str
    detail: str = ""
    instance: str = ""


class RequestProblem(Exception):
    """Raised to answer a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


def of_error(error: LbsyncError) -> Problem:
    """Return how an error of ours is answered."""
    status, title = next((s, t) for kind, s, t in _STATUS if isinstance(error, kind))
    return Problem(status, title, str(error))


def document(problem: Problem, path: str) -> bytes:
    """Return the problem as JSON."""
    return msgspec.json.encode(Document(problem.status, problem.title, problem.detail, path))
