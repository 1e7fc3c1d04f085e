"""Whole services that come and go right after a wake, ahead of the pass, where HAProxy can do that (3.4)."""

from collections.abc import Iterable

import pytest

from harness.stack import servers
from tests.pass_host import Host


@pytest.fixture
def able(host: Host) -> Host:
    """A host with a few services, so that one that goes is no mass removal."""
    if not host.agent._stages.runtime.can.backends:
        pytest.skip("this HAProxy makes no backends while it runs")
    host.stack.put(services(host, (f"old{number}" for number in range(3))))
    assert host.agent.run_pass().confirmed
    return host


def services(host: Host, names: Iterable[str], **fields: object) -> dict[str, object]:
    """Keys of services with a host and a server of their own."""
    found: dict[str, object] = {}
    for name in names:
        found[f"services/shop/{name}"] = {"mode": "http", "hosts": [f"{name}.example"], **fields}
        found[f"endpoints/shop/{name}/default"] = servers(host.stack.web(name))
    return found


def worker(host: Host) -> str:
    """The process that serves; another one means that there was a reload."""
    lines = host.stack.haproxy.ask("@1 show info").splitlines()
    return next(line for line in lines if line.startswith("Pid:"))


def test_a_new_service_is_served_before_its_file_is_written(able: Host) -> None:
    before = worker(able)
    able.stack.put(services(able, ["new"]))
    assert able.agent.run_fast_path()
    assert able.stack.get("new.example").body == "new"
    assert "be_shop_new_default" not in able.text()
    outcome = able.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert "reload" not in outcome.fields
    assert "be_shop_new_default" in able.text()
    able.stack.put({"endpoints/shop/new/default": servers(able.stack.web("moved"))})
    assert able.agent.run_fast_path()
    assert able.stack.get("new.example").body == "moved"
    assert able.agent.run_pass().confirmed
    assert worker(able) == before


def test_a_removed_service_answers_404_before_its_file_is_written(able: Host) -> None:
    before = worker(able)
    able.stack.delete("services/shop/old1", "endpoints/shop/old1/default")
    assert able.agent.run_fast_path()
    assert able.stack.get("old1.example").status == 404
    assert able.stack.get("old2.example").body == "old2"
    outcome = able.agent.run_pass()
    assert (outcome.confirmed, outcome.error) == (True, "")
    assert "be_shop_old1_default" not in able.text()
    able.stack.put(services(able, ["old1"]))
    able.agent.run_fast_path()
    assert able.agent.run_pass().confirmed
    assert able.stack.get("old1.example").body == "old1"
    assert worker(able) == before


def test_many_new_services_of_one_moment_are_served_together(able: Host) -> None:
    before = worker(able)
    names = [f"new{number}" for number in range(20)]
    able.stack.put(services(able, names))
    assert able.agent.run_fast_path()
    assert [able.stack.get(f"{name}.example").body for name in names] == names
    assert able.agent.run_pass().confirmed
    assert worker(able) == before


def test_a_group_that_comes_takes_its_share_and_one_that_goes_leaves_it(able: Host) -> None:
    before = worker(able)
    green = able.stack.web("green")
    able.stack.put({"endpoints/shop/old1/green": servers(green)})
    assert able.agent.run_fast_path()
    assert {able.stack.get("old1.example").body for _ in range(40)} == {"old1", "green"}
    assert able.agent.run_pass().confirmed
    able.stack.delete("endpoints/shop/old1/default")
    assert able.agent.run_fast_path()
    assert {able.stack.get("old1.example").body for _ in range(20)} == {"green"}
    assert able.agent.run_pass().confirmed
    assert worker(able) == before


def test_a_host_goes_from_a_service_that_is_removed_to_one_that_is_new(able: Host) -> None:
    before = worker(able)
    news = services(able, ["new"])
    news["services/shop/new"] = {"mode": "http", "hosts": ["old1.example"]}
    able.stack.put(news)
    able.agent.run_fast_path()
    assert able.stack.get("old1.example").body == "old1"
    able.stack.delete("services/shop/old1", "endpoints/shop/old1/default")
    able.agent.run_fast_path()
    assert able.stack.get("old1.example").body == "new"
    assert able.agent.run_pass().confirmed
    assert worker(able) == before


def test_a_host_that_two_claim_keeps_no_other_new_service_waiting(able: Host) -> None:
    able.stack.put({"services/shop/rival": {"mode": "http", "hosts": ["old1.example"]}})
    assert "belongs to shop/old1" in able.agent.run_pass().error
    able.stack.put(services(able, ["new"]))
    assert able.agent.run_fast_path()
    assert able.stack.get("new.example").body == "new"


def test_settings_that_are_new_take_a_reload_that_says_so_and_then_none(able: Host) -> None:
    able.stack.put(services(able, ["first"], timeouts={"server": "7s"}))
    assert not able.agent.run_fast_path()
    assert able.stack.get("first.example").status == 404
    outcome = able.agent.run_pass()
    assert "be_shop_first_default" in str(outcome.fields["reload"])
    assert "its settings are new to HAProxy" in str(outcome.fields["reload"])
    able.stack.put(services(able, ["second"], timeouts={"server": "7s"}))
    assert able.agent.run_fast_path()
    assert able.stack.get("second.example").body == "second"


def test_a_mass_removal_is_held_ahead_of_the_pass_too(able: Host) -> None:
    names = ["web", "old0", "old1"]
    able.stack.delete(
        *(f"services/shop/{n}" for n in names), *(f"endpoints/shop/{n}/default" for n in names)
    )
    able.agent.run_fast_path()
    assert able.stack.get("old1.example").body == "old1"
    assert "removal held" in able.agent.run_pass().error
    assert able.stack.get("old1.example").body == "old1"


def test_a_new_service_that_leads_back_to_haproxy_is_not_served(able: Host) -> None:
    loop = {"servers": [{"name": "self", "address": "127.0.0.1", "port": able.stack.http_port}]}
    news: dict[str, object] = services(able, ["new"])
    able.stack.put({**news, "endpoints/shop/new/default": loop})
    assert not able.agent.run_fast_path()
    assert able.stack.get("new.example").status == 404


def test_a_new_service_waits_for_the_users_own_rules_about_it(able: Host) -> None:
    """HAProxy reads them only when it starts; until then the service would be open to everybody."""
    own = able.stack.directory / "templates"
    own.mkdir()
    (own / "frontend_http.extra.cfg.j2").write_text(
        "{% for s in services if s.id.endswith('closed') %}\n"
        "    http-request deny if { var(txn.service) -m str {{ s.id }} }\n"
        "{% endfor %}\n"
    )
    able.stack.write_settings(f'[templates]\ndirectory = "{own}"\n')
    able.restart_agent()
    assert able.agent.run_pass().confirmed
    able.stack.put(services(able, ["closed"]))
    assert not able.agent.run_fast_path()
    assert able.stack.get("closed.example").status == 404
    assert able.agent.run_pass().confirmed
    assert able.stack.get("closed.example").status == 403
    able.stack.put({"endpoints/shop/old1/default": servers(able.stack.web("moved"))})
    assert able.agent.run_fast_path(), "nobody comes or goes"
    assert able.stack.get("old1.example").body == "moved"
