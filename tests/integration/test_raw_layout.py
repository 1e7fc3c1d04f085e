"""Keys of another tool under the prefix, in a layout that only looks like ours."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import AgentProcess, command
from harness.etcd import Etcd
from harness.haproxy import binaries, branches
from harness.stack import Stack
from harness.wait import wait_until
from lbsync.errors import Exit
from tests.conftest import demand, on_one_release

TEMPLATE = """\
global
    default-path config
    description {{ digest }}
    stats socket {{ haproxy.stats_socket }} mode 660 level admin
    httpclient.ssl.verify none
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend fe
    bind {{ proxy.http_bind|first }}
    default_backend {{ getv("/endpoints/default", "nobody") }}
backend nobody
{% for name in lsdir("/services") if name != "ours" %}
backend {{ name }}
  {% for kv in gets("/services/%s/*" % name) %}
    server {{ base(kv.Key) }} {{ kv.Value }}
  {% endfor %}
{% endfor %}
{% for kv in gets("/flat/*") %}
backend flat-{{ base(kv.Key)|length }}-{{ base(kv.Key)|last }}
    server s 127.0.0.1:{{ kv.Value|int * 1000 }}
{% endfor %}
"""
SETTINGS = """
[templates]
directory = "{folder}"
packaged = false
contract = false
[[outputs]]
template = "haproxy.cfg.j2"
path = "haproxy.cfg"
quote = "haproxy"
"""


@pytest.fixture(params=branches())
def stack(request: pytest.FixtureRequest, tmp_path: Path, hosts_etcd: Etcd) -> Iterator[Stack]:
    """A host that serves such a layout; no agent yet."""
    demand(request.param in binaries(), f"HAProxy {request.param}")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/haproxy.cfg.j2").write_text(TEMPLATE)
    extra = SETTINGS.format(folder=tmp_path / "mine")
    stack = Stack(tmp_path, binaries()[request.param], extra=extra, etcd=hosts_etcd)
    try:
        stack.write_settings()
        stack.put(
            {
                "services/web/1": stack.web("one").address.encode(),
                "endpoints/default": b"web",
                "settings/colour": b"blue",
            }
        )
        prepared = command(stack, "prepare")
        assert prepared.returncode == 0, prepared.stderr
        stack.haproxy.start()
        yield stack
    finally:
        stack.stop()


@on_one_release("stack")
def test_such_keys_are_served_and_nothing_is_said_against_them(stack: Stack) -> None:
    agent = AgentProcess(stack).start()
    try:
        assert stack.get("any").body == "one"
        two = stack.web("two").address.encode()
        agent.wait_for_revision(stack.put({"services/web/1": two, "services/web/x/y": b"z"}))
        assert stack.get("any").body == "two"
        agent.wait_for_revision(
            stack.put({"services/shop/1": stack.web("s").address.encode(), "endpoints/a/b/c": b"{"})
        )
        agent.wait_for_revision(stack.put({"endpoints/default": b"shop"}))
        assert stack.get("any").body == "s"
        status = agent.status()
        assert (status["state"], status.get("quarantined")) == ("confirmed", None)
        # The record is written after the reasons; by then they would stand there.
        wait_until("the host's record", lambda: "agents/lb-test" in stack.client.snapshot().items)
        assert not [key for key in stack.client.snapshot().items if key.startswith("quarantine/")]
    finally:
        agent.stop()


@on_one_release("stack")
def test_commands_see_what_the_agent_sees(stack: Stack) -> None:
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    assert command(stack, "agent", "--once").returncode == Exit.OK
    for words in (["check"], ["diff"], ["render", "--dry-run"]):
        ended = command(stack, *words)
        assert (ended.returncode, ended.stderr) == (Exit.OK, ""), ended.stdout
    listed = command(stack, "service", "ls")
    assert listed.returncode == Exit.SETTINGS
    assert "[templates] contract: it is false" in listed.stderr


@on_one_release("stack")
def test_a_store_that_is_emptied_is_held_by_what_haproxy_serves(stack: Stack) -> None:
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    stack.delete("services/web/1", "endpoints/default")

    held = command(stack, "agent", "--once")

    assert "removal held: 1 of 1 servers would go at once (counted in haproxy.cfg)" in held.stderr
    assert stack.get("any").body == "one"
    agent = AgentProcess(stack).start()
    try:
        wait_until("the hold to be told", lambda: agent.status().get("held"))
        confirmed = command(stack, "confirm")
        assert confirmed.returncode == Exit.OK, confirmed.stderr
        assert stack.get("any").status == 503
    finally:
        agent.stop()


@on_one_release("stack")
def test_what_was_accepted_before_the_contract_was_left_is_forgotten(stack: Stack) -> None:
    kept = stack.config_file.read_text()
    stack.config_file.write_text(kept.replace("contract = false", "contract = true"))
    stack.put({"services/ours/b": {"mode": "http"}, "endpoints/ours/b/c": {"servers": []}})
    assert command(stack, "agent", "--once").returncode == Exit.REJECTED

    stack.config_file.write_text(kept)

    ended = command(stack, "agent", "--once")
    assert (ended.returncode, ended.stderr) == (Exit.OK, ""), ended.stdout
    assert command(stack, "check").returncode == Exit.OK


def test_a_value_that_only_haproxy_refuses_holds_back_its_key_alone(stack: Stack) -> None:
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    two = stack.web("two").address.encode()
    bad: dict[str, object] = {
        "services/web/1": b"10.0.0.5:99999",  # its last good value stays
        "services/web/x": b"10.0.0.6:99999",  # there is none: it is left out
        "services/web/bad name": two,
        "services/web/2": two,
        "services/new/1": two,
    }
    stack.put(bad)

    for _ in range(2):
        held = command(stack, "agent", "--once")
        assert held.returncode == Exit.REJECTED, held.stderr
        text = (stack.state / "live/haproxy.cfg").read_text()
        assert "server 2 127.0.0.1" in text
        assert "backend new" in text
        assert "99999" not in text
        assert {stack.get("any").body for _ in range(4)} == {"one", "two"}
    told = {
        one["key"]: one["reason"]
        for one in json.loads((stack.state / "status.json").read_text())["quarantined"]
    }
    assert sorted(told) == ["services/web/1", "services/web/bad name", "services/web/x"]
    assert "invalid port '99999'" in told["services/web/1"]
    assert told["services/web/1"].endswith("; its last good value stays")
    assert told["services/web/x"].endswith("; it is left out")
    stack.delete("services/web/x", "services/web/bad name")
    stack.put({"services/web/1": two})
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    assert stack.get("any").body == "two"


def test_values_that_were_bad_before_the_first_start_are_left_out(stack: Stack) -> None:
    stack.put({f"services/web/bad{n}": f"10.0.0.{n}:99999".encode() for n in range(5)})

    first = command(stack, "agent", "--once")

    assert first.returncode == Exit.REJECTED, first.stderr
    assert stack.get("any").body == "one"
    assert "99999" not in (stack.state / "live/haproxy.cfg").read_text()


@on_one_release("stack")
def test_very_many_bad_values_of_one_writer_do_not_delay_another(stack: Stack) -> None:
    assert command(stack, "agent", "--once").returncode == Exit.CHANGED
    two = stack.web("two").address.encode()
    bad = {f"services/web/bad{n}": f"10.0.0.{n}:99999".encode() for n in range(120)}
    stack.put({**bad, "services/web/bad name": two, "services/new/1": two})
    # Of these no text stands on the line that HAProxy names, nor in its section.
    stack.put({f"flat/{'n' * n}1": b"99" for n in range(100)} | {"flat/good": b"8"})

    held = command(stack, "agent", "--once")

    assert held.returncode == Exit.REJECTED, held.stderr
    text = (stack.state / "live/haproxy.cfg").read_text()
    assert "backend new" in text
    assert "99999" not in text
    assert "backend flat-4-d\n    server s 127.0.0.1:8000" in text
    assert "99000" not in text
