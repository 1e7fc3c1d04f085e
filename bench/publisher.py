"""The publisher: event to key and to HAProxy, first sync, memory, comparison, API server away.

python -m bench.publisher [--changes N] [--services N] [--away SECONDS] [--binary PATH]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import median, p99, row
from bench.scale import rss_mb
from harness.agent import AgentProcess, command
from harness.etcd import Etcd, open_etcd
from harness.fake_kube import FakeKube
from harness.fake_kube.objects import PUBLISH, endpoint, endpoint_slice, service
from harness.haproxy import binaries
from harness.publisher import PublisherProcess, Store
from harness.stack import Stack
from harness.wait import wait_until

KEY = "endpoints/shop/cart/default"
HOST = "cart.example"
_LIMITS = {"100ms": 120.0, "0": 15.0}


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--away", type=float, default=65.0)
    parser.add_argument("--binary", default=binaries().get("2.6"))
    args = parser.parse_args()
    for batch in _LIMITS:
        to_etcd(batch, args.changes)
    for batch in _LIMITS:
        to_haproxy(batch, args.changes // 2, args.binary)
    scale(args.services)
    away(args.away)


@contextmanager
def cluster() -> Iterator[tuple[FakeKube, Etcd, Store, Path]]:
    """A fake cluster and an etcd with nothing in them."""
    with tempfile.TemporaryDirectory() as directory:
        etcd, fake = Etcd(Path(directory) / "etcd").start(), FakeKube().start()
        store = Store(etcd.urls)
        try:
            yield fake, etcd, store, Path(directory)
        finally:
            store.close()
            fake.stop()
            etcd.stop()


def put(fake: FakeKube, address: str, **more: Any) -> None:
    """Put the Service's one slice, with one pod at this address."""
    pods = [endpoint(address, pod="cart-1")]
    fake.put(endpoint_slice("cart-1", "cart", pods, "shop", labels=PUBLISH, **more))


def cart(fake: FakeKube) -> None:
    """Put the Service."""
    hosts = {"lbsync.io/hosts": HOST}
    fake.put(service("cart", "shop", labels=PUBLISH, annotations=hosts))


class Watched:
    """Notes when the key of the servers holds a text."""

    def __init__(self, store: Store) -> None:
        self._source = open_etcd(store.urls)
        self._changed = threading.Condition()
        self._source.start(self._wake)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str) -> float:
        """Return the time at which the text was there."""
        with self._changed:
            while True:
                item = self._source.snapshot().items.get(KEY)
                if item is not None and text.encode() in item.value:
                    return time.monotonic()
                if not self._changed.wait(20):
                    raise TimeoutError(f"{text} never came")

    def close(self) -> None:
        """Stop watching."""
        self._source.close()


def to_etcd(batch: str, changes: int) -> None:
    """Measure from the write of an EndpointSlice to the key in etcd."""
    with cluster() as (fake, _, store, directory):
        cart(fake)
        put(fake, "10.0.0.1")
        publisher = PublisherProcess(store, fake, directory).configure(batch=batch)
        publisher.start()
        wait_until("the first sync", lambda: store.addresses("shop/cart"), timeout=30)
        watched = Watched(store)
        wait_until("the watch", lambda: watched._source.revision)
        spans = []
        try:
            for number in range(changes):
                time.sleep(0.02)
                began = time.monotonic()
                put(fake, f"10.1.0.{number}")
                spans.append((watched.wait_for(f"10.1.0.{number}") - began) * 1000)
        finally:
            watched.close()
            publisher.stop()
        limit = _LIMITS[batch]
        figure = f"median {median(spans):.1f} ms, p99 {p99(spans):.1f} ms"
        row(f"slice event to key in etcd, batch {batch}", figure, f"median <= {limit:g} ms",
            median(spans) <= limit)  # fmt: skip


