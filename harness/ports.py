"""Free loopback ports."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on now.

    The kernel does not hand the same ephemeral port out again soon, so the short race between
    closing the probe and the daemon's own bind does not matter in practice.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
