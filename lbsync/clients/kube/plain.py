"""What the HTTP library says, in words for an operator: no classes, addresses of objects or numbers of
the operating system."""

import re
from collections.abc import Callable, Iterator

import urllib3

_FAILED = "the connection failed"
_NUMBER = re.compile(r"\[Errno -?\d+\] ")
_TLS_NOISE = re.compile(r"\[[A-Z0-9_: ]+\] |\s*\(_ssl\.c:\d+\)")
_RESOLVE = re.compile(r"Failed to resolve '([^']+)'")


def plain(error: BaseException) -> str:
    """Return one clause that says what went wrong between us and a server."""
    for kind, say in _SENTENCES:
        if isinstance(error, kind):
            return say if isinstance(say, str) else say(error)
    return _cleaned(str(error)) or _FAILED


def _resolution(error: BaseException) -> str:
    found = _RESOLVE.search(str(error))
    return f"the name {found[1] if found else 'of the server'} cannot be resolved"


def _connection(error: BaseException) -> str:
    return f"cannot connect: {_cleaned(str(error).rpartition(': ')[2])}"


def _proxy(error: BaseException) -> str:
    return f"the proxy does not help: {plain(getattr(error, 'original_error', OSError()))}"


def _tls(error: BaseException) -> str:
    told = _TLS_NOISE.sub("", _first(error))
    return f"TLS failed: {told}; check certificate-authority and tls-server-name"


def _system(error: BaseException) -> str:
    return _cleaned(getattr(error, "strerror", None) or str(error)) or _FAILED


def _protocol(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return f"the connection broke: {_cleaned(cause.strerror)}"
    return "the connection was closed in the middle of the answer"


def _first(error: BaseException) -> str:
    """Return the message of the innermost cause that has one of its own."""
    for cause in _causes(error):
        if isinstance(cause, OSError):
            return " ".join(str(cause.args[-1]).split())
    return _cleaned(str(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield from (part for part in error.args if isinstance(part, BaseException))
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _cleaned(text: str) -> str:
    """Return the text on one line, without what only a programmer reads."""
    text = _NUMBER.sub("", " ".join(text.split()))
    return (
        "the connection failed"
        if re.search(r"\bobject at 0x|(?<!\w)\w+\(\w*host=|^\(|'\)", text)
        else text
    )


#: The first kind that fits: some are kinds of others below them.
_SENTENCES: tuple[tuple[type[BaseException], str | Callable[[BaseException], str]], ...] = (
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (urllib3.exceptions.NameResolutionError, _resolution),
    (urllib3.exceptions.NewConnectionError, _connection),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.IncompleteRead, "the answer ended early"),
    (urllib3.exceptions.ProxyError, _proxy),
    (urllib3.exceptions.SSLError, _tls),
    (urllib3.exceptions.ProtocolError, _protocol),
    (TimeoutError, "no answer in time"),
    (OSError, _system),
)
