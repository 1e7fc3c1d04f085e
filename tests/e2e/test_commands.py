"""What an operator does on a host, by the commands."""

import json

from harness.agent import AgentProcess, command
from harness.stack import Stack, servers, with_new_settings
from harness.wait import wait_until
from lbsync.clients.source import Delete
from lbsync.errors import Exit
from tests.conftest import on_one_release

HEALTH = "/lbsync-health"


def test_a_host_is_drained_and_takes_part_again(stack: Stack, agent: AgentProcess) -> None:
    assert stack.get("any", HEALTH).status == 200

    drained = command(stack, "drain", "--reason", "kernel update")

    assert drained.returncode == Exit.OK, drained.stderr
    assert stack.get("any", HEALTH).status == 503
    assert stack.get("shop.example").status == 200
    assert "kernel update" in command(stack, "status").stdout

    assert command(stack, "undrain").returncode == Exit.OK
    assert stack.get("any", HEALTH).status == 200


@on_one_release("stack")
def test_a_host_is_drained_whatever_the_agent_is_busy_with(stack: Stack) -> None:
    checker = stack.directory / "haproxy"
    checker.symlink_to(stack.haproxy.binary)
    text = stack.config_file.read_text()
    stack.config_file.write_text(text.replace(f'"{stack.haproxy.binary}"', f'"{checker}"'))
    agent = AgentProcess(stack).start()
    try:
        agent.wait_for_revision(stack.put({"services/shop/b": {"mode": "http", "hosts": ["b.x"]}}))
        assert command(stack, "rollback").returncode == Exit.OK
        for words, expected in ((("drain",), 503), (("undrain",), 200)):
            done = command(stack, *words)
            assert done.returncode == Exit.OK, done.stderr
            assert stack.get("any", HEALTH).status == expected
            assert agent.status()["state"] == "rolled-back"
        assert command(stack, "rollback", "--release").returncode == Exit.OK

        checker.unlink()
        stack.put({"services/shop/c": {"mode": "http", "hosts": ["c.x"]}})
        wait_until("the agent to fail", lambda: agent.status().get("state") == "failing")
        assert command(stack, "status").returncode == Exit.FAILED
        for words, expected in ((("drain",), 503), (("undrain",), 200)):
            done = command(stack, *words)
            assert done.returncode == Exit.OK, done.stderr
            assert stack.get("any", HEALTH).status == expected
            assert stack.get("shop.example").status == 200
    finally:
        agent.stop()


@on_one_release("stack")
def test_monitoring_gets_one_line_and_a_degree(stack: Stack, agent: AgentProcess) -> None:
    well = command(stack, "status", "--nagios")
    assert well.returncode == 0, well.stdout
    assert well.stdout.startswith("LBSYNC OK - confirmed: generation ")
    assert "| services=1 servers=2 quarantined=0 " in well.stdout
    assert agent.status()["published"] is False
    assert "publisher" not in command(stack, "status").stdout
    stack.put({"services/shop/bad": {"mode": "udp"}, "publishers/prod/origin": {"server": "x"}})
    wait_until("the refusal", lambda: agent.status().get("quarantined"))
    # Left out, as it is the default: who does not know has to ask.
    wait_until("the publisher", lambda: "published" not in agent.status())
    assert "\npublisher" in command(stack, "status").stdout
    for words in (("status", "--nagios"), ("status", "--nagios", "--fleet")):
        wait_until("a warning", lambda: command(stack, *words).returncode == 1)  # noqa: B023 - done within
        warned = command(stack, *words)
        assert warned.stdout.startswith("LBSYNC WARNING - quarantined: ")
    for more in ((), ("--fleet",)):
        assert command(stack, "status", *more).returncode == Exit.REJECTED
    assert "confirmed; quarantined" in command(stack, "status").stdout
    agent.kill()
    dead = command(stack, "status", "--nagios")
    assert dead.returncode == 2
    assert dead.stdout.startswith("LBSYNC CRITICAL - no agent: ")
    nothing = command(stack, "--state-dir", "/nowhere", "status", "--nagios")
    assert (nothing.returncode, nothing.stdout[:16]) == (3, "LBSYNC UNKNOWN -")


