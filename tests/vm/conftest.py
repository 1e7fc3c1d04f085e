"""A balancer host under real systemd, installed as the README says. Opt-in: `make test-vm`."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import machine
from harness.machine import Machine

ROOT = Path(__file__).parents[2]
#: Where a fresh Debian is kept from run to run.
CACHE = Path(os.environ.get("VM_CACHE", ROOT / ".vm"))
#: An address of the host's own that is not loopback: where its toy servers listen.
SERVERS = "10.77.0.10"

#: What README does with an editor.
EDIT = r"""sed -i -e '/^\[proxy\]/,/^\[/ s|^#* *http_bind = .*|http_bind = ["0.0.0.0:8080"]|' /etc/lbsync/lbsync.toml"""
#: README, "In production", behind the installation.
FIRST_START = rf"""
systemd-sysusers && systemd-tmpfiles --create
{EDIT}
lbsync check --offline
ln -s /etc/lbsync/haproxy.service.conf /etc/systemd/system/haproxy.service.d/lbsync.conf
systemctl daemon-reload
systemctl enable haproxy && systemctl restart haproxy
systemctl enable --now lbsync-agent
"""


def toy_servers(machine: Machine) -> None:
    """Start etcd and two servers, at 9001 and 9002, that answer with their port."""
    machine.sh(f"""
ip addr add {SERVERS}/32 dev lo
echo 127.0.0.1 localhost >/etc/hosts
systemctl reset-failed etcd; systemctl restart etcd
for port in 9001 9002; do
    mkdir -p /srv/$port; echo $port >/srv/$port/index.html
    systemd-run -q --unit=web-$port python3 -m http.server $port --bind {SERVERS} --directory /srv/$port
done
""")


@pytest.fixture(scope="session")
def debian() -> Path:
    """The root of a fresh Debian; not to be written to."""
    if why := machine.missing():
        pytest.skip(why)
    return machine.base(CACHE)


def install(place: Path) -> str:
    """Install this checkout below `place`, as a packager would; return what was printed."""
    done = subprocess.run(
        ["make", "install", "PREFIX=/usr", f"DESTDIR={place}", "PYTHON=/usr/bin/python3"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` adds to a host."""
    place = tmp_path_factory.mktemp("installed")
    install(place)
    return place


@pytest.fixture
def fresh(debian: Path, installed: Path, tmp_path: Path) -> Iterator[Machine]:
    """A booted host with etcd and two toy servers, lbsync installed and nothing of it started."""
    host = Machine(tmp_path / "machine", debian, installed)
    try:
        host.start()
        toy_servers(host)
        yield host
    finally:
        host.stop()


@pytest.fixture
def host(fresh: Machine) -> Machine:
    """The same after README's first start, with one service that is served."""
    fresh.sh(FIRST_START)
    fresh.sh(
        "lbsync service put shop/cart --host cart.example.com --wait "
        f"--server a={SERVERS}:9001 --server b={SERVERS}:9002"
    )
    return fresh
