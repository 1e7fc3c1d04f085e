"""Hosts that are only written: what they say to etcd is said by a few connections, and costs no more than that.

`bench.fleet --replayed N` adds them to hosts that are really there, so that etcd and the one who waits have the work of
a whole fleet, without its processors. Each says that it serves a revision the moment that somebody asks for it.
"""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import msgspec

from harness.etcd import open_etcd
from lbsync import log
from lbsync.clients.source import Lease, Put
from lbsync.model.health import WatcherRecord
from lbsync.model.records import AgentRecord
from lbsync.schema.decode import encode
from lbsync.schema.fleet import acknowledgement_key, agent_key
from lbsync.schema.health import WATCHERS
from lbsync.settings import Endpoint
from lbsync.timestamps import stamp

_WRITERS = 8
_TTL_S = 60
_OPS = 100


def record(revision: int) -> bytes:
    """Return what a host says that serves a revision; as long as a real one."""
    now = stamp()
    made = AgentRecord(
        revision, 1, f"{revision:016x}", now, now, "2.6.12", state="confirmed", seen=revision,
        lbsync="0.1.0", pid=4711, started_at=now, instance="0123456789abcdef",
    )  # fmt: skip
    return encode(made)


class Writer:
    """Some hosts on one connection, under one lease."""

    def __init__(self, urls: tuple[Endpoint, ...], prefix: str, names: list[str]) -> None:
        self._source = open_etcd(urls, prefix)
        self._names = names
        self._lease: Lease = self._source.lease(_TTL_S)
        puts = [Put(agent_key(name), record(1), self._lease.id) for name in names]
        for at in range(0, len(puts), _OPS):
            self._source.commit([], puts[at : at + _OPS])

    def say(self, revision: int) -> None:
        """Say of each host that it serves a revision."""
        for name in self._names:
            self._source.tell(acknowledgement_key(name), record(revision), self._lease.id)

    def close(self) -> None:
        """End their lease."""
        self._lease.end()
        self._source.close()


class Replayed:
    """Such hosts in a process of its own; none, where there are to be none."""

    def __init__(self, urls: tuple[Endpoint, ...], prefix: str, count: int) -> None:
        """Begin; end with `close`."""
        self.count = count
        context = multiprocessing.get_context("spawn")  # gRPC does not live through a fork
        self._pipe, theirs = context.Pipe()
        if count:
            names = [f"written-{number}" for number in range(count)]
            what = (urls, prefix, names, theirs)
            context.Process(target=_replay, args=what, daemon=True).start()
            self._pipe.recv()

    def said(self, revision: int) -> tuple[float, float]:
        """Return when they had heard that somebody asks for a revision, and when the last one had said it."""
        if not self.count:
            return 0.0, 0.0
        self._pipe.send(revision)
        heard, last = self._pipe.recv()
        return float(heard), float(last)

    def close(self) -> None:
        """End them."""
        if self.count:
            self._pipe.send(None)


def _replay(urls: tuple[Endpoint, ...], prefix: str, names: list[str], pipe: Connection) -> None:
    log.setup("error", "console")
    writers = [Writer(urls, prefix, names[at::_WRITERS]) for at in range(_WRITERS) if names[at:]]
    questions = open_etcd(urls, f"{prefix}{WATCHERS}")
    asked = threading.Event()
    questions.start(asked.set)
    said: dict[int, tuple[float, float]] = {}
    closing = threading.Event()

    def answer() -> None:
        with ThreadPoolExecutor(_WRITERS) as pool:
            while not closing.is_set():
                asked.wait()
                asked.clear()
                items = questions.snapshot().items.values() if questions.health().ok else ()
                for item in list(items):
                    revision = msgspec.json.decode(item.value, type=WatcherRecord).revision
                    if revision and revision not in said:
                        heard = time.time()
                        list(pool.map(lambda writer, seen=revision: writer.say(seen), writers))
                        said[revision] = heard, time.time()

    answering = threading.Thread(target=answer)
    answering.start()
    pipe.send(None)
    while (revision := pipe.recv()) is not None:
        deadline = time.monotonic() + 30
        while revision not in said and time.monotonic() < deadline:
            time.sleep(0.01)
        pipe.send(said.get(revision, (0.0, 0.0)))
    closing.set()
    asked.set()
    answering.join()
    questions.close()
    for writer in writers:
        writer.close()
