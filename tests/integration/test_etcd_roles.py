"""The roles that `lbsync etcd-roles` prints: enough to work with, and no more."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness import etcd as etcd_harness
from harness.etcd import Etcd, open_etcd
from lbsync.clients.source import Put
from lbsync.errors import Unavailable
from lbsync.schema import roles
from tests.conftest import demand

PREFIX = "/lbsync/"
NAMES = {"host": "lb-1", "publisher": "prod"}

#: Who may write which key; everything else of all that is named here he may not.
MAY = {
    "agent": {
        "agents/lb-1", "agents/lb-2", "agents/lb-10", "quarantine/shop/cart", "history/1",
        "/lbsync-health/lb-1", "/lbsync-health/lb-1/report",
    },
    "host": {
        "agents/lb-1", "quarantine/shop/cart", "/lbsync-health/lb-1", "/lbsync-health/lb-1/report",
    },
    "publisher": {"services/shop/cart", "confirmations/1", "publishers/prod/leader"},
    "deploy": {
        "services/shop/cart", "routes/shop/cart", "confirmations/1", "watchers/1", "history/1",
        "/lbsync-deploy/locks/shop/cart",
    },
    "operator": {
        "services/shop/cart", "routes/shop/cart", "settings/global", "confirmations/1", "watchers/1", "orders/1",
        "agents/lb-1", "agents/lb-2", "agents/lb-10", "history/1", "/lbsync-deploy/locks/shop/cart",
    },
    "console": {
        "services/shop/cart", "routes/shop/cart", "confirmations/1", "orders/1", "watchers/1", "history/1",
        "/lbsync-deploy/locks/shop/cart",
    },
    "reader": set(),
}  # fmt: skip
KEYS = sorted(
    {key for keys in MAY.values() for key in keys}
    | {"agents/lb-10", "publishers/test/leader", "other", "/lbsyncother", "/elsewhere"}
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """A cluster with the printed roles, and a user of the same name for each."""
    demand(etcd_harness.installed(), "etcd")
    made = Etcd(tmp_path_factory.mktemp("etcd"))
    made.node.extra += ["--bcrypt-cost", "4"]
    made.start()
    try:
        for role in roles.DESCRIPTIONS:
            lines = roles.commands(role, PREFIX, NAMES.get(role, ""))
            for line in lines:
                made.ctl(*shlex.split(line)[1:])
            made.ctl("user", "add", f"{role}:secret")
            made.ctl("user", "grant-role", role, lines[0].split()[-1])
        made.demand_password("nobody", "secret", prefix="/nothing/")
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("role", sorted(roles.DESCRIPTIONS))
def test_a_role_writes_what_it_needs_and_nothing_else(
    role: str, cluster: Etcd, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret")
    access = {"user": role, "password_file": str(tmp_path / "password")}
    written = {key for key in KEYS if key.startswith("/") and may_put(cluster, role, key)}
    with closing(open_etcd(cluster.urls, PREFIX, **access)) as source:
        source.snapshot()
        for key in KEYS:
            if key.startswith("/"):
                continue
            try:
                source.commit([], [Put(key, b"x")])
                written.add(key)
            except Unavailable as error:
                assert "permission denied" in str(error)
    assert written == MAY[role]


def may_put(cluster: Etcd, role: str, key: str) -> bool:
    """Try to write a key outside of the prefix."""
    endpoints = ",".join(cluster.urls)
    argv = ["etcdctl", f"--endpoints={endpoints}", f"--user={role}:secret", "put", key, "x"]
    ended = subprocess.run(
        argv,
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        check=False,
        timeout=30,
    )
    return ended.returncode == 0
