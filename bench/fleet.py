"""A fleet of many hosts on one etcd: what reports cost, and how soon a wait ends.

python -m bench.fleet [--hosts N] [--services N] [--seconds S] [--processes P] [--replayed N]

Of each host the reporting and the watching part alone are there: a mirror of all keys by a watch of its
own, and the voice with its lease; a pass takes no time and proves all there is.

All hosts share this machine's cores, which no fleet does. So a wait is told in parts: what hosts take, which is also
told as processor time of one, and what etcd and the one who waits take once the last host has written, which holds as
it is. Hosts that are only written (`--replayed`) take no core.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import psutil

from bench.figures import row
from bench.replay import Replayed
from bench.scale import endpoints, service
from bench.waiting import awaited
from harness.etcd import Etcd, etcd_settings, open_etcd
from harness.wait import wait_until
from lbsync import log
from lbsync.agent.report.fleet_reporter import FleetReporter
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Put, Source
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet as schema
from lbsync.schema.keys import FOREIGN
from lbsync.settings import Endpoint, load
from lbsync.status import Status

PREFIX = "/lbsync/"
_OPS = 100
_RATE = 5.0
_DEBOUNCE_S = 0.05


class Telling(EtcdSource):
    """Notes when something was told to who waits."""

    def __init__(self, urls: tuple[Endpoint, ...], note: Callable[[], None]) -> None:
        super().__init__(etcd_settings(urls), PREFIX, quiet=FOREIGN)
        self._note = note

    def tell(self, key: str, value: bytes, lease: int) -> None:
        super().tell(key, value, lease)
        self._note()


class Host:
    """The reporting and watching part of one agent."""

    def __init__(self, urls: tuple[Endpoint, ...], name: str, directory: str) -> None:
        """`directory`: of its own."""
        self._name = name
        self._due = threading.Event()
        self._stopped = False
        self.proved_at: dict[int, float] = {}
        self.told_at = 0.0
        Path(directory, name).mkdir()
        flags = {
            "host": name,
            "state_dir": f"{directory}/{name}",
            "agent.report_ttl": "60s",
            "agent.report_interval": "10s",
        }
        self.source = Telling(urls, self._note_told)
        self.fleet = FleetReporter(load(flags=flags, environ={}), self.source)
        self.source.start(self._due.set)
        self.fleet.start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _note_told(self) -> None:
        self.told_at = time.time()

    def _run(self) -> None:
        while not self._stopped:
            self._due.wait()
            self._due.clear()
            time.sleep(_DEBOUNCE_S)
            there = self.source.leased("watchers/") if self.source.health().ok else None
            if there is None:
                continue
            seen = there.followed_revision
            self.proved_at.setdefault(seen, time.time())
            self.fleet.note(
                Status("confirmed", self._name, 7, "", time.time(), revision=seen, revision_seen=seen,
                       digest=f"{seen:016x}", generation=1, verified_at=time.time())
            )  # fmt: skip

    def close(self) -> None:
        """End it."""
        self._stopped = True
        self._due.set()
        self.fleet.close()
        self.source.close()


def hosts(urls: tuple[Endpoint, ...], numbers: range, directory: str, pipe: Connection) -> None:
    """Run some hosts in a process of their own; tell when each has proved a revision that is asked for."""
    log.setup("error", "console")
    made = [Host(urls, f"lb-{number}", directory) for number in numbers]
    while any(host.source.revision == 0 for host in made):
        time.sleep(0.1)
    pipe.send(psutil.Process().memory_info().rss)
    while (asked := pipe.recv()) is not None:
        deadline = time.monotonic() + 30
        found = [0.0]
        while time.monotonic() < deadline:
            found = [min((at for seen, at in list(host.proved_at.items()) if seen >= asked), default=0.0)
                     for host in made]  # fmt: skip
            if all(found):
                break
            time.sleep(0.02)
        used = psutil.Process().cpu_times()
        pipe.send((max(found), max(host.told_at for host in made), used.user + used.system))
    for host in made:
        host.close()


def fill(source: Source, count: int) -> None:
    """Write services of three servers each."""
    puts: list[Put] = []
    for number in range(count):
        name = f"ns{number % 50}/svc{number}"
        puts.append(Put(f"services/{name}", json.dumps(service(number)).encode()))
        puts.append(Put(f"endpoints/{name}/default", json.dumps(endpoints()).encode()))
    for start in range(0, len(puts), _OPS):
        source.commit([], puts[start : start + _OPS])


def changing(source: Source, seconds: float) -> tuple[int, int]:
    """Change a service five times a second for so long; return the last revision, and how many there were."""
    revision, until = 0, time.monotonic() + seconds
    number = 0
    while (left := until - time.monotonic()) > 0:
        number += 1
        value = json.dumps({**service(1), "owner": f"change {number}"}).encode()
        revision = source.commit([], [Put("services/ns1/svc1", value)])
        time.sleep(min(left, 1 / _RATE))
    return revision, number


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=300)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="under change, and at rest")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--replayed", type=int, default=0, help="so many more, see bench.replay")
    args = parser.parse_args()
    log.setup("error", "console")
    with tempfile.TemporaryDirectory() as directory:
        etcd = Etcd(Path(directory)).start()
        source = open_etcd(etcd.urls, PREFIX)
        pipes: list[Connection] = []
        try:
            fill(source, args.services)
            began = time.monotonic()
            context = multiprocessing.get_context("spawn")  # gRPC does not live through a fork
            for part in range(args.processes):
                ours, theirs = context.Pipe()
                numbers = range(part, args.hosts, args.processes)
                what = (etcd.urls, numbers, directory, theirs)
                context.Process(target=hosts, args=what, daemon=True).start()
                pipes.append(ours)
            memory = sum(pipe.recv() for pipe in pipes)
            row(
                f"{args.hosts} hosts, {args.services} services: all watch after",
                f"{time.monotonic() - began:.0f} s, {memory / args.hosts / 1e6:.0f} MB each",
            )
            more = Replayed(etcd.urls, PREFIX, args.replayed)
            measure(etcd, source, pipes, more, args)
            more.close()
        finally:
            for pipe in pipes:
                pipe.send(None)
            source.close()
            etcd.stop()


def measure(
    etcd: Etcd, source: Source, pipes: list[Connection], more: Replayed, args: argparse.Namespace
) -> None:
    """Measure a fleet under change with nobody waiting, then one wait, then a fleet at rest."""
    member = psutil.Process(etcd.node.pid)

    def reported() -> int:
        return len(schema.census(_below(source)).live)

    everybody = args.hosts + more.count
    wait_until("all reports", lambda: reported() == everybody, timeout=300, every=1.0)
    before = sum(used for _, _, used in told(pipes, 1))
    revision, cpu, began = source.commit([], []), _cpu(member), time.monotonic()
    _, changes = changing(source, args.seconds)
    spent = time.monotonic() - began
    used = (sum(used for _, _, used in told(pipes, 1)) - before) / args.hosts / spent
    writes = source.commit([], []) - revision - changes
    each = writes / args.hosts / spent * 10
    # The first one is told at once, also when it comes right after a pause.
    most = 1 + 10 / spent
    what = f"{_RATE:g} changes a second for {spent:.0f} s: writes of each host and 10 s"
    row(what, f"{each:.2f} ({writes} in all)", "<= 1", each <= most)
    row("  etcd's processor time meanwhile", f"{(_cpu(member) - cpu) / spent:.0%} of a core")
    row("  of one host, for what it hears and says", f"{used:.2%} of a core")

    for _ in range(3):
        before = sum(used for _, _, used in told(pipes, 1))
        revision, last = awaited(source, PREFIX, everybody)
        parts, (heard, said) = told(pipes, revision), more.said(revision)
        proof = max(heard, *(part[0] for part in parts))
        written = max(said, *(part[1] for part in parts))
        each_used = (sum(part[2] for part in parts) - before) / args.hosts
        row(
            "one wait: the last proof to the last word",
            f"{last - proof:.2f} s",
            "<= 1 s",
            last - proof <= 1,
        )
        row("  of it, the last proof to the last host's write", f"{written - proof:.2f} s")
        row("  processor time of one host meanwhile", f"{each_used * 1000:.0f} ms")
        row("  the last host's write to the last word", f"{last - written:.2f} s")
        alone = last - written + each_used
        row("  with a core for each host, so", f"{alone:.2f} s", "<= 1 s", alone <= 1)

    time.sleep(11)  # what was held back is told
    revision, cpu, began = source.commit([], []), _cpu(member), time.monotonic()
    time.sleep(args.seconds)
    writes = source.commit([], []) - revision
    each = writes / args.hosts / args.seconds * 60
    row(f"at rest for {args.seconds:.0f} s: writes of each host and minute", f"{each:.2f}", "<= 1",
        each <= 1)  # fmt: skip
    row("  etcd's processor time meanwhile",
        f"{(_cpu(member) - cpu) / (time.monotonic() - began):.1%} of a core")  # fmt: skip
    row("etcd's database", f"{(etcd.node.data / 'member/snap/db').stat().st_size / 1e6:.0f} MB")
    row("etcd's memory", f"{member.memory_info().rss / 1e6:.0f} MB")


def told(pipes: list[Connection], revision: int) -> list[tuple[float, float, float]]:
    """Return of each process when its last host had proved a revision, when one last told who waits, and its processor
    time."""
    for pipe in pipes:
        pipe.send(revision)
    return [pipe.recv() for pipe in pipes]


def _below(source: Source) -> Snapshot:
    reports = open_etcd(source._settings.endpoints, f"{PREFIX}{schema.AGENTS}")  # type: ignore[attr-defined]
    try:
        there = reports.snapshot()
    finally:
        reports.close()
    items = {f"{schema.AGENTS}{key}": item for key, item in there.items.items()}
    leased = frozenset(f"{schema.AGENTS}{key}" for key in there.leased)
    return msgspec.structs.replace(there, items=items, leased=leased)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
