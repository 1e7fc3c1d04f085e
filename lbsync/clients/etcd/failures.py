"""What an error of an RPC means, read from etcd's and gRPC's codes and texts (etcd 3.4, measured)."""

import enum
from collections.abc import Callable

import grpc

from lbsync.errors import Unavailable
from lbsync.values.addresses import Endpoint

_ELSEWHERE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.ABORTED,
}
_STALE_TOKEN = ("invalid auth token", "auth store is old", "user name is empty")
_REFUSED = ("permission denied", "authentication failed", "database space exceeded")
_BUSY = ("too many requests",)
# The connection was never made, so no request can have reached the server.
_NEVER_SENT = "failed to connect to all addresses"

_MEANINGS = {
    "Domain name not found": "its name is not known to DNS",
    "Hostname Verification": "its certificate is for another name; write that name as endpoint",
    "certificate has expired": "its certificate, or that of its authority, has expired",
    "certificate is not yet valid": "its certificate is not valid yet; is the clock of this host right?",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not signed by an authority in etcd ca",
    "Unwrap failed": "it broke off TLS; it may want a client certificate (etcd cert and key)",
    "security handshaker": "etcd ca, cert and key do not fit together or are no PEM files",
    "Handshake read failed": "it does not seem to speak TLS; if so, write http://",
    "user name is empty": "it asks for a user; set etcd user and password",
    "etcdserver: permission denied": "permission denied; the user needs to read and write the "
    "prefix (etcdctl role grant-permission)",
    "database space exceeded": "its database is full; compact, defragment, then disarm the alarm",
    "Connection refused": "connection refused",
    "ping timeout": "no answer in time",
    "Socket closed": "connection closed",
}

_TLS = ("CERTIFICATE_VERIFY_FAILED", "Unwrap failed", "Handshake read failed", "andshake failed")
"""What gRPC says where TLS did not come about."""

CALL_ERRORS = (grpc.RpcError, ValueError)
"""What a call can raise; ValueError is how grpc says that the channel was closed before it."""


class Kind(enum.Enum):
    """What to do about a failed call."""

    ELSEWHERE = enum.auto()
    """The member does not answer or cannot serve now: try the next one."""
    STALE_TOKEN = enum.auto()
    """The token expired, was dropped by a restart, or is missing: authenticate again."""
    COMPACTED = enum.auto()
    """The revision asked for is gone (or not there yet): list again."""
    REFUSED = enum.auto()
    """Credentials or rights are wrong, or the database is full: asking again soon is no help."""
    INVALID = enum.auto()
    """etcd understood the request and says no for another reason."""


class RpcFailure(Unavailable):
    """A call to one endpoint failed. Its message is a sentence that names the endpoint."""

    def __init__(self, url: str, kind: Kind, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.kind = kind
        self.reason = reason
        self.may_be_done = True
        """False when it is certain that the server never saw the request."""
        self.timed_out = False
        """True when the deadline passed without an answer."""


class OutcomeUnknown(Unavailable):
    """A write was sent and its answer was lost: it may or may not have been done."""


def kind_of(code: grpc.StatusCode, details: str) -> Kind:
    """Sort an error by its status code and text; also fits the cancel_reason of a watch."""
    text = details.lower()
    if any(mark in text for mark in _STALE_TOKEN):
        return Kind.STALE_TOKEN
    if any(mark in text for mark in _REFUSED) or code is grpc.StatusCode.PERMISSION_DENIED:
        return Kind.REFUSED
    if code is grpc.StatusCode.OUT_OF_RANGE:
        return Kind.COMPACTED
    if code in _ELSEWHERE or any(mark in text for mark in _BUSY):
        return Kind.ELSEWHERE
    return Kind.INVALID


def failure(
    url: Endpoint, error: grpc.RpcError | ValueError, explain: Callable[[Endpoint], str]
) -> RpcFailure:
    """Translate one of `CALL_ERRORS`, raised for a call to `url`.

    `explain` is asked, with the url, why TLS fails; empty: it does not know.
    """
    if isinstance(error, ValueError):
        closed = RpcFailure(url, Kind.ELSEWHERE, "connection closed")
        closed.may_be_done = False
        return closed
    code = error.code() or grpc.StatusCode.UNKNOWN
    details = error.details() or ""
    why = explain(url) if any(mark in details for mark in _TLS) else ""
    translated = RpcFailure(url, kind_of(code, details), why or _reason(code, details))
    translated.may_be_done = _NEVER_SENT not in details
    translated.timed_out = code is grpc.StatusCode.DEADLINE_EXCEEDED
    return translated


def _reason(code: grpc.StatusCode, details: str) -> str:
    """Shorten gRPC's text to what an operator needs, with the cure where there is one."""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    for mark, meaning in _MEANINGS.items():
        if mark in details:
            return meaning
    return details.rpartition("last error: ")[2] or code.name
