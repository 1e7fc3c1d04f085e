"""An order of somebody elsewhere becomes what the local command asks for, once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from lbsync.agent.control import Control, Request
from lbsync.agent.orders import Orders
from lbsync.clients.source import Put
from lbsync.model.orders import OrderAnswer, OrderRecord
from lbsync.schema.decode import encode
from lbsync.status import Status
from tests.fakes import FakeLease, FakeSource

WELL = Status("confirmed", "lb-1", 7, "", 1.0)


class Ordered:
    """A host, and somebody who orders."""

    def __init__(self, directory: Path) -> None:
        self.source, self.control = FakeSource(), Control(directory)
        self.source.start(lambda: None)
        self.orders = Orders(self.source, self.control, "lb-1")

    def place(self, name: str, action: Any, *hosts: str, reason: str = "") -> FakeLease:
        lease = self.source.lease(10)
        record = OrderRecord(action, hosts or ("lb-1",), reason, "ann on pc", "")
        self.source.commit([], [Put(f"orders/{name}", encode(record), lease.id)])
        return lease

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
    again = Orders(host.source, host.control, "lb-1")  # the agent was restarted
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
