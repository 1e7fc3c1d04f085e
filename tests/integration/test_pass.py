"""Whole passes of the agent, on a real etcd and a real HAProxy in both versions."""

import gc
import json
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from harness.ports import free_port
from harness.stack import servers, with_new_settings
from harness.wait import wait_until
from lbsync.agent.candidate import culprits
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.control import Request
from lbsync.agent.desired.accepted import peek
from lbsync.agent.report.status import StatusReporter
from lbsync.cli import main
from lbsync.clients.haproxy import binary as haproxy_binary
from lbsync.errors import Exit, LbsyncError, Superseded, TemplateError, Unavailable
from lbsync.loop import Report
from lbsync.settings import load
from tests.conftest import on_one_release
from tests.pass_host import Host

NOW = "2026-01-01T00:00:00Z"
#: Seconds to wait for an etcd that is not there.
AWAY_S = 1.0


def test_a_change_is_served_and_a_second_pass_does_nothing(host: Host) -> None:
    other = host.stack.web("other")
    host.stack.put({"endpoints/shop/web/default": servers(other)})
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.changed, outcome.exit_code) == (True, True, Exit.CHANGED)
    assert "shop/web changed; changed without a reload in 2 steps" in outcome.sentence
    assert host.stack.get("shop.example").body == "other"
    again = host.agent.run_pass()
    assert (again.confirmed, again.changed, again.exit_code) == (True, False, Exit.OK)


@on_one_release("host")
def test_passes_leave_nothing_that_only_the_garbage_collector_frees(host: Host) -> None:
    """It comes after 20,000 such objects, hundreds of passes; what they hold would be memory until then."""

    web = host.stack.web("one")

    def change(weight: int) -> None:
        host.stack.put({"endpoints/shop/web/default": servers(web, weight=weight)})
        host.agent.run_fast_path()
        assert host.agent.run_pass().changed

    change(2)  # what is made once, for ever
    gc.collect()
    gc.disable()
    try:
        for weight in range(3, 9):
            change(weight)
        assert gc.collect() < 6 * 4
    finally:
        gc.enable()


