"""The unit files, read by systemd itself and, where HAProxy has a say, by HAProxy."""

import grp
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.wait import wait_until
from lbsync.agent.install import COMMAND_TIMEOUT_S
from lbsync.cli.check import host
from lbsync.settings.haproxy import Haproxy

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "systemd/lbsync-agent.service"
PUBLISHER = ROOT / "systemd/lbsync-publisher.service"
CONSOLE = ROOT / "systemd/lbsync-console.service"
DROP_IN = ROOT / "systemd/haproxy.service.d/lbsync.conf"
DEBIAN_UNIT = """\
[Unit]
Description=HAProxy Load Balancer
[Service]
EnvironmentFile=-/etc/default/haproxy
Environment="CONFIG=/etc/haproxy/haproxy.cfg" "PIDFILE=/run/haproxy.pid" "EXTRAOPTS=-S /run/master"
ExecStart=/bin/true -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS
Type=notify
"""


def need(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return found


def stage(folder: Path, agent: str, drop_in: str) -> list[str]:
    """Lay the units out as systemd would find them, with programs that exist on any machine."""
    (folder / "haproxy.service.d").mkdir(parents=True)
    (folder / "haproxy.service").write_text(DEBIAN_UNIT)
    texts = {
        "lbsync-agent.service": agent,
        "lbsync-publisher.service": PUBLISHER.read_text(),
        "lbsync-console.service": CONSOLE.read_text(),
        "haproxy.service.d/lbsync.conf": drop_in,
    }
    for name, text in texts.items():
        (folder / name).write_text(re.sub(r"/usr/bin/lbsync|/bin/kill", "/bin/true", text))
    names = (
        "lbsync-agent.service",
        "lbsync-publisher.service",
        "haproxy.service",
        "lbsync-console.service",
    )
    return [str(folder / name) for name in names]


def verify(folder: Path, units: list[str]) -> str:
    """Return what systemd finds wrong with our units; nothing is well."""
    answer = subprocess.run(
        [need("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", *units],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in answer.stderr.splitlines() if "lbsync" in line or "haproxy" in line]
    return "\n".join(said) or (answer.stderr if answer.returncode else "")


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    units = stage(tmp_path / "units", AGENT.read_text(), DROP_IN.read_text())
    assert verify(tmp_path / "units", units) == ""


@pytest.mark.parametrize("where", ["agent", "drop-in"])
def test_a_misspelt_line_would_be_found(tmp_path: Path, where: str) -> None:
    """Guards the test above: the agent's unit and the drop-in are really read."""
    agent, drop_in = AGENT.read_text(), DROP_IN.read_text()
    if where == "agent":
        agent = agent.replace("ProtectSystem=", "ProtectSytem=")
    else:
        drop_in = drop_in.replace("RestartSec=", "RestartSecs=")
    units = stage(tmp_path / "units", agent, drop_in)
    assert "Unknown key" in verify(tmp_path / "units", units)


@pytest.mark.parametrize("which", [0, 1, 3], ids=["agent", "publisher", "console"])
def test_our_services_are_exposed_as_little_as_systemd_calls_ok(which: int, tmp_path: Path) -> None:
    """Nearer to 0 is safer; systemd calls up to 2.5 "OK", and an unhardened service has 9.6."""
    units = stage(tmp_path / "units", AGENT.read_text(), DROP_IN.read_text())
    answer = subprocess.run(
        [
            need("systemd-analyze"),
            "security",
            "--offline=true",
            "--threshold=25",
            "--no-pager",
            units[which],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("unit", [AGENT, PUBLISHER, CONSOLE], ids=["agent", "publisher", "console"])
def test_every_line_of_a_service_has_its_reason(unit: Path) -> None:
    """A comment stands above each setting, or above the block it belongs to."""
    explained = False
    bare = []
    for line in unit.read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line.startswith("#"):
            explained = True
        elif not line:
            explained = False
        elif not explained:
            bare.append(line)
    assert bare == []


def test_the_agents_time_limits_are_longer_than_what_it_may_take() -> None:
    """The watchdog's: the longest step between two signs of life; the end's: an output's commands."""
    limits = dict(
        re.findall(r"^(WatchdogSec|TimeoutStopSec)=(\d+)$", AGENT.read_text(), re.MULTILINE)
    )
    settings = Haproxy()
    assert float(limits["WatchdogSec"]) >= 2 * settings.reload_timeout.seconds + 60
    assert float(limits["WatchdogSec"]) >= settings.check_timeout.seconds + 60
    assert float(limits["TimeoutStopSec"]) > 2 * COMMAND_TIMEOUT_S
    assert float(limits["TimeoutStopSec"]) > 2 * settings.reload_timeout.seconds + 60


def test_haproxy_never_waits_for_the_agent() -> None:
    """The agent's READY needs HAProxy; were HAProxy ordered behind it, a boot would stand still."""
    assert "lbsync-agent" not in DROP_IN.read_text()
    after = re.findall(r"^After=(.*)$", AGENT.read_text(), re.MULTILINE)
    assert "haproxy.service" in " ".join(after).split()


def test_the_agent_may_use_haproxys_sockets_and_read_its_log() -> None:
    """2.6 tells the reason of a failed reload only to the journal, which belongs to a group."""
    groups = re.findall(r"^SupplementaryGroups=(.*)$", AGENT.read_text(), re.MULTILINE)
    assert set(" ".join(groups).split()) == {"haproxy", "systemd-journal"}


def test_haproxy_starts_whatever_becomes_of_lbsync() -> None:
    """`-`: systemd goes on when the command fails, or its user, or its program is not there."""
    first = re.findall(r"^ExecStartPre=(.*)$", DROP_IN.read_text(), re.MULTILINE)
    assert [line[0] for line in first] == ["-"]


def test_haproxy_opens_its_master_socket_to_the_agents_group_as_the_drop_in_says(
    tmp_path: Path,
) -> None:
    options = re.search(r'EXTRAOPTS=-?"?(-S \S+?)"?$', DROP_IN.read_text(), re.MULTILINE)
    assert options
    group = grp.getgrgid(os.getgid()).gr_name
    socket = tmp_path / "master.sock"
    bind = options[1].split()[1].replace("/run/haproxy-master.sock", str(socket))
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
        f"listen any\n bind 127.0.0.1:{free_port()}\n"
    )
    haproxy = subprocess.Popen(
        [need("haproxy"), "-W", "-f", str(config), "-S", bind.replace(",lbsync", f",{group}")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        mode = wait_until("the master socket", lambda: socket.exists() and socket.stat().st_mode)
        assert stat.S_IMODE(mode) == 0o660
        assert socket.stat().st_gid == os.getgid()
    finally:
        haproxy.terminate()
        haproxy.wait(timeout=30)


def test_check_names_the_link_that_is_missing_while_haproxy_runs_from_its_own_file(
    tmp_path: Path,
) -> None:
    own, live, pid_file = tmp_path / "own.cfg", tmp_path / "live.cfg", tmp_path / "pid"
    for file in (own, live):
        file.write_text(
            "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
            f"listen any\n bind 127.0.0.1:{free_port()}\n"
        )
    haproxy = subprocess.Popen(
        [need("haproxy"), "-W", "-f", str(own), "-p", str(pid_file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # While HAProxy starts, its master executes itself anew, and its file may be empty.
        (said,) = wait_until(
            "HAProxy to be known", lambda: list(host.started_apart(live, DROP_IN, str(pid_file)))
        )
        assert f"-f {own}" in said
        assert f"ln -s {DROP_IN} /etc/systemd/system/haproxy.service.d/lbsync.conf" in said
        # Started as it should be; or a host without Debian's arrangement, where anything may start it.
        assert list(host.started_apart(own, DROP_IN, str(pid_file))) == []
        assert list(host.started_apart(live, tmp_path / "none", str(pid_file))) == []
    finally:
        haproxy.terminate()
        haproxy.wait(timeout=30)
    assert list(host.started_apart(live, DROP_IN, str(pid_file))) == []


def test_sysusers_makes_the_user_and_tmpfiles_what_that_user_owns(tmp_path: Path) -> None:
    (tmp_path / "etc/lbsync").mkdir(parents=True)
    (tmp_path / "etc/lbsync/lbsync.toml").write_text("")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")

    def run(program: str, *words: str) -> None:
        done = subprocess.run(
            [need(program), f"--root={tmp_path}", *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr.count("lbsync.conf:")) == (0, 0), done.stderr

    run("systemd-sysusers", str(ROOT / "systemd/sysusers.d/lbsync.conf"))
    user = re.search(r"^lbsync:.*?:(\d+):", (tmp_path / "etc/passwd").read_text(), re.MULTILINE)
    assert user
    assert re.search(r"^lbsync:", (tmp_path / "etc/group").read_text(), re.MULTILINE)
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    run("systemd-tmpfiles", "--create", str(ROOT / "systemd/tmpfiles.d/lbsync.conf"))
    for folder in ("var/lib/lbsync", "var/lib/lbsync/control"):
        made = (tmp_path / folder).stat()
        assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (int(user[1]), 0o750)
    assert stat.S_IMODE((tmp_path / "etc/lbsync/lbsync.toml").stat().st_mode) == 0o640