def test_the_status_agrees_with_a_haproxy_that_was_changed_without_a_reload(
    stack: Stack, agent: AgentProcess
) -> None:
    new = {"endpoints/shop/web/default": servers(stack.web("new"))}
    agent.wait_for_revision(stack.put(new))
    assert stack.get("shop.example").body == "new"
    said = command(stack, "status")
    assert said.returncode == Exit.OK, said.stdout
    assert "something else" not in said.stdout
    found = json.loads(command(stack, "status", "--output", "json").stdout)["agent"]
    assert found["base"] != found["digest"]
    assert found.get("needless_reloads", 0) == 0
    agent.wait_for_revision(stack.put({"services/shop/b": with_new_settings("b.x")}))
    found = agent.status()
    assert found["reloads_by_cause"]["change"] >= 1
    assert "backend be_shop_b_default" in found["reload_reason"]


def test_a_host_is_rolled_back_and_released(stack: Stack, agent: AgentProcess) -> None:
    revision = stack.put({"services/shop/web": {"mode": "http", "hosts": ["new.example"]}})
    agent.wait_for_revision(revision)
    assert stack.get("shop.example").status != 200

    back = command(stack, "rollback")
    assert back.returncode == Exit.OK, back.stderr
    assert stack.get("shop.example").status == 200
    assert json.loads(command(stack, "status", "--output", "json").stdout)["agent"]["state"] == (
        "rolled-back"
    )

    assert command(stack, "rollback", "--release").returncode == Exit.OK
    assert stack.get("new.example").status == 200


@on_one_release("stack")
def test_a_script_reads_how_a_rollback_ended(stack: Stack, agent: AgentProcess) -> None:
    revision = stack.put({"services/shop/web": {"mode": "http", "hosts": ["new.example"]}})
    agent.wait_for_revision(revision)
    words = ("rollback", "--output", "json")
    said = [json.loads(command(stack, *words, *more).stdout) for more in ((), ("--release",))]
    assert [one["confirmed"] for one in said] == [True, True]
    assert said[1]["digest"] == agent.status()["digest"] != said[0]["digest"]
    assert said[1]["revision"] >= revision > said[0]["revision"]
    agent.stop()
    by_itself = json.loads(command(stack, *words).stdout)
    assert (by_itself["confirmed"], by_itself["digest"]) == (True, said[0]["digest"])


def test_without_an_agent_rollback_does_it_by_itself(stack: Stack, agent: AgentProcess) -> None:
    revision = stack.put({"services/shop/web": {"mode": "http", "hosts": ["new.example"]}})
    agent.wait_for_revision(revision)
    agent.stop()

    back = command(stack, "rollback")

    assert back.returncode == Exit.OK, back.stderr
    assert stack.get("shop.example").status == 200


@on_one_release("stack")
def test_a_rollback_to_nothing_is_refused_unless_it_is_meant(
    stack: Stack, agent: AgentProcess
) -> None:
    before = agent.status()
    served = before["digest"]
    asked = command(stack, "rollback", "1")
    assert asked.returncode == Exit.REJECTED
    assert "serves 0 services, 0 servers" in asked.stderr
    assert "against what is live: -1 service, -2 servers; shop/web would go" in asked.stderr
    assert not (stack.state / "control" / "rollback").exists()
    listed = json.loads(command(stack, "rollback", "--list", "--output", "json").stdout)
    assert [(one["services"], one["servers"]) for one in listed] == [(1, 2), (0, 0)]
    assert "-1 service, -2 servers" in command(stack, "rollback", "--list").stdout

    assert command(stack, "rollback", "1", "--yes").returncode == Exit.OK
    assert stack.get("shop.example").status == 404
    assert command(stack, "rollback", "--release").returncode == Exit.OK
    listed = json.loads(command(stack, "rollback", "--list", "--output", "json").stdout)
    assert [one["digest"] for one in listed] == [served, listed[-1]["digest"]], "none twice"
    assert agent.status()["generation"] == before["generation"], "it is the same generation again"


