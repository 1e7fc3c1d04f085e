"""A host answers whoever asks how services do, and is silent else."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.wait import wait_until
from lbsync.agent.report import health_reading
from lbsync.agent.report.health_reporter import HealthReporter
from lbsync.clients.haproxy.answers import ServerState
from lbsync.clients.haproxy.stat import StatRow
from lbsync.clients.source import Put
from lbsync.settings import load
from tests.fakes import FakeSource


class Asked:
    """The part of an agent that answers; no HAProxy runs."""

    def __init__(self, directory: Path) -> None:
        flags = {
            "host": "lb-1",
            "state_dir": str(directory),
            "haproxy.master_socket": str(directory / "none.sock"),
            "haproxy.stats_socket": "",
        }
        self.source, self.answers = FakeSource(), FakeSource()
        self.source.start(lambda: None)
        self.opened = self.closed = 0
        self.health = HealthReporter(load(flags=flags, environ={}), self.source, self._open)
        self.health.start()

    def _open(self) -> FakeSource:
        self.opened += 1
        return self.answers

    def told(self) -> Any:
        item = self.answers.get("lb-1")
        return json.loads(item.value) if item else None


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.health.close()


def test_a_host_answers_as_long_as_the_question_stands(host: Asked) -> None:
    host.source.put("services/shop/cart", b"{}")
    assert host.opened == 0
    lease = host.source.lease(10)
    question = json.dumps({"services": ["shop/cart"]}).encode()
    host.source.commit([], [Put("watchers/a", question, lease.id)])
    wait_until("an answer", host.told, timeout=20)
    assert "none.sock" in host.told()["error"]
    revision = host.answers.get("lb-1").mod_revision  # type: ignore[union-attr]

    lease.end()
    wait_until("silence", lambda: host.told() is None)
    assert host.opened == 1
    assert host.answers.snapshot().revision == revision + 1


def row(server: str, status: str, **figures: Any) -> StatRow:
    known = dict.fromkeys(StatRow.__struct_fields__, 0)
    texts = {"backend": "be_a_b_c", "check_status": "", "last_chk": "", "addr": ""}
    return StatRow(**{**known, **texts, "server": server, "status": status, **figures})


def test_servers_that_are_not_up_come_first_and_the_sums_are_the_backends() -> None:
    rows = [
        row("", "UP", scur=3, stot=90, hrsp_5xx=2, econ=1, eresp=1, rtime=12, rate=5),
        row("a", "UP", check_status="L7OK", last_chk="fine", scur=3, stot=80),
        row("b", "DOWN", check_status="L4CON", last_chk="refused" * 100, stot=10),
        row("c", "no check"),
        row("d", "DRAIN"),
    ]
    group = health_reading.group_health(rows, {("be_a_b_c", ""): 4, ("be_a_b_c", "a"): 4})
    assert [server.name for server in group.servers] == ["b", "d", "a", "c"]
    assert (group.up, group.total, group.more) == (2, 4, 0)
    assert (group.sessions, group.old_sessions, group.requests) == (7, 4, 90)
    assert (group.errors_5xx, group.errors_connect, group.response_ms, group.rate) == (2, 2, 12, 5)
    assert [server.sessions for server in group.servers] == [0, 0, 7, 0]
    assert len(group.servers[0].said) == 160
    assert group.servers[2].said == ""


def test_a_group_and_a_summary_of_any_size_name_a_bounded_number() -> None:
    many = [row(f"s{number:05}", "UP") for number in range(5000)]
    group = health_reading.group_health([*many, row("down", "DOWN")], {})
    assert (len(group.servers), group.more, group.up) == (500, 4501, 5000)
    assert group.servers[0].name == "down"

    states = [
        ServerState(f"be_ns_s{number}_main", "a", "10.0.0.1", 80, 0, 0, 1) for number in range(9000)
    ]
    own = ServerState("own", "x", "10.0.0.1", 80, 0, 0, 1)
    well = ServerState("be_ns_well_main", "a", "10.0.0.1", 80, 2, 0, 1)
    drained = ServerState("be_ns_well_main", "b", "10.0.0.1", 80, 2, 8, 1)
    began = time.thread_time()
    told = health_reading.summarise([*states, own, well, drained])
    assert time.thread_time() - began < 0.5
    assert (told.servers, told.up, len(told.impaired), told.more) == (9003, 1, 2000, 7001)
    assert health_reading.summarise([well, drained]).impaired == {"ns/well": {"main": (1, 2)}}
