"""Random changes of a cluster under load, on several releases of HAProxy side by side.

python -m bench.soak [--minutes 10] [--releases 3.2,3.4] [--changes-per-second 1.5] [--seed 1]
"""

import argparse
import contextlib
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cluster import BUSY, Cluster, Keys
from bench.figures import row
from bench.responder import Responder
from bench.scale import rss_mb
from harness.agent import AgentProcess, command
from harness.etcd import Etcd
from harness.fresh import fresh, runs
from harness.haproxy import binaries
from harness.load import Load
from harness.stack import Stack
from harness.wait import wait_until
from lbsync.agent.generations import read
from lbsync.agent.generations.store import Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.release_limits import within_release_limits
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan
from lbsync.agent.runtime.runtime import files_of
from lbsync.clients.haproxy import binary as haproxy_binary
from lbsync.clients.haproxy import capabilities
from lbsync.clients.haproxy.capabilities import Capabilities
from lbsync.clients.source import Delete, Put

#: Never changed, and asked for all the time.
_STILL = "soak/still"
_RATE = 75.0
"""Requests per second, to each of two services of each host."""
_GROWTH = 1.02
"""What an agent's memory may grow by in the second half of the time, and still be called flat: one that grows
steadily does not pass because the time was short."""
_WINDOW = "2m"
"""The agent's `guard_window`: what it keeps of that time is all there before the second half begins, and services
that come and go at this pace do not add up to a removal that is held."""
_FEWER = 0.1
"""The part of the reloads of a release before 3.4 that is left with 3.4."""


_ONE_CASE = re.compile(r"(?<= )(?:be_\S+|[\w-]*[0-9][\w.-]*|line \d+|'[^']*')(?=[ ,:()]|$)")


