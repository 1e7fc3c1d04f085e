"""Commands that root runs, on a host whose agent is another user."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import launch
from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries
from harness.stack import Stack, servers
from lbsync.errors import Exit
from tests.conftest import demand, interpreter

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(pytest.__file__).parents[1]
HEALTH = "/lbsync-health"


@pytest.fixture(scope="module", autouse=True)
def readable_python() -> Iterator[None]:
    """Have commands run by a Python that everybody may read."""
    with launch.forking(interpreter("nobody"), [str(ROOT), str(SITE)]):
        yield


@pytest.fixture
def host(hosts_etcd: Etcd) -> Iterator[Stack]:
    """A host whose state directory belongs to `nobody`, HAProxy and its sockets to root; no agent
    ever ran, and HAProxy is not started."""
    demand("2.6" in binaries(), "HAProxy 2.6")
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="lbsync-test-") as name:
        Path(name).chmod(0o755)
        stack = Stack(Path(name), binaries()["2.6"], etcd=hosts_etcd, templates=QUICK_START)
        stack.haproxy.socket_mode = f"660,gid,{nobody.pw_gid}"
        os.chown(stack.state, nobody.pw_uid, nobody.pw_gid)
        try:
            stack.write_settings()
            stack.put(
                {
                    "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                    "endpoints/shop/web/default": servers(stack.web("one"), stack.web("two")),
                }
            )
            yield stack
        finally:
            stack.stop()


def command(host: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one `lbsync` command as root."""
    return launch.run(["--config", str(host.config_file), *words])


def owners(place: Path) -> set[str]:
    found = {path.lstat().st_uid for path in (place, *place.rglob("*"))}
    return {pwd.getpwuid(uid).pw_name for uid in found}


def test_nothing_that_root_runs_leaves_a_file_of_root(host: Stack) -> None:
    prepared = command(host, "prepare")
    assert prepared.returncode == Exit.OK, prepared.stderr
    assert owners(host.state) == {"nobody"}
    host.haproxy.start()

    once = command(host, "agent", "--once")

    assert once.returncode == Exit.CHANGED, once.stdout + once.stderr
    assert "runs as nobody" in once.stdout + once.stderr
    assert host.get("shop.example").status == 200
    for words in (
        ("check",), ("status",), ("diff",), ("render",), ("drain",), ("undrain",), ("rollback", "--list"),
        ("release",), ("confirm",), ("rollback", "--release"),
    ):  # fmt: skip
        said = command(host, *words)
        assert "Traceback" not in said.stderr, said.stderr
    assert owners(host.state) == {"nobody"}


def test_a_rollback_without_an_agent_needs_no_right_that_the_user_lacks(host: Stack) -> None:
    command(host, "prepare")
    host.haproxy.start()
    assert command(host, "agent", "--once").returncode == Exit.CHANGED
    host.put({"services/shop/b": {"mode": "http", "hosts": ["b.example"]}})
    assert command(host, "agent", "--once").returncode == Exit.CHANGED
    served = host.haproxy.ask("@1 show info").split("description: ")[1].split("\n")[0]

    os.chown(host.run / "stats.sock", 0, 0)
    host.haproxy.master_socket.chmod(0o600)
    os.chown(host.haproxy.master_socket, 0, 0)
    refused = command(host, "rollback", "2")
    assert refused.returncode == Exit.APPLY_FAILED, refused.stdout
    assert "nothing was changed" in refused.stderr
    assert served in host.haproxy.ask("@1 show info")
    assert not (host.state / "control" / "rollback").exists(), "nobody obeys it later"

    host.haproxy.master_socket.chmod(0o660)
    os.chown(host.haproxy.master_socket, 0, pwd.getpwnam("nobody").pw_gid)
    back = command(host, "rollback", "2")
    assert back.returncode == Exit.OK, back.stderr
    assert served not in host.haproxy.ask("@1 show info")
    assert (host.state / "control" / "rollback").exists()


def test_check_sees_what_the_agent_may_read(host: Stack) -> None:
    command(host, "prepare")
    host.haproxy.start()
    os.chown(host.run / "stats.sock", 0, pwd.getpwnam("nobody").pw_gid)
    good = command(host, "check")
    assert good.returncode == Exit.OK, good.stdout
    assert "looked at all of it as nobody" in good.stdout
    assert str(host.config_file) in good.stdout

    secret, metrics = host.directory / "password", host.directory / "metrics"
    secret.write_text("x\n")
    secret.chmod(0o600)
    metrics.mkdir(0o755)
    text = host.config_file.read_text()
    text = text.replace("[etcd]\n", f'[etcd]\nuser = "lb"\npassword_file = "{secret}"\n')
    text = text.replace("[agent]\n", f'[agent]\nmetrics_file = "{metrics}/lbsync.prom"\n')
    host.config_file.write_text(text)
    host.haproxy.master_socket.chmod(0o600)
    found = command(host, "check")
    assert found.returncode == Exit.UNAVAILABLE, found.stdout
    for part in (str(secret), f"may not write in {metrics}", "Permission denied"):
        assert part in found.stdout


def test_a_host_is_drained_without_an_agent(host: Stack) -> None:
    command(host, "prepare")
    host.haproxy.start()
    assert command(host, "agent", "--once").returncode == Exit.CHANGED
    assert host.get("any", HEALTH).status == 200
    drained = command(host, "drain")
    assert drained.returncode == Exit.OK, drained.stderr
    assert drained.stdout.startswith("drained by this command, as no agent runs on this host")
    assert host.get("any", HEALTH).status == 503
    undrained = command(host, "undrain")
    assert undrained.returncode == Exit.OK, undrained.stderr
    assert host.get("any", HEALTH).status == 200

    host.haproxy.stop()
    late = command(host, "drain")
    assert late.returncode == Exit.UNAVAILABLE
    assert "echo 'set map maps/host.map host drain' | socat - " in late.stderr
    host.haproxy.start()
    assert host.get("any", HEALTH).status == 503, "it starts drained all the same"


def test_a_confirmation_without_an_agent_says_that_it_stands(host: Stack) -> None:
    command(host, "prepare")
    host.haproxy.start()
    assert command(host, "agent", "--once").returncode == Exit.CHANGED
    host.delete("services/shop/web", "endpoints/shop/web/default")
    assert command(host, "agent", "--once").returncode == Exit.REJECTED, "it is held"
    asked = command(host, "confirm", "--wait", "1s")
    assert asked.returncode == Exit.UNAVAILABLE
    assert "no agent runs on this host; it is obeyed when one starts" in asked.stderr
    assert (host.state / "control" / "confirm").exists(), "it names exactly one removal"


def test_a_port_below_1024_is_tried_with_the_right_that_the_unit_gives(host: Stack) -> None:
    command(host, "prepare")
    host.haproxy.start()
    assert command(host, "agent", "--once").returncode == Exit.CHANGED
    host.put(
        {
            "services/shop/low": {"mode": "tcp", "listen": 699},
            "endpoints/shop/low/default": servers(host.web("low")),
        }
    )
    once = command(host, "agent", "--once")
    assert once.returncode == Exit.CHANGED, once.stderr
