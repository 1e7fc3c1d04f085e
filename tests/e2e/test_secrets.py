"""What nobody may read who may not read the file it is in: passwords, hashes, private keys."""

import contextlib
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.agent import AgentProcess, command
from harness.certificates import Authority
from harness.etcd import Etcd
from harness.haproxy import QUICK_START, binaries
from harness.ports import free_port
from harness.stack import Stack, servers
from harness.wait import wait_until
from tests.conftest import demand
from tests.site import basic, crypt

PASSWORD, ROTATED = "planted-Passw0rd-one", "planted-Passw0rd-two"
#: What somebody may write in place of a hash, in each place where it may be tried.
PLAIN = "planted-Passw0rd-of-ann"
HASH = "$6$plantedsalt$" + "Pl4nted" * 12 + "ab"
MISPLACED: tuple[object, ...] = (
    {"users": {"ann": PLAIN}},
    {"users": {"ann": HASH + "!"}},
    {"users": [f"ann:{PLAIN}"]},
    {"users": PLAIN},
    {"ann": PLAIN},
    PLAIN,
)


def answer(port: int, path: str, user: str = "") -> str:
    """The page; empty where this user may not see it."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(asked):
        asked.request("GET", path, headers=basic(user, PASSWORD) if user else {})
        got = asked.getresponse()
        return "" if got.status == 401 else got.read().decode()


def said_by(stack: Stack, *words: str) -> str:
    done = command(stack, *words)
    return done.stdout + done.stderr


def key_lines(key: Path) -> list[str]:
    """A private key's own lines: one of them is enough to know that it is out."""
    return [line for line in key.read_text().splitlines() if re.fullmatch(r"[\w+/=]{40,}", line)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A host whose etcd wants a password, with a service that wants one, in TLS."""
    demand("2.6" in binaries(), "HAProxy 2.6")
    etcd = Etcd(tmp_path / "etcd").start()
    stack = Stack(tmp_path, binaries()["2.6"], etcd=etcd, templates=QUICK_START)
    service = {"mode": "http", "hosts": ["shop.example"], "auth": {"users": {"ann": HASH}}}
    stack.put(
        {
            "services/shop/web": service,
            "endpoints/shop/web/default": servers(stack.web("one")),
            **{
                f"services/shop/bad-{number}": {
                    "mode": "http",
                    "hosts": ["b.example"],
                    "auth": auth,
                }
                for number, auth in enumerate(MISPLACED)
            },
        }
    )
    etcd.demand_password("lb", PASSWORD, prefix="/lbsync/")
    try:
        yield stack
    finally:
        stack.stop()
        etcd.stop()


def test_no_secret_is_in_anything_that_is_shown_logged_or_reported(
    stack: Stack, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path / "ca").sign("shop.example")
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "shop.pem").write_text(certificate.read_text() + key.read_text())
    # One that HAProxy cannot load: whoever tells of it has read it.
    (folder / "broken.pem").write_text(key.read_text() + key.read_text()[:-80])
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    port = free_port()
    users, hashes = tmp_path / "users", (crypt(PASSWORD), crypt(PASSWORD))
    users.write_text(f"ann:{hashes[0]}\n")
    stack.write_settings(
        f'https_bind = ["127.0.0.1:{free_port()}"]\ncertificates = "{folder}"\nstats_users_file = "{users}"\n'
    )
    text = stack.config_file.read_text()
    text = text.replace("[etcd]\n", f'[etcd]\nuser = "lb"\npassword_file = "{password}"\n')
    text = text.replace("[agent]\n", f'[agent]\nhttp_bind = "127.0.0.1:{port}"\n')
    stack.config_file.write_text(text.replace("[agent]\n", '[log]\nlevel = "debug"\n[agent]\n', 1))
    prepared = command(stack, "prepare")
    assert prepared.returncode == 0, prepared.stderr
    stack.haproxy.start()
    agent = AgentProcess(stack).start()
    try:
        wait_until("the service", lambda: stack.get("shop.example").status == 401)
        users.write_text(f"bob:{hashes[1]}\n")
        wait_until("another user", lambda: answer(stack.stats_port, "/", "bob"))
        assert not answer(stack.stats_port, "/", "ann")
        shown = {
            f"lbsync {' '.join(words)}": said_by(stack, *words)
            for words in (
                ["status"],
                ["status", "--output", "json"],
                ["status", "--fleet"],
                ["check"],
                ["service", "ls"],
                ["service", "show", "shop/web"],
                ["history"],
                ["rollback", "--list"],
            )
        }
        shown |= {path: answer(port, path) for path in ("/status", "/metrics", "/readyz")}
        shown["stats page"] = answer(stack.stats_port, "/", "bob")
        shown["HAProxy's metrics"] = answer(stack.stats_port, "/metrics", "bob")
        shown["reports"] = stack.etcd.ctl("get", "--prefix", "/lbsync/agents/")
        shown["processes"] = "\n".join(
            " ".join([*process.cmdline(), *process.environ().values()])
            for process in (psutil.Process(agent.pid), psutil.Process(stack.haproxy.pid))
        )
        for number in range(len(MISPLACED)):
            assert f"shop/bad-{number}" in shown["lbsync status --output json"]
        assert "broken.pem" in shown["lbsync check"] + shown["lbsync status"]
        # A password that no longer counts, and one that is tried in vain.
        stack.etcd.ctl("user", "delete", "lb")
        password.write_text(ROTATED)
        stack.etcd.node.kill()
        stack.etcd.start()
        wait_until(
            "the refusal", lambda: "authentication" in json.dumps(agent.status()), timeout=30
        )
        shown["lbsync status, refused"] = said_by(stack, "status")
        shown["lbsync check, refused"] = said_by(stack, "check")
        shown["status.json"] = (stack.state / "status.json").read_text()
    finally:
        agent.stop()
    shown["log"] = agent.log.read_text()
    secrets = [PASSWORD, ROTATED, PLAIN, HASH, *hashes, "PRIVATE KEY", *key_lines(key)]
    found = {place: s for place, text in shown.items() for s in secrets if s in text}
    assert found == {}
    assert all(shown.values()), "something that was looked at was empty"