def agent_setting(stack: Stack, line: str) -> None:
    text = stack.config_file.read_text()
    stack.config_file.write_text(text.replace("[agent]\n", f"[agent]\n{line}\n"))


def test_what_was_set_by_hand_is_released_while_rolled_back(
    stack: Stack, agent: AgentProcess
) -> None:
    agent_setting(stack, 'verify = "1s"')
    agent.wait_for_revision(stack.put({"services/shop/web": {"mode": "http", "hosts": ["a.x"]}}))
    assert command(stack, "rollback").returncode == Exit.OK
    stack.haproxy.ask("@1 set server be_shop_web_default/one weight 3")
    wait_until("the hand to be seen", lambda: agent.status().get("by_hand"))
    shown = command(stack, "status").stdout
    assert "held by hand be_shop_web_default/one: weight is 3" in shown
    released = command(stack, "release")
    assert (released.returncode, released.stdout[:9]) == (Exit.OK, "released:"), released.stderr
    assert agent.status()["state"] == "rolled-back"
    drained = command(stack, "drain", "--wait", "5s")
    assert (drained.returncode, stack.get("x", HEALTH).status) == (Exit.OK, 503), drained.stderr
    assert command(stack, "undrain", "--wait", "5s").returncode == Exit.OK


@on_one_release("stack")
def test_a_reload_that_waits_is_told_everywhere_and_is_no_success(stack: Stack) -> None:
    agent_setting(stack, 'reload_interval = "1h"')
    agent = AgentProcess(stack).start()  # whose first pass is a reload
    try:
        late = stack.put({"services/shop/b": with_new_settings("b.x")})
        wait_until("it to wait", lambda: agent.status().get("state") == "waiting")
        found = agent.status()
        assert found["revision"] < late <= found["revision_seen"]
        why = "two reloads are at least 3600 s apart (reload_interval); it is for "
        assert found["waits"].startswith(why)
        shown = command(stack, "status")
        assert shown.returncode == Exit.OK
        assert f"waits        a reload: {why}" in shown.stdout
        waited = command(stack, "wait", "--revision", str(late), "--timeout", "1s")
        assert waited.returncode == Exit.UNVERIFIED
        assert f"waiting: {why}" in waited.stdout
        fleet = command(stack, "status", "--fleet").stdout
        assert f"lb-test: a reload waits: {why}" in fleet
        drained = command(stack, "drain")
        assert (drained.returncode, stack.get("any", HEALTH).status) == (Exit.OK, 503)
        stack.delete("endpoints/shop/web/default")
        wait_until("the hold", lambda: agent.status().get("hold_id"))
        confirmed = command(stack, "confirm")
        assert confirmed.returncode == Exit.UNVERIFIED, confirmed.stderr
        assert confirmed.stdout.startswith("confirmed: 2 of 2 servers would go")
        assert f"goes with the reload that waits: {why}" in confirmed.stdout
        assert "; not before 60 min from now" in confirmed.stdout
        assert not command(stack, "confirm", "--wait", "1s").stdout.startswith("confirmed")
        assert command(stack, "rollback", "--yes").returncode == Exit.OK
        released = command(stack, "rollback", "--release")
        assert released.returncode == Exit.UNVERIFIED, released.stderr
        assert "follows the source again, when a reload may be: two reloads" in released.stdout
    finally:
        agent.stop()
    agent_setting(stack, 'splay = "1h"')
    once = command(stack, "agent", "--once")
    assert once.returncode == Exit.UNVERIFIED, once.stdout + once.stderr
    assert "a reload waits" in once.stdout


