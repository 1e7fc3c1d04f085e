"""A fast server to stand behind the load: a second HAProxy that answers by itself."""

from pathlib import Path

from harness.haproxy import Haproxy
from harness.ports import free_port

_CONFIG = """\
global
    maxconn 2000
defaults
    mode http
    timeout client 30s
    timeout connect 1s
    timeout server 30s
frontend fe
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string "{name}"
"""


class Responder:
    """Answers every request with its name, at tens of thousands a second."""

    def __init__(self, directory: Path, binary: str, name: str) -> None:
        self.port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "responder.cfg"
        config.write_text(_CONFIG.format(port=self.port, name=name))
        self._haproxy = Haproxy(directory, config, binary)

    def start(self) -> "Responder":
        """Start it and wait until it answers."""
        self._haproxy.start()
        return self

    def stop(self) -> None:
        """Stop it."""
        self._haproxy.stop()
