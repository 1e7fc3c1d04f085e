"""The roles that `lbsync etcd-roles` prints: enough to work with, and no more."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness import etcd as etcd_harness
from harness.etcd import Etcd, open_etcd
from lbsync.cli import main
from lbsync.clients.source import Put
from lbsync.errors import Exit, Unavailable
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
#: What a team may write that is not to touch what others have; of `b` only some keys.
TEAM = [
    *((f"{kind}/{name}/", "--prefix=true") for kind in ("services", "endpoints") for name in "a"),
    ("services/b/", "--prefix=true"),
    ("endpoints/b/0/", "--prefix=true"),
]
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
        made.ctl("role", "add", "team")
        made.ctl("role", "grant-permission", "team", "read", PREFIX, "--prefix=true")
        for key, *more in TEAM:
            made.ctl("role", "grant-permission", "team", "readwrite", f"{PREFIX}{key}", *more)
        made.ctl("user", "add", "team:secret")
        made.ctl("user", "grant-role", "team", "team")
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


def apply(cluster: Etcd, folder: Path, *namespaces: str) -> int:
    """Apply 60 services in each of these namespaces, as the team."""
    (folder / "password").write_text("secret")
    server = {"name": "s", "address": "10.0.0.1", "port": 80}
    keys: dict[str, object] = {}
    for service in (f"{namespace}/{n}" for namespace in namespaces for n in range(60)):
        host = service.replace("/", "-")
        keys[f"services/{service}"] = {"mode": "http", "hosts": [f"{host}.example"]}
        keys[f"endpoints/{service}/main"] = {"servers": [server]}
    (folder / "keys.json").write_text(json.dumps(keys))
    (folder / "lbsync.toml").write_text(
        f'prefix = "{PREFIX}"\n[etcd]\nendpoints = ["{cluster.urls[0]}"]\nuser = "team"\n'
        f'password_file = "{folder}/password"\n'
    )
    words = ("--config", str(folder / "lbsync.toml"), "apply", "-f", str(folder / "keys.json"))
    return main([*words, "--yes"])


def test_many_keys_of_which_some_may_not_be_written_are_refused_before_the_first(
    cluster: Etcd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(cluster, tmp_path, "a", "c") == Exit.UNAVAILABLE
    said = capsys.readouterr().err
    assert "nothing was written: this user of etcd may not write services/c/, endpoints/c/" in said
    assert "'lbsync etcd-roles' prints the permissions for that" in said


def test_a_right_that_ends_within_a_namespace_leaves_whole_services_and_says_which(
    cluster: Etcd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(cluster, tmp_path, "a", "b") == Exit.UNAVAILABLE
    said = capsys.readouterr().err
    so_far = r"100 of 240 keys are written, the last at revision \d+; a/54, a/55, a/56, a/57, a/58 and 45 more not: "
    assert re.search(f"{so_far}.*permission denied.*; run it again", said)
    with closing(
        open_etcd(cluster.urls, PREFIX, user="team", password_file=str(tmp_path / "password"))
    ) as source:
        there = [
            key for key in source.snapshot().items if re.match("(services|endpoints)/[abc]/", key)
        ]
    assert len(there) == 100
