"""Sets the stage: daemons, web servers and agents, all real, and takes it down again."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from demo.balancer import PREFIX, Balancer
from harness.etcd import Etcd
from harness.ports import free_port
from harness.web import WebServer
from lbsync.clients.files.source import FileSource

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples/shop"
#: Ports that the example names; the demo puts free ones in their places.
_WEB_PORTS = (8001, 8002, 8003)
_ORDERS_PORT = 7000


class Stage:
    """Everything that is on this machine. Use it through `set_up`."""

    def __init__(self, directory: Path) -> None:
        """Everything is kept in `directory`; nothing is started yet."""
        self.etcd = Etcd(directory / "etcd")
        self.orders_port = free_port()
        # One service listens on a port of its own, so each balancer has another address of loopback.
        self.first, self.second = (
            Balancer(
                directory / f"lb-{number}",
                f"lb-{number}",
                self.etcd,
                listen=self.orders_port,
                address=f"127.0.0.{number}",
            )
            for number in (1, 2)
        )
        self.web = [WebServer(f"web-{number}") for number in (1, 2, 3)]
        self.green = [WebServer(f"green-{number}") for number in (1, 2)]

    def shop(self) -> dict[str, bytes]:
        """Return the example's keys and values, with servers and ports of this machine."""
        text = FileSource(SHOP).snapshot().items
        ports = dict(zip(_WEB_PORTS, (web.port for web in self.web), strict=True))
        ports[_ORDERS_PORT] = self.orders_port
        return {key: _with_ports(item.value, ports) for key, item in sorted(text.items())}

    def put(self, key: str, value: object) -> None:
        """Write one key; anything but bytes is written as JSON."""
        data = value if isinstance(value, bytes) else msgspec.json.encode(value)
        self.etcd.put(PREFIX + key, data)

    def close(self) -> None:
        """End every process; those that ask etcd and servers before these."""
        for balancer in (self.first, self.second):
            balancer.close()
        self.etcd.stop()
        for web in (*self.web, *self.green):
            web.stop()


def _with_ports(value: bytes, ports: dict[int, int]) -> bytes:
    def replaced(part: object) -> object:
        if isinstance(part, dict):
            here = {"address": "127.0.0.1"} if "address" in part else {}
            return here | {
                name: ports.get(inner, inner) if name in ("port", "listen") else replaced(inner)
                for name, inner in part.items()
                if name != "address"
            }
        return [replaced(inner) for inner in part] if isinstance(part, list) else part

    return msgspec.json.encode(replaced(msgspec.json.decode(value)))


@contextlib.contextmanager
def set_up() -> Iterator[Stage]:
    """Give a stage for the length of a `with` block, and leave nothing behind.

    When the block fails, the logs are kept and their place is printed.
    """
    # Short, because a Unix socket's path has at most 107 characters.
    directory = Path(tempfile.mkdtemp(prefix="lbsync-demo-"))
    try:
        stage = Stage(directory)
        try:
            yield stage
        finally:
            stage.close()
    except BaseException:
        print(f"the logs are kept in {directory}", file=sys.stderr)
        raise
    shutil.rmtree(directory)
