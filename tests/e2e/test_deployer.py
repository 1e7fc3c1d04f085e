"""Switches of plain servers on two real hosts, under load: nothing is lost, and what goes bad goes back."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.agent import command
from harness.load import Load
from harness.stack import Stack, servers
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.haproxy import answers
from lbsync.errors import Exit
from lbsync.model.deploying import DeploymentRecord, VersionsRecord
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId
from tests.e2e.conftest import Host

SITE = "cart.example"
CART = ServiceId("shop", "cart")
AT_ONCE = ("--watch", "0", "--drain-timeout", "2s", "--wait")


class Cart:
    """A service with two groups on both hosts, blue live, and clients at both that count every failure."""

    def __init__(self, fleet: tuple[Host, Host]) -> None:
        self.stacks = [stack for stack, _ in fleet]
        self.agents = [agent for _, agent in fleet]
        self.web = {name: WebServer(name) for name in ("blue", "green")}
        self.stacks[0].put(
            {
                "services/shop/cart": {
                    "mode": "http", "hosts": [SITE],
                    "check": {"path": "/health", "interval": "100ms", "fall": 2},
                    "preview": {"networks": ["127.0.0.0/8"]},
                },
                "routes/shop/cart": {"groups": {"blue": 100}},
                **{f"endpoints/shop/cart/{n}": servers(web) for n, web in self.web.items()},
            }
        )  # fmt: skip
        wait_until("both hosts", lambda: all(self.answers("blue")), timeout=60)
        self.loads = [
            Load(stack.http_port, SITE, workers=4, rate=80).start() for stack in self.stacks
        ]

    def answers(self, name: str) -> list[bool]:
        """Whether each host answers with this group."""
        return [stack.get(SITE).body == name for stack in self.stacks]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.stacks[0], *words)

    def switch(self, group: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("switch", "shop/cart", group, *words)

    def aside(self, *words: str) -> Callable[[], subprocess.CompletedProcess[str]]:
        """Run a command meanwhile; return what waits for its end."""
        ended: list[subprocess.CompletedProcess[str]] = []
        thread = threading.Thread(target=lambda: ended.append(self.run(*words)))
        thread.start()

        def end() -> subprocess.CompletedProcess[str]:
            thread.join(60)
            return ended[0]

        return end

    def fell_ill(self, group: str) -> None:
        """Have a group fail its checks, and wait until both HAProxys have noticed."""
        self.web[group].health = 500

        def is_down(stack: Stack) -> bool:
            found = answers.parse_servers(stack.haproxy.ask("@1 show servers state"))
            states = [one.op_state for one in found if one.backend == f"be_shop_cart_{group}"]
            return states == [answers.OP_STOPPED]

        wait_until(f"{group} to be down", lambda: all(map(is_down, self.stacks)))

    def record(self) -> DeploymentRecord | None:
        """The deployment that is under way."""
        client = self.stacks[0].client
        name = f"/lbsync-deploy/{deploying.versions_key(CART)}"
        item = client.get(name)
        active = deploying.read(VersionsRecord, item).active if item else ""
        found = client.get(f"/lbsync-deploy/{deploying.deployment_key(CART, active)}")
        return deploying.read(DeploymentRecord, found) if active and found else None

    def wait_for(self, phase: str) -> None:
        def is_there() -> bool:
            record = self.record()
            return record is not None and record.phase == phase

        wait_until(f"phase {phase}", is_there, timeout=60)

    def stop(self) -> None:
        for load in self.loads:
            load.stop()
        for web in self.web.values():
            web.stop()
        self.stacks[0].delete(
            *("services/shop/cart", "routes/shop/cart"),
            *(f"endpoints/shop/cart/{name}" for name in self.web),
        )


@pytest.fixture
def cart(fleet: tuple[Host, Host]) -> Iterator[Cart]:
    cart = Cart(fleet)
    try:
        yield cart
    finally:
        cart.stop()


def test_switches_lose_nothing_and_leave_no_answer_of_the_old_version(cart: Cart) -> None:
    for group in ("green", "blue", "green"):
        switched = cart.switch(group, *AT_ONCE)
        assert switched.returncode == 0, switched.stdout + switched.stderr
        assert "2 of 2 converged" in switched.stdout
        for _ in range(20):
            assert all(cart.answers(group))
    back = cart.run("deploy", "rollback", "shop/cart", *AT_ONCE)
    assert back.returncode == 0, back.stderr
    assert all(cart.answers("blue"))
    again = cart.switch("blue", *AT_ONCE)
    assert (again.returncode, "has all the traffic already" in again.stdout) == (0, True)
    for load in cart.loads:
        assert load.failures == []
        assert set(load.answers) == {"blue", "green"}


def test_a_version_that_turns_bad_after_the_switch_goes_back_by_itself(cart: Cart) -> None:
    end = cart.aside("switch", "shop/cart", "green", "--watch", "60s", "--wait")
    cart.wait_for("converged")
    assert all(cart.answers("green"))
    began = time.monotonic()
    cart.web["green"].health = 500
    ended = end()
    assert ended.returncode == Exit.ROLLED_BACK, ended.stdout
    assert time.monotonic() - began < 30
    # While the next check is under way, HAProxy says no code.
    assert "green is DOWN (L7STS" in ended.stdout
    assert all(cart.answers("blue"))


def test_a_version_that_answers_with_errors_goes_back_by_itself(cart: Cart) -> None:
    cart.web["green"].status = 500
    ended = cart.switch("green", "--steps", "20,100", "--watch", "60s", "--wait")
    assert ended.returncode == Exit.ROLLED_BACK, ended.stdout
    # HAProxy counts a request before it counts the answer: the newest may not be among the failed. And
    # what the old group counts goes back to other tests, in which its servers were taken away.
    failed = re.search(r"requests failed \((\d+)%; before it were \d%\)", ended.stdout)
    assert failed and int(failed[1]) > 50, ended.stdout
    assert all(cart.answers("blue"))
    assert "100% of the traffic" not in ended.stdout


def test_a_version_that_never_comes_up_gets_no_request(cart: Cart) -> None:
    cart.fell_ill("green")
    ended = cart.switch("green", *AT_ONCE, "--stage-timeout", "8s")
    assert ended.returncode == Exit.DEPLOYMENT_FAILED
    assert "0 of 2 staged; lb-1: green is DOWN (L7STS" in ended.stdout
    assert cart.web["green"].requests["/"] == 0


def test_a_version_is_seen_before_it_has_traffic_and_waits_for_somebody_to_say_so(
    cart: Cart,
) -> None:
    end = cart.aside("switch", "shop/cart", "green", "--preview", *AT_ONCE)

    def waits_for_somebody() -> bool:
        record = cart.record()
        return record is not None and record.waits.startswith("somebody to look at green")

    wait_until("it to be staged", waits_for_somebody, timeout=60)
    for stack in cart.stacks:
        assert stack.get(SITE, headers={"X-Lbsync-Group": "green"}).body == "green"
    assert all(cart.answers("blue"))
    promoted = cart.run("deploy", "promote", "shop/cart")
    assert promoted.returncode == 0, promoted.stderr
    ended = end()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(cart.answers("green"))


def test_of_two_commands_at_once_one_wins_and_the_other_says_who_has_it(cart: Cart) -> None:
    cart.fell_ill("green")
    end = cart.aside("switch", "shop/cart", "green", "--wait")
    wait_until("the first to begin", lambda: cart.record() is not None)
    second = cart.switch("green", *AT_ONCE)
    assert second.returncode == Exit.CONFLICT
    assert "to green) is under way, carried out by" in second.stderr
    cancelled = cart.run("deploy", "cancel", "shop/cart", "--wait")
    assert cancelled.returncode == Exit.CANCELLED, cancelled.stdout + cancelled.stderr
    assert end().returncode == Exit.CANCELLED


def test_a_host_that_does_not_report_is_never_taken_for_a_good_one(cart: Cart) -> None:
    cart.agents[1].stop()
    wait_until("lb-2 to be gone", lambda: cart.stacks[0].client.get("agents/lb-2") is None)
    failed = cart.switch("green", *AT_ONCE, "--stage-timeout", "2s")
    assert failed.returncode == Exit.DEPLOYMENT_FAILED
    assert "lb-2 is silent: gone since" in failed.stdout
    assert all(cart.answers("blue"))
    done = cart.switch("green", *AT_ONCE, "--require", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 converged" in done.stdout
    assert "silent hosts may still serve the old version (lb-2" in done.stdout
    cart.agents[1].start()
    wait_until("lb-2", lambda: all(cart.answers("green")))
