"""Writers that change services at random, and faults that befall the host meanwhile."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from harness.agent import AgentProcess
from harness.etcd import open_etcd
from harness.load import Load
from harness.stack import Stack, servers
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.source import Delete, Put
from lbsync.errors import Unavailable
from tests.chaos.oracle import Answers, Oracle, Stored, Written, settled

PATHS = ["/", "/api", "/api/v2", "/img"]
SHARED = ["one.shared.example", "*.shared.example", "two.shared.example", "*.two.shared.example"]
#: Hosts that are asked for at each quiet point, besides the services' own.
ASKED = ["one.shared.example", "two.shared.example", "x.two.shared.example", "nobody.example"]
ASKED_PATHS = ["/", "/api", "/api/v2/x", "/apis", "/img/a.png"]
#: Values that the contract refuses, for any key.
BAD: list[bytes] = [
    b"{", b"[]", b"null", b"{}", b'{"mode":"x"}', b'{"mode":"http","hosts":["a b"]}', b"\xff",
    b'{"servers":[{"name":"a","address":"10.1","port":80}]}', b'{"groups":{"blue":0}}',
    b'{"mode":"http","zz":' + b"[" * 1100 + b"]" * 1100 + b"}", b'{"groups":{"a":-1},"groups":5}',
]  # fmt: skip
ENCODER = msgspec.json.Encoder()
GROUPS = ("blue", "green", "default")
Changes = dict[str, bytes | None]
"""Key to the new value; None: it is deleted."""


class Writer:
    """One of several, each with services of its own; hosts and paths they fight for."""

    def __init__(self, stack: Stack, number: int, seed: int, webs: list[WebServer]) -> None:
        self.random = random.Random(seed * 100 + number)
        self.log: list[Written] = []
        """What it wrote, as far as etcd said so."""
        self._names = [f"w{number}/s{n}" for n in range(5)]
        self._webs = webs
        urls = tuple(node.url for node in stack.etcd.nodes)
        self._client = open_etcd(urls)
        self._fresh: set[str] = set()
        """Keys that were written since the last quiet point: nobody knows yet what of them was seen."""

    def hosts(self) -> list[str]:
        """Return the hosts that only its own services ever name."""
        return [_own_host(name) for name in self._names]

    def begin_round(self) -> None:
        """All that was written so far has been seen."""
        self._fresh.clear()

    def write(self) -> None:
        """Do one thing. While etcd does not answer it is tried again, as it may or may not be done."""
        changes = self._change(self.random.choice(self._names))
        ops = [Delete(key) if value is None else Put(key, value) for key, value in changes.items()]
        revision, is_certain = 0, True
        while not revision:
            try:
                revision = self._client.commit([], ops)
            except Unavailable:
                is_certain = False
        for key, value in changes.items():
            created = 0
            if value is not None and not is_certain:
                created = self._created(key)
            is_good = value is None or value not in BAD
            record = msgspec.json.decode(value) if value is not None and is_good else {}
            self.log.append(
                Written(revision, key, None if value is None else record, is_good, created)
            )
        self._fresh |= changes.keys()

    def _created(self, key: str) -> int:
        """Return the revision that made a key which is there; etcd may be away for a moment."""
        while True:
            with contextlib.suppress(Unavailable):
                item = self._client.get(key)
                assert item is not None
                return item.create_revision

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def _change(self, name: str) -> Changes:
        kind = self.random.choices(
            ["service", "servers", "route", "remove", "unroute", "bad"], [20, 40, 12, 8, 6, 14]
        )[0]
        change: dict[str, Callable[[str], Changes]] = {
            "service": self._service,
            "servers": self._one_group,
            "route": self._route,
            "remove": self._remove,
            "unroute": lambda name: {f"routes/{name}": None},
            "bad": self._bad,
        }
        return change[kind](name)

    def _service(self, name: str) -> Changes:
        return {f"services/{name}": ENCODER.encode(self._record(name))}

    def _one_group(self, name: str) -> Changes:
        return {f"endpoints/{name}/{self.random.choice(GROUPS)}": ENCODER.encode(self._servers())}

    def _route(self, name: str) -> Changes:
        # With the groups it names, so that it is good whatever was there before.
        shares = {"blue": self.random.randint(0, 2), "green": self.random.randint(1, 2)}
        return {
            **{f"endpoints/{name}/{group}": ENCODER.encode(self._servers()) for group in shares},
            f"routes/{name}": ENCODER.encode({"groups": shares}),
        }

    def _remove(self, name: str) -> Changes:
        keys = [f"services/{name}", f"routes/{name}"]
        keys += [f"endpoints/{name}/{group}" for group in GROUPS]
        return dict.fromkeys(keys[: self.random.choice([1, 2, len(keys)])])

    def _bad(self, name: str) -> Changes:
        group = self.random.choice(GROUPS)
        keys = [f"services/{name}", f"endpoints/{name}/{group}", f"routes/{name}"]
        key = self.random.choice(keys)
        if key == f"routes/{name}" and key not in settled(self.log):
            # A first route that cannot be read keeps a new service away; what is new, only agents know.
            key = keys[0]
        # What was written in this round may not have been seen: nobody knows its last good version.
        return self._one_group(name) if key in self._fresh else {key: self.random.choice(BAD)}

    def _record(self, name: str) -> dict[str, object]:
        hosts = [_own_host(name), *self.random.sample(SHARED, self.random.randint(0, 2))]
        record: dict[str, object] = {"mode": "http", "hosts": hosts}
        if self.random.random() < 0.6:
            record["paths"] = self.random.sample(PATHS, self.random.randint(1, 3))
        protected = self.random.random()
        if protected < 0.1:
            record["deny"] = ["127.0.0.0/8"]
        elif protected < 0.2:
            record["allow"] = self.random.choice([["10.0.0.0/8"], ["127.0.0.1", "10.0.0.0/8"]])
        if self.random.random() < 0.3:
            record["balance"] = self.random.choice(["leastconn", "random", "source"])
        if self.random.random() < 0.3:
            record["check"] = {"path": "/health", "interval": "500ms", "rise": 1}
        return record

    def _servers(self) -> dict[str, object]:
        chosen = self.random.sample(self._webs, self.random.randint(0, 3))
        records = [servers(web)["servers"][0] for web in chosen]
        for record in records:
            record["state"] = self.random.choices(["up", "drain", "maint"], [8, 1, 1])[0]
            record["weight"] = self.random.choice([0, 1, 1, 1, 5])
        return {"servers": records}


def _own_host(name: str) -> str:
    return f"{name.replace('/', '-')}.example"


class World:
    """The host, its writers and its faults."""

    def __init__(self, stack: Stack, agent: AgentProcess, seed: int) -> None:
        self.stack = stack
        self.agent = agent
        self.random = random.Random(seed)
        webs = [stack.web(f"w{number}") for number in range(4)]
        self.writers = [Writer(stack, number, seed, webs) for number in range(3)]
        self.failures: list[str] = []
        """What requests to the untouched service failed with, outside HAProxy's own death."""
        self.requests = 0
        self.writes = 0
        self.checks = 0
        self.last_wrong: dict[str, tuple[str, Answers]] = {}
        self.slowest_s = 0.0
        """The longest time from the last write of a round to the right answers everywhere."""

    def round(self, seconds: float) -> None:
        """Write and do harm for a while, then wait until every answer is right, and stays so."""
        with self._load():
            self._storm(seconds)
            began = time.monotonic()
            wrong = wait_until("the right answers", self._is_right, timeout=30, every=0.05)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            assert wrong == "right"
            assert self._wrong() == {}, "right once, then wrong again"
        for writer in self.writers:
            writer.begin_round()
        if self.random.random() < 0.2:
            self.stack.haproxy.kill()
            self.stack.haproxy.start()

    def close(self) -> None:
        """Close the writers' connections."""
        for writer in self.writers:
            writer.close()

    def _is_right(self) -> str:
        return "" if self._wrong() else "right"

    def _storm(self, seconds: float) -> None:
        ended = threading.Event()
        threads = [
            threading.Thread(target=self._keep_writing, args=(writer, ended))
            for writer in self.writers
        ]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                self.random.choice(self._harm())()
                ended.wait(self.random.uniform(0.1, 0.6))
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _keep_writing(self, writer: Writer, ended: threading.Event) -> None:
        while not ended.wait(writer.random.choice([0.0, 0.01, 0.05, 0.2])):
            writer.write()
            self.writes += 1

    def _harm(self) -> list[Callable[[], None]]:
        return [
            lambda: None,
            lambda: None,
            self._restart_agent,
            lambda: self._restart_agent(politely=True),
            lambda: self.agent.signal(signal.SIGHUP),
            lambda: self._freeze(self.agent.signal),
            lambda: self._freeze(self.stack.etcd.node.send),
            self._restart_etcd,
        ]

    def _restart_agent(self, *, politely: bool = False) -> None:
        if politely:
            self.agent.stop()
        else:
            self.agent.kill()
        self.agent.start(ready=False)

    def _restart_etcd(self) -> None:
        self.stack.etcd.node.kill()
        self.stack.etcd.start()

    def _freeze(self, send: Callable[[signal.Signals], None]) -> None:
        send(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.2, 1.5))
        send(signal.SIGCONT)

    @contextlib.contextmanager
    def _load(self) -> Iterator[None]:
        load = Load(self.stack.http_port, "shop.example", workers=4, rate=100).start()
        try:
            yield
        finally:
            load.stop()
            self.failures += load.failures
            self.requests += load.requests

    def _keys(self) -> dict[str, Stored]:
        return settled(one for writer in self.writers for one in writer.log)

    def _wrong(self) -> dict[str, tuple[str, Answers]]:
        """Ask for everything; return host and path to what was answered and what would be right."""
        oracle = Oracle(self._keys())
        wrong = {}
        for host in [*ASKED, *(host for writer in self.writers for host in writer.hosts())]:
            for path in ASKED_PATHS:
                right = oracle.answers(host, path)
                for _ in range(2):
                    answer = self.stack.get(host, path)
                    got = answer.body if answer.status == 200 else str(answer.status)
                    self.checks += 1
                    if got not in right:
                        wrong[f"{host}{path}"] = (got, right)
        self.last_wrong = wrong
        return wrong
