"""Whatever a command changes in a running HAProxy is put right and told, never confirmed in silence."""

from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.stack import servers
from harness.wait import wait_until
from lbsync.agent.apply.switch import ApplyResult
from tests.pass_host import Host

SERVER = "be_shop_web_default/web"


def healed(host: Host) -> tuple[str, ...]:
    host.agent.verify_all_next()
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert host.agent.result.applied is not None
    assert host.agent.result.applied.by_hand == ()
    by_reload = (
        host.agent.result.applied.reasons if host.agent.result.applied.cause == "heal" else ()
    )
    return host.agent.result.applied.healed or by_reload


@pytest.mark.parametrize(
    "commands",
    [
        (f"disable health {SERVER}", f"set server {SERVER} health down"),
        (f"set server {SERVER} check-port 9",),
        (f"set maxconn server {SERVER} 1",),
        ("set maxconn frontend fe_http 1",),
        ("set maxconn global 7",),
        ("set rate-limit connections global 1",),
        ("set rate-limit sessions global 1",),
        ("set rate-limit ssl-sessions global 1",),
        ("set rate-limit http-compression global 1",),
        ("disable frontend fe_http",),
        ("shutdown frontend fe_http",),
    ],
)
def test_a_command_is_undone_and_counted(host: Host, commands: tuple[str, ...]) -> None:
    assert healed(host) == ()
    for command in commands:
        assert host.stack.haproxy.ask(f"@1 {command}").strip() == ""
    assert len(healed(host)) == 1
    assert healed(host) == ()
    # A server whose checks are on again is up after two good ones.
    wait_until("it to be served", lambda: host.stack.get("shop.example").body == "web")


def test_a_change_reads_back_what_changed_and_now_and_then_all(host: Host) -> None:
    """Else one change among ten thousand services would cost the reading of them all; and changes that
    never pause would leave the rest unread for ever."""
    api = {"services/shop/api": {"mode": "http", "hosts": ["api.example"]}}
    host.stack.put({**api, "endpoints/shop/api/default": servers(host.stack.web("api"))})
    assert host.agent.run_pass().confirmed
    assert healed(host) == ()
    ask(host, f"set server {SERVER} weight 50%")
    host.agent.verify_all_next()
    host.agent.run_pass()
    applied = host.agent.result.applied
    assert applied is not None
    assert len(applied.by_hand) == 1
    ask(host, "set maxconn server be_shop_web_default/web 1")
    ask(host, f"set server {SERVER} check-port 9")

    def move(name: str) -> ApplyResult:
        host.stack.put({"endpoints/shop/api/default": servers(host.stack.web(name))})
        host.agent.run_fast_path()
        assert host.agent.run_pass().confirmed
        assert host.agent.result.applied is not None
        assert host.agent.result.applied.reload is None
        return host.agent.result.applied

    moved = move("moved")
    assert moved.by_hand == applied.by_hand
    assert moved.healed == ()
    ask(host, "set server be_shop_api_default/api weight 0%")
    assert (
        move("back").healed == ()
    )  # what runs in place of what was changed by hand is read, and is right
    host.agent.verify_all_next()
    assert len(move("again").healed) == 2


def test_forced_health_of_a_server_without_checks_does_not_stay(host: Host) -> None:
    record = {"mode": "http", "hosts": ["shop.example"], "check": {"type": "none"}}
    host.stack.put({"services/shop/web": record})
    assert host.agent.run_pass().confirmed
    host.stack.haproxy.ask(f"@1 set server {SERVER} health down")
    assert host.stack.get("shop.example").status == 503
    assert len(healed(host)) == 1
    assert host.stack.get("shop.example").body == "web"


def test_what_is_as_written_is_no_drift_whatever_is_written(host: Host) -> None:
    record = {
        "mode": "http", "hosts": ["shop.example"], "check": {"path": "/health", "port": 9},
        "maxconn": 5, "sticky": {"cookie": "S"},
    }  # fmt: skip
    host.stack.put(
        {
            "services/shop/web": record,
            "services/shop/tls": {
                "mode": "http", "hosts": ["tls.example"], "backend_tls": {"verify": "none"},
            },
            "endpoints/shop/tls/default": servers(host.stack.web("tls"), state="maint"),
            "services/shop/tcp": {"mode": "tcp", "listen": host.stack.stats_port + 1},
        }
    )  # fmt: skip
    assert host.agent.run_pass().confirmed
    assert healed(host) == ()
    host.stack.put({"endpoints/shop/tls/default": servers(host.stack.web("new"))})
    host.agent.run_fast_path()
    assert host.agent.run_pass().confirmed
    assert healed(host) == ()


def test_tls_and_the_port_of_checks_are_as_written_from_the_reload_on(host: Host) -> None:
    """HAProxy's file of states would keep them as they were."""
    record = {"mode": "http", "hosts": ["shop.example"], "check": {"path": "/health", "port": 9}}
    host.stack.put({"services/shop/web": record})
    assert host.agent.run_pass().confirmed
    record["check"] = {"path": "/health", "port": 10}
    host.stack.put({"services/shop/web": {**record, "backend_tls": {"verify": "none"}}})
    assert "reloaded" in host.agent.run_pass().sentence
    told = ask(host, "show servers state be_shop_web_default")[2].split(" ")
    assert told[20:22] == ["1", "10"]


def test_authorities_that_were_exchanged_do_not_stay(host: Host, tmp_path: Path) -> None:
    wanted, other = (Authority(tmp_path / name).ca.read_text() for name in ("wanted", "other"))
    tls = {"sni": "shop.example", "ca": wanted}
    host.stack.put(
        {"services/shop/web": {"mode": "http", "hosts": ["shop.example"], "backend_tls": tls}}
    )
    assert host.agent.run_pass().confirmed
    assert healed(host) == ()
    (file,) = (line.split(" - ")[0] for line in ask(host, "show ssl ca-file") if line[:3] == "ca/")
    ask(host, f"set ssl ca-file {file} <<\n{other.strip()}\n")
    ask(host, f"commit ssl ca-file {file}")
    assert len(healed(host)) == 1
    assert healed(host) == ()


def ask(host: Host, command: str) -> list[str]:
    return host.stack.haproxy.ask(f"@1 {command}").splitlines()


def test_a_map_that_was_right_is_read_anew_when_it_is_changed(host: Host) -> None:
    assert healed(host) == ()
    assert healed(host) == ()
    host.stack.haproxy.ask("@1 set map maps/routes.map shop.example/ shop/none")
    assert host.stack.get("shop.example").status == 404
    assert len(healed(host)) == 1
    assert host.stack.get("shop.example").body == "web"


def test_entries_that_were_prepared_and_given_up_are_no_drift(host: Host) -> None:
    """3.4 counts them on, and holds them, until the next commit."""
    version = ask(host, "prepare map maps/routes.map")[0].rpartition(" ")[2]
    ask(host, f"add map @{version} maps/routes.map nobody.example/ shop/nobody")
    ask(host, f"clear map @{version} maps/routes.map")
    host.agent.verify_all_next()
    assert healed(host) == ()
    host.restart_agent()
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.changed) == (True, False)
