"""What happens to a balancer host in its life, by the real units."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from harness.load import Load
from harness.machine import Machine
from harness.wait import wait_until
from tests.vm.conftest import FIRST_START, SERVERS, install

HTTP_PORT = 8080
HOST = "cart.example.com"


class LoadInside(Load):
    """A load that begins on the machine itself."""

    def __init__(self, machine: Machine, **more: float) -> None:
        super().__init__(HTTP_PORT, HOST, **more)  # type: ignore[arg-type]
        self._machine = machine

    def _work(self, wait: float, keep: bool) -> None:
        self._machine.inside()
        super()._work(wait, keep)


@contextlib.contextmanager
def load(machine: Machine, **more: float) -> Iterator[LoadInside]:
    running = LoadInside(machine, **more)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def status(machine: Machine) -> dict[str, object]:
    shown = machine.run("lbsync", "status", "--output", "json", check=False).stdout
    found: dict[str, object] = json.loads(shown)["agent"] if shown else {"state": "none yet"}
    return found


def show_info(machine: Machine) -> str:
    """Return what HAProxy says of itself, asked by nothing of lbsync's."""
    script = """
import socket
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect("/run/haproxy/admin.sock")
    peer.sendall(b"show info\\n")
    print(b"".join(iter(lambda: peer.recv(65536), b"")).decode())
"""
    return machine.run("python3", "-c", script).stdout


def is_served(machine: Machine) -> bool:
    return "900" in machine.sh(
        f"curl -s -m 2 -H 'Host: {HOST}' http://127.0.0.1:{HTTP_PORT}/", check=False
    )


def test_readme_leads_from_nothing_to_a_served_request(fresh: Machine) -> None:
    fresh.sh(FIRST_START)
    said = fresh.run("lbsync", "status")
    assert "confirmed" in said.stdout
    # A first start is no drift, and nothing to be woken for.
    assert fresh.sh("journalctl -u lbsync-agent -p warning -o cat --no-pager") == ""
    fresh.sh(f"lbsync service put shop/cart --host {HOST} --server a=10.77.0.10:9001 --wait")
    assert is_served(fresh)
    # Monitoring has the rights that are documented: group lbsync, nothing else.
    fresh.sh("useradd -r -G lbsync nagios")
    assert fresh.run("lbsync", "status", user="nagios", check=False).returncode == 0
    # The journal knows what is wrong, of which key, and in which pass.
    fresh.sh("etcdctl put /lbsync/services/shop/bad '{not json'")
    warnings = "journalctl -u lbsync-agent -p warning -o json --no-pager"
    wait_until("the warning in the journal", lambda: "shop/bad" in fresh.sh(warnings))
    entry = json.loads(fresh.sh(f"{warnings} -n 1 LBSYNC_KEY=services/shop/bad"))
    assert entry["MESSAGE"].startswith("services/shop/bad: ")
    assert entry["PRIORITY"] == "4"
    assert entry["_SYSTEMD_UNIT"] == "lbsync-agent.service"
    of_pass = fresh.sh(f"journalctl -o cat --no-pager LBSYNC_PASS_ID={entry['LBSYNC_PASS_ID']}")
    assert len(of_pass.splitlines()) > 1


def test_a_pass_by_hand_as_root_leaves_nothing_that_stops_the_unit(fresh: Machine) -> None:
    fresh.sh(FIRST_START.replace("systemctl enable --now lbsync-agent", ""))
    fresh.run("lbsync", "agent", "--once", check=False)
    assert fresh.sh("find /var/lib/lbsync -user root").strip() == ""
    fresh.sh("systemctl start lbsync-agent")
    assert status(fresh)["state"] == "confirmed"


