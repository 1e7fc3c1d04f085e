"""Hundreds of random changes under load: nothing is lost, and what runs is what is written."""

import contextlib
import random
from pathlib import Path

from harness.agent import AgentProcess
from harness.fresh import fresh, runs
from harness.load import Load
from harness.stack import Stack, servers
from harness.wait import wait_until

CHANGES = 500
#: So many come at once, then they are waited for.
BURST = 40
#: Services that change; `shop/web` is left alone, `roll/over` only ever has its servers replaced.
NAMES = [f"rnd/s{number}" for number in range(12)]

PATHS = ["/api", "/api/v2", "/img", "/a/b/c"]

_KEY = {"servers": "endpoints/{}/default", "record": "services/{}"}


class Changes:
    """Random changes of services, from a seed; each returns keys to write and keys to delete."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.random = random.Random(seed)
        self.webs = [stack.web(f"w{number}") for number in range(4)]
        self.rolling = [stack.web("roll0"), stack.web("roll1"), stack.web("roll2")]
        self.present: set[str] = set()

    def next(self, number: int) -> tuple[dict[str, object], list[str]]:
        """Return one change."""
        if number % 10 == 0:
            return {"endpoints/roll/over/default": self._roll(number // 10)}, []
        name = self.random.choice(NAMES)
        if name not in self.present:
            self.present.add(name)
            return {
                f"services/{name}": self._record(name),
                f"endpoints/{name}/default": self._servers(),
            }, []
        kind = self.random.choices(
            ["servers", "record", "route", "remove", "broken"], [60, 15, 10, 5, 10]
        )[0]
        if kind in ("servers", "record"):
            new = self._servers() if kind == "servers" else self._record(name)
            return {_KEY[kind].format(name): new}, []
        if kind == "route":
            group = self.random.choice(["blue", "green"])
            return {
                f"endpoints/{name}/{group}": self._servers(),
                f"routes/{name}": {"groups": {"default": self.random.randint(0, 3), group: 1}},
            }, []
        if kind == "remove":
            self.present.remove(name)
            groups = [f"endpoints/{name}/{group}" for group in ("default", "blue", "green")]
            return {}, [f"services/{name}", f"routes/{name}", *groups]
        return {
            f"services/{name}": self.random.choice([b"{", b'{"mode":"x"}', b'{"mode":"tcp"}'])
        }, []

    def _record(self, name: str) -> dict[str, object]:
        hosts = [f"{name.replace('/', '-')}-{n}.example" for n in range(self.random.randint(1, 3))]
        # Several want this one: the oldest claim to a path has it, until it lets go.
        hosts += self.random.choices([[], ["shared.example"]], [3, 1])[0]
        record: dict[str, object] = {"mode": "http", "hosts": hosts}
        if self.random.random() < 0.5:
            record["paths"] = self.random.sample(PATHS, self.random.randint(1, len(PATHS)))
        if self.random.random() < 0.3:
            record["balance"] = self.random.choice(["leastconn", "roundrobin", "random"])
        return record

    def _servers(self) -> dict[str, object]:
        chosen = self.random.sample(self.webs, self.random.randint(0, len(self.webs)))
        state = self.random.choices(["up", "drain", "maint"], [8, 1, 1])[0]
        return servers(*chosen, weight=self.random.randint(1, 5), state=state)

    def _roll(self, step: int) -> dict[str, object]:
        """Replace servers one after the other: one drains, one serves, one is away."""
        first, second = self.rolling[step % 3], self.rolling[(step + 1) % 3]
        drained = servers(first, state="drain")["servers"]
        return {"servers": [*drained, *servers(second)["servers"]]}


def test_random_changes_lose_nothing_and_end_in_what_is_written(
    stack: Stack, agent: AgentProcess, tmp_path: Path
) -> None:
    changes = Changes(stack, seed=7)
    revision = stack.put(
        {
            "services/roll/over": {"mode": "http", "hosts": ["roll.example"]},
            "endpoints/roll/over/default": servers(changes.rolling[0]),
        }
    )
    agent.wait_for_revision(revision)
    untouched = Load(stack.http_port, "shop.example", workers=4, rate=150).start()
    drained = Load(stack.http_port, "roll.example", workers=4, rate=150).start()
    try:
        for number in range(CHANGES):
            puts, deletes = changes.next(number)
            revision = stack.put(puts) if puts else stack.delete(*deletes)
            if number % BURST == 0:
                agent.wait_for_revision(revision, timeout=60)
        # Whose the shared host is, and whether it is anybody's, hangs on what of the others was seen.
        last = {"mode": "http", "hosts": ["shared.example"]}
        revision = stack.put({"services/roll/last": last})
        agent.wait_for_revision(revision, timeout=60)
    finally:
        untouched.stop()
        drained.stop()
    if "Unknown command" not in stack.haproxy.ask("@1 add backend"):
        # Settings that are new, a handful of times; services that come and go need none.
        assert agent.status()["reloads"] < CHANGES / 10
    assert untouched.failures == []
    assert drained.failures == []
    assert untouched.requests > 100
    assert drained.requests > 100

    written = fresh(stack, tmp_path / "fresh")
    with contextlib.suppress(TimeoutError):
        # Servers that were removed may finish the sessions they have.
        wait_until("removed servers to be gone", lambda: runs(stack.haproxy) == written)
    assert runs(stack.haproxy) == written
    routes = [key for key, _ in written[1]["maps/routes.map"]]
    assert any(key.startswith("shared.example/") for key in routes)
    assert any("/api/v2" in key for key in routes)
