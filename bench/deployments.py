"""Many deployments at once in one deployer, and how soon an event is on the page: `python -m bench.deployments`.

Balancers without HAProxy verify what is written at once; deployer, API and page are `lbsync console`. Measured are the
memory of that process while all deployments are in progress, and the time from an event's own stamp, made before it is
written, to its arrival over the stream of events.
"""

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from bench.figures import median, p99, row
from harness.console import ConsoleProcess
from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.clients.source import Put
from lbsync.deployer import beginning, requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.ledger import Ledger, new_id
from lbsync.model.deploying import Strategy
from lbsync.schema.deploying import deploy_prefix
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds
from lbsync.values.basic import Pause
from tests.balancers import Balancer

PREFIX = "/lbsync/"
_MOST_MB = 150.0
_MOST_S = 0.300
_AT_ONCE = 25


class Bed:
    """etcd, two balancers, services with two groups each, and a console."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack, count: int) -> None:
        etcd = Etcd(directory / "etcd").start()
        stack.callback(etcd.stop)
        self.source = open_etcd(etcd.urls, PREFIX)
        store = open_etcd(etcd.urls, deploy_prefix(PREFIX))
        for one in (self.source, store):
            stack.callback(one.close)
        self.ledger = Ledger(store, PREFIX, "bench")
        self.apps = [ServiceId("shop", f"app{number}") for number in range(count)]
        for start in range(0, count, _AT_ONCE):
            puts = [put for app in self.apps[start : start + _AT_ONCE] for put in _service(app)]
            self.source.commit([], puts)
        for name in ("lb-1", "lb-2"):
            stack.callback(Balancer(etcd.urls, PREFIX, name).stop)
        urls = [str(url) for url in etcd.urls]
        self.console = ConsoleProcess(directory / "console", urls, PREFIX).start()
        stack.callback(self.console.stop)
        wait_until("the deployer", self.ledger.servers, timeout=30)

    def begin(self, app: ServiceId, group: str, strategy: Strategy) -> str:
        """Begin a switch for the console to carry out; return its id."""
        page = self.ledger.page(app)
        record = beginning.switch(page, group, strategy, Begun(new_id(), "bench", time.time()))
        if record is None:
            raise RuntimeError(f"{group} has the traffic already")
        requests.begin(self.ledger, page, record, "bench")
        return record.id

    def memory_mb(self) -> float:
        """Resident memory of the console."""
        return psutil.Process(self.console.pid).memory_info().rss / 2**20


def _service(app: ServiceId) -> Iterator[Put]:
    record = {"mode": "http", "hosts": [f"{app.name}.example.com"]}
    yield Put(f"services/{app}", json.dumps(record).encode())
    yield Put(f"routes/{app}", b'{"groups":{"blue":100}}')
    for group in ("blue", "green"):
        servers = [
            {"name": f"{group[0]}{n}", "address": f"10.0.{n}.7", "port": 80} for n in range(3)
        ]
        yield Put(f"endpoints/{app}/{group}", json.dumps({"servers": servers}).encode())


def many(bed: Bed) -> tuple[float, float, int]:
    """Switch all services at once; return memory before and at most (MB), and how many were in progress then."""
    before = most = bed.memory_mb()
    strategy = Strategy(watch=Pause(15_000), drain_timeout=Pause(0))
    for app in bed.apps:
        bed.begin(app, "green", strategy)
    together = 0
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        active = sum(bool(record.active) for record in bed.ledger.apps()[0].values())
        together, most = max(together, active), max(most, bed.memory_mb())
        if not active:
            break
        time.sleep(0.5)
    ends = [bed.ledger.deployments(app)[0].phase for app in bed.apps]
    if set(ends) != {"deployed"}:
        raise RuntimeError(f"not all were deployed: {set(ends)}")
    return before, most, together


def heard(bed: Bed, times: int) -> list[float]:
    """Follow one deployment that is paused and resumed again and again; return seconds to each event."""
    app = bed.apps[0]
    strategy = Strategy(steps=(10,), manual=True, watch=Pause(0), drain_timeout=Pause(0))
    name = bed.begin(app, "blue", strategy)
    wait_until("its first step", lambda: bed.ledger.deployments(app)[0].step_at, timeout=30)
    found: list[float] = []

    def follow() -> None:
        head = {"Accept": "text/event-stream"}
        with bed.console.stream(f"/api/deployments/{app}/{name}/events", **head) as events:
            for kind, _, text in events:
                if kind == "event" and (event := msgspec.json.decode(text))["by"] == "follower":
                    found.append(time.time() - seconds(event["at"]))

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(1.0)
    for _ in range(times):
        for what in ("pause", "resume"):
            requests.command(bed.ledger, app, name, what, "follower")
            time.sleep(0.5)
    requests.command(bed.ledger, app, name, "cancel", "follower")
    thread.join(60)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=100)
    parser.add_argument("--times", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        bed = Bed(Path(name), stack, args.deployments)
        before, most, together = many(bed)
        what = f"memory, {together} deployments at once in one console"
        told = f"{most:.0f} MB (idle: {before:.0f} MB)"
        row(what, told, f"at most {_MOST_MB:.0f} MB", most <= _MOST_MB)
        values = heard(bed, args.times)
        figure = f"{median(values) * 1000:.0f} ms, p99 {p99(values) * 1000:.0f} ms"
        limit = f"at most {_MOST_S * 1000:.0f} ms"
        row("an event, until a client has it", figure, limit, max(values) <= _MOST_S)


if __name__ == "__main__":
    main()
