"""Small worlds of servers, maps and certificates: as configuration, and in a real HAProxy."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.haproxy import Haproxy
from harness.ports import free_port
from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.runtime.changes import maps
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.execute import Executor
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan
from lbsync.clients.haproxy import answers, binary, capabilities
from lbsync.clients.haproxy.sockets import WorkerSocket

HEAD = """\
global
    default-path config
    httpclient.ssl.verify none
    description {digest}
    stats socket {stats} mode 600 level admin
    hard-stop-after 5s
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    default-server inter 30s init-addr last,libc,none

frontend fe
    bind 127.0.0.1:{port}{tls}
    acl denied src -f maps/denied.lst
    http-request deny if denied
    http-request set-var(txn.service) req.hdr(host),map(maps/routes.map)
    http-request set-var(txn.zone) req.hdr(host),map_end(maps/wildcards.map)
    http-request set-var(txn.backend) var(txn.service),map(maps/backends.map,be_a)
    use_backend %[var(txn.backend)]

"""


class Spot(msgspec.Struct, frozen=True):
    """One server."""

    address: str = "127.0.0.1:9"
    weight: int = 1
    disabled: bool = False
    more: str = ""

    def __str__(self) -> str:
        return f"{self.address} weight {self.weight}{self.more}{' disabled' * self.disabled}"


class World(msgspec.Struct):
    """Everything that may differ between two configurations."""

    servers: dict[str, dict[str, Spot]]
    """Backend to server name to server."""
    balance: dict[str, str] = msgspec.field(default_factory=dict)
    files: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "maps/backends.map": "s/a be_a\n",
            "maps/routes.map": "a.test s/a\n",
            "maps/wildcards.map": ".a.test *.a.test\n",
            "maps/denied.lst": "192.0.2.1\n",
        }
    )
    tls: str = ""
    """What follows the address of the bind."""
    defaults: dict[str, str] = msgspec.field(default_factory=dict)
    """Name to lines of `defaults` sections for backends to stand on."""
    stands: dict[str, str] = msgspec.field(default_factory=dict)
    """Backend to the name of what it stands on; it has nothing but servers then."""

    def text(self, place: "Place", digest: str = "one") -> str:
        """Return `haproxy.cfg`."""
        head = HEAD.format(digest=digest, stats=place.stats, port=place.port, tls=self.tls)
        plain = [name for name in self.servers if name not in self.stands]
        return head + "\n".join(
            [
                *(
                    f"backend {name}\n    balance {self.balance.get(name, 'roundrobin')}\n"
                    + self._lines(name)
                    for name in plain
                ),
                *(f"defaults {name}\n{lines}" for name, lines in self.defaults.items()),
                *(
                    f"backend {name} from {defaults}\n" + self._lines(name)
                    for name, defaults in self.stands.items()
                ),
            ]
        )

    def _lines(self, backend: str) -> str:
        servers = self.servers[backend].items()
        return "".join(f"    server {name} {spot}\n" for name, spot in servers)

    def data(self) -> dict[str, bytes]:
        """Return the files beside it."""
        return {path: text.encode() for path, text in self.files.items()}

    def copy(self) -> "World":
        """Return a world that can be changed without this one."""
        return msgspec.structs.replace(
            self,
            servers={backend: dict(servers) for backend, servers in self.servers.items()},
            balance=dict(self.balance),
            files=dict(self.files),
            defaults=dict(self.defaults),
            stands=dict(self.stands),
        )


class Place(msgspec.Struct, frozen=True):
    """Where a HAProxy listens."""

    stats: Path
    port: int


NOWHERE = Place(Path("/run/stats.sock"), 80)


class Bed:
    """A real HAProxy, what it is believed to run, and the way to change it."""

    def __init__(
        self, directory: Path, program: str, world: World, *, master: bool = False
    ) -> None:
        self.directory = directory
        self.program = program
        self.place = Place(directory / "stats.sock", free_port())
        self.version = binary.version(program)
        self.haproxy = Haproxy(directory / "run", directory / "cfg" / "haproxy.cfg", program)
        self.parser = Parser()
        self.write(world)
        self.haproxy.start()
        self.worker = WorkerSocket(str(self.place.stats), 2.0)
        if master:
            self.worker = WorkerSocket(str(self.haproxy.master_socket), 2.0, "@1 ")
        self.can = capabilities.ask(self.worker, self.version)
        self.executor = Executor(self.worker)
        self.running = RuntimeConfig(self.config(world), world.data())

    def config(self, world: World) -> Config:
        return self.parser.parse(world.text(self.place))

    def write(self, world: World) -> None:
        folder = self.directory / "cfg"
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in {**world.data(), "haproxy.cfg": world.text(self.place).encode()}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)

    def plan(self, world: World) -> Plan:
        return plan(self.running, self.config(world), world.data(), self.can)

    def apply(self, world: World) -> Plan:
        """Plan, execute, believe."""
        made = self.plan(world)
        assert made.reasons == ()
        self.executor.run(made, self.can.payload_bytes)
        self.running.adopt(self.config(world), world.data(), made.steps)
        self.running.leaving.dropped.clear()  # as once the file is the live one
        return made

    def ask(self, command: str) -> str:
        return self.worker.run([command])

    def servers(self) -> dict[str, tuple[str, int, int, int]]:
        """Return what a client would notice: address, port, weight, whether it takes traffic."""
        return {
            f"{s.backend}/{s.name}": (s.address, s.port, s.weight, s.admin_state & ~4)
            for s in answers.parse_servers(self.worker.servers_state())
        }

    def entries(self, path: str) -> list[tuple[str, str]]:
        kind = "acl" if path.endswith(".lst") else "map"
        lines = self.ask(f"show {kind} {path}").strip("\n").split("\n")
        found = (line.partition(" ")[2] for line in lines if line)
        return [(line, "") if kind == "acl" else _cut(line) for line in found]

    def stop(self) -> None:
        self.haproxy.stop()


def _cut(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value


def wanted_servers(world: World) -> dict[str, tuple[str, int, int, int]]:
    """Return what `Bed.servers` must say."""
    found = {}
    for backend, servers in world.servers.items():
        for name, spot in servers.items():
            host, _, port = spot.address.rpartition(":")
            found[f"{backend}/{name}"] = (
                host.strip("[]"),
                int(port),
                spot.weight,
                int(spot.disabled),
            )
    return found


def wanted_entries(world: World, path: str) -> list[tuple[str, str]]:
    return list(
        maps.read(world.files[path].encode(), "acl" if path.endswith(".lst") else "map").pairs
    )


def changed(dice: random.Random, world: World, *, options: tuple[str, ...] = ("",)) -> World:
    """Return the world after one random change that needs no reload."""
    new = world.copy()
    backend = dice.choice(sorted(new.servers))
    servers = new.servers[backend]
    match dice.randrange(8):
        case 0 | 1:
            name = f"s{dice.randrange(6)}"
            port = dice.randrange(1, 65536)
            known = servers.get(name)
            more = known.more if known else dice.choice(options)
            servers[name] = Spot(f"127.0.0.{dice.randrange(1, 9)}:{port}", more=more)
        case 2 if servers:
            del servers[dice.choice(sorted(servers))]
        case 3 | 4 if servers:
            name = dice.choice(sorted(servers))
            weight = dice.choice((0, 1, 7, 256))
            servers[name] = msgspec.structs.replace(servers[name], weight=weight)
        case 5 if servers:
            name = dice.choice(sorted(servers))
            out = not servers[name].disabled
            servers[name] = msgspec.structs.replace(servers[name], disabled=out)
        case _:
            path = dice.choice(sorted(new.files))
            new.files[path] = _other(dice, path, new)
    return new


def _other(dice: random.Random, path: str, world: World) -> str:
    count = dice.choice((0, 1, 3, 5, 150))
    numbers = dice.sample(range(200), count)
    if path == "maps/denied.lst":
        return "".join(f"10.0.{n}.0/24\n" for n in numbers)
    values: Mapping[str, str] = {"maps/backends.map": dice.choice(sorted(world.servers))}
    value = values.get(path, f"value {dice.randrange(3)};\\")
    return "# all\n" + "".join(f"k{n}.test  {value}\n" for n in numbers)
