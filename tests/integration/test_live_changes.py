"""Changes without a reload: what is done, what is kept, what is healed; on both versions."""

import contextlib
import http.client

import pytest

from harness.stack import servers, with_new_settings
from harness.wait import wait_until
from lbsync.agent.control import Request
from lbsync.agent.generations.store import Store
from lbsync.settings import load
from tests.conftest import on_one_release
from tests.pass_host import Host

NOW = "2026-01-01T00:00:00Z"


def pid(host: Host) -> str:
    """The worker that serves; another one means that there was a reload."""
    lines = host.stack.haproxy.ask("@1 show info").splitlines()
    return next(line for line in lines if line.startswith("Pid:"))


def test_servers_weights_states_routes_and_hosts_change_without_a_reload(host: Host) -> None:
    green = host.stack.web("green")
    host.stack.put({"endpoints/shop/web/green": servers(green)})
    # So many that one in maintenance is no mass removal.
    many = [host.stack.web(f"more{number}") for number in range(4)]
    host.stack.put({"services/shop/more": {"mode": "http", "hosts": ["many.example"]},
                    "endpoints/shop/more/default": servers(*many)})  # fmt: skip
    assert host.agent.run_pass().confirmed
    worker = pid(host)
    web = host.stack.web("new")
    for change, body in (
        ({"endpoints/shop/web/default": servers(web)}, {"new", "green"}),
        ({"routes/shop/web": {"groups": {"green": 1}}}, {"green"}),
        ({"routes/shop/web": {"groups": {"default": 1}}}, {"new"}),
        ({"endpoints/shop/web/default": servers(web, weight=7)}, {"new"}),
        ({"endpoints/shop/web/default": servers(web, state="maint")}, {"<!doc"}),
        ({"endpoints/shop/web/default": servers(web)}, {"new"}),
    ):
        host.stack.put(change)
        assert host.agent.run_pass().confirmed
        # Where two groups share, chance decides: with forty both have their turn, always.
        assert {host.stack.get("shop.example").body[:5] for _ in range(40)} == body
    record = {"mode": "http", "hosts": ["shop.example", "more.example"]}
    host.stack.put({"services/shop/web": record})
    assert host.agent.run_pass().confirmed
    assert host.stack.get("more.example").body == "new"
    assert pid(host) == worker


def test_what_is_done_ahead_is_found_right_by_the_pass(host: Host) -> None:
    worker = pid(host)
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("ahead"))})
    assert host.agent.run_fast_path()
    assert host.stack.get("shop.example").body == "ahead"
    outcome = host.agent.run_pass()
    assert outcome.confirmed
    assert "changed without a reload" in outcome.sentence
    assert pid(host) == worker
    assert "ahead 127.0.0.1" in host.text()


def test_a_restarted_agent_knows_what_runs_and_reloads_nothing(host: Host) -> None:
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    assert host.agent.run_pass().confirmed
    worker = pid(host)
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    host.restart_agent()
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("three"))})
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "three"
    assert pid(host) == worker


@on_one_release("host")
def test_an_agent_killed_between_the_change_and_its_file_converges(host: Host) -> None:
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    host.agent.run_fast_path()
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"two"}
    assert "two 127.0.0.1" in host.text()


def test_drift_is_healed_and_told(host: Host) -> None:
    other = host.stack.web("other")
    host.stack.haproxy.ask(
        f"@1 set server be_shop_web_default/web addr 127.0.0.1 port {other.port}"
    )
    assert host.stack.get("shop.example").body == "other"
    host.agent.verify_all_next()
    outcome = host.agent.run_pass()
    assert (outcome.confirmed, outcome.fields["healed"]) == (True, 1)
    assert host.stack.get("shop.example").body == "web"


def test_a_map_entry_somebody_deleted_is_put_back(host: Host) -> None:
    host.stack.haproxy.ask("@1 del map maps/routes.map shop.example/")
    assert host.stack.get("shop.example").status == 404
    host.agent.verify_all_next()
    assert host.agent.run_pass().fields["healed"] == 1
    assert host.stack.get("shop.example").body == "web"


