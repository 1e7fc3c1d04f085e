"""What an API server's refusals mean for the caller.

The API reports an error as a `Status` object with `reason`, `code`, `details` and, under load, a
time to wait (Kubernetes API conventions, "Response Status Kind"). Something in between (a proxy, a
load balancer) may answer with anything else, so the HTTP status alone must be enough.
"""

import msgspec

from lbsync.decoders import decode
from lbsync.errors import Conflict, LbsyncError, Rejected, Unavailable

LONGEST_WAIT = 60.0
"""Seconds: a server asking for more (`Retry-After`) is asked again after this."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: no JSON, JSON of another form, no UTF-8, too deeply nested."""


class Cause(msgspec.Struct):
    """One of `details.causes`: a field, or a machine-readable reason."""

    reason: str | None = None
    message: str | None = None
    field: str | None = None


class Details(msgspec.Struct, rename="camel"):
    """`Status.details`, as far as it is used."""

    causes: list[Cause] | None = None
    retry_after_seconds: int | None = None


class Status(msgspec.Struct):
    """The API's answer to a request that failed."""

    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: Details | None = None


class ApiUnavailable(Unavailable):
    """Raised when the API server does not answer, or says that it cannot now (429, 5xx)."""

    def __init__(self, message: str, code: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        """HTTP status; 0 when there was no answer at all."""
        self.retry_after = retry_after
        """Seconds the server asked to wait, at most `LONGEST_WAIT`; None when it did not say."""

    @property
    def is_away(self) -> bool:
        """Whether this tells of the server as a whole, and not of one resource."""
        return self.code in (0, 500, 502, 503, 504)


class StreamBroken(ApiUnavailable):
    """Raised when a watch that had begun was cut, fell silent or turned to garbage."""


class StreamFaulty(StreamBroken):
    """Raised when a stream says what no client can use: an `ERROR` event, or no event at all.

    Going on from the same version may bring the same again for ever: list anew.
    """


class Expired(Unavailable):
    """Raised when a resourceVersion or a `continue` token cannot be served: list again.

    Three answers mean this: HTTP 410, an `ERROR` event with code 410, and "too large resource
    version", which a cluster restored from a backup says (measured, kube-apiserver 1.20).
    """


class Unauthorized(Rejected):
    """Raised on 401: the credentials are not, or no longer, accepted."""


class Forbidden(Rejected):
    """Raised on 403: the credentials are good, and may not do this."""


class Disputed(Conflict):
    """Raised on 409 where an object is as it was read, but somebody else has set a field that is applied."""


class NotFound(Rejected):
    """Raised on 404: no such object, or the server does not serve this API version."""


def parse_status(body: bytes) -> Status:
    """Read a `Status`; what is none becomes one whose message is the body's beginning."""
    try:
        return decode(body, Status)
    except UNREADABLE:
        text = " ".join(body[:500].decode("utf-8", "replace").split())
        return Status(message=text[:200] or "no explanation")


def refusal(what: str, code: int, status: Status, retry_after: float | None = None) -> LbsyncError:
    """Return the error for an answer; `what` is the request, as in "list services in shop"."""
    told = f"{what}: {status.message or 'no explanation'} (HTTP {code})"
    if code == 410 or status.reason == "Expired" or _from_the_future(status):
        return Expired(told)
    if any(words in told for words in _NOT_IN_THE_SCHEMA):
        return Rejected(told)
    if code == 429 or code >= 500:
        asked = retry_after
        if asked is None and status.details and status.details.retry_after_seconds:
            asked = status.details.retry_after_seconds
        wait = None if asked is None else float(min(max(asked, 0), LONGEST_WAIT))
        return ApiUnavailable(told, code, wait)
    if code == 409 and _is_disputed(status):
        return Disputed(told)
    meaning, cure = _MEANINGS.get(code, (Rejected, ""))
    return meaning(told + cure)


_NOT_IN_THE_SCHEMA = ("failed to create typed patch object", "field not declared in schema")
"""What server-side apply says, with code 500, of a field that the API does not have (kube-apiserver,
`structured-merge-diff`): asking again is of no use."""

_MEANINGS: dict[int, tuple[type[LbsyncError], str]] = {
    401: (Unauthorized, "; renew the token or the certificate that is shown"),
    403: (Forbidden, "; allow it in a Role that is bound to this account"),
    404: (NotFound, ""),
    409: (Conflict, ""),
}


def _from_the_future(status: Status) -> bool:
    return _has_cause(status, "ResourceVersionTooLarge")


def _is_disputed(status: Status) -> bool:
    return _has_cause(status, "FieldManagerConflict")


def _has_cause(status: Status, reason: str) -> bool:
    causes = (status.details and status.details.causes) or []
    return any(cause.reason == reason for cause in causes)
