"""Free loopback ports."""

import secrets
import socket

#: Below what Linux hands out to outgoing connections (ip_local_port_range, 32768 and up): a daemon
#: that is stopped and started again must not find that some client's connection has its port.
_FIRST, _LAST = 15_000, 32_000
_TRIES = 200


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on now.

    It is drawn at random, so that test runs side by side hardly ever meet between the probe and the
    daemon's own bind. Raises OSError when no free one is found.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {host} between {_FIRST} and {_LAST}")
