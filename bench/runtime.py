"""Changes without a reload, under load: from the write in etcd to the first request served by it.

python -m bench.runtime [--binary PATH] [--changes N] [--sizes 1000,10000] [--rate 1000]
"""

import argparse
import json
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import median, p99, row
from bench.pressure import Pressure
from bench.responder import Responder
from bench.scale import cpu_seconds, fill, name_of, service
from harness.agent import AgentProcess, command
from harness.certificates import Authority
from harness.haproxy import binaries
from harness.ports import free_port
from harness.stack import Stack
from harness.wait import wait_until
from lbsync.clients.source import Put

_MEDIAN_MS = {1000: 10.0, 10_000: 20.0}
_P99_MS = {1000: 50.0}
_ROUNDS = 5
#: So many new services, where each is a reload.
_RELOADS = 10
_CPU_MS = {1000: 5.0, 10_000: 20.0}

#: Made once, and without the system's authorities: loading those takes 25 ms each time (measured).
_CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CLIENT.check_hostname, _CLIENT.verify_mode = False, ssl.CERT_NONE


def main() -> None:
    """Run at each size and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--binary", default=binaries().get("2.6"))
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--rate", type=int, default=1050)
    args = parser.parse_args()
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            Bench(Path(directory), args.binary, size).run(args.changes, args.rate)


class Bench:
    """One host with many services, under load."""

    def __init__(self, directory: Path, binary: str, size: int) -> None:
        self._size = size
        self._https_port = free_port()
        self._certificates = directory / "certificates"
        self._certificates.mkdir()
        self._authority = Authority(directory / "authority")
        chain, key = self._authority.sign("made-first", names=["h9.example"])
        (self._certificates / "a.pem").write_bytes(chain.read_bytes() + key.read_bytes())
        tls = f'''https_bind = ["127.0.0.1:{self._https_port}"]
certificates = "{self._certificates}"
'''
        self._stack = Stack(directory, binary, extra=tls)
        self._agent = AgentProcess(self._stack)
        self._loaded = Responder(directory / "load", binary, "load")
        self._targets = [
            Responder(directory / f"target{number}", binary, f"target{number}").start()
            for number in range(2)
        ]

    def run(self, changes: int, rate: int) -> None:
        """Measure everything, then stop what was started."""
        stack, pressure = self._stack, None
        try:
            self._start()
            pressure = Pressure(stack.http_port, "load.example", rate)
            time.sleep(1.0)
            self._series("server changed", changes, self._server)
            self._series("new host on an existing backend", changes // 4, self._host)
            self._services(changes // 4)
            self._burst(200)
            self._series("certificate renewed", changes // 4, self._certificate)
            self._readdress(1000)
            reached, failed = pressure.stop()
            pressure = None
            row(
                f"{self._size} services: load kept meanwhile",
                f"{reached:.0f} req/s",
                "at least 1,000 req/s",
                reached >= 1000,
            )
            row(f"{self._size} services: requests that failed", str(failed), "0", failed == 0)
        finally:
            if pressure:
                pressure.stop()
            self._agent.stop()
            for responder in (self._loaded, *self._targets):
                responder.stop()
            stack.stop()

    def _start(self) -> None:
        stack = self._stack
        stack.start()
        self._loaded.start()
        webs = [stack.web(name) for name in "abc"]
        fill(stack, self._size, *webs)
        none = {"type": "none"}
        stack.put(
            {
                "services/bench/load": {"mode": "http", "hosts": ["load.example"], "check": none},
                "endpoints/bench/load/default": _one("load", self._loaded.port),
            }
        )
        command(stack, "prepare")
        stack.haproxy.start()
        self._agent.start()
        host = f"h{self._size - 1}.example"
        wait_until("the services", lambda: stack.get(host).status == 200, timeout=60)
        wait_until("quiet", lambda: self._agent.status().get("state") == "confirmed", timeout=60)

    def _series(
        self, what: str, count: int, change: Callable[[int], float], *, fast: bool = True
    ) -> None:
        """Do a change `count` times; `fast` false: each is a reload, and shown for comparison."""
        reloads, used = self._agent.status()["reloads"], cpu_seconds(self._agent.pid)
        seconds = [change(number) for number in range(count)]
        time.sleep(1.2)
        own = (cpu_seconds(self._agent.pid) - used) / count * 1000
        reloaded = self._agent.status()["reloads"] - reloads
        size = f"{self._size} services: {what}"
        middle, most = median(seconds) * 1000, p99(seconds) * 1000
        limit = _MEDIAN_MS.get(self._size) if fast else None
        row(
            f"{size}, median",
            f"{middle:.1f} ms",
            f"at most {limit} ms" if limit else "",
            middle <= limit if limit else None,
        )
        limit = _P99_MS.get(self._size) if fast else None
        row(
            f"{size}, p99",
            f"{most:.1f} ms",
            f"at most {limit} ms" if limit else "",
            most <= limit if limit else None,
        )
        limit = _CPU_MS.get(self._size) if fast else None
        row(
            f"{size}, own CPU each",
            f"{own:.1f} ms",
            f"at most {limit} ms" if limit else "",
            own <= limit if limit else None,
        )
        row(f"{size}, reloads", str(reloaded), "0" if fast else "", not reloaded if fast else None)

    def _server(self, number: int) -> float:
        target = number % 2
        key = f"endpoints/{name_of(7)}/default"
        value = _one(f"t{number}", self._targets[target].port)
        return self._until({key: value}, "h7.example", f"target{target}")

    def _host(self, number: int) -> float:
        host = f"more{number}.example"
        record = {**service(8), "hosts": ["h8.example", host]}
        return self._until({f"services/{name_of(8)}": record}, host, "")

    def _services(self, count: int) -> None:
        """Services of three servers that come one by one, and go again."""
        fast = self._makes_backends
        for what, change in (("new service", self._come), ("removed service", self._go)):
            self._series(what, count if fast else min(count, _RELOADS), change, fast=fast)

    def _come(self, number: int) -> float:
        host = f"come{number}.example"
        values: dict[str, object] = {
            f"services/bench/come{number}": {**service(0), "hosts": [host]},
            f"endpoints/bench/come{number}/default": _three(self._targets[0].port),
        }
        return self._until(values, host, "target0")

    def _go(self, number: int) -> float:
        began = time.monotonic()
        self._stack.delete(f"services/bench/come{number}", f"endpoints/bench/come{number}/default")
        host = f"come{number}.example"
        wait_until(host, lambda: self._stack.get(host).status == 404, every=0.0005, timeout=30)
        return time.monotonic() - began

    def _burst(self, count: int) -> None:
        """Many new services at once; time from the first put until the last of them is served."""
        if not self._makes_backends:
            return
        reloads = self._agent.status()["reloads"]
        puts = []
        for number in range(count):
            record = {**service(0), "hosts": [f"burst{number}.example"]}
            for key, value in (
                (f"services/bench/burst{number}", record),
                (f"endpoints/bench/burst{number}/default", _three(self._targets[1].port)),
            ):
                puts.append(Put(key, json.dumps(value).encode()))
        began = time.monotonic()
        for start in range(0, len(puts), 100):
            self._stack.client.commit([], puts[start : start + 100])
        hosts = [f"burst{number}.example" for number in range(count)]
        wait_until(hosts[-1], lambda: self._served(hosts[-1], "target1"), every=0.001, timeout=30)
        spent = (time.monotonic() - began) * 1000
        served = all(self._served(host, "target1") for host in hosts)
        size = f"{self._size} services: {count} new ones at once"
        row(f"{size}, all served", f"{spent:.0f} ms", "at most 500 ms", served and spent <= 500)
        time.sleep(1.2)
        more = self._agent.status()["reloads"] - reloads
        row(f"{size}, reloads", str(more), "0", more == 0)

    @property
    def _makes_backends(self) -> bool:
        """HAProxy adds backends while it runs; else each new service is a reload."""
        return "Unknown command" not in self._stack.haproxy.ask("@1 add backend")

    def _certificate(self, number: int) -> float:
        """Put a new file in place of the certificate; time until it is shown to clients."""
        chain, key = self._authority.sign(f"made-{number}", names=["h9.example"])
        draft = self._certificates / ".new"
        draft.write_bytes(chain.read_bytes() + key.read_bytes())
        began = time.monotonic()
        draft.replace(self._certificates / "a.pem")
        wait_until("the new certificate", lambda: self._shows(number), every=0.0005, timeout=30)
        return time.monotonic() - began

    def _shows(self, number: int) -> bool:
        address = ("127.0.0.1", self._https_port)
        with (
            socket.create_connection(address, timeout=5) as plain,
            _CLIENT.wrap_socket(plain, server_hostname="h9.example") as shown,
        ):
            return f"made-{number}".encode() in (shown.getpeercert(binary_form=True) or b"")

    def _until(self, values: dict[str, object], host: str, body: str) -> float:
        began = time.monotonic()
        self._stack.put(values)
        wait_until(host, lambda: self._served(host, body), every=0.0005, timeout=30)
        return time.monotonic() - began

    def _served(self, host: str, body: str) -> bool:
        answer = self._stack.get(host)
        return answer.status == 200 and (not body or answer.body == body)

    def _readdress(self, count: int) -> None:
        """Move `count` servers in as few transactions as etcd takes; time from the last put."""
        services = count // 3
        spent = [self._move(services, number % 2) for number in range(_ROUNDS)]
        middle = median(spent) * 1000
        limited = self._size <= 1000
        row(
            f"{self._size} services: {services * 3} servers readdressed, after the last put, median",
            f"{middle:.0f} ms",
            "at most 150 ms" if limited else "",
            middle <= 150 if limited else None,
        )

    def _move(self, services: int, target: int) -> float:
        value = json.dumps(_three(self._targets[target].port)).encode()
        puts = [Put(f"endpoints/{name_of(n)}/default", value) for n in range(services)]
        revision = 0
        for start in range(0, len(puts), 100):
            revision = self._stack.client.commit([], puts[start : start + 100])
        began = time.monotonic()
        hosts = [f"h{number}.example" for number in (0, services // 2, services - 1)]
        wait_until(
            "all of them",
            lambda: all(self._served(host, f"target{target}") for host in hosts),
            every=0.001,
        )
        spent = time.monotonic() - began
        self._agent.wait_for_revision(revision)
        return spent


def _one(name: str, port: int) -> dict[str, object]:
    return {"servers": [{"name": name, "address": "127.0.0.1", "port": port}]}


def _three(port: int) -> dict[str, object]:
    servers = [{"name": f"pod-{n}", "address": "127.0.0.1", "port": port} for n in range(3)]
    return {"servers": servers}


if __name__ == "__main__":
    main()
