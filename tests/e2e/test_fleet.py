"""Two hosts on one etcd: what they tell of themselves, and waiting for both."""

import json
import os
import subprocess
import time
from typing import Any

from harness import launch
from harness.agent import command
from harness.ports import free_port
from harness.stack import Stack, servers
from harness.wait import wait_until
from lbsync.clients.source import Put
from lbsync.errors import Exit
from tests.e2e.conftest import Host


def wait(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    return command(stack, "wait", "--timeout", "30s", *words)


def of_fleet(stack: Stack) -> dict[str, Any]:
    shown = command(stack, "status", "--fleet", "--output", "json")
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def recorded(stack: Stack, host: str) -> dict[str, Any]:
    """What a host says of itself in etcd; empty when nothing."""
    item = stack.client.get(f"agents/{host}")
    found: dict[str, Any] = json.loads(item.value) if item else {}
    return found


def test_waiting_ends_when_both_hosts_serve_it(fleet: tuple[Host, Host]) -> None:
    (one, _), (two, agent) = fleet
    assert wait(one, "--hosts", "lb-1,lb-2").returncode == Exit.OK
    written = command(
        one, "service", "put", "shop/new", "--host", "new.example",
        "--server", f"a=127.0.0.1:{one.web('new').port}", "--wait",
    )  # fmt: skip
    assert written.returncode == Exit.OK, written.stdout + written.stderr
    assert "verified by 2 hosts: lb-1, lb-2" in written.stdout
    assert [stack.get("new.example").body for stack in (one, two)] == ["new", "new"]

    shown = command(one, "status", "--fleet")
    assert shown.returncode == Exit.OK, shown.stdout
    rows = [line.split()[:2] for line in shown.stdout.splitlines()[1:]]
    assert rows == [["lb-1", "confirmed"], ["lb-2", "confirmed"]]

    one.etcd.put("/somebody/elses", "x")
    revision = json.loads(one.etcd.ctl("get", "/none", "-w", "json"))["header"]["revision"]
    assert wait(one, "--revision", str(revision)).returncode == Exit.OK
    assert [member["lag"] for member in of_fleet(one)["agents"]] == [0, 0]

    agent.stop()
    assert [member["host"] for member in of_fleet(one)["agents"]] == ["lb-1"]
    shown = command(one, "status", "--fleet")
    assert shown.returncode == Exit.UNAVAILABLE
    assert "lb-2: does not report: gone since 2" in shown.stdout
    assert command(one, "status", "--fleet", "--hosts", "lb-1").returncode == Exit.OK
    agent.start()


def test_who_has_not_verified_it_is_named_and_the_dead_too_until_they_are_forgotten(
    fleet: tuple[Host, Host],
) -> None:
    (one, _), (two, agent) = fleet
    two.haproxy.stop()
    revision = one.put({"services/shop/late": {"mode": "http", "hosts": ["late.example"]}})
    wait_until(
        "the fleet to hear of it",
        lambda: recorded(one, "lb-2").get("state") == "unconfirmed",
        timeout=30,
    )
    wait(one, "--revision", str(revision), "--hosts", "lb-1")

    late = wait(one, "--revision", str(revision), "--timeout", "500ms")
    assert late.returncode == Exit.UNVERIFIED
    assert "missing 1 of 2:\n  lb-2: at revision" in late.stdout
    assert "unconfirmed: live, not confirmed: HAProxy does not answer" in late.stdout
    assert late.stdout.endswith("verified by 1 host: lb-1\n")
    assert command(one, "status", "--fleet").returncode == Exit.UNAVAILABLE

    agent.kill()
    wait_until("its lease to end", lambda: one.client.get("agents/lb-2") is None, timeout=60)
    gone = wait(one, "--revision", str(revision), "--timeout", "100ms")
    assert gone.returncode == Exit.UNVERIFIED
    assert "lb-2: gone, last heard of at 2" in gone.stdout
    named = wait(one, "--revision", str(revision), "--hosts", "LB-1,lb-9", "--timeout", "100ms")
    assert named.returncode == Exit.UNVERIFIED
    assert "lb-9: no agent reports under this name" in named.stdout

    assert command(one, "fleet", "forget", "lb-1").returncode == Exit.CONFLICT
    assert command(one, "fleet", "forget", "lb-2").returncode == Exit.OK
    assert command(one, "fleet", "forget", "lb-2").returncode == Exit.REJECTED
    assert wait(one, "--revision", str(revision)).returncode == Exit.OK

    two.haproxy.start()
    agent.start()
    assert wait(one, "--revision", str(revision), "--hosts", "lb-1,lb-2").returncode == Exit.OK


def test_the_owner_of_a_bad_service_is_told_why_until_it_is_mended(
    fleet: tuple[Host, Host],
) -> None:
    (one, _), _ = fleet
    bad = one.put({"services/shop/bad": {"mode": "udp"}})

    waited = wait(one, "--revision", str(bad))
    assert waited.returncode == Exit.REJECTED
    assert "shop/bad is quarantined: mode: " in waited.stdout
    item = one.client.get("quarantine/shop/bad")
    assert item is not None
    told = json.loads(item.value)
    assert told["revision"] >= bad
    assert told["host"] in ("lb-1", "lb-2")
    assert [m["record"]["quarantined"] for m in of_fleet(one)["agents"]] == [["shop/bad"]] * 2

    one.put({"services/shop/bad": {"mode": "http", "hosts": ["bad.example"]}})
    assert wait(one).returncode == Exit.OK
    wait_until("the word to be taken back", lambda: one.client.get("quarantine/shop/bad") is None)


def test_a_forged_record_fills_no_screen(fleet: tuple[Host, Host]) -> None:
    (one, _), _ = fleet
    huge = "\x1b[2J" + "x" * 200_000  # etcd takes 1.5 MiB
    forged = {"revision": 0, "generation": 1, "digest": huge, "applied_at": "", "verified_at": huge,
              "haproxy": "", "state": huge, "error": huge, "waits": huge,
              "held": {"removal": huge}}  # fmt: skip
    lease = one.client.lease(60)
    try:
        one.client.commit([], [Put("agents/ghost", json.dumps(forged).encode(), lease.id)])
        said = [
            command(one, *words)
            for words in (
                ("status", "--fleet"),
                ("wait", "--timeout", "1s"),
                ("status", "--fleet", "--nagios"),
            )
        ]
    finally:
        lease.end()
    for shown in said:
        assert "ghost" in shown.stdout
        assert len(shown.stdout) < 8000
        assert "\x1b" not in shown.stdout


def live(host: Stack, *words: str, needle: str) -> str:
    """What a command says with `--watch` until it has said a certain thing; it ends with its reader."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        flags = ["--config", str(host.config_file), *words, "--watch"]
        process = launch.start(flags, stdout=out, stderr=out, environ=os.environ)
    os.set_blocking(reading, False)
    said = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:

        def is_said() -> bool:
            nonlocal said
            said += pipe.read() or b""
            return needle.encode() in said

        wait_until(needle, is_said, timeout=30)
    process.wait(30)
    return said.decode()


def test_a_watched_service_is_shown_as_each_host_sees_it(fleet: tuple[Host, Host]) -> None:
    (one, agent), (two, _) = fleet
    check = {"type": "tcp", "interval": "200ms", "rise": 1, "fall": 1}
    group = servers(one.web("up"))
    group["servers"].append({"name": "gone", "address": "127.0.0.1", "port": free_port()})
    one.put(
        {
            "services/shop/seen": {"mode": "http", "hosts": ["seen.example"], "check": check},
            "endpoints/shop/seen/main": group,
        }
    )
    assert wait(one, "--hosts", "lb-1,lb-2").returncode == Exit.OK
    assert one.get("seen.example").body == "up"
    passes = agent.status()["passes"]

    def seen() -> dict[str, Any]:
        shown = command(one, "watch", "shop/seen", "--once", "--output", "json")
        assert shown.returncode == Exit.OK, shown.stdout + shown.stderr
        lines = map(json.loads, shown.stdout.splitlines())
        return {line["host"]: line["health"]["services"]["shop/seen"]["main"] for line in lines}

    wait_until(
        "both checks", lambda: all(host.get("up") == 1 for host in seen().values()), timeout=20
    )
    found = seen()
    assert found.keys() == {"lb-1", "lb-2"}
    assert found["lb-1"]["requests"] == 1
    first = found["lb-2"]["servers"][0]
    assert (first["name"], first["status"], first["check"]) == ("gone", "DOWN", "L4CON")

    def rows() -> dict[str, str]:
        listed = command(one, "server", "ls", "shop/seen").stdout.splitlines()
        return {line.split()[0]: line for line in listed}

    # Until both have told what its first check said, each is shown by itself.
    wait_until("one state", lambda: rows()["up"].split()[5:] == ["0", "1", "0", "UP"], timeout=60)
    # While HAProxy checks it once more, the reason is not there.
    why = "DOWN (L4CON, Connection refused)"
    wait_until("the reason", lambda: why in rows()["gone"])
    (row,) = (
        line
        for line in command(one, "service", "ls").stdout.splitlines()
        if line.startswith("shop/seen")
    )
    assert "main 1/2 up" in row
    shown = command(one, "service", "show", "shop/seen").stdout
    assert "lb-2\n  main: 1/2 up, 0 sessions" in shown
    told_live = live(
        one,
        "service",
        "ls",
        "shop",
        needle="shop/seen: mode http, servers main:2, health main 1/2 up",
    )
    assert "health: every host answers\n" in told_live
    wait_until(
        "both to say why",
        lambda: f"health {why}" in live(one, "server", "ls", "shop/seen", needle="main/gone: "),
        timeout=60,
    )
    # Nobody asks any more: nobody says anything, and none of it has woken the agents' passes.
    told = one.etcd.ctl("get", "/lbsync-health/", "--prefix", "--keys-only").split()
    assert not [key for key in told if not key.endswith("/report")]
    assert one.etcd.ctl("get", "/lbsync/watchers/", "--prefix") == ""
    assert agent.status()["passes"] - passes <= 2
    assert command(two, "watch", "shop/none").returncode == Exit.REJECTED


def test_hosts_are_drained_and_undrained_by_an_order_and_it_is_known_who_did(
    fleet: tuple[Host, Host],
) -> None:
    (one, agent), (two, other) = fleet
    assert wait(one, "--hosts", "lb-1,lb-2").returncode == Exit.OK
    # So that there is a generation to go back to.
    put = command(one, "service", "put", "shop/later", "--host", "later.example", "--wait")
    assert put.returncode == Exit.OK, put.stderr
    planned = command(one, "drain", "--fleet", "--hosts", "lb-2", "--reason", "kernel")
    assert planned.returncode == Exit.REJECTED
    assert "lb-2  takes part  answers 503 to health checks" in planned.stderr
    assert "1 host would be left: lb-1" in planned.stderr
    assert command(one, "drain", "--hosts", "lb-2").returncode == Exit.REJECTED
    assert other.status().get("draining", "") == ""

    began = time.monotonic()
    drained = command(one, "drain", "--fleet", "--hosts", "lb-2", "--reason", "kernel", "--yes")
    assert (drained.returncode, drained.stdout) == (Exit.OK, "drained: lb-2\n"), drained.stderr
    assert time.monotonic() - began < 25
    assert other.status()["draining"] == "kernel"
    assert agent.status().get("draining", "") == ""
    assert "confirmed, drained" in command(one, "status", "--fleet").stdout

    partly = command(one, "undrain", "--fleet", "--hosts", "lb-2,lb-7", "--yes")
    assert partly.returncode == Exit.UNVERIFIED
    assert partly.stdout == (
        "undrained: lb-2\nlb-7 is not undrained: no agent reports under this name\n"
    )
    assert other.status().get("draining", "") == ""
    assert command(one, "release", "--fleet", "--yes").returncode == Exit.OK
    before = other.status()
    back = command(one, "rollback", "--fleet", "--hosts", "lb-2")
    assert back.returncode == Exit.REJECTED
    wanted = command(two, "rollback", "--list", "--output", "json")
    earlier = next(
        each["digest"]
        for each in json.loads(wanted.stdout)
        if each["seq"] < before["generation"] and each["confirmed_at"]
    )
    assert earlier in back.stderr
    back = command(one, "rollback", "--fleet", "--hosts", "lb-2", earlier, "--yes")
    assert (back.returncode, back.stdout) == (Exit.OK, "rolled back: lb-2\n"), back.stderr
    assert (other.status()["state"], other.status()["digest"]) == ("rolled-back", earlier)
    assert agent.status()["state"] == "confirmed"
    assert (
        command(one, "rollback", "--fleet", "--hosts", "lb-2", "41", "--yes").returncode
        == Exit.REJECTED
    )
    ahead = command(one, "rollback", "--release", "--fleet", "--yes")
    assert (ahead.returncode, ahead.stdout) == (Exit.OK, "following the source again: lb-1, lb-2\n")
    assert other.status()["digest"] == before["digest"]
    assert one.etcd.ctl("get", "/lbsync/orders/", "--prefix") == ""

    told = json.loads(command(two, "history", "--output", "json").stdout)
    assert [(each["action"], each["what"]) for each in told[-5:]] == [
        ("drain --fleet", "lb-2"), ("undrain --fleet", "lb-2, lb-7"), ("release --fleet", "lb-1, lb-2"),
        ("rollback --fleet", "lb-2"), ("rollback --release --fleet", "lb-1, lb-2"),
    ]  # fmt: skip
    assert (told[-5]["detail"], told[-2]["detail"]) == ("kernel", earlier)
    assert " on " in told[-5]["by"]
    assert ("service put", "shop/later") in {(each["action"], each["what"]) for each in told}


def test_what_the_fleet_writes_makes_nobody_work(fleet: tuple[Host, Host]) -> None:
    (one, agent), (_, other) = fleet
    assert wait(one, "--hosts", "lb-1,lb-2").returncode == Exit.OK
    before = agent.status()["passes"], other.status()["passes"]
    for number in range(100):
        # Of no agent, so they keep nobody waiting.
        one.put({f"agents/lb-{number % 10 + 3}": {}, f"publishers/c/{number}": {}})
        one.put({"quarantine/shop/web": {"host": "lb-3", "n": number}})

    revision = one.put({"services/shop/next": {"mode": "http", "hosts": ["next.example"]}})
    assert wait(one, "--revision", str(revision), "--hosts", "lb-1,lb-2").returncode == Exit.OK

    assert wait(one, "--revision", str(revision)).returncode == Exit.OK
    assert "agents/lb-10, agents/lb-11" in command(one, "status", "--fleet").stdout
    after = agent.status()["passes"], other.status()["passes"]
    # One for the service, although its reload ends the connection that is held to the master.
    assert all(new - old == 1 for old, new in zip(before, after, strict=True))