def to_haproxy(batch: str, changes: int, binary: str) -> None:
    """Measure from the write of an EndpointSlice to the first answer of the new pod."""
    with tempfile.TemporaryDirectory() as directory:
        fake = FakeKube().start()
        stack = Stack(Path(directory), binary)
        agent = AgentProcess(stack)
        stack.start()
        store = Store(stack.etcd.urls)
        publisher = PublisherProcess(store, fake, Path(directory)).configure(batch=batch)
        try:
            webs = [stack.web(name) for name in ("one", "two")]
            cart(fake)
            command(stack, "prepare")
            stack.haproxy.start()
            agent.start()
            publisher.start()
            spans = []
            for number in range(changes):
                web = webs[number % 2]
                began = time.monotonic()
                port = [{"name": "http", "port": web.port, "protocol": "TCP"}]
                put(fake, "127.0.0.1", ports=port)
                wait_until(web.name, lambda name=web.name: stack.get(HOST).body == name,  # type: ignore[misc]
                           every=0.001)  # fmt: skip
                spans.append((time.monotonic() - began) * 1000)
        finally:
            publisher.stop()
            agent.stop()
            store.close()
            stack.stop()
            fake.stop()
        figure = f"median {median(spans[1:]):.1f} ms, p99 {p99(spans[1:]):.1f} ms"
        row(f"slice event to served by HAProxy, batch {batch}", figure)


def fill(fake: FakeKube, count: int) -> None:
    """Put Services with one slice of 20 endpoints each."""
    for number in range(count):
        name, ns = f"s{number}", f"ns{number % 50}"
        notes = {"lbsync.io/hosts": f"h{number}.example", "lbsync.io/check-path": "/healthz"}
        fake.put(service(name, ns, labels=PUBLISH, annotations=notes))
        pods = [
            endpoint(
                f"10.{number % 250}.{pod}.{number // 250 + 1}",
                pod=f"{name}-5d8f7c9b6-{pod:05d}", nodeName=f"node-{pod}", zone="zone-a",
            )
            for pod in range(20)
        ]  # fmt: skip
        fake.put(endpoint_slice(f"{name}-abcde", name, pods, ns, labels=PUBLISH))


def scale(count: int) -> None:
    """Measure a first sync, the memory after it, and comparisons that find nothing."""
    with cluster() as (fake, _, store, directory):
        fill(fake, count)
        what = f"{count} Services, slices of 20"
        publisher = PublisherProcess(store, fake, directory)
        publisher.configure(full_compare="4s", heartbeat="2s")
        began = time.monotonic()
        publisher.start("debug")
        said = f"{count} services published"
        wait_until("the first sync", lambda: publisher.said(said), timeout=120, every=0.05)
        seconds = time.monotonic() - began
        try:
            listed = _stamp(publisher, "the publisher begins"), _stamp(publisher, said)
            row(f"{what}: first sync, from the process's start", f"{seconds:.2f} s", "<= 4 s",
                seconds <= 4.0)  # fmt: skip
            row("  of it without the start of Python", f"{listed[1] - listed[0]:.2f} s")
            before = store.revisions("services", "endpoints")
            known = len(publisher.log())
            time.sleep(9.0)
            spans = [
                line["ms"]
                for line in publisher.log()[known:]
                if "nothing to write" in line["event"]
            ]
            is_same = store.revisions("services", "endpoints") == before
            row(f"{what}: comparison without differences",
                f"{max(spans):.0f} ms, {'nothing' if is_same else 'SOMETHING'} written",
                "<= 1 s, nothing written", max(spans) <= 1000 and is_same)  # fmt: skip
            memory = rss_mb(publisher.pid)
            row(f"{what}: memory", f"{memory:.0f} MB", "<= 150 MB", memory <= 150)
        finally:
            publisher.stop()


def _stamp(publisher: PublisherProcess, words: str) -> float:
    stamps = [line["timestamp"] for line in publisher.log() if words in line["event"]]
    moment, _, fraction = stamps[0].rstrip("Z").partition(".")
    return time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")


def away(seconds: float) -> None:
    """Count requests and log lines while the API server answers 503 to everything."""
    with cluster() as (fake, _, store, directory):
        cart(fake)
        put(fake, "10.0.0.1")
        publisher = PublisherProcess(store, fake, directory).start()
        wait_until("the first sync", lambda: store.addresses("shop/cart"), timeout=30)
        time.sleep(1)
        known = len(publisher.log())
        fake.faults.refuse(1_000_000)
        fake.drop()
        asked = len(fake.requests)
        time.sleep(seconds)
        rate = (len(fake.requests) - asked) / seconds
        lines = len(publisher.log()) - known
        publisher.stop()
        row(f"API server away for {seconds:.0f} s: requests", f"{rate:.2f}/s", "<= 1/s", rate <= 1)
        limit = 1 + int(seconds // 60)
        row(f"API server away for {seconds:.0f} s: lines in the log", str(lines),
            f"<= {limit}", lines <= limit)  # fmt: skip


if __name__ == "__main__":
    main()