def test_what_a_person_set_is_kept_over_changes_and_reloads_until_released(host: Host) -> None:
    two = host.stack.web("two")
    web = servers(host.stack.web("one"), two)
    host.stack.put({"endpoints/shop/web/default": web})
    host.agent.verify_all_next()
    assert host.agent.run_pass().confirmed
    host.agent.verify_all_next()
    host.agent.run_pass()
    host.stack.haproxy.ask("@1 set server be_shop_web_default/two state maint")
    host.agent.verify_all_next()
    assert host.agent.run_pass().confirmed
    assert host.agent.result.applied is not None
    assert "be_shop_web_default/two" in host.agent.result.applied.by_hand[0]
    host.stack.put({"services/shop/new": with_new_settings("new.example")})
    assert "reloaded" in host.agent.run_pass().sentence
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"one"}
    assert host.agent.result.applied.by_hand
    host.control.set("release", Request("all", NOW))
    assert host.agent.run_pass().confirmed
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"one", "two"}
    assert host.agent.result.applied.by_hand == ()
    assert host.control.get("release") is None


@pytest.mark.parametrize("by_reload", [False, True])
def test_what_a_person_set_ends_when_something_else_is_wanted_of_the_server(
    host: Host, by_reload: bool
) -> None:
    one, two = host.stack.web("one"), host.stack.web("two")
    host.stack.put({"endpoints/shop/web/default": servers(one, two)})
    host.agent.verify_all_next()
    assert host.agent.run_pass().confirmed
    for name in ("one", "two"):
        host.stack.haproxy.ask(f"@1 set server be_shop_web_default/{name} state maint")
    host.agent.verify_all_next()
    assert host.agent.run_pass().confirmed
    assert host.agent.result.applied is not None
    both = [*host.agent.result.applied.by_hand]
    assert len(both) == 2
    worker = pid(host)
    heavy = {"servers": [*servers(one, weight=7)["servers"], *servers(two)["servers"]]}
    more = {"services/shop/new": with_new_settings("new.example")} if by_reload else {}
    host.stack.put({"endpoints/shop/web/default": heavy, **more})
    assert host.agent.run_pass().confirmed
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"one"}
    assert (pid(host) == worker) is not by_reload
    host.agent.verify_all_next()
    host.agent.run_pass()
    (held,) = host.agent.result.applied.by_hand
    assert "be_shop_web_default/two: state is maint" in held


