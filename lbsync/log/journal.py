"""Entries for systemd's journal, in its own protocol: the sentence, its priority, and fields of ours.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: one datagram an entry, a line `NAME=value` a field; a value
with line ends comes after its length. journald takes from the kernel who sent it, so `journalctl -u`
finds it. What does not fit into a datagram is cut; the protocol's way for more (a sealed memfd) is not
worth its code here.
"""

import contextlib
import json
import re
import select
import socket
import struct
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
_MOST_BYTES = 48_000
"""Of one field: what fits together into the send buffer that Linux gives a socket (212,992)."""
_MOST_FIELDS = 60
_PATIENCE_MS = 1000
_ODD = re.compile(r"[^A-Z0-9_]")
_COMPLETING = ("why", "error")
"""Fields without which a sentence says half."""
_APART = ("event", "level", "exception")


class Journal:
    """Sends entries to the journal; `send` never raises and waits a second at most."""

    def __init__(self, path: str = SOCKET) -> None:
        """`path`: journald's socket."""
        self._path = path
        self._is_blocked = False

    def send(self, event: Mapping[str, object], priority: int) -> bool:
        """Send one event; tell whether journald has it. `priority`: 0 to 7, as syslog(3) counts."""
        # A socket for each: journald may be started anew, and lines are few.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.setblocking(False)
            sender.connect(self._path)
            poll = select.poll()
            poll.register(sender, select.POLLOUT)
            if not poll.poll(0 if self._is_blocked else _PATIENCE_MS):
                self._is_blocked = True
                return False
            self._is_blocked = False
            sender.send(entry(event, priority))
            return True
        return False


def entry(event: Mapping[str, object], priority: int) -> bytes:
    """Return the datagram: `MESSAGE`, `PRIORITY`, and each further field as `LBSYNC_<NAME>`."""
    said = [str(event.get("event", ""))]
    said += [str(event[name]) for name in _COMPLETING if event.get(name)]
    message = ": ".join(said)
    if trace := event.get("exception"):
        message += f"\n{trace}"
    fields = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "lbsync"}
    for name, value in list(event.items())[:_MOST_FIELDS]:
        if name not in _APART:
            fields[f"LBSYNC_{_ODD.sub('_', name.upper())}"[:64]] = _text(value)
    return b"".join(_field(name, value) for name, value in fields.items())


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")[:_MOST_BYTES]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
