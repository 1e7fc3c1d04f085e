"""The Debian package in the life of a host: installed, upgraded, gone back from, removed, purged."""

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine import Machine
from harness.wait import wait_until
from tests.vm.conftest import EDIT, ROOT, SERVERS, toy_servers
from tests.vm.test_host import HOST, HTTP_PORT, load, status

#: What a host had before lbsync came.
OWN_CONFIGURATION = f"""\
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen web
    bind :{HTTP_PORT}
    server one {SERVERS}:9001
"""
MAIN_PID = "systemctl show -p MainPID --value haproxy"


@pytest.fixture(scope="session")
def older(debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout."""
    made_in = {**os.environ, "VENV": str(ROOT / ".venv"), "WHEELS": str(ROOT / ".wheels")}
    made_in |= {"COMPRESS": "none", "DEB_VERSION": "0.1.0-1+deb12"}
    made_in |= {"DIST": str(tmp_path_factory.mktemp("older"))}
    for words in (["wheels"], []):
        done = subprocess.run(
            [str(ROOT / "scripts/deb"), *words], env=made_in, capture_output=True, text=True,
            timeout=500, check=False,
        )  # fmt: skip
        if words and done.returncode:
            pytest.skip(f"make wheels: {done.stderr}")
        assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def newer(older: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as another release, whose templates print something else: its agent has to reload HAProxy."""
    tree = tmp_path_factory.mktemp("newer-tree") / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", str(older), str(tree)], check=True)
    (site,) = (tree / "usr/lib/lbsync/package/lib").glob("python3*/site-packages")
    for path, before, after in (
        (tree / "DEBIAN/control", "Version: 0.1.0-1", "Version: 0.2.0-1"),
        (tree / "DEBIAN/postinst", "release=0.1.0-1", "release=0.2.0-1"),
        (site / "lbsync/__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0"'),
        (site / "lbsync/templates/haproxy/global.cfg.j2", "global\n", "global\n    maxconn 1999\n"),
    ):
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
    # The time of the file that it was compiled from decides, in seconds.
    shutil.rmtree(site / "lbsync/__pycache__")
    package = tree.parent / "newer.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(package)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return package


@pytest.fixture
def plain(debian: Path, tmp_path: Path) -> Iterator[Machine]:
    """A host whose HAProxy serves a configuration of its own; no lbsync."""
    machine = Machine(tmp_path / "machine", debian)
    try:
        machine.start()
        toy_servers(machine)
        (machine.root / "etc/haproxy/haproxy.cfg").write_text(OWN_CONFIGURATION)
        machine.sh("systemctl restart haproxy")
        yield machine
    finally:
        machine.stop()


def dpkg(machine: Machine, action: str, what: Path | str = "lbsync", *, check: bool = True) -> str:
    """Run dpkg as configuration management does, where nobody answers; return what it says."""
    if isinstance(what, Path):
        shutil.copy(what, machine.root / "root")
        what = f"/root/{what.name}"
    how = "DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io"
    return machine.sh(f"{how} {action} {what} 2>&1 </dev/null", check=check)


class Commands:
    """Asks for the version over and over; each that fails is kept."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.failed: list[str] = []
        self.said: list[str] = []

    def _ask(self) -> None:
        while not self._ended.is_set():
            done = self._machine.run("lbsync", "version", check=False)
            self.said.append(done.stdout.split(" (")[0])
            if done.returncode:
                self.failed.append(done.stderr)

    def __enter__(self) -> "Commands":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def put_service(machine: Machine, port: int) -> None:
    """Have the one service answered by the toy server of this port."""
    server = {"name": "a", "address": SERVERS, "port": port}
    for key, value in (
        ("services", {"mode": "http", "hosts": [HOST]}),
        ("endpoints", {"servers": [server]}),
    ):
        name = "shop/cart" if key == "services" else "shop/cart/main"
        machine.run("etcdctl", "put", f"/lbsync/{key}/{name}", json.dumps(value))
    wait_until(f"{port} to answer", lambda: answer(machine) == str(port))


def answer(machine: Machine) -> str:
    curl = f"curl -s -m 2 -H 'Host: {HOST}' http://127.0.0.1:{HTTP_PORT}/"
    return machine.sh(curl, check=False).strip()


def is_active(machine: Machine, unit: str) -> str:
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip()


def follow(machine: Machine, said: str) -> None:
    """Do what the package says after its first installation."""
    for line in said.splitlines():
        if line.startswith("    "):
            machine.sh(EDIT if "$EDITOR" in line else line)


def test_a_package_is_installed_while_haproxy_serves_and_changes_nothing(
    plain: Machine, older: Path
) -> None:
    # What `make install` brought comes first in PATH, and is not to be mixed with the package's.
    plain.sh("mkdir -p /usr/local/lib/lbsync; ln -s 1 /usr/local/lib/lbsync/current")
    refused = dpkg(plain, "-i", older, check=False)
    assert "make uninstall PREFIX=/usr/local" in refused
    plain.sh("rm -r /usr/local/lib/lbsync")
    with load(plain, rate=100) as running:
        said = dpkg(plain, "-i", older)
    assert running.failures == []
    for unit in ("lbsync-agent", "lbsync-publisher", "lbsync-console"):
        assert is_active(plain, unit) == "inactive"
        enabled = plain.run("systemctl", "is-enabled", unit, check=False).stdout.strip()
        assert enabled == "disabled"
    # Also not later, when HAProxy is restarted for another reason.
    plain.sh("systemctl restart haproxy")
    assert answer(plain) == "9001"
    missing = plain.run("lbsync", "check", check=False)
    assert missing.returncode == 7
    assert "ln -s /etc/lbsync/haproxy.service.conf" in missing.stdout
    follow(plain, said)
    assert plain.run("lbsync", "check", check=False).returncode == 0
    put_service(plain, 9002)
    assert status(plain)["state"] == "confirmed"
    settings = plain.root / "etc/lbsync/lbsync.toml"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o640


def upgrade(machine: Machine, package: Path, version: str) -> None:
    """Go to another release, up or down, while requests are counted and commands are typed."""
    haproxy = machine.sh(MAIN_PID)
    settings = (machine.root / "etc/lbsync/lbsync.toml").read_text()
    with load(machine, rate=100) as running, Commands(machine) as asked:
        dpkg(machine, "--unpack", package)
        # Until all packages of a run are unpacked the agent of before goes on.
        put_service(machine, 9002 if answer(machine) == "9001" else 9001)
        dpkg(machine, "--configure")
        assert status(machine)["state"] == "confirmed"
        wait_until("the new command", lambda: asked.said[-1:] == [f"lbsync {version}"])
    assert running.failures == []
    assert running.requests > 50
    assert asked.failed == []
    assert is_active(machine, "lbsync-agent") == "active"
    assert machine.sh(MAIN_PID) == haproxy
    assert (machine.root / "etc/lbsync/lbsync.toml").read_text() == settings
    live = machine.sh("cat /var/lib/lbsync/live/haproxy.cfg")
    assert ("maxconn 1999" in live) == (version == "0.2.0")
    assert len(machine.sh("ls /usr/lib/lbsync").split()) == 4, (
        "not package, current and two releases"
    )


def test_the_package_goes_up_and_down_and_away_and_loses_no_request(
    plain: Machine, older: Path, newer: Path
) -> None:
    follow(plain, dpkg(plain, "-i", older))
    put_service(plain, 9001)
    upgrade(plain, newer, "0.2.0")
    upgrade(plain, older, "0.1.0")

    with load(plain, rate=100) as running:
        said = dpkg(plain, "--remove")
        assert "HAProxy serves on" in said
        served = answer(plain)
    assert running.failures == []
    plain.sh("systemctl restart haproxy")
    assert answer(plain) == served != ""

    dpkg(plain, "-i", newer)
    plain.sh("systemctl start lbsync-agent")
    assert status(plain)["state"] == "confirmed"
    with load(plain, rate=100) as running:
        said = dpkg(plain, "--purge")
    assert running.failures == []
    assert "removed /var/lib/lbsync" in said
    assert "/etc/haproxy/haproxy.cfg" in said
    found = plain.sh(
        "find / -xdev -path /root -prune -o -path '/[ps][ry][os]*' -prune -o -name '*lbsync*' -print"
    )
    assert found.split() == []
    plain.sh("systemctl restart haproxy")
    assert answer(plain) == "9001"


def test_apt_does_not_wait_for_an_agent_that_waits_for_haproxy(
    plain: Machine, older: Path, newer: Path
) -> None:
    follow(plain, dpkg(plain, "-i", older))
    plain.sh("systemctl stop haproxy")
    said = dpkg(plain, "-i", newer)
    assert "lbsync-agent is enabled, and activating" in said
    plain.sh("systemctl start haproxy")
    wait_until("the agent", lambda: is_active(plain, "lbsync-agent") == "active", timeout=30)
    # One that somebody stopped stays stopped.
    plain.sh("systemctl stop lbsync-agent")
    dpkg(plain, "-i", older)
    assert is_active(plain, "lbsync-agent") == "inactive"
    # Settings that the release does not take, as after an upgrade: the journal says why, as an error.
    plain.sh(
        "echo 'no_such = 1' >>/etc/lbsync/lbsync.toml; systemctl --no-block start lbsync-agent"
    )
    errors = "journalctl -u lbsync-agent -p err -o cat --no-pager"
    wait_until("the reason", lambda: "no_such" in plain.sh(errors))
    # Who copied the drop-in instead of linking it: HAProxy's next start still needs what a purge would remove.
    place = "/etc/systemd/system/haproxy.service.d/lbsync.conf"
    plain.sh(f"rm {place}; cp /etc/lbsync/haproxy.service.conf {place}")
    said = dpkg(plain, "--purge")
    assert "kept /var/lib/lbsync" in said
    plain.sh("systemctl daemon-reload; systemctl restart haproxy")
