"""What was changed right after a wake is read back before its file is written, for whoever waits for it."""

from pathlib import Path

import pytest

from harness.stack import servers
from lbsync.agent.unfinished import UnfinishedPass
from tests.pass_host import Host

MAP = "maps/backends.map"


@pytest.fixture
def switched(host: Host) -> tuple[Host, int]:
    """A service with two groups, of which the route has just led all traffic to the second one."""
    host.stack.put(
        {
            "routes/shop/web": {"groups": {"default": 100}},
            "endpoints/shop/web/green": servers(host.stack.web("green")),
        }
    )
    assert host.agent.run_pass().confirmed
    revision = host.stack.put({"routes/shop/web": {"groups": {"green": 100}}})
    assert host.agent.run_fast_path()
    return host, revision


def ask(host: Host, command: str) -> str:
    """Say something to HAProxy by hand."""
    return host.stack.haproxy.ask(f"@1 {command}")


def test_a_switch_is_proved_before_its_file_is_written(switched: tuple[Host, int]) -> None:
    host, revision = switched
    before = host.text()
    assert host.agent.proved_ahead() >= revision
    assert host.stack.get("shop.example").body == "green"
    later = host.stack.put({"endpoints/shop/web/green": servers(host.stack.web("newer"), weight=7)})
    assert host.agent.run_fast_path()
    assert host.agent.proved_ahead() >= later
    assert host.text() == before
    assert host.agent.run_pass().confirmed
    assert host.agent.proved_ahead() >= later


@pytest.mark.parametrize(
    "by_hand",
    [
        f"set map {MAP} shop/web be_shop_web_default",
        f"del map {MAP} shop/web",
        "set server be_shop_web_green/green addr 127.0.0.1 port 9",
    ],
)
def test_what_haproxy_does_not_show_is_not_proved(switched: tuple[Host, int], by_hand: str) -> None:
    host, revision = switched
    host.stack.put({"endpoints/shop/web/green": servers(host.stack.web("green"), weight=7)})
    assert host.agent.run_fast_path()
    ask(host, by_hand)
    assert host.agent.proved_ahead() == 0
    host.agent.verify_all_next()
    assert host.agent.run_pass().confirmed
    assert host.agent.proved_ahead() > revision
    assert host.stack.get("shop.example").body == "green"


def test_a_change_that_a_pass_has_to_finish_keeps_all_that_follow_from_being_proved(
    host: Host,
) -> None:
    host.stack.put(
        {
            "services/shop/web": {
                "mode": "http",
                "hosts": ["shop.example"],
                "timeouts": {"server": "7s"},
            }
        }
    )
    assert not host.agent.run_fast_path()
    assert host.agent.proved_ahead() == 0
    moved = servers(host.stack.web("moved"))
    host.stack.put({"endpoints/shop/web/default": moved})
    host.agent.run_fast_path()
    assert host.agent.proved_ahead() == 0
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert host.agent.proved_ahead() == outcome.fields["revision"]


def test_a_line_that_went_and_came_again_is_looked_up_as_it_is_now(
    switched: tuple[Host, int],
) -> None:
    host, revision = switched
    for group in ("default", "green", "default"):
        revision = host.stack.put({"routes/shop/web": {"groups": {group: 100}}})
        assert host.agent.run_fast_path()
    assert host.agent.proved_ahead() >= revision
    assert host.stack.get("shop.example").body == "web"


def test_services_that_came_and_went_are_proved_where_haproxy_makes_backends(host: Host) -> None:
    if not host.agent._stages.runtime.can.backends:
        pytest.skip("this HAProxy makes no backends while it runs")
    host.stack.put(
        {
            "services/shop/new": {"mode": "http", "hosts": ["new.example"]},
            "endpoints/shop/new/default": servers(host.stack.web("new")),
        }
    )
    assert host.agent.run_fast_path()
    come = host.agent.proved_ahead()
    assert come
    assert host.stack.get("new.example").body == "new"
    ask(host, "unpublish backend be_shop_new_default")
    gone = host.stack.delete("services/shop/new", "endpoints/shop/new/default")
    assert host.agent.run_fast_path()
    ask(host, "publish backend be_shop_new_default")
    assert host.agent.proved_ahead() == 0
    ask(host, "unpublish backend be_shop_new_default")
    assert host.agent.proved_ahead() >= gone > come


def test_changes_go_on_while_a_file_is_checked(switched: tuple[Host, int]) -> None:
    host, revision = switched
    begun = host.agent.begin_pass()
    assert isinstance(begun, UnfinishedPass), begun
    before = host.text()
    later = host.stack.put({"endpoints/shop/web/green": servers(host.stack.web("newer"))})
    assert host.agent.run_fast_path()
    assert host.stack.get("shop.example").body == "newer"
    assert host.text() == before
    assert host.agent.proved_ahead() >= later
    outcome = begun.finish()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert revision <= int(str(outcome.fields["revision"])) < later
    assert "server green " in host.text()
    assert host.agent.proved_ahead() >= later
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert "server newer " in host.text()
    assert not {"healed", "reload"} & outcome.fields.keys()
    assert host.stack.get("shop.example").body == "newer"


def test_a_change_whose_file_is_refused_later_is_taken_back(host: Host, tmp_path: Path) -> None:
    refuse, program, binary = tmp_path / "refuse", tmp_path / "haproxy", host.stack.haproxy.binary
    program.write_text(
        f"""#!/bin/sh
case " $* " in *" -c "*) if grep -q 'server better ' "$3" && [ -e '{refuse}' ]; then
echo "[ALERT] (1) : config : backend 'be_shop_web_default': not this one" >&2; exit 1; fi;; esac
exec '{binary}' "$@"
"""
    )
    program.chmod(0o755)
    settings = host.stack.config_file.read_text()
    host.stack.config_file.write_text(settings.replace(f'"{binary}"', f'"{program}"'))
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    refuse.touch()
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("better"))})
    assert host.agent.run_fast_path()
    assert host.stack.get("shop.example").body == "better"
    begun = host.agent.begin_pass()
    assert isinstance(begun, UnfinishedPass), begun
    outcome = begun.finish()
    assert outcome.confirmed
    assert "not this one" in outcome.error
    assert not begun.candidate.generation.path.exists()
    assert host.stack.get("shop.example").body == "web"
    assert "server web " in host.text()