def main() -> None:
    """Run on all releases at once and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--releases", default=",".join([*binaries()][-2:]))
    parser.add_argument("--services", type=int, default=60)
    parser.add_argument("--changes-per-second", type=float, default=1.5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.environ["LBSYNC_AGENT_GUARD_WINDOW"] = _WINDOW
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as cleanup:
        directory = Path(name)
        etcd = Etcd(directory / "etcd")
        cleanup.callback(etcd.stop)
        hosts = []
        for release in args.releases.split(","):
            hosts.append(Host(directory / release, release, etcd))
            cleanup.callback(hosts[-1].stop)
        pods = [Responder(directory / f"pod{n}", hosts[-1].binary, f"pod{n}") for n in range(4)]
        for pod in pods:
            cleanup.callback(pod.start().stop)
        cluster = Cluster(args.seed, args.services, [pod.port for pod in pods])
        soak(hosts, cluster, args.minutes * 60, 1 / args.changes_per_second)
        for host in hosts:
            host.report()
        compare(hosts)


def soak(hosts: list["Host"], cluster: Cluster, seconds: float, pause: float) -> None:
    """Change and ask for so many seconds, then wait until all hosts have settled."""
    first = hosts[0]
    first.stack.start()
    changes = cluster.begin()
    still = {key.replace(BUSY, _STILL): value for key, value in changes[0].items()}
    record = {"mode": "http", "hosts": [_host(_STILL)]}
    revision = write(first.stack, {**still, f"services/{_STILL}": record})
    for change in changes:
        revision = write(first.stack, change)
    for host in hosts:
        host.start(revision)
    kinds: Counter[str] = Counter()
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        if sum(kinds.values()) * pause <= spent:
            kind, keys = cluster.next()
            kinds[kind] += 1
            revision = write(first.stack, keys)
        for host in hosts:
            host.look(spent)
        time.sleep(0.05)
    for host in hosts:
        host.settle(revision)
    row("changes", f"{sum(kinds.values())} in {seconds:.0f} s")
    for kind, count in kinds.most_common():
        row(f"  {kind}", str(count))


def write(stack: Stack, keys: Keys) -> int:
    """Write and delete keys in one transaction; return the revision."""
    return stack.client.commit(
        [],
        [
            Delete(key) if value is None else Put(key, json.dumps(value).encode())
            for key, value in keys.items()
        ],
    )


def compare(hosts: list["Host"]) -> None:
    """Compare the reloads of a release that makes backends while it runs with one that does not."""
    before = [host.reloads for host in hosts if not host.can.backends]
    after = [host.reloads for host in hosts if host.can.backends]
    if before and after and before[0]:
        share = after[0] / before[0]
        row("fewer reloads", f"{100 - share * 100:.0f} %", "at least 90 %", share <= _FEWER)


def takes_reload(
    running: read.LoadedGeneration, wanted: read.LoadedGeneration, can: Capabilities
) -> bool:
    """Tell whether a HAProxy that loaded one generation becomes the other only by a reload."""
    runs_now = RuntimeConfig(running.config, files_of(running.rendered))
    todo = plan(runs_now, wanted.config, files_of(wanted.rendered), can)
    return within_release_limits(todo, can).reload


class Host:
    """One host with one release, under load of its own."""

    def __init__(self, directory: Path, release: str, etcd: Etcd) -> None:
        self.binary = binaries()[release]
        self.can = capabilities.of_release(haproxy_binary.version(self.binary))
        self.release = release
        self.stack = Stack(directory, self.binary, host=f"lb-{release}", etcd=etcd)
        self._agent = AgentProcess(self.stack)
        self._loads = [
            Load(self.stack.http_port, _host(name), workers=4, rate=_RATE)
            for name in (_STILL, BUSY)
        ]
        self._read = 0
        """Bytes of the agent's log that were looked at."""
        self._parser = Parser()
        self._live: read.LoadedGeneration | None = None
        self._reasons: Counter[str] = Counter()
        self._needless: list[str] = []
        self._warnings: Counter[str] = Counter()
        self._rss: list[float] = []
        self._begun: dict[str, Any] = {}
        self._ended: dict[str, Any] = {}
        self._is_fresh = False

    @property
    def reloads(self) -> int:
        """How many there were since the changes began."""
        return self._count("reloads")

    def start(self, revision: int) -> None:
        """Serve the first services, and begin to ask for them."""
        self.stack.write_settings()
        command(self.stack, "prepare")
        self.stack.haproxy.start()
        self._agent.start()
        self._agent.wait_for_revision(revision, timeout=60)
        wait_until("quiet", lambda: self._agent.status().get("state") == "confirmed", timeout=60)
        self._begun = self._agent.status()
        self._read = self._agent.log.stat().st_size
        self._live = self._generation(self._begun["digest"])
        for load in self._loads:
            load.start()

    def look(self, spent: float) -> None:
        """Read what the agent has logged since, and its memory once a minute."""
        if spent >= 60 * len(self._rss):
            self._rss.append(rss_mb(self._agent.pid))
        for line in self._lines():
            if line.get("level") in ("WARNING", "ERROR"):
                self._warnings[line["message"]] += 1
            if "generation" not in line or "digest" not in line:
                continue
            if self._live is not None and self._live.generation.digest == line["digest"]:
                continue
            before, self._live = self._live, self._generation(line["digest"])
            if reason := line.get("reload"):
                self._judge(before, reason)

    def settle(self, revision: int) -> None:
        """Wait until all is served, end the load, and compare with a HAProxy that starts anew."""
        self._agent.wait_for_revision(revision, timeout=60)
        for load in self._loads:
            load.stop()
        self._rss.append(rss_mb(self._agent.pid))
        self.look(0.0)
        self._ended = self._agent.status()
        written = fresh(self.stack, self.stack.directory / "fresh")
        with contextlib.suppress(TimeoutError):
            wait_until("removed servers to be gone", lambda: runs(self.stack.haproxy) == written)
        self._is_fresh = runs(self.stack.haproxy) == written

    def report(self) -> None:
        """Print the figures."""
        title = f"HAProxy {self.can.name}"
        failures = [failure for load in self._loads for failure in load.failures]
        row(f"{title}: requests", str(sum(load.requests for load in self._loads)))
        row(f"{title}: requests that failed", str(len(failures)), "0", not failures)
        for failure, count in Counter(failures).most_common(5):
            row(f"  {failure}", str(count))
        row(f"{title}: changes without a reload, steps", str(self._count("steps")))
        row(f"{title}: reloads", str(self.reloads))
        for reason, count in self._reasons.most_common():
            row(f"  {reason}", str(count))
        needless = self._needless
        row(f"{title}: needless reloads", str(len(needless)), "0", not needless)
        for reason in needless[:5]:
            row(f"  {reason}", "")
        said = self._count("needless_reloads")
        row(f"{title}: needless reloads, as the agent counts", str(said), "0", not said)
        healed = self._count("healed")
        row(f"{title}: drift healed, where nobody interfered", str(healed), "0", not healed)
        for warning, count in self._warnings.most_common(5):
            row(f"  {warning[:160]}", str(count))
        memory = " ".join(f"{each:.1f}" for each in self._rss)
        flat = self._rss[-1] <= self._rss[len(self._rss) // 2] * _GROWTH
        row(f"{title}: agent's memory, MB, each minute", memory, "flat in the second half", flat)
        fresh_or_not = "yes" if self._is_fresh else "no"
        row(f"{title}: runs what a fresh start does", fresh_or_not, "yes", self._is_fresh)

    def stop(self) -> None:
        """End everything of this host."""
        if self._begun:
            for load in self._loads:
                load.stop()
        self._agent.stop()
        self.stack.stop()

    def _count(self, what: str) -> int:
        """Return how often the agent did something since the changes began; its status leaves out 0."""
        return int(self._ended.get(what, 0)) - int(self._begun.get(what, 0))

    def _judge(self, before: read.LoadedGeneration | None, reason: str) -> None:
        """Plan a reload's change anew: could it have been made without?"""
        self._reasons[_kind(reason)] += 1
        if before is None or self._live is None:
            self._needless.append(f"not known, as a generation was gone already: {reason}")
            return
        if not takes_reload(before, self._live, self.can):
            self._needless.append(reason)

    def _generation(self, digest: str) -> read.LoadedGeneration | None:
        found = Store(self.stack.state, 1).by_digest(digest)
        return None if found is None else read.parsed(found, self._parser)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._agent.log.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            yield json.loads(line)


def _host(name: str) -> str:
    return f"{name.replace('/', '-')}.example"


def _kind(reason: str) -> str:
    """Take the names and numbers of one case out of a reason."""
    return _ONE_CASE.sub("…", reason)


if __name__ == "__main__":
    main()
