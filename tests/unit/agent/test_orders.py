"""An order of somebody elsewhere becomes what the local command asks for, once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from lbsync.agent.control import Control, Request
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.orders import Orders
from lbsync.clients.source import Put
from lbsync.model.orders import OrderAnswer, OrderRecord
from lbsync.model.rendered import Rendered, RenderedFile
from lbsync.schema.decode import encode
from lbsync.status import Status
from tests.fakes import FakeLease, FakeSource

WELL = Status("confirmed", "lb-1", 7, "", 1.0)


class Ordered:
    """A host, and somebody who orders."""

    def __init__(self, directory: Path) -> None:
        self.source, self.control = FakeSource(), Control(directory)
        self.source.start(lambda: None)
        self.store = Store(directory, keep=9)
        self.orders = Orders(self.source, self.control, "lb-1", self.store)

    def place(
        self, name: str, action: Any, *hosts: str, reason: str = "", to: str = ""
    ) -> FakeLease:
        lease = self.source.lease(10)
        generations = {"lb-1": to} if to else {}
        record = OrderRecord(action, hosts or ("lb-1",), reason, "ann on pc", "", generations)
        self.source.commit([], [Put(f"orders/{name}", encode(record), lease.id)])
        return lease

    def generation(self, digest: str, servers: int) -> Generation:
        """Have one that was served, and is live now."""
        lines = [f"    server s{n} 10.0.0.{n}:80\n" for n in range(servers)]
        text = f"backend be_a_b_main\n{''.join(lines)}"
        files = (RenderedFile("haproxy.cfg", text.encode(), 0o644),)
        made = self.store.make_live(self.store.stage(Rendered(digest, files), 7))
        return self.store.mark_confirmed(made)

    def look(self, **status: Any) -> Any:
        return self.orders.look(msgspec.structs.replace(WELL, **status))

    def asked(self, name: Any) -> str:
        found = self.control.get(name)
        return found.value if found else ""


@pytest.fixture
def host(tmp_path: Path) -> Ordered:
    return Ordered(tmp_path)


def test_a_drain_is_taken_once_and_done_when_the_host_says_it_is_drained(host: Ordered) -> None:
    assert host.look() is UNSET
    lease = host.place("a", "drain", reason="kernel\x1b[2J")
    assert host.look() == OrderAnswer("a", "begun")
    reason = "kernel\\x1b[2J"
    assert host.asked("drain") == reason
    assert host.look(draining="another").state == "begun"
    assert host.look(draining=reason, state="failing").state == "begun"
    assert host.look(draining=reason) == OrderAnswer("a", "done")

    host.control.clear("drain")  # somebody on the host, while the order still stands
    assert host.look() == OrderAnswer("a", "done")
    again = Orders(host.source, host.control, "lb-1", host.store)  # the agent was restarted
    again.look(WELL)
    assert host.asked("drain") == ""
    lease.end()
    host.look()
    host.place("b", "undrain")
    assert host.look().id == "b"
    assert host.look() == OrderAnswer("b", "done")


def test_a_release_that_nobody_waits_for_any_more_is_withdrawn(host: Ordered) -> None:
    lease = host.place("a", "release")
    host.look()
    assert host.asked("release") == "all"
    assert host.look(by_hand=("be_a/s: weight",)).state == "begun"
    lease.end()
    assert host.look(by_hand=("be_a/s: weight",)).state == "failed"
    assert host.asked("release") == ""

    host.place("b", "release")
    host.look()
    host.control.forget("release")  # a pass has obeyed
    assert host.look(by_hand=("be_a/s: weight",)).state == "begun"
    assert host.look() == OrderAnswer("b", "done")


def test_what_is_no_order_for_this_host_is_left_alone(host: Ordered) -> None:
    host.place("a", "drain", "lb-2")
    host.place("b", "reboot")
    host.source.put("orders/c", encode(OrderRecord("drain", ("lb-1",))))  # without a lease
    lease = host.source.lease(10)
    for name, value in (("d", b"{"), ("e", b"x" * 100_000), ("f", b'{"action":"drain"}')):
        host.source.commit([], [Put(f"orders/{name}", value, lease.id)])
    assert host.look() is UNSET
    assert host.asked("drain") == ""


def test_orders_are_done_one_after_the_other(host: Ordered) -> None:
    host.control.set("drain", Request("by hand", ""))
    host.place("b", "undrain")
    host.place("a", "drain", reason="new")
    assert host.look(draining="by hand") == OrderAnswer("b", "begun")
    assert host.asked("drain") == ""
    assert host.look() == OrderAnswer("a", "begun")
    assert host.look(draining="new") == OrderAnswer("a", "done")


def test_a_directory_that_takes_no_file_is_told(host: Ordered, tmp_path: Path) -> None:
    (tmp_path / "control").write_text("no directory")
    host.place("a", "drain")
    answer = host.look()
    assert (answer.state, "control" in answer.why) == ("failed", True)


def test_a_rollback_is_done_when_that_generation_is_served_and_ends_by_an_order(
    host: Ordered,
) -> None:
    old = host.generation("aaaa1111", 3)
    new = host.generation("bbbb2222", 3)
    earlier = host.orders.earlier(msgspec.structs.replace(WELL, generation=2, digest=new.digest))
    assert earlier is not UNSET
    assert (earlier.digest, earlier.generation, earlier.revision) == (old.digest, old.seq, 7)

    lease = host.place("a", "rollback", to="aaaa11")
    assert host.look(digest=new.digest) == OrderAnswer("a", "begun")
    assert host.asked("rollback") == old.digest
    assert host.look(state="rolled-back", digest=new.digest).state == "begun"
    assert host.look(state="rolled-back", digest=old.digest) == OrderAnswer("a", "done")
    lease.end()
    host.look(state="rolled-back", digest=old.digest)
    assert host.asked("rollback") == old.digest  # it stays, over restarts

    host.place("b", "rollback-release")
    assert host.look(state="rolled-back", digest=old.digest) == OrderAnswer("b", "begun")
    assert host.asked("rollback") == ""
    assert host.look(digest=new.digest) == OrderAnswer("b", "done")


def test_a_rollback_that_takes_most_servers_or_leads_nowhere_is_refused(host: Ordered) -> None:
    host.generation("aaaa1111", 1)
    host.generation("bbbb2222", 3)
    for name, to, why in (
        ("a", "aaaa1111", "1 server, against what is live: -2 servers; if that is meant: 'lbsync rollback 1'"),
        ("b", "cccc", "no generation cccc"),
        ("c", "", "names no generation for this host"),
    ):  # fmt: skip
        lease = host.place(name, "rollback", to=to)
        answer = host.look(digest="bbbb2222")
        assert (answer.id, answer.state) == (name, "failed")
        assert why in answer.why
        assert host.asked("rollback") == ""
        lease.end()
    host.orders.guard_percent = 90
    host.place("d", "rollback", to="aaaa1111")
    assert host.look(digest="bbbb2222").state == "begun"


def test_a_rollback_that_nobody_waits_for_any_more_leaves_what_stood_before(host: Ordered) -> None:
    first = host.generation("aaaa1111", 3)
    host.generation("bbbb2222", 3)
    host.generation("cccc3333", 3)
    host.control.set("rollback", Request(first.digest, "", "ann"))
    lease = host.place("a", "rollback", to="bbbb2222")
    host.look()
    assert host.asked("rollback") == "bbbb2222"
    lease.end()
    assert host.look(state="failing").state == "failed"
    assert host.asked("rollback") == first.digest