@on_one_release("stack")
def test_a_held_removal_goes_through_when_it_is_confirmed(
    stack: Stack, agent: AgentProcess
) -> None:
    stack.delete("services/shop/web", "endpoints/shop/web/default")
    wait_until("the hold", lambda: agent.status().get("state") == "held")
    assert stack.get("shop.example").status == 200

    wrong = command(stack, "confirm", "0000")
    assert wrong.returncode == Exit.CONFLICT
    done = command(stack, "confirm")

    assert done.returncode == Exit.OK, done.stderr
    assert stack.get("shop.example").status != 200
    assert command(stack, "confirm").stdout == "nothing is held on this host\n"


@on_one_release("stack")
def test_what_is_asked_of_an_agent_that_has_just_begun_waits_for_its_word(
    stack: Stack, agent: AgentProcess
) -> None:
    agent.stop()
    asked = command(stack, "confirm")
    assert (asked.returncode, asked.stdout) == (Exit.UNAVAILABLE, "")
    stack.delete("services/shop/web", "endpoints/shop/web/default")
    agent.start(ready=False)
    wait_until("its first word", lambda: agent.status().get("pid") == agent.pid)
    done = command(stack, "confirm")
    assert done.stdout.startswith("confirmed and done: 2 of 2 servers would go"), done.stderr
    # What somebody sets between two looks is known to nobody but HAProxy.
    agent.wait_for_revision(stack.put({"services/shop/b": {"mode": "http", "hosts": ["b.example"]},
                                       "endpoints/shop/b/default": servers(stack.web("b"))}))  # fmt: skip
    stack.haproxy.ask("@1 set server be_shop_b_default/b weight 7")
    asked = command(stack, "release")
    assert asked.returncode == Exit.OK, asked.stderr
    assert stack.haproxy.ask("@1 get weight be_shop_b_default/b").split()[0] != "7"


@on_one_release("stack")
def test_one_confirmation_is_for_the_fleet_and_a_held_removal_stops_nobody_else(
    stack: Stack, agent: AgentProcess
) -> None:
    names = [f"s{number}" for number in range(6)]
    others: dict[str, object] = {}
    for name in names:
        others[f"services/a/{name}"] = {"mode": "http", "hosts": [f"{name}.example"]}
        others[f"endpoints/a/{name}/default"] = servers(stack.web(name))
    agent.wait_for_revision(stack.put(others))
    revision = stack.client.commit([], [Delete(key) for key in others])
    wait_until("the hold", lambda: agent.status().get("state") == "held")

    deployed = command(
        stack,
        "service",
        "put",
        "shop/web",
        "--group",
        "default",
        "--server",
        f"n={stack.web('new').address}",
        "--replace",
        "--wait",
        "20s",
    )
    assert deployed.returncode == Exit.OK, deployed.stdout + deployed.stderr
    assert stack.get("shop.example").body == "new"
    late = command(stack, "wait", "--revision", str(revision), "--timeout", "20s")
    assert stack.get("s0.example").body == "s0"

    assert "a/s0 is quarantined: the removal of its servers is held" in late.stdout
    hold = agent.status()["hold_id"]
    wrong = command(stack, "confirm", "--fleet", "0000")
    asked = command(stack, "confirm", "--fleet", hold)
    done = command(stack, "confirm", "--fleet", hold, "--yes")

    assert asked.returncode == Exit.REJECTED
    assert "a/s0     none" in asked.stderr
    assert (late.returncode, wrong.returncode) == (Exit.REJECTED, Exit.CONFLICT)
    assert done.returncode == Exit.OK, done.stderr
    assert stack.get("s0.example").status == 404
    wait_until("all well", lambda: agent.status().get("state") == "confirmed")
    removed = command(stack, "service", "rm", "shop/web", "--wait", "20s")
    assert removed.returncode == Exit.OK, removed.stdout + removed.stderr
    assert stack.get("shop.example").status == 404


def test_the_status_tells_when_the_agent_or_haproxy_is_gone(
    stack: Stack, agent: AgentProcess
) -> None:
    assert command(stack, "status").returncode == Exit.OK

    agent.kill()
    dead = command(stack, "status")
    assert dead.returncode == Exit.UNAVAILABLE
    assert dead.stdout.startswith("DOUBT        the agent is not running")

    stack.haproxy.stop()
    silent = json.loads(command(stack, "status", "--output", "json").stdout)
    assert silent["haproxy"]["answers"] is False


