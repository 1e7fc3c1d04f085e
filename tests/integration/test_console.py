"""The console as it runs: a real etcd, a socket, and clients of all kinds."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness import launch
from harness.certificates import Authority
from harness.console import ConsoleProcess
from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Lease, Put
from lbsync.schema.deploying import deploy_prefix
from lbsync.schema.health import answers, asked, health_prefix
from tests.console_client import UNDER_WAY, a_deployment, a_fleet, an_agent

PREFIX = "/console/"


class Fleet:
    """What stands in etcd for the console to show."""

    def __init__(self, source: EtcdSource) -> None:
        self.source = source
        self.lease: Lease = source.lease(600)
        for key, value in a_fleet().items():
            self.put(key, value)

    def put(self, key: str, value: Any) -> None:
        is_alive = key.endswith("/leader") or (key.startswith("agents/") and key.count("/") == 1)
        ops = [Put(key, json.dumps(value).encode(), self.lease.id if is_alive else 0)]
        self.source.commit([], ops)

    def delete(self, key: str) -> None:
        self.source.commit([], [Delete(key)])

    def keep(self, key: str, value: Any) -> None:
        """Write what deployers keep."""
        self.source.commit([], [Put(f"{deploy_prefix(PREFIX)}{key}", json.dumps(value).encode())])

    def keep_a_deployment(self) -> None:
        """Write what `a_deployment` holds, of an app that calls none its own: so nobody carries it out."""
        for key, value in a_deployment().items():
            if not key.startswith("versions/"):
                self.keep(key, value)

    def answer(self, host: str, record: dict[str, Any]) -> None:
        """Answer a watcher as an agent does."""
        value = json.dumps(record).encode()
        self.source.commit([], [Put(f"{health_prefix(PREFIX)}{host}", value, self.lease.id)])


@pytest.fixture
def fleet(etcd: Etcd) -> Iterator[Fleet]:
    etcd.delete(PREFIX, "--prefix")
    etcd.delete(deploy_prefix(PREFIX), "--prefix")
    source = open_etcd([etcd.node.url], PREFIX)
    made = Fleet(source)
    yield made
    made.lease.end()
    source.close()


@pytest.fixture
def console(etcd: Etcd, fleet: Fleet, tmp_path: Path) -> Iterator[ConsoleProcess]:
    made = ConsoleProcess(tmp_path / "console", [etcd.node.url], PREFIX).start()
    yield made
    made.stop()


def read(console: ConsoleProcess, path: str, words: str) -> str:
    """Wait until a page has these words; return it."""
    return wait_until(
        f"{words!r} on {path}", lambda: _with(console.get(path)[2], words), timeout=20
    )


def _with(text: str, words: str) -> str:
    return text if words in text else ""


def test_a_change_in_etcd_is_sent_to_whoever_looks(console: ConsoleProcess, fleet: Fleet) -> None:
    read(console, "/", "lb-2")
    wait_until("the question", lambda: asked(fleet.source.snapshot()).all)
    read(console, "/", f"<dd>{fleet.source.snapshot().revision}</dd>")
    with console.stream("/live/") as events:
        kind, first, html = next(events)
        assert (kind, "lb-1" in html) == ("page", True)
        fleet.put("agents/lb-7", an_agent(error="the disk is full", state="failing"))
        _, second, html = next(events)
        assert "the disk is full" in html
    # Who comes again is told only what he does not know.
    with console.stream("/live/", **{"Last-Event-ID": first}) as events:
        assert next(events)[1] == second
    with console.stream(f"/live/?since={second}") as events:
        fleet.delete("agents/lb-7")
        kind, third, html = next(events)
        assert third != second
        assert "the disk is full" not in html


def test_who_looks_at_the_fleet_sees_how_many_servers_are_up_on_each_balancer(
    console: ConsoleProcess, fleet: Fleet
) -> None:
    read(console, "/", "Servers up")
    wait_until("the question", lambda: asked(fleet.source.snapshot()).all)
    impaired = {"shop/cart": {"blue": [1, 3]}}
    said = {"at": "", "servers": 60, "up": 58, "impaired": impaired}
    fleet.answer("lb-1", {"at": "", "summary": said})
    page = read(console, "/", "58 of 60")
    assert 'title="shop/cart"' in page
    found = json.loads(console.get("/api/fleet")[2])["hosts"]
    servers = {host["host"]: host["servers"] for host in found}
    assert (servers["lb-1"], servers["lb-2"]) == (60, None)


def test_who_looks_at_a_service_sees_its_servers_as_balancers_find_them(
    console: ConsoleProcess, fleet: Fleet
) -> None:
    read(console, "/services/shop/cart", "answers come within a second or two")
    watched = wait_until(
        "the question",
        lambda: [str(s) for s in asked(fleet.source.snapshot()).services],
    )
    assert watched == ["shop/cart"]
    down = {"name": "b1", "status": "DOWN", "check": "L4CON", "said": "Connection refused"}
    group = {"up": 0, "total": 1, "servers": [down], "sessions": 3, "rate": 7, "response_ms": 12}
    fleet.answer("lb-1", {"at": "", "services": {"shop/cart": {"blue": group}}})
    page = read(console, "/services/shop/cart", "lb-1: DOWN (L4CON, Connection refused)")
    assert "0 of 1 balancer" in page
    assert "7 requests a second" in page
    assert "1 of 2 balancers have not answered how these servers do: lb-2" in page
    found = json.loads(console.get("/api/services/shop/cart/health")[2])
    assert found["groups"]["blue"]["servers"]["b1"]["up_on"] == 0


def test_nobody_is_asked_while_nobody_looks(console: ConsoleProcess, fleet: Fleet) -> None:
    for path in ("/", "/services", "/refused", "/lookup?url=cart.example.com"):
        assert console.get(path)[0] == 200
    assert not asked(fleet.source.snapshot()).services
    with console.stream("/live/services/shop/cart"):
        wait_until("the question", lambda: asked(fleet.source.snapshot()).services)
    assert answers(fleet.source.snapshot()) == {}


def test_a_deployment_is_followed_event_by_event(console: ConsoleProcess, fleet: Fleet) -> None:
    path = f"deployments/shop/cart/{UNDER_WAY}"
    fleet.keep_a_deployment()
    read(console, f"/{path}", "switching")
    wants = {"Accept": "text/event-stream"}
    with console.stream(f"/api/{path}/events", **wants) as events:
        assert [next(events)[1] for _ in range(3)] == ["0", "1", "2"]
        told = {
            "at": "2026-01-02T10:00:09.000Z",
            "phase": "converged",
            "text": "2 of 2 hosts verified it",
        }
        began = time.monotonic()
        fleet.keep(f"events/shop/cart/{UNDER_WAY}/000003", told)
        kind, number, text = next(events)
        assert time.monotonic() - began < 20
        assert (kind, number, json.loads(text)["text"]) == ("event", "3", told["text"])
    # Who comes again is told only what he does not know, and the end.
    record = a_deployment()[path] | {"phase": "deployed", "ended_at": "2026-01-02T10:00:10.000Z"}
    with console.stream(f"/api/{path}/events", **wants, **{"Last-Event-ID": "2"}) as events:
        assert next(events)[1] == "3"
        fleet.keep(path, record)
        assert next(events) == ("end", "3", "deployed")
    read(console, f"/{path}", "after 10 s")


def test_a_deployment_is_begun_paused_and_cancelled_and_says_by_whom(
    console: ConsoleProcess, fleet: Fleet
) -> None:
    token = console.command("token", "add", "ci", "--right", "deploy", "--namespace", "shop")
    wait_until("the token to count", lambda: console.get("/api/fleet")[0] == 401)
    bearer = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    sent = bearer | {"Content-Type": "application/json", "Idempotency-Key": "build 7"}

    def begin() -> tuple[int, Mapping[str, str], str]:
        body = json.dumps({"group": "green", "strategy": {"manual": True, "steps": [10]}})
        return console.ask("POST", "/api/apps/shop/cart/deployments", body, sent)

    wait_until("somebody who carries it out", lambda: begin()[0] == 202, timeout=60)
    status, told, text = begin()
    begun = json.loads(text)
    assert (status, begun["is_repeat"]) == (202, True)
    with console.stream(
        f"{told['location']}/events", **bearer | {"Accept": "text/event-stream"}
    ) as events:
        seen = [json.loads(next(events)[2])]
        assert (seen[0]["text"], seen[0]["by"]) == ("switch to green", "token ci from 127.0.0.1")
        assert console.ask("POST", f"{told['location']}/pause", "", bearer)[0] == 202
        assert console.ask("POST", f"{told['location']}/cancel", "", bearer)[0] == 202
        while seen[-1]["text"] != "to be cancelled":
            seen.append(json.loads(next(events)[2]))
    assert [each["text"] for each in seen if each["by"]] == [
        "switch to green",
        "paused",
        "to be cancelled",
    ]
    # No host is there that could prove its way back: that is for the deployer's own tests.
    shown = json.loads(console.get(told["location"], **bearer)[2])
    assert (shown["wish"], shown["reason"]) == ("cancel", "cancelled by token ci from 127.0.0.1")
    assert console.ask("POST", f"{told['location']}/resume", "", bearer)[0] == 422


def test_a_held_removal_is_confirmed_by_who_may(console: ConsoleProcess, fleet: Fleet) -> None:
    token = console.command("token", "add", "ann", "--right", "admin")
    wait_until("the token to count", lambda: console.get("/api/fleet")[0] == 401)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": console.url}
    status, told, _ = console.ask("POST", "/login", f"token={token}&next=/refused", headers)
    assert (status, told["location"]) == (303, "/refused")
    cookie = told["set-cookie"].partition(";")[0]
    assert "This is meant" in console.get("/confirm/4f2a", Cookie=cookie)[2]
    status, told, _ = console.ask("POST", "/confirm/4f2a", "", headers | {"Cookie": cookie})
    assert (status, told["location"]) == (303, "/?done=confirm")
    written = fleet.source.get("confirmations/4f2a")
    assert written is not None
    assert json.loads(written.value)["by"] == "token ann from 127.0.0.1"
    console.command("token", "rm", "ann")
    assert console.get("/api/fleet", Cookie=cookie)[0] in (401, 503)


def test_a_host_that_does_not_obey_is_told_and_the_order_is_taken_back(
    console: ConsoleProcess, fleet: Fleet
) -> None:
    token = console.command("token", "add", "ci", "--right", "admin")
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "*/*",
    }
    body = json.dumps({"reason": "kernel update"})

    def obey() -> bool:
        found = [k for k in fleet.source.snapshot().items if k.startswith("orders/")]
        if found:
            order = {"id": found[0].removeprefix("orders/"), "state": "done"}
            fleet.put("agents/lb-1", an_agent(draining="kernel update", order=order))
        return bool(found)

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(console.ask, "POST", "/api/hosts/lb-1/drain", body, headers)
        wait_until("the order", obey)
        status, _, text = answer.result(20)
    assert (status, json.loads(text)["host"]) == (200, "lb-1")
    status, _, text = console.ask("POST", "/api/hosts/lb-2/drain", body, headers)
    assert status == 504
    assert json.loads(text)["detail"] == "held: it has not begun. The order is taken back."
    wait_until(
        "it to go",
        lambda: not [k for k in fleet.source.snapshot().items if k.startswith("orders/")],
    )


def test_etcd_away_is_said_and_everything_stays(
    clusters: Callable[..., Etcd], tmp_path: Path
) -> None:
    cluster = clusters().start()
    source = open_etcd([cluster.node.url], PREFIX)
    source.commit([], [Put(key, json.dumps(value).encode()) for key, value in a_fleet().items()])
    source.close()
    console = ConsoleProcess(tmp_path / "console", [cluster.node.url], PREFIX).start()
    try:
        read(console, "/services", "shop/cart")
        with console.stream("/live/services") as events:
            next(events)
            cluster.node.stop(signal.SIGKILL)
            assert "etcd does not answer" in next(events)[2]
        page = console.get("/services")[2]
        assert "etcd does not answer" in page
        assert "shop/cart" in page
        assert json.loads(console.get("/api/health")[2])["ok"] is False
        cluster.node.launch()
        wait_until(
            "etcd again",
            lambda: "etcd does not answer" not in console.get("/services")[2],
            timeout=30,
        )
    finally:
        console.stop()


def test_without_etcd_it_starts_and_says_why_there_is_nothing(tmp_path: Path) -> None:
    graylog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    graylog.bind(("127.0.0.1", 0))
    graylog.settimeout(30)
    target = f"log.gelf_target=udp://127.0.0.1:{graylog.getsockname()[1]}"
    console = ConsoleProcess(tmp_path, ["http://127.0.0.1:1"], PREFIX)
    try:
        console.start("--set", "log.format=gelf", "--set", target)
        said = [json.loads(graylog.recv(65_536)) for _ in range(2)]
        assert {line["host"] for line in said} == {"console"}
        assert any("the console listens on http://127" in line["short_message"] for line in said)
        status, _, page = console.get("/")
        assert status == 503
        assert "etcd does not answer" in page
        assert "127.0.0.1:1" in page
        status, told, text = console.get("/api/fleet", Accept="application/json")
        assert (status, told["content-type"]) == (503, "application/problem+json")
        assert json.loads(text)["title"] == "etcd does not answer"
    finally:
        console.stop()
        graylog.close()


def test_it_ends_at_once_also_while_somebody_looks(console: ConsoleProcess) -> None:
    read(console, "/", "lb-2")
    with console.stream("/live/") as events:
        next(events)
        console.send(signal.SIGTERM)
        assert console.wait(30) == 0
    assert "the console ends" in console.log.read_text()
    assert "Traceback" not in console.log.read_text(), console.log.read_text()


def test_over_tls_cookies_are_for_this_host_alone_and_a_new_certificate_is_taken(
    etcd: Etcd, fleet: Fleet, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.sign("one")
    served = tmp_path / "served.pem", tmp_path / "served.key"
    for source, target in zip((certificate, key), served, strict=True):
        target.write_bytes(source.read_bytes())
    tls = {"tls_cert": str(served[0]), "tls_key": str(served[1])}
    console = ConsoleProcess(tmp_path / "console", [etcd.node.url], PREFIX, **tls)
    token = console.command("token", "add", "ann")
    console.start()
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": console.url}
        status, told, _ = console.ask("POST", "/login", f"token={token}", headers)
        assert status == 303
        assert told["set-cookie"].startswith("__Host-lbsync_session=")
        assert "Secure" in told["set-cookie"]
        assert "max-age" in told["strict-transport-security"]
        for source, target in zip(authority.sign("two"), served, strict=True):
            target.write_bytes(source.read_bytes())
        console.send(signal.SIGHUP)
        wait_until("the certificate", lambda: "was read again" in console.log.read_text())
        assert console.get("/healthz")[0] == 200
        served[0].write_text("nonsense")
        console.send(signal.SIGHUP)
        wait_until("the refusal", lambda: "settings were not taken over" in console.log.read_text())
        assert console.get("/healthz")[0] == 200
    finally:
        console.stop()


@pytest.mark.parametrize(
    ("console", "code", "said"),
    [
        ({"bind": "0.0.0.0:0"}, 4, "bind"),
        ({"bind": "0.0.0.0:8480"}, 4, "tokens would travel readable; name tls_cert and tls_key, or set plain_text"),
        ({"bind": "0.0.0.0:8480", "plain_text": True}, 4, "make one with 'lbsync token add NAME'"),
        ({"names": ["console.example.com"]}, 4, "make one with 'lbsync token add NAME'"),
        ({"tls_cert": "/nowhere.pem", "tls_key": "/nowhere.key"}, 4, "and /nowhere.key do not do: No such file"),
        ({"tls_cert": "/nowhere.pem"}, 4, "a certificate needs both tls_cert and tls_key"),
        ({"bind": "192.0.2.1:8480", "plain_text": True, "tokens_file": "/dev/null"}, 5, "is no file of tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_sentence(
    tmp_path: Path, console: dict[str, Any], code: int, said: str
) -> None:
    made = ConsoleProcess(tmp_path, ["http://127.0.0.1:1"], PREFIX, **console)
    ended = launch.run(["--config", str(made.config_file), "console"], timeout=60)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_one_sentence(console: ConsoleProcess) -> None:
    ended = launch.run(["--config", str(console.config_file), "console"], timeout=60)
    assert ended.returncode == 1
    assert "cannot be listened on: Address already in use; name another" in ended.stderr


def test_a_directory_has_no_fleet(tmp_path: Path) -> None:
    ended = launch.run(["--source", f"file:{tmp_path}", "--state-dir", str(tmp_path), "console"])
    assert (ended.returncode, "has no fleet" in ended.stderr) == (5, True)


def test_clients_that_dawdle_or_babble_are_let_go(etcd: Etcd, fleet: Fleet, tmp_path: Path) -> None:
    console = ConsoleProcess(tmp_path / "console", [etcd.node.url], PREFIX, max_streams=2).start()
    try:
        read(console, "/", "lb-2")
        with console.raw() as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
            for nonsense in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"A" * 100_000, b"\r\n\r\n"):
                with console.raw() as client:
                    client.sendall(nonsense)
                    client.shutdown(socket.SHUT_WR)
                    client.recv(4096)
            with console.stream("/live/") as one, console.stream("/live/") as two:
                assert next(one)[0] == next(two)[0] == "page"
                assert console.get("/live/")[0] == 503
            wait_until("a place", lambda: _is_served(console))
            slow.settimeout(25)
            assert slow.recv(100) == b""
        assert console.get("/")[0] == 200
        assert "Traceback" not in console.log.read_text(), console.log.read_text()
    finally:
        console.stop()


def _is_served(console: ConsoleProcess) -> bool:
    try:
        with console.stream("/live/") as events:
            return next(events)[0] == "page"
    except AssertionError:
        return False


def test_the_names_in_help_are_those_of_the_documentation() -> None:
    said = launch.run(["console", "--help"]).stdout
    for words in ("lbsync token add ann --right admin", "docs/console.md", "exit codes"):
        assert words in said
    assert "make, list and remove tokens" in " ".join(launch.run(["--help"]).stdout.split())
