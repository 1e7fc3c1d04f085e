"""Which servers leave when."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.steps import RetireServer
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.retired.servers import RetiredServers, ready
from lbsync.clients.haproxy.answers import parse_connections
from lbsync.clients.haproxy.sockets import WorkerSocket

TEXT = "backend be\n    server s1 10.0.0.1:80\nbackend cond\n    .if defined(X)\n    .endif\n"


HEAD = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est"


class FakeWorker(WorkerSocket):
    """A HAProxy of servers with connections."""

    def __init__(self, **used: int) -> None:
        super().__init__("/nowhere", 0.0)
        self.used = used
        self.lines: list[str] = []
        self.referenced: set[str] = set()

    def run(self, commands: list[str], payload: str = "") -> str:  # type: ignore[override]
        self.lines += commands
        (first,) = commands[:1]
        if first.startswith("show servers conn"):
            rows = (f"be/{n} 3/1 10.0.0.1 80 - 5000 {c} 1 1" for n, c in self.used.items())
            return f"{HEAD}\n" + "\n".join(rows) + "\n\n"
        name = first.rpartition("/")[2]
        if not first.startswith("del server"):
            return "\n" * len(commands)
        if name in self.referenced:
            return "This server cannot be removed at runtime due to other configuration elements pointing to it.\n"
        if self.used[name]:
            return "Server still has connections attached to it, cannot remove it.\n"
        del self.used[name]
        return "Server deleted.\n"


def leaving(*names: str) -> RuntimeConfig:
    known = RuntimeConfig(Parser().parse(TEXT), {})
    known.adopt_steps([RetireServer("be", name) for name in names])
    return known


def test_nothing_is_asked_while_nobody_leaves() -> None:
    worker = FakeWorker()
    assert RetiredServers(worker, 30.0).reap(leaving(), 0.0) == RetiredServers(worker, 30.0).reap(
        leaving(), 9.0
    )
    assert worker.lines == []


def test_an_idle_server_goes_at_once_and_a_busy_one_when_it_is_idle() -> None:
    worker, known = FakeWorker(a=0, b=2, c=0), leaving("a", "b")
    removal = RetiredServers(worker, 30.0)
    first = removal.reap(known, 100.0)
    assert (first.deleted, first.waiting) == ((("be", "a"),), (("be", "b"),))
    assert known.leaving.servers["be"].keys() == {"b"}
    assert "set server be/b state maint" not in worker.lines
    worker.used["b"] = 0
    assert removal.reap(known, 101.0).deleted == (("be", "b"),)
    assert not known.leaving
    assert worker.used == {"c": 0}


def test_when_its_time_is_up_a_server_is_put_out_and_deleted_when_possible() -> None:
    worker, known = FakeWorker(a=2), leaving("a")
    removal = RetiredServers(worker, 30.0)
    assert removal.reap(known, 0.0).waiting == (("be", "a"),)
    late = removal.reap(known, 30.0)
    assert "set server be/a state maint" in worker.lines
    assert late.refused == (
        (("be", "a"), "Server still has connections attached to it, cannot remove it."),
    )
    worker.used["a"] = 0
    assert removal.reap(known, 31.0).deleted == (("be", "a"),)


def test_a_server_that_others_name_stays_out_and_is_not_tried_again() -> None:
    worker, known = FakeWorker(a=0), leaving("a")
    worker.referenced = {"a"}
    removal = RetiredServers(worker, 30.0)
    assert removal.reap(known, 0.0).stuck == (("be", "a"),)
    asked = len(worker.lines)
    assert removal.reap(known, 1.0).stuck == (("be", "a"),)
    assert len(worker.lines) == asked


def test_a_server_that_is_gone_or_wanted_again_is_forgotten() -> None:
    worker, known = FakeWorker(b=1), leaving("a", "b")
    removal = RetiredServers(worker, 30.0)
    removal.reap(known, 0.0)
    assert known.leaving.servers["be"].keys() == {"b"}
    known.leaving.forget_server("be", "b")
    assert removal.reap(known, 40.0).waiting == ()
    known.adopt_steps([RetireServer("be", "b")])
    assert removal.reap(known, 50.0).waiting == (("be", "b"),), "its time begins anew"


@pytest.mark.parametrize(
    ("used", "now", "due"), [(0, 0.0, True), (1, 29.9, False), (1, 30.0, True)]
)
def test_a_server_is_due_when_idle_or_late(used: int, now: float, due: bool) -> None:
    name = ("be", "a")
    assert ready({name: used}, {name: 0.0}, now, 30.0, set()) == (
        ([name], []) if due else ([], [name])
    )
    assert ready({name: used}, {name: 0.0}, now, 30.0, {name}) == ([], [])


def test_odd_rows_of_connections_are_left_out() -> None:
    answer = f"{HEAD}\nbe/a 3/1 - 80 - 5000 7 1\nCan't find backend.\nbe/b 1\n\nbe/c 1 2 3 4 5 x\n"
    assert parse_connections(answer) == {("be", "a"): 7}
    assert parse_connections("# bkname/svname x\nbe/a 3/1 - 80 - 5000 7 1\n") == {}


def test_connections_are_found_by_their_column_which_3_3_has_moved() -> None:
    head = HEAD.replace("used_cur", "served used_cur")
    answer = f"{HEAD}\nbe/a 3/1 10.0.0.1 80 - 5000 7 9 0\n\n{head}\nbe/b 3/1 10.0.0.1 80 - 5000 6 8 9 0\n"
    assert parse_connections(answer) == {("be", "a"): 7, ("be", "b"): 8}