@on_one_release("stack")
def test_check_and_diff_find_what_is_wrong_before_the_agent_does(stack: Stack) -> None:
    good = command(stack, "check")
    assert good.returncode == Exit.OK, good.stdout
    assert "accepted by HAProxy" in good.stdout

    stack.put({"services/shop/bad": {"mode": "udp"}, "services/shop/worse": b"{"})
    found = command(stack, "check", "--output", "json")
    wrong = [line["text"] for line in json.loads(found.stdout) if not line["ok"]]
    assert found.returncode == Exit.REJECTED
    assert [text.partition(":")[0] for text in wrong] == [
        "services/shop/bad",
        "services/shop/worse",
    ]

    changed = command(stack, "diff")
    assert changed.returncode == Exit.CHANGED
    assert "+shop.example/ shop/web" in changed.stdout
    assert "services/shop/bad" in changed.stderr


@on_one_release("stack")
def test_one_pass_tells_by_its_code_how_it_ended(stack: Stack) -> None:
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    assert command(stack, "agent", "--once").returncode == Exit.OK

    stack.put({"services/shop/bad": {"mode": "udp"}})
    assert command(stack, "agent", "--once").returncode == Exit.REJECTED
    assert stack.get("shop.example").status == 200

    stack.haproxy.stop()
    assert command(stack, "agent", "--once").returncode == Exit.UNAVAILABLE


@on_one_release("stack")
def test_settings_and_templates_are_taken_over_when_their_files_change(
    stack: Stack, agent: AgentProcess
) -> None:
    stack.put({"services/shop/empty": {"mode": "http", "hosts": ["empty.example"]}})
    own = stack.directory / "own"
    (own / "errors").mkdir(parents=True)

    stack.write_settings(f'health_path = "/up"\n[templates]\ndirectory = "{own}"\n')
    wait_until("the new health path", lambda: stack.get("any", "/up").status == 200)

    page = "HTTP/1.0 503 Service Unavailable\nContent-Type: text/plain\n\nback soon\n"
    (own / "errors" / "503.http.j2").write_text(page)
    wait_until("the new page", lambda: "back soon" in stack.get("empty.example").body)

    (own / "errors" / "503.http.j2").write_text("{{ nonsense")
    wait_until("the refusal", lambda: "503.http.j2" in agent.status().get("error", ""))
    assert "back soon" in stack.get("empty.example").body


@on_one_release("stack")
def test_what_the_agent_does_is_counted_for_monitoring(stack: Stack) -> None:
    file = stack.directory / "metrics" / "lbsync.prom"
    agent_setting(stack, f'metrics_file = "{file}"')
    agent = AgentProcess(stack).start()

    def metric(name: str) -> float:
        lines = [x for x in file.read_text().splitlines() if x.startswith(f"{name} ")]
        return float(lines[0].split(" ")[1])

    try:
        wait_until("a first try", lambda: "no metrics" in agent.log.read_text())
        # It is no fault of what is served.
        wait_until("the first pass", lambda: agent.status()["state"] == "confirmed")
        file.parent.mkdir()
        new = {"endpoints/shop/web/default": servers(stack.web("new"))}
        agent.wait_for_revision(stack.put(new))
        last = stack.put({"services/shop/b": with_new_settings("b.x")})
        agent.wait_for_revision(last)
        wait_until("the metrics", lambda: metric("lbsync_revision_verified") >= last)
        assert metric("lbsync_runtime_steps_total") > 0
        assert metric('lbsync_reloads_total{cause="change"}') == 2
        assert metric("lbsync_needless_reloads_total") == 0
        assert metric("lbsync_source_up") == 1
        assert "metrics are written again" in agent.log.read_text()
        assert "2 change" in command(stack, "status").stdout
    finally:
        agent.stop()
