"""Reports our state to systemd: sd_notify(3), one datagram per message, without a library."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

#: systemd truncates longer ones.
_MAX_STATUS = 500
_WATCHDOG_S = 180.0
"""What the units allow, where nobody says otherwise."""
#: Seconds to wait for a manager that does not read; a pass must not wait long.
_SEND_S = 0.2


class Notifier:
    """Sends messages to the service manager that started us, if any."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Reads `NOTIFY_SOCKET` (a path, or `@name` for an abstract socket), `WATCHDOG_USEC` and
        `WATCHDOG_PID`."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.ping_every: float | None = _ping_every(environ)
        """Seconds between two pings: a third of what the watchdog allows; None: no watchdog."""
        self.watchdog_s = 3 * self.ping_every if self.ping_every else _WATCHDOG_S
        """For how many seconds the loop may be silent, whoever watches it."""

    def ready(self) -> None:
        """Report that the service is up: its first pass is confirmed."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """Show one line in `systemctl status`."""
        self._send("STATUS=" + " ".join(sentence.split())[:_MAX_STATUS])

    def watchdog_ping(self) -> None:
        """Tell the watchdog that the loop is alive."""
        if self.ping_every is not None:
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that settings are being read again, until `ready`. The time tells systemd (253 and
        later, Type=notify-reload) that this answers its own request."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A manager that does not read must not stop the service.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(_SEND_S)
            # Only on a connected socket does the kernel tell when a full queue has room again; without
            # that, waiting would be a busy loop.
            sender.connect(self._address)
            sender.send(message.encode())


def _ping_every(environ: Mapping[str, str]) -> float | None:
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 3_000_000