def test_a_rollback_without_an_agent_does_what_it_says(host: Machine) -> None:
    before = str(status(host)["digest"])
    host.sh(
        "lbsync service put shop/other --host other.example.com --server a=10.77.0.10:9002 --wait"
    )
    host.sh("systemctl stop lbsync-agent")
    with load(host, rate=100) as running:
        done = host.run("lbsync", "rollback", "--yes", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert before in show_info(host)
    assert running.failures == []
    assert host.sh("find /var/lib/lbsync -user root").strip() == ""
    host.sh("systemctl start lbsync-agent")
    assert is_served(host)


def test_an_upgrade_under_load_costs_no_request_and_no_command(host: Machine) -> None:
    failed: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            done = host.run("lbsync", "version", check=False)
            if done.returncode:
                failed.append(done.stderr)

    asking = threading.Thread(target=ask)
    with load(host, rate=100) as running:
        asking.start()
        try:
            printed = install(host.root)
        finally:
            ended.set()
            asking.join()
        steps = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
        assert not [step for step in steps if "haproxy" in step]
        host.sh("\n".join(step for step in steps if not step.startswith("lbsync status")))
        wait_until("the new agent", lambda: status(host)["state"] == "confirmed")
    assert failed == []
    assert running.failures == []
    assert running.requests > 100


def outage(machine: Machine, cause: Callable[[], object]) -> float:
    """Return for how many seconds nobody could connect after `cause`; asked each 5 ms."""
    longest = 0.0
    begun = threading.Event()
    ended = threading.Event()

    async def watch() -> None:
        nonlocal longest
        machine.inside()
        down_since = None
        begun.set()
        while not ended.is_set():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", HTTP_PORT)
                writer.close()
                if down_since is not None:
                    longest = max(longest, time.monotonic() - down_since)
                    down_since = None
            except OSError:
                down_since = down_since or time.monotonic()
            await asyncio.sleep(0.005)

    watching = threading.Thread(target=lambda: asyncio.run(watch()))
    watching.start()
    begun.wait(10)
    cause()
    wait_until("HAProxy to be back", lambda: longest > 0, timeout=30)
    ended.set()
    watching.join()
    return longest


def test_a_haproxy_that_crashes_is_back_within_300_ms(host: Machine) -> None:
    crash = "kill -9 $(systemctl show -p MainPID --value haproxy)"
    away = [outage(host, lambda: host.sh(crash)) for _ in range(3)]
    print("away for", *(f"{seconds * 1000:.0f}" for seconds in away), "ms")
    # The best of three: the machine below may be busy with something else.
    assert min(away) < 0.3
    wait_until("the proof", lambda: status(host)["state"] == "confirmed", timeout=15)
    assert is_served(host)


def test_a_host_whose_agent_is_dead_can_be_drained(host: Machine) -> None:
    host.sh("systemctl stop lbsync-agent")
    host.sh("lbsync drain")
    health = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{HTTP_PORT}/lbsync-health"
    wait_until("the health path to say no", lambda: host.sh(health, check=False) == "503")
    assert is_served(host)
    host.sh("lbsync undrain")
    wait_until("the health path to say yes", lambda: host.sh(health, check=False) == "200")


def test_a_haproxy_that_was_stopped_on_purpose_stays_stopped(host: Machine) -> None:
    host.sh("systemctl stop haproxy; systemctl restart --no-block lbsync-agent; sleep 2")
    assert host.run("systemctl", "is-active", "haproxy", check=False).stdout.strip() == "inactive"


def test_a_haproxy_that_is_away_is_not_called_confirmed(host: Machine) -> None:
    assert host.run("lbsync", "status", "--fleet", check=False).returncode == 0
    host.sh("systemctl stop haproxy")
    for words in (["status"], ["status", "--fleet"]):
        wait_until(
            f"lbsync {' '.join(words)} to say so",
            partial(lambda words: host.run("lbsync", *words, check=False).returncode != 0, words),
            timeout=3,
        )
    host.sh("systemctl start haproxy")
    wait_until("the proof", lambda: status(host)["state"] == "confirmed", timeout=5)
    assert is_served(host)


def test_a_state_directory_that_was_emptied_is_made_anew_and_told(host: Machine) -> None:
    with load(host, rate=100) as running:
        host.sh("rm -rf /var/lib/lbsync/*")
        made = ("accepted.db", "agent.lock", "live/haproxy.cfg", "status.json")
        wait_until(
            "everything to be there again",
            lambda: all((host.root / "var/lib/lbsync" / name).exists() for name in made),
            timeout=60,
        )
        again = host.run("lbsync", "agent", "--once", check=False)
        assert again.returncode == 8, "a second agent ran beside the first"
        host.sh(
            f"lbsync service put shop/new --host new.example.com --server a={SERVERS}:9001 --wait"
        )
    assert running.failures == []
    assert host.sh("journalctl -u lbsync-agent -p warning -o cat --no-pager").strip()
