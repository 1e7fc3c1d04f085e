"""How long the console's pages take: 300 balancers and 10,000 services; `python -m bench.console`."""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from harness.console import ConsoleProcess
from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.clients.source import Put
from tests.console_client import an_agent

PREFIX = "/console/"
_AT_ONCE = 100
_TIMES = 15


def fill(url: str, services: int, hosts: int) -> None:
    source = open_etcd([url], PREFIX)
    lease = source.lease(600)
    puts = []
    for number in range(services):
        name = f"ns{number % 50}/s{number:05}"
        service = {
            "mode": "http",
            "hosts": [f"s{number}.example.com"],
            "owner": f"team {number % 50}",
        }
        named = [{"name": f"a{n}", "address": f"10.0.{n}.7", "port": 80} for n in range(3)]
        puts.append(Put(f"services/{name}", json.dumps(service).encode()))
        puts += [
            Put(f"endpoints/{name}/{g}", json.dumps({"servers": named}).encode())
            for g in ("blue", "green")
        ]
    for number in range(hosts):
        agent = an_agent(
            revision=10**6,
            error="a file of [[outputs]] is not as wanted" if number % 9 == 0 else "",
        )
        puts.append(Put(f"agents/lb-{number}", json.dumps(agent).encode(), lease.id))
    for start in range(0, len(puts), _AT_ONCE):
        source.commit([], puts[start : start + _AT_ONCE])
    source.close()


def measure(console: ConsoleProcess, path: str) -> tuple[float, float, int]:
    """Return median and worst of wall times in milliseconds, and the page's size in bytes."""
    times, size = [], 0
    for _ in range(_TIMES):
        begun = time.perf_counter()
        status, _, text = console.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        assert status == 200, text
        size = len(text)
    return statistics.median(times), max(times), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        etcd = Etcd(Path(folder) / "etcd").start()
        console = ConsoleProcess(Path(folder) / "console", [etcd.node.url], PREFIX)
        try:
            fill(etcd.node.url, args.services, args.hosts)
            begun = time.perf_counter()
            console.start()
            wait_until("the services", lambda: console.get("/services")[0] == 200, timeout=120)
            print(f"{args.services} services, {args.hosts} balancers")
            print(f"first page after the start: {time.perf_counter() - begun:.1f} s")
            for path in ("/", "/services", "/services?per=1000", "/services?q=s0999&order=servers",
                         "/services/ns0/s00050", "/refused", "/lookup?url=https://s77.example.com/x",
                         "/api/fleet", "/api/services"):  # fmt: skip
                median, worst, size = measure(console, path)
                print(
                    f"{path:45} median {median:6.0f} ms  worst {worst:6.0f} ms  {size / 1024:6.0f} KiB"
                )
            print(f"memory: {psutil.Process(console.pid).memory_info().rss / 2**20:.0f} MB")
        finally:
            console.stop()
            etcd.stop()


if __name__ == "__main__":
    main()
