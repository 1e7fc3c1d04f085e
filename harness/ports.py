"""Free loopback ports, each handed out to one caller alone."""

import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from lbsync import filelock

#: Below what Linux hands out to outgoing connections (ip_local_port_range, 32768 and up): a daemon
#: that is stopped and started again must not find that some client's connection has its port.
_FIRST, _LAST = 15_000, 32_000
_BLOCK = 200
#: After so many blocks a process begins with its first one again, and leaves the rest to others.
_BLOCKS_EACH = 6


class Ports:
    """The ports of one process, in blocks that no other process draws from.

    Probing alone is no promise: between the probe and the daemon's own bind the same number may be drawn
    again, here or in a test run beside this one. So a block is locked for as long as the process lives,
    and a number comes again only after all the others of the process.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = self._endless()
        self._drawing = threading.Lock()

    def free(self, host: str) -> int:
        """Return a TCP port that nothing listens on now. Raises OSError when there is none."""
        for _ in range(_BLOCK * _BLOCKS_EACH):
            with self._drawing:
                port = next(self._numbers)
            with socket.socket() as probe:
                try:
                    probe.bind((host, port))
                except OSError:
                    continue
                return port
        raise OSError(f"no free port on {host} between {_FIRST} and {_LAST}")

    def _endless(self) -> Iterator[int]:
        mine: list[int] = []
        for _ in range(_BLOCKS_EACH):
            first = self._lock_block()
            if first is None:
                break
            mine.append(first)
            yield from range(first, first + _BLOCK)
        if not mine:
            raise OSError(
                f"all blocks of ports are taken: see who holds the files in {self._directory}"
            )
        while True:
            for first in mine:
                yield from range(first, first + _BLOCK)

    def _lock_block(self) -> int | None:
        """Return the first port of a block that is this process's own from now on."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        blocks = list(range(_FIRST, _LAST, _BLOCK))
        secrets.SystemRandom().shuffle(blocks)
        for first in blocks:
            descriptor = os.open(self._directory / str(first), os.O_WRONLY | os.O_CREAT, 0o600)
            if filelock.take(descriptor):
                return first
            os.close(descriptor)
        return None


_ports = Ports(Path(tempfile.gettempdir()) / f"lbsync-ports-{os.getuid()}")


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on now, and that nobody else is given for a good while.

    Raises OSError when no free one is found.
    """
    return _ports.free(host)