def test_a_new_service_with_known_settings_is_served_by_what_haproxy_can_do(host: Host) -> None:
    host.stack.put(
        {
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    able = haproxy_binary.version(host.stack.haproxy.binary) >= (3, 4, 0)
    how = "changed without a reload" if able else "reloaded in"
    assert f"shop/new is new; {how}" in outcome.sentence
    assert host.stack.get("new.example").body == "new"
    host.stack.delete("services/shop/new", "endpoints/shop/new/default")
    outcome = host.agent.run_pass()
    assert f"shop/new is gone; {how}" in outcome.sentence
    assert host.stack.get("new.example").status == 404
    assert host.agent.run_pass().sentence.count("unchanged") == 1


def test_a_service_with_new_settings_takes_a_reload_and_says_why(host: Host) -> None:
    host.stack.put(
        {
            "services/shop/new": with_new_settings("new.example"),
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    assert "shop/new is new; reloaded in" in outcome.sentence
    assert "backend be_shop_new_default" in str(outcome.fields["reload"])
    assert host.stack.get("new.example").body == "new"


@on_one_release("host")
def test_a_key_that_says_the_same_in_other_words_reloads_nothing(host: Host) -> None:
    before = host.text()
    host.stack.put({"services/shop/web": b'{"hosts": ["SHOP.example"],   "mode": "http"}'})
    assert not host.agent.run_pass().changed
    assert host.text() == before


@on_one_release("host")
def test_bad_json_keeps_the_last_good_version_and_lets_the_others_go_on(host: Host) -> None:
    new = host.stack.web("new")
    host.stack.put(
        {
            "services/shop/web": b"{not json",
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(new),
        }
    )
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert "services/shop/web: the value is no JSON" in outcome.error
    assert host.stack.get("shop.example").body == "web"
    assert host.stack.get("new.example").body == "new"


@on_one_release("host")
def test_a_bad_key_keeps_its_last_good_version_over_a_restart(host: Host) -> None:
    host.stack.put({"services/shop/web": b"\xff\xfe"})
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"


@on_one_release("host")
def test_a_port_that_is_taken_holds_back_its_service_alone(host: Host) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        port = other.getsockname()[1]
        host.stack.put(
            {
                "services/db/pg": {"mode": "tcp", "listen": port},
                "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
                "endpoints/shop/new/default": servers(host.stack.web("new")),
            }
        )
        outcome = host.agent.run_pass()
        assert outcome.confirmed
        assert "services/db/pg" in outcome.error
        assert "taken by another process" in outcome.error
        assert host.stack.get("new.example").body == "new"
        assert "fe_db_pg" not in host.text()
    # The other program is only away, as in a restart.
    host.restart_agent()
    outcome = host.agent.run_pass()
    assert f"port {port} is another program's of this host" in outcome.error
    assert "fe_db_pg" not in host.text()
    config = host.stack.config_file
    config.write_text(config.read_text().replace('"*=1-65535"', f'"db={port}"'))
    host.restart_agent()
    assert host.agent.run_pass().error == ""
    assert "fe_db_pg" in host.text()


@on_one_release("host")
def test_two_ordinary_faults_of_one_service_hold_back_that_service_alone(host: Host) -> None:
    host.stack.put(
        {
            "services/a/s": {"mode": "http", "hosts": ["s.example"]},
            "endpoints/a/s/blue": servers(host.stack.web("s")),
            "routes/a/s": {"groups": {"blue": 1}},
        }
    )
    assert host.agent.run_pass().confirmed
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        host.stack.put(
            {
                "services/a/s": {"mode": "tcp", "listen": other.getsockname()[1]},
                "routes/a/s": {"groups": {"nosuch": 1}},
                "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
                "endpoints/shop/new/default": servers(host.stack.web("new")),
            }
        )
        for _ in range(2):
            outcome = host.agent.run_pass()
            assert outcome.confirmed
            assert host.stack.get("new.example").body == "new"
            assert host.stack.get("s.example").body == "s"
        assert host.agent.result.state is not None
        told = {problem.key: problem.reason for problem in host.agent.result.state.desired.problems}
        assert "taken by another process" in told["services/a/s"]
        assert "nosuch has no endpoints key" in told["routes/a/s"]
        host.restart_agent()
        assert host.agent.run_pass().confirmed


def test_a_value_that_looks_like_configuration_is_served_and_slows_down_nobody(
    host: Host,
) -> None:
    odd = "see map(foo) map_reg(maps/routes.map) -f foo @lbsync-digest@"
    host.stack.put(
        {
            "services/a/odd": {
                "mode": "http",
                "hosts": ["odd.example"],
                "headers": {"response": {"set": {"X-Odd": odd}}},
                "rewrite": {"pattern": "/map([0-9]+)", "replacement": "/\\1"},
            },
            "endpoints/a/odd/default": servers(host.stack.web("odd")),
        }
    )
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert host.stack.get("odd.example", "/map7").headers["x-odd"] == odd

    host.stack.put({"services/shop/web": {"mode": "http", "hosts": ["moved.example"]}})

    assert "changed without a reload" in host.agent.run_pass().sentence
    assert host.stack.get("moved.example").body == "web"


#: A service's own words, as a template of the user's prints them into its backend.
PRINTS_THE_OWNER = "{% if s.owner %}\n    {{ s.owner|words }}\n{% endif %}\n"


def own_backend(tmp_path: Path, added: str) -> Path:
    """Return a directory of templates in which that of a backend ends with `added`."""
    mine = tmp_path / "templates"
    mine.mkdir()
    packaged = Path(__file__).parents[2] / "templates" / "haproxy" / "backend.cfg.j2"
    (mine / "backend.cfg.j2").write_text(packaged.read_text() + added)
    return mine


def test_what_only_haproxy_refuses_is_led_back_to_its_service(host: Host, tmp_path: Path) -> None:
    """A template of the user's prints something of one service that `haproxy -c` chokes on."""
    mine = own_backend(tmp_path, PRINTS_THE_OWNER)
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    host.restart_agent()
    good = {"mode": "http", "hosts": ["shop.example"], "owner": "timeout server 7s"}
    host.stack.put({"services/shop/web": good})
    assert host.agent.run_pass().confirmed
    bad = {"mode": "http", "hosts": ["moved.example"], "owner": "no such keyword"}
    host.stack.put(
        {
            "services/shop/web": bad,
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert "services/shop/web" in outcome.error
    assert "be_shop_web_default" in outcome.error
    assert host.stack.get("shop.example").body == "web"
    assert host.stack.get("moved.example").status == 404
    assert host.stack.get("new.example").body == "new"
    host.stack.put({"services/shop/web": {**bad, "owner": "timeout server 8s"}})
    cured = host.agent.run_pass()
    assert (cured.confirmed, cured.error) == (True, "")
    assert host.stack.get("moved.example").body == "web"


@on_one_release("host")
def test_a_template_that_takes_too_long_for_one_service_lets_the_others_go_on(
    host: Host, tmp_path: Path
) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}\n"
    mine = own_backend(tmp_path, "{% if s.owner %}" + endless + "{% endif %}\n")
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\ntime_limit = "300ms"\n')
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    slow = {"mode": "http", "hosts": ["moved.example"], "owner": "anybody"}
    host.stack.put(
        {
            "services/shop/web": slow,
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert "services/shop/web" in outcome.error
    assert "backend.cfg.j2:" in outcome.error
    assert "stopped after 0.3 s of processor time" in outcome.error
    assert host.stack.get("shop.example").body == "web"
    assert host.stack.get("new.example").body == "new"
    # Now for all of them: what is live stays.
    (mine / "backends.cfg.j2").write_text(endless)
    host.restart_agent()
    host.stack.put({"services/shop/new": {"mode": "http", "hosts": ["newer.example"]}})
    before = host.text()
    with pytest.raises(TemplateError, match=r"^backends\.cfg\.j2:1: it takes too long.*time_limit"):
        host.agent.run_pass()
    assert host.text() == before
    assert host.stack.get("new.example").body == "new"


def test_what_haproxy_warns_of_is_said_once_and_shown_by_check(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "    http-request set-var(txn.a) int(1)\n    tcp-request content accept\n"
    mine = own_backend(tmp_path, odd)
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    host.restart_agent()
    warning = "rule placed after an 'http-request' rule"
    with capture_logs() as said:
        for name in ("a", "b", "c"):
            host.stack.put({f"services/shop/{name}": {"mode": "http", "hosts": [f"{name}.x"]}})
            assert "reloaded" in host.agent.run_pass().sentence
    (told,) = [x for x in said if x["log_level"] == "warning"]
    assert told["event"].startswith("HAProxy warns: ")
    assert warning in told["event"]
    assert main(["--config", str(host.stack.config_file), "check"]) == Exit.OK
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if warning in line]
    assert shown.startswith("warn  configuration  parsing [haproxy.cfg:")
    assert shown.endswith("(and 3 like it)")


@on_one_release("host")
def test_a_service_that_is_tried_again_and_again_is_spoken_of_once(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(culprits, "_TRY_AGAIN_S", 0.01)
    with capture_logs() as said, socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        host.stack.put({"services/db/pg": {"mode": "tcp", "listen": other.getsockname()[1]}})

        def levels() -> list[str]:
            assert host.agent.run_pass().confirmed
            return [x["log_level"] for x in said if "db/pg is left out" in x["event"]]

        assert levels() == ["error"]
        wait_until("two more tries", lambda: len(levels()) > 2)
        assert set(levels()[1:]) == {"debug"}


def test_the_watchdog_is_fed_before_each_step_that_may_take_its_time(
    host: Host, tmp_path: Path
) -> None:
    """Before each `haproxy -c` of a pass that has to find out who is at fault, and the reload."""
    mine, checks = own_backend(tmp_path, PRINTS_THE_OWNER), tmp_path / "checks"
    checks.touch()
    counting = tmp_path / "haproxy"
    binary = host.stack.haproxy.binary
    counting.write_text(f'#!/bin/sh\n[ "$1" = -v ] || echo >> {checks}\nexec {binary} "$@"\n')
    counting.chmod(0o755)
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    settings = host.stack.config_file.read_text()
    host.stack.config_file.write_text(settings.replace(f'"{binary}"', f'"{counting}"'))
    host.restart_agent()
    fed: list[int] = []
    host.agent.watch(lambda: None, lambda: fed.append(len(checks.read_text())))
    wait_until("the source to be read", lambda: host.source.health().ok)
    bad = {"mode": "http", "hosts": ["bad.example"], "owner": "no such keyword"}
    host.stack.put({"services/shop/bad": bad, "services/shop/new": {**bad, "owner": "log global"}})
    wait_until("the change", lambda: "services/shop/new" in host.source.snapshot().items)
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert "services/shop/bad" in outcome.error
    count = len(checks.read_text())
    assert count >= 2
    assert set(fed) == set(range(count + 1))


def test_a_template_that_is_wrong_for_all_leaves_what_is_live(host: Host, tmp_path: Path) -> None:
    mine = tmp_path / "templates"
    mine.mkdir()
    (mine / "defaults.cfg.j2").write_text("defaults\n    mode htp\n")
    host.stack.write_settings(f'[templates]\ndirectory = "{mine}"\n')
    before = host.text()
    host.restart_agent()
    with pytest.raises(Refused, match=r"haproxy\.cfg:\d+ \(defaults\)"):
        host.agent.run_pass()
    assert host.text() == before
    assert host.stack.get("shop.example").body == "web"


@on_one_release("host")
def test_a_deleted_prefix_empties_nothing_until_it_is_confirmed(host: Host) -> None:
    host.stack.delete("services/shop/web", "endpoints/shop/web/default")
    outcome = host.agent.run_pass()
    assert "removal held: 1 of 1 servers" in outcome.error
    assert host.stack.get("shop.example").body == "web"
    host.restart_agent()
    assert "removal held" in host.agent.run_pass().error
    hold = host.agent.result.hold
    assert hold is not None
    host.control.set("confirm", Request(hold.id, NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").status == 404
    assert host.control.get("confirm") is None


@on_one_release("host")
@pytest.mark.parametrize(
    ("again", "by_hand"), [("deleted", False), ("maint", False), ("deleted", True)]
)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_removal_that_was_confirmed_and_taken_back_is_held_the_next_time(
    host: Host, again: str, by_hand: bool, restarted: bool
) -> None:
    key = "endpoints/shop/web/default"
    item = host.source.get(key)
    assert item is not None
    host.stack.delete(key)
    assert "removal held: 1 of 1 servers" in host.agent.run_pass().error
    hold = host.agent.result.hold
    assert hold is not None
    host.stack.put({f"confirmations/{hold.id}": {} if by_hand else {"services": hold.left}})
    assert host.agent.run_pass().error == ""
    assert host.stack.get("shop.example").status == 503
    host.stack.put({key: item.value})
    assert host.agent.run_pass().error == ""
    if restarted:
        host.restart_agent()
        assert host.agent.run_pass().error == ""

    if again == "deleted":
        host.stack.delete(key)
    else:
        there = json.loads(item.value)["servers"]
        host.stack.put({key: {"servers": [{**server, "state": "maint"} for server in there]}})
    assert "removal held: 1 of 1 servers" in host.agent.run_pass().error
    assert host.stack.get("shop.example").body == "web"


@on_one_release("host")
def test_etcd_away_serves_the_last_good_generation_also_after_a_restart(host: Host) -> None:
    host.stack.etcd.stop()
    host.restart_agent(timeout=AWAY_S)
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.exit_code) == (True, Exit.UNAVAILABLE)
    assert "is still served" in outcome.error
    assert host.stack.get("shop.example").body == "web"


@on_one_release("host")
def test_a_host_that_never_served_starts_without_etcd_but_takes_no_traffic(
    host: Host, tmp_path: Path
) -> None:
    host.stack.etcd.stop()
    host.stack.haproxy.stop()
    shutil.rmtree(host.stack.state)
    host.stack.state.mkdir()
    host.restart_agent(timeout=AWAY_S)
    host.prepare()
    host.stack.haproxy.start()
    assert host.stack.get("any", "/lbsync-health").status == 503
    assert host.stack.get("shop.example").status == 404


def test_a_generation_goes_live_before_haproxy_runs_and_is_confirmed_once_it_does(
    host: Host,
) -> None:
    host.stack.haproxy.stop()
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.retry) == (False, True)
    assert "live, not confirmed" in outcome.error
    host.stack.haproxy.start()
    assert host.stack.get("shop.example").body == "two"
    assert host.agent.run_pass().confirmed


@on_one_release("host")
def test_etcd_away_on_a_host_that_never_served_is_an_error(host: Host, tmp_path: Path) -> None:
    host.stack.etcd.stop()
    host.stack.state = tmp_path / "empty"
    host.stack.state.mkdir()
    host.stack.write_settings()
    host.restart_agent(timeout=AWAY_S)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        host.agent.run_pass()


def test_a_rollback_is_served_and_holds_until_released(host: Host) -> None:
    old = host.agent.run_pass().fields["digest"]
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    assert host.agent.run_pass().changed
    host.control.set("rollback", Request(str(old), NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("three"))})
    assert "rolled back" in host.agent.run_pass().sentence
    assert host.stack.get("shop.example").body == "web"
    host.control.clear("rollback")
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "three"


def test_after_a_rollback_the_same_generation_is_served_again_as_the_host_is_by_then(
    host: Host,
) -> None:
    old = host.agent.run_pass().fields["digest"]
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    newest = host.agent.run_pass().fields["generation"]
    host.control.set("rollback", Request(str(old), NOW))
    assert host.agent.run_pass().confirmed
    host.control.set("drain", Request("kernel update", NOW))
    host.control.clear("rollback")
    revision = host.stack.put({"other/key": "moves the revision"})
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.fields["generation"]) == (True, newest)
    assert outcome.fields["revision"] == revision
    assert host.stack.get("shop.example").body == "two"
    assert host.stack.get("any", "/lbsync-health").status == 503
    host.control.clear("drain")
    assert host.agent.run_pass().confirmed
    assert host.stack.get("any", "/lbsync-health").status == 200


@on_one_release("host")
def test_settings_for_all_that_lead_nowhere_are_held_until_they_are_meant(host: Host) -> None:
    host.agent.run_pass()
    host.stack.put({"settings/global": {"https": "only"}})  # and no certificate is there
    other = host.stack.web("other")
    host.stack.put({"endpoints/shop/web/default": servers(other)})
    outcome = host.agent.run_pass()
    assert outcome.error.startswith("removal held: by settings/global 1 of 1 servers would go")
    assert host.stack.get("shop.example").body == "other", "all else goes on"
    assert host.agent.result.state is not None
    assert host.agent.result.hold is not None
    host.restart_agent()
    again = host.agent.run_pass()
    assert again.error == outcome.error
    assert host.agent.result.state is not None
    assert host.agent.result.hold is not None
    host.control.set("confirm", Request(host.agent.result.hold.id, NOW))
    assert not host.agent.run_pass().error
    assert host.stack.get("shop.example").status == 302


def test_a_draining_host_says_503_to_the_balancer_and_serves_on(host: Host) -> None:
    assert host.stack.get("any", "/lbsync-health").status == 200
    host.control.set("drain", Request("kernel update", NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("any", "/lbsync-health").status == 503
    assert host.stack.get("shop.example").body == "web"
    host.control.clear("drain")
    assert host.agent.run_pass().confirmed
    assert host.stack.get("any", "/lbsync-health").status == 200


def test_haproxy_started_on_something_else_is_brought_back(host: Host) -> None:
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    live = host.stack.state / "live"
    old = live.readlink()
    host.agent.run_pass()
    new = live.readlink()
    host.stack.haproxy.stop()
    live.unlink()
    live.symlink_to(old)
    host.stack.haproxy.start()
    assert host.stack.get("shop.example").body == "web"
    live.unlink()
    live.symlink_to(new)
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "two"


def test_a_service_that_lost_its_servers_answers_503_with_a_page(host: Host) -> None:
    host.stack.put(
        {
            "services/shop/idle": {"mode": "http", "hosts": ["idle.example"]},
            "endpoints/shop/idle/default": {"servers": []},
        }
    )
    assert host.agent.run_pass().confirmed
    answer = host.stack.get("idle.example")
    assert answer.status == 503
    assert "no server that can answer" in answer.body
    assert host.stack.get("nobody.example").status == 404


@on_one_release("host")
def test_a_damaged_memory_costs_no_service(host: Host) -> None:
    host.source.close()
    for file in host.stack.state.glob("accepted.db*"):
        file.write_bytes(b"garbage" * 1000)
    host.agent = host.fresh_agent()
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"
    with sqlite3.connect(host.stack.state / "accepted.db") as db:
        assert db.execute("SELECT count(*) FROM accepted").fetchone() == (2,)
    db.close()


@on_one_release("host")
@pytest.mark.parametrize("rolled_back", [False, True])
def test_an_emptied_state_directory_is_written_anew_although_etcd_is_away(
    host: Host, rolled_back: bool
) -> None:
    old = host.agent.run_pass().fields["digest"]
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    assert host.agent.run_pass().changed
    if rolled_back:
        host.control.set("rollback", Request(str(old), NOW))
    before = host.agent.run_pass().fields["digest"]
    host.stack.etcd.stop()
    host.restart_agent(timeout=AWAY_S)  # nothing is known but what is on disk
    host.agent.run_pass()
    shutil.rmtree(host.stack.state)
    host.stack.state.mkdir()

    outcome = host.agent.run_pass()

    assert (outcome.confirmed, outcome.fields["digest"]) == (True, before)
    assert (host.control.get("rollback") is not None) == rolled_back
    assert {"services/shop/web", "endpoints/shop/web/default"} <= peek(
        host.stack.state / "accepted.db"
    ).keys()
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == ("web" if rolled_back else "two")


@on_one_release("host")
def test_the_status_of_a_pass_that_failed_tells_of_that_pass(host: Host) -> None:
    reporter = StatusReporter(load(host.stack.config_file), host.agent.state_files, host.source)
    outcome = host.agent.run_pass()
    reporter.note(Report(outcome, "", None, 0.1), host.agent.result)
    reporter.note(Report(None, "the disk is full", 5.0, 0.2), host.agent.result)
    assert (reporter.status.state, reporter.status.error) == ("failing", "the disk is full")
    assert reporter.status.last_pass is not None
    assert reporter.status.last_pass.sentence == "failed: the disk is full"
    reporter.note(Report(outcome, "", None, 0.1), host.agent.result)
    assert (reporter.status.state, reporter.status.error) == ("confirmed", "")
    assert (reporter.status.failing_since, reporter.status.last_pass.seconds) == (0.0, 0.1)
    # What is asked during a pass is obeyed by the next one, and told by no other.
    host.control.set("drain", Request("kernel update", NOW))
    host.control.set("rollback", Request("ab", NOW))
    reporter.note(Report(outcome, "", None, 0.1), host.agent.result)
    assert (reporter.status.state, reporter.status.draining) == ("confirmed", "")
    host.control.clear("rollback")
    host.stack.put({"services/shop/bad": {"mode": "nonsense"}})
    reporter.note(Report(host.agent.run_pass(), "", None, 0.1), host.agent.result)
    assert (reporter.status.state, reporter.status.draining) == ("confirmed", "kernel update")
    assert [one.service for one in reporter.status.quarantined] == ["shop/bad"]
    # A rolled back host judges nothing of what the source asks for.
    host.control.set("rollback", Request(str(outcome.fields["digest"]), NOW))
    reporter.note(Report(host.agent.run_pass(), "", None, 0.1), host.agent.result)
    assert (reporter.status.state, reporter.status.quarantined) == ("rolled-back", ())


@on_one_release("host")
def test_an_agent_that_stood_still_writes_nothing_into_a_directory_that_is_anothers_by_now(
    host: Host,
) -> None:
    reporter = StatusReporter(load(host.stack.config_file), host.agent.state_files, host.source)
    outcome = host.agent.run_pass()
    reporter.note(Report(outcome, "", None, 0.1), host.agent.result)

    def lost() -> str:
        raise Superseded("another agent runs on this host")

    host.agent.state_files.lock = lost
    (host.stack.state / "status.json").write_text("of the other agent")
    with pytest.raises(Superseded):
        reporter.note(Report(outcome, "", None, 0.1), host.agent.result)
    reporter.ended()
    assert (host.stack.state / "status.json").read_text() == "of the other agent"
    live = (host.stack.state / "live").readlink()
    host.stack.put({"services/shop/new": with_new_settings("new.example")})
    with pytest.raises(Superseded):
        host.agent.run_fast_path()
    assert (host.stack.state / "live").readlink() == live


def add_setting(host: Host, section: str, line: str) -> None:
    text = host.stack.config_file.read_text()
    assert f"[{section}]\n" in text
    host.stack.config_file.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{line}\n"))


@on_one_release("host")
def test_while_a_reload_waits_other_programs_files_and_bad_keys_do_not(
    host: Host, tmp_path: Path
) -> None:
    mine, installed = tmp_path / "templates", tmp_path / "services.txt"
    mine.mkdir()
    (mine / "ids.j2").write_text("{% for s in services %}{{ s.id }} {% endfor %}")
    host.stack.write_settings(
        f'[templates]\ndirectory = "{mine}"\n'
        f'[[outputs]]\ntemplate = "ids.j2"\npath = "{installed}"\nquote = "none"\n'
    )
    add_setting(host, "agent", 'splay = "1h"')
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    assert installed.read_text().split() == ["shop/web"]
    new = with_new_settings("new.example")
    host.stack.put({"services/shop/new": new, "services/shop/bad": "{not json"})
    with capture_logs() as said:
        outcome = host.agent.run_pass()
    assert outcome.waits
    assert f"{installed} installed" in outcome.sentence
    assert installed.read_text().split() == ["shop/new", "shop/web"]
    assert [x for x in said if "services/shop/bad" in x["event"]]
    assert host.stack.get("new.example").status == 404


@on_one_release("host")
def test_settings_that_cannot_be_taken_over_leave_nothing_of_themselves(
    host: Host, tmp_path: Path
) -> None:
    assert host.agent.run_pass().confirmed
    # A file of the live generation that is there and cannot be read, whoever asks.
    (host.stack.state / "live" / "unreadable").symlink_to("/proc/self/mem")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    before = host.agent.settings
    add_setting(host, "proxy", f'certificates = "{certificates}"')
    add_setting(host, "agent", "guard_percent = 77")
    with pytest.raises(LbsyncError, match="unreadable: cannot be read"):
        host.agent.configure(load(host.stack.config_file))
    assert host.agent.settings is before
    (host.stack.state / "live" / "unreadable").unlink()
    host.stack.put({"services/shop/new": {"mode": "http", "hosts": ["new.example"]}})
    assert host.agent.run_pass().confirmed
    assert host.stack.get("new.example").status == 503


def test_a_tcp_service_is_reached_on_its_port(host: Host) -> None:
    port = free_port()
    host.stack.put(
        {
            "services/db/pg": {"mode": "tcp", "listen": port},
            "endpoints/db/pg/blue": servers(host.stack.web("blue")),
            "endpoints/db/pg/green": servers(host.stack.web("green")),
            "routes/db/pg": {"groups": {"green": 1}},
        }
    )
    assert host.agent.run_pass().confirmed
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    assert answer.endswith(b"green")


@on_one_release("host")
def test_a_hold_is_not_diluted_by_what_others_gain(host: Host) -> None:
    webs = [host.stack.web(f"w{number}") for number in range(4)]
    host.stack.put(
        {
            "services/d/a": {"mode": "http", "hosts": ["da.example"]},
            "endpoints/d/a/default": servers(*webs),
        }
    )
    assert host.agent.run_pass().confirmed
    host.stack.delete("services/d/a", "endpoints/d/a/default")
    assert "removal held" in host.agent.run_pass().error
    host.stack.put(
        {
            "services/d/c": {"mode": "http", "hosts": ["dc.example"]},
            "endpoints/d/c/default": servers(*webs, host.stack.web("w4")),
        }
    )
    host.agent.run_pass()
    host.restart_agent()
    host.stack.put(
        {"services/shop/web": {"mode": "http", "hosts": ["shop.example"], "maxconn": 77}}
    )
    assert "removal held" in host.agent.run_pass().error
    assert host.stack.get("da.example").status == 200


@on_one_release("host")
def test_a_lost_memory_and_an_emptied_store_together_empty_nothing(host: Host) -> None:
    host.source.close()
    for file in host.stack.state.glob("accepted.db*"):
        file.unlink()
    host.stack.delete("services/shop/web", "endpoints/shop/web/default")
    host.agent = host.fresh_agent()
    assert "removal held" in host.agent.run_pass().error
    assert host.stack.get("shop.example").body == "web"
    assert host.agent.result.state is not None
    assert host.agent.result.hold is not None
    host.control.set("confirm", Request(host.agent.result.hold.id, NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").status == 404


@on_one_release("host")
def test_templates_that_vanish_are_not_replaced_by_packaged_ones(
    host: Host, tmp_path: Path
) -> None:
    host.stack.write_settings(f'[templates]\ndirectory = "{tmp_path / "no-such"}"\n')
    with pytest.raises(TemplateError, match="there is no such directory"):
        host.restart_agent()


def test_a_rollback_neither_drains_a_host_nor_ends_a_drain(host: Host) -> None:
    def health() -> int:
        return host.stack.get("any", "/lbsync-health").status

    digest = str(host.agent.run_pass().fields["digest"])
    host.control.set("drain", Request("kernel", NOW))
    assert host.agent.run_pass().fields["digest"] == digest
    host.control.clear("drain")
    host.agent.run_pass()
    host.stack.put({"services/shop/new": {"mode": "http", "hosts": ["new.example"]}})
    assert host.agent.run_pass().changed
    host.control.set("rollback", Request(digest, NOW))
    assert host.agent.run_pass().confirmed
    assert health() == 200
    host.control.set("drain", Request("kernel", NOW))
    assert host.agent.run_pass().confirmed
    assert health() == 503
    host.control.clear("rollback")
    assert host.agent.run_pass().confirmed
    assert health() == 503
    host.control.clear("drain")
    assert host.agent.run_pass().confirmed
    assert health() == 200


RAW = """\
global
    description {{ digest }}
    stats socket {{ haproxy.stats_socket }} mode 660 level admin
    httpclient.ssl.verify none
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend fe
    bind {{ proxy.http_bind[0] }}
{% for name in ls("/web") %}
    use_backend be_{{ name }} if { hdr(host) -m str {{ name }}.example }
{% endfor %}
{% for name in ls("/web") %}
backend be_{{ name }}
{% for kv in gets("/web/" ~ name ~ "/*") %}
{% set server = json(kv.Value) %}
    server {{ base(kv.Key) }} 127.0.0.1:{{ server.Port }}
{% endfor %}
{% endfor %}
"""


@pytest.fixture
def raw(host: Host, tmp_path: Path) -> Host:
    """The host with a template of its own, which reads keys as they are stored; three servers."""
    mine = tmp_path / "raw"
    mine.mkdir()
    (mine / "mine.cfg.j2").write_text(RAW)
    host.stack.write_settings(
        f'[templates]\ndirectory = "{mine}"\npackaged = false\n'
        '[[outputs]]\ntemplate = "mine.cfg.j2"\npath = "haproxy.cfg"\nquote = "haproxy"\n'
    )
    for number in range(3):
        host.stack.put({f"web/shop/s{number}": {"Port": host.stack.web("raw").port}})
    host.restart_agent()
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert not outcome.error
    assert host.stack.get("shop.example").body == "raw"
    return host


@on_one_release("host")
def test_raw_keys_are_served_and_changed_without_a_confirmation(raw: Host) -> None:
    two = raw.stack.web("two")
    raw.stack.put({f"web/shop/s{number}": {"Port": two.port} for number in range(3)})
    outcome = raw.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert raw.stack.get("shop.example").body == "two"
    raw.stack.put({"web/new/a": {"Port": two.port}})
    assert raw.agent.run_pass().error == ""
    assert raw.stack.get("new.example").body == "two"


@on_one_release("host")
def test_raw_keys_that_vanish_at_once_are_held_each_time(raw: Host) -> None:
    keys = [f"web/shop/s{number}" for number in range(3)]
    items = [raw.source.get(key) for key in keys]
    raw.stack.delete(*keys)
    assert "removal held: 3 of 3 servers" in raw.agent.run_pass().error
    assert raw.stack.get("shop.example").body == "raw"

    hold = raw.agent.result.hold
    assert hold is not None
    raw.stack.put({f"confirmations/{hold.id}": {}})
    assert raw.agent.run_pass().error == ""
    assert raw.stack.get("shop.example").status == 503
    raw.stack.put({item.key: item.value for item in items if item is not None})
    assert raw.agent.run_pass().error == ""
    raw.stack.delete(*keys)
    assert "removal held: 3 of 3 servers" in raw.agent.run_pass().error
    assert raw.agent.result.hold == hold
    assert raw.stack.get("shop.example").body == "raw"


@on_one_release("host")
def test_a_raw_key_that_cannot_be_read_stays_as_it_was_and_the_rest_goes_on(raw: Host) -> None:
    two = raw.stack.web("two")
    raw.stack.put({"web/shop/s0": b"{not json", "web/new/a": {"Port": two.port}})
    for restart in (False, True):
        if restart:
            raw.restart_agent()
        outcome = raw.agent.run_pass()
        assert outcome.confirmed
        assert "web/shop/s0: not JSON" in outcome.error
        assert "its last good value stays" in outcome.error
        assert raw.stack.get("new.example").body == "two"
        assert raw.text().count("    server s") == 3
    raw.stack.put({"web/shop/s0": {"Port": two.port}, "web/new/b": b"1"})
    outcome = raw.agent.run_pass()
    assert "web/new/b: JSON, but no object" in outcome.error
    assert "it is left out" in outcome.error
    raw.stack.delete("web/new/b")
    assert raw.agent.run_pass().error == ""


@on_one_release("host")
def test_a_value_that_a_template_cannot_print_holds_back_its_service_alone(
    host: Host, tmp_path: Path
) -> None:
    """In a fragment, whose item tells the service; and in a file of its own, where halving does."""
    atoi = "{% if s.owner %}\n    retries {{ atoi(s.owner) }}\n{% endif %}\n"
    mine = own_backend(tmp_path, atoi)
    (mine / "all.map.j2").write_text(
        "{% for x in services %}{% if x.record.compression %}\n"
        "{{ atoi(x.id) }}\n{% endif %}\n{{ x.id }} 1\n{% endfor %}\n"
    )
    host.stack.write_settings(
        f'[templates]\ndirectory = "{mine}"\n'
        '[[outputs]]\ntemplate = "all.map.j2"\npath = "maps/all.map"\nquote = "map"\n'
    )
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    bad = {"mode": "http", "hosts": ["moved.example"], "owner": "two"}
    worse = {"mode": "http", "hosts": ["worse.example"], "compression": True}
    host.stack.put(
        {
            "services/shop/web": bad,
            "services/shop/worse": worse,
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert host.agent.result.state is not None
    problems = {
        problem.service: problem.reason for problem in host.agent.result.state.desired.problems
    }
    assert "'two' is no whole number" in problems["shop/web"]
    assert "'shop/worse' is no whole number" in problems["shop/worse"]
    assert host.stack.get("new.example").body == "new"
    assert host.stack.get("shop.example").body == "web", "its last good version"
    assert host.stack.get("worse.example").status == 404
    host.stack.put({"services/shop/web": {**bad, "owner": "2"}})
    host.stack.delete("services/shop/worse")
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert host.stack.get("moved.example").body == "web"


@on_one_release("host")
def test_a_file_beside_that_cannot_be_rendered_stands_in_nobodys_way(
    host: Host, tmp_path: Path
) -> None:
    mine = tmp_path / "templates"
    mine.mkdir()
    (mine / "beside.conf.j2").write_text(
        "{% for x in services %}\n{{ x.record.owner or 'none' }}\n{% endfor %}\n"
    )
    beside = tmp_path / "beside.conf"
    host.stack.write_settings(
        f'[templates]\ndirectory = "{mine}"\n'
        f'[[outputs]]\ntemplate = "beside.conf.j2"\npath = "{beside}"\nquote = "strict"\n'
    )
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    before = beside.read_text()
    host.stack.put(
        {
            "services/shop/new": {"mode": "http", "hosts": ["new.example"], "owner": "two words"},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert f"{beside} stays as it is" in outcome.error
    assert beside.read_text() == before
    assert host.stack.get("new.example").body == "new"


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_live_file_that_somebody_damaged_is_written_anew(host: Host, damage: str) -> None:
    live = host.stack.state / "live"
    before = host.text()
    if damage == "removed":
        (live / "maps" / "routes.map").unlink()
    else:
        (live / "haproxy.cfg").write_text(before + "garbage\n")
    worker = host.stack.haproxy.ask("@1 show info").split("Pid:")[1].split()[0]
    assert host.agent.run_pass().confirmed
    assert host.text() == before
    assert (live / "maps" / "routes.map").exists()
    assert host.stack.haproxy.ask("@1 show info").split("Pid:")[1].split()[0] == worker
    assert host.stack.get("shop.example").body == "web"
