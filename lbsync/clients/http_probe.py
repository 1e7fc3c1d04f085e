"""One question to one server over plain HTTP: is its answer's status good, within a time that holds for all of it?

`http.client` counts its timeout anew for each packet, so a server that drips would keep it for ever.
"""

import re
import socket
import time

import msgspec

UNREACHED = (OSError, UnicodeError)
"""What connecting can raise: Python refuses some names before DNS is asked."""
_MOST_HEAD = 16_384
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked."""

    path: str
    method: str = "GET"
    host: str = ""
    """Empty: the server's address."""
    timeout: float = 2.0
    """Seconds, from the connection to the end of the answer's head."""


class Answer(msgspec.Struct, frozen=True):
    """What came of it."""

    status: int = 0
    """0: no answer."""
    problem: str = ""
    """Why there is none, in a clause for people."""
    refused: bool = False
    """The machine is there, and nothing listens on that port."""


def ask(address: str, port: int, question: Question) -> Answer:
    """Ask one server. Raises nothing: whatever goes wrong is the answer."""
    deadline = time.monotonic() + question.timeout
    try:
        with socket.create_connection((address, port), timeout=question.timeout) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(_request(address, port, question))
            return _status(connection, deadline)
    except UNREACHED as error:
        return _fault(error, f"no answer in {question.timeout:g} s")


def connects(address: str, port: int, timeout: float) -> Answer:
    """Find out whether a server takes connections; a status of 200 stands for that."""
    try:
        with socket.create_connection((address, port), timeout=timeout):
            return Answer(200)
    except UNREACHED as error:
        return _fault(error, f"no connection in {timeout:g} s")


def _fault(error: OSError | UnicodeError, late: str) -> Answer:
    """Return what an error of the connection says. `late`: what a time-out is called."""
    if isinstance(error, TimeoutError):
        return Answer(problem=late)
    if isinstance(error, ConnectionRefusedError):
        return Answer(problem="nothing listens there", refused=True)
    if isinstance(error, UnicodeError):
        return Answer(
            problem="its name is no name of DNS: an empty part, or one of more than 63 characters"
        )
    return Answer(problem=(error.strerror or "the connection failed").lower())


def is_good(status: int, ranges: str) -> bool:
    """Tell whether a status is within `200-399` or `200,204,300-399`."""
    for part in ranges.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def _request(address: str, port: int, question: Question) -> bytes:
    shown = f"[{address}]" if ":" in address else address
    lines = (
        f"{question.method} {question.path} HTTP/1.1",
        f"Host: {question.host or f'{shown}:{port}'}",
        "User-Agent: lbsync-probe",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _status(connection: socket.socket, deadline: float) -> Answer:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD:
        connection.settimeout(_left(deadline))
        part = connection.recv(4096)
        if not part:
            break
        head += part
    found = _STATUS_LINE.match(head)
    if found is None:
        return Answer(problem="it does not speak HTTP" if head else "it closed without an answer")
    if b"\r\n\r\n" not in head:
        return Answer(problem="its answer ended in the middle of the head")
    return Answer(int(found[1]))


def _left(deadline: float) -> float:
    """Return the seconds left. Raises TimeoutError when none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