def test_what_was_set_by_hand_is_released_while_rolled_back_too(host: Host) -> None:
    host.stack.put({"services/shop/new": with_new_settings("new.example")})
    assert host.agent.run_pass().confirmed
    (before,) = [g for g in Store(host.stack.state, 5).list() if g.seq == 2]
    host.control.set("rollback", Request(before.digest, NOW))
    assert host.agent.run_pass().confirmed
    host.stack.haproxy.ask("@1 set server be_shop_web_default/web state maint")
    assert host.stack.get("shop.example").status == 503
    host.control.set("release", Request("all", NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"
    assert host.control.get("release") is None


def test_what_was_released_does_not_come_back_when_haproxy_starts_anew(host: Host) -> None:
    host.stack.haproxy.ask("@1 set server be_shop_web_default/web state maint")
    host.stack.put({"services/shop/new": with_new_settings("new.example")})
    assert "reloaded" in host.agent.run_pass().sentence
    assert host.stack.get("shop.example").status == 503
    host.control.set("release", Request("all", NOW))
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    assert host.agent.run_pass().confirmed
    assert host.stack.get("shop.example").body == "web"
    assert host.agent.result.applied is not None
    assert host.agent.result.applied.by_hand == ()


def test_a_removed_server_is_seen_off_and_may_come_back(host: Host) -> None:
    one, two = host.stack.web("one"), host.stack.web("two")
    host.stack.put({"endpoints/shop/web/default": servers(one, two)})
    assert host.agent.run_pass().confirmed
    host.stack.put({"endpoints/shop/web/default": servers(one)})
    assert host.agent.run_pass().confirmed

    def gone() -> bool:
        host.agent.run_pass()
        return " two " not in host.stack.haproxy.ask("@1 show servers state be_shop_web_default")

    wait_until("the server to be deleted", gone, every=0.05)
    host.stack.put({"endpoints/shop/web/default": servers(one, two)})
    assert host.agent.run_pass().confirmed
    assert {host.stack.get("shop.example").body for _ in range(4)} == {"one", "two"}


def wait_between_reloads(host: Host) -> None:
    """From now on a second reload waits for an hour; the first was just now."""
    text = host.stack.config_file.read_text()
    text = text.replace("[agent]\n", '[agent]\nreload_interval = "1h"\n')
    host.stack.config_file.write_text(text)
    host.restart_agent()
    assert host.agent.run_pass().confirmed
    host.stack.put({"services/shop/a": with_new_settings("a.example")})
    assert "reloaded" in host.agent.run_pass().sentence


@on_one_release("host")
def test_a_reload_that_has_to_wait_waits_and_loses_nothing(host: Host) -> None:
    wait_between_reloads(host)
    two = host.stack.web("two")
    host.stack.put(
        {
            "services/shop/b": with_new_settings("b.example"),
            "endpoints/shop/web/default": servers(two),
        }
    )
    assert not host.agent.run_fast_path()
    outcome = host.agent.run_pass()
    assert "a reload waits" in outcome.sentence
    assert outcome.waits, "so the state is not called confirmed"
    assert "backend be_shop_b_default" in outcome.waits
    assert outcome.again_in is not None
    assert host.stack.get("shop.example").body == "two", "what needs no reload does not wait"
    assert host.stack.get("b.example").status == 404


@pytest.mark.parametrize("how", ["restarted", "reconfigured"])
def test_a_server_that_comes_back_while_it_leaves_serves_whoever_looks_after_it(
    host: Host, how: str
) -> None:
    """It still has a request when the agent forgets that it is leaving."""
    one, two = host.stack.web("one"), host.stack.web("two")
    one.is_holding = True
    host.stack.put({"endpoints/shop/web/default": servers(one)})
    assert host.agent.run_pass().confirmed
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", host.stack.http_port)
    ) as asking:
        asking.request("GET", "/slow", headers={"Host": "shop.example"})
        wait_until("the request to arrive", lambda: one.requests["/slow"])
        one.is_holding = False
        host.stack.put({"endpoints/shop/web/default": servers(two)})
        assert host.agent.run_pass().confirmed
        if how == "restarted":
            host.restart_agent()
        else:
            host.agent.configure(load(host.stack.config_file))
        assert host.agent.run_pass().confirmed
        assert host.stack.get("shop.example").body == "two"
        host.stack.put({"endpoints/shop/web/default": servers(one)})
        assert host.agent.run_pass().confirmed
        assert {host.stack.get("shop.example").body for _ in range(4)} == {"one"}
        host.agent.verify_all_next()
        assert host.agent.run_pass().confirmed
        assert host.agent.result.applied is not None
        assert host.agent.result.applied.by_hand == ()
        one.release()
        assert asking.getresponse().read() == b"one"


@on_one_release("host")
def test_while_a_reload_waits_what_runs_is_read_back_and_requests_are_obeyed(host: Host) -> None:
    wait_between_reloads(host)
    worker = pid(host)
    host.stack.haproxy.ask("@1 set server be_shop_web_default/web weight 3")
    host.stack.put({"services/shop/b": with_new_settings("b.example")})
    host.agent.verify_all_next()
    outcome = host.agent.run_pass()
    assert outcome.waits
    assert outcome.again_in is not None
    assert outcome.again_in <= 30, "the next read-back is not put off with the reload"
    assert host.agent.result.applied is not None
    assert "weight is 3" in host.agent.result.applied.by_hand[0]
    host.control.set("release", Request("all", NOW))
    assert host.agent.run_pass().waits
    assert host.agent.result.applied.by_hand == ()
    assert host.control.get("release") is None
    host.stack.haproxy.ask("@1 del map maps/routes.map shop.example/")
    host.agent.verify_all_next()
    assert host.agent.run_pass().waits
    assert host.agent.result.applied.healed
    assert pid(host) == worker


@on_one_release("host")
def test_a_host_is_drained_although_a_reload_waits(host: Host) -> None:
    def health() -> int:
        return host.stack.get("any", "/lbsync-health").status

    wait_between_reloads(host)
    host.stack.put({"services/shop/b": with_new_settings("b.example")})
    assert host.agent.run_pass().waits
    for _ in range(2):
        host.control.set("drain", Request("kernel", NOW))
        outcome = host.agent.run_pass()
        assert (bool(outcome.waits), health()) == (True, 503)
        host.agent.verify_all_next()
        assert host.agent.run_pass().waits
        assert host.agent.result.applied is not None
        assert (host.agent.result.applied.healed, health()) == ((), 503), "it is nobody's doing"
        assert (host.stack.state / "live/maps/host.map").read_text() == "host drain\n"
        host.control.clear("drain")
        outcome = host.agent.run_pass()
        assert (bool(outcome.waits), health()) == (True, 200)


@on_one_release("host")
def test_a_restarted_agent_whose_reload_waits_knows_what_is_served_meanwhile(host: Host) -> None:
    wait_between_reloads(host)
    assert host.agent.result.applied is not None
    before = host.agent.result.applied.generation.digest
    text = host.stack.config_file.read_text()
    host.stack.config_file.write_text(text.replace("[agent]\n", '[agent]\nsplay = "1h"\n'))
    host.stack.put({"services/shop/b": with_new_settings("b.example")})
    host.restart_agent()
    outcome = host.agent.run_pass()
    assert outcome.waits
    assert outcome.confirmed, "or the agent would not be ready for an hour"
    assert host.agent.result.applied is not None
    assert host.agent.result.applied.generation.digest == before
    assert host.agent.result.applied.verified_at


def test_haproxy_finds_a_file_of_states_whenever_it_starts(host: Host) -> None:
    """It warns of one that is missing, on each start and each check; that would hide others."""
    host.stack.put({"endpoints/shop/web/default": servers(host.stack.web("two"))})
    assert "without a reload" in host.agent.run_pass().sentence
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    assert host.agent.run_pass().confirmed
    host.stack.haproxy.stop()
    host.stack.put({"services/shop/new": with_new_settings("new.example")})
    assert not host.agent.run_pass().confirmed, "made live, but nobody is there"
    host.stack.haproxy.start()
    assert host.agent.run_pass().confirmed
    assert "state file" not in host.stack.haproxy.log.read_text()


def test_what_haproxy_loaded_of_a_drain_is_a_step_and_nobodys_doing(host: Host) -> None:
    def passes(steps: int) -> None:
        host.agent.verify_all_next()
        outcome = host.agent.run_pass()
        assert (outcome.confirmed, outcome.fields.get("healed", 0)) == (True, 0)
        assert host.agent.result.applied is not None
        assert (host.agent.result.applied.healed, host.agent.result.applied.steps) == ((), steps)

    host.control.set("drain", Request("kernel", NOW))
    passes(1)
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    passes(0)
    host.stack.haproxy.stop()
    host.stack.haproxy.start()
    host.control.clear("drain")
    passes(1)
    host.restart_agent()
    host.control.set("drain", Request("kernel", NOW))
    passes(1)
    host.stack.haproxy.ask("@1 set map maps/host.map host up")
    host.agent.verify_all_next()
    assert host.agent.run_pass().fields["healed"] == 1, "this one was somebody"
