"""When a backend comes or goes while HAProxy runs, and the reason where it cannot."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.haproxycfg.parser import read_sections
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.changes.steps import (
    AddBackend,
    AddEntry,
    AddServer,
    DelEntry,
    PublishBackend,
    RetireBackend,
    SetChecks,
)
from lbsync.agent.runtime.commands import commands
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import plan, plan_one, plan_removal
from lbsync.clients.haproxy.capabilities import Capabilities, of_release

OLD, NEW = of_release((3, 2, 26)), of_release((3, 4, 7))
HEAD = """\
defaults d_base
 mode http
 timeout server 5s
defaults p_1 from d_base
 balance leastconn
 default-server inter 5s
defaults p_hash from d_base
 balance source
"""
ONE = "backend be_one from p_1\n server a 10.0.0.1:80\n"
TWO = "backend be_two from p_1\n server a 10.0.0.2:80 weight 3\n server b 10.0.0.3:80\n"


def made(old: str, new: str, can: Capabilities = NEW) -> Plan:
    parser = Parser()
    return plan(RuntimeConfig(parser.parse(old), {}), parser.parse(new), {}, can)


def test_a_new_backend_is_published_after_its_servers() -> None:
    found = made(HEAD + ONE, HEAD + ONE + TWO)
    assert found.reasons == ()
    assert found.steps == (
        AddBackend("be_two", "p_1"),
        AddServer("be_two", "a", "10.0.0.2", 80, ("inter", "5s", "weight", "3")),
        AddServer("be_two", "b", "10.0.0.3", 80, ("inter", "5s")),
        PublishBackend("be_two"),
    )


def test_a_backend_that_is_gone_is_retired_last() -> None:
    assert made(HEAD + ONE + TWO, HEAD + ONE).steps == (RetireBackend("be_two"),)


def test_health_checks_end_before_what_they_read_goes_and_begin_again_with_it() -> None:
    """So a backend that comes back is not full of servers that failed checks of another host."""
    parser = Parser()
    hosts = "maps/check_hosts.map"
    head = HEAD + f" http-check send hdr host %[be_name,map({hosts})]\n default-server check\n"
    one, two = ONE.replace("p_1", "p_hash"), TWO.replace("p_1", "p_hash")
    two = two.replace("weight 3", "no-check").replace("source", "roundrobin")
    head = head.replace("balance source", "balance roundrobin")
    all_of_it, less = parser.parse(head + one + two), parser.parse(head + one)
    files = {hosts: b"be_two two.test\n"}
    running = RuntimeConfig(all_of_it, files)
    gone = plan(running, less, {hosts: b""}, NEW)
    assert gone.steps == (
        SetChecks("be_two", "b", on=False),
        DelEntry("map", hosts, "be_two"),
        RetireBackend("be_two"),
    )
    running.adopt(less, {hosts: b""}, gone.steps)
    assert plan(running, all_of_it, files, NEW).steps == (
        PublishBackend("be_two"),
        AddEntry("map", hosts, "be_two", "two.test"),
        SetChecks("be_two", "b", on=True),
    )


def test_the_maintenance_of_one_that_goes_is_never_a_persons() -> None:
    """Its servers get into it long after the step; an agent that starts then has only these notes."""
    running = RuntimeConfig(Parser().parse(HEAD + ONE + TWO), {})
    todo = plan_removal(running, "be_two", NEW)
    noted = {("be_two", name, field) for name in "ab" for field in ("state", "weight")}
    assert running.touch(todo.steps) == noted
    running.adopt_removal("be_two", todo.steps)
    running.verified()
    assert running.touched == noted
    running.leaving.forget_backend("be_two")
    running.verified()
    assert running.touched == set()


def test_mode_and_guid_are_given_to_it_and_a_mode_that_nobody_says_is_tcp() -> None:
    whole = "backend be_two from p_1\n # a comment\n\n mode http\n guid shop:be\n"
    assert made(HEAD + ONE, HEAD + ONE + whole).steps[0] == AddBackend(
        "be_two", "p_1", "http", "shop:be"
    )
    silent = "defaults p_1\n timeout server 1s\n"
    (step, _) = made(silent + ONE, silent + ONE + "backend be_two from p_1\n").steps
    assert step == AddBackend("be_two", "p_1", "tcp")
    (command,) = commands(step)
    assert command.text == "add backend be_two from p_1 mode tcp"


@pytest.mark.parametrize(
    "reply",
    [
        "New backend registered.",
        "cookie will be ignored for backend 'be_two' (needs 'mode http').\nNew backend registered.",
        "New backend registered (no support for dynamic servers: …).",
    ],
)
def test_what_haproxy_warns_of_before_it_does_not_hide_success(reply: str) -> None:
    (command,) = commands(AddBackend("be_two", "p_1"))
    assert command.expected.fullmatch(reply)
    assert not command.expected.fullmatch("Cannot find default proxy 'p_1'.")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("backend be_two from p_2\n", "its settings are new to HAProxy (defaults p_2"),
        ("backend be_two from p_1\n http-request deny\n", "takes 'http-request deny' only when"),
        ("backend be_two from p_1\n stick-table type ip size 1\n", "takes 'stick-table type ip"),
        ("backend be_two from p_1\n disabled\n", "not always in force"),
        ("backend be_two from p_1\n server a name:80\n", "server a: it is not given by IP"),
        ("backend be_two from p_hash\n server a 10.0.0.1:80\n", "'balance source' takes no more"),
        ("listen be_two from p_1\n bind :80\n", "the section is new"),
        ("frontend f from d_base\n bind :80\n", "the section is new"),
        ("userlist u\n user a password b\n", "the section is new"),
    ],
)
def test_what_only_a_start_can_make_has_a_reason(more: str, why: str) -> None:
    profile = "defaults p_2 from d_base\n retries 7\n" if "p_2" in more else ""
    (reason,) = made(HEAD + ONE, HEAD + profile + ONE + more).reasons
    assert why in reason


def test_a_backend_without_a_name_to_stand_on_is_told_so() -> None:
    old = "defaults\n mode http\nbackend be_one\n server a 10.0.0.1:80\n"
    (reason,) = made(old, old + "backend be_two\n server a 10.0.0.1:80\n").reasons
    assert "stands on no 'defaults' that it names with 'from'" in reason


def test_older_releases_reload_for_each() -> None:
    assert made(HEAD + ONE, HEAD + ONE + TWO, OLD).reasons == (
        "backend be_two, line 11: the section is new",
    )
    assert made(HEAD + ONE + TWO, HEAD + ONE, OLD).reasons == (
        "backend be_two: the section is gone",
    )


def test_a_haproxy_that_forgets_its_defaults_is_told() -> None:
    head = "global\n tune.defaults.purge\n" + HEAD
    (reason,) = made(head + ONE, head + ONE + TWO).reasons
    assert "tune.defaults.purge" in reason


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        ("backend t from d_base\n stick-table type ip size 1\n", "keeps one with a 'stick-table'"),
        ("frontend t from d_base\n bind :80\n", "the section is gone"),
        ("listen t from d_base\n bind :80\n", "the section is gone"),
        ("backend t from d_base\n disabled\n", "not always in force"),
    ],
)
def test_what_haproxy_keeps_until_a_reload_has_a_reason(gone: str, why: str) -> None:
    (reason,) = made(HEAD + ONE + gone, HEAD + ONE).reasons
    assert why in reason


def test_other_settings_are_a_reason_that_names_the_line() -> None:
    other = HEAD + "defaults p_2 from d_base\n balance leastconn\n retries 7\n"
    (reason,) = made(HEAD + ONE, other + ONE.replace("p_1", "p_2")).reasons
    assert reason == (
        "backend be_one, line 12: its settings changed (defaults p_2, line 11: 'retries 7' is new)"
    )


def test_settings_that_nobody_uses_any_more_are_no_reason() -> None:
    assert made(HEAD + ONE, HEAD.partition("defaults p_hash")[0] + ONE).empty


def test_settings_that_are_new_are_a_reason_though_nobody_uses_them_yet() -> None:
    assert (
        "defaults p_9, line 11"
        in made(HEAD + ONE, HEAD + ONE + "defaults p_9\n mode tcp\n").reasons[0]
    )


def test_settings_that_come_back_otherwise_are_a_reason() -> None:
    parser = Parser()
    running = RuntimeConfig(parser.parse(HEAD + ONE), {})
    less = parser.parse(HEAD.partition("defaults p_hash")[0] + ONE)
    running.adopt(less, {}, ())
    assert plan(running, parser.parse(HEAD + ONE), {}, NEW).empty
    assert plan(running, parser.parse(HEAD + " retries 7\n" + ONE), {}, NEW).reasons


def test_files_that_other_backends_use_are_there_for_a_new_one() -> None:
    tls = "ssl verify required ca-file ca.pem"
    old = HEAD + f"backend be_one from p_1\n server a 10.0.0.1:80 {tls}\n"
    new = f"backend be_two from p_1\n server a 10.0.0.2:80 {tls}\n"
    assert made(old, old + new).reasons == ()
    assert "ca-file other.pem" in made(old, old + new.replace("ca.pem", "other.pem")).reasons[0]


def test_one_that_was_removed_a_moment_ago_may_not_stand_on_something_else_yet() -> None:
    """The live file still has the one before: an agent that starts now would take it for that."""
    parser = Parser()
    both = parser.parse(HEAD + "defaults p_2 from d_base\n" + ONE + TWO)
    running = RuntimeConfig(both, {})
    todo = plan_removal(running, "be_two", NEW)
    running.adopt_removal("be_two", todo.steps)
    running.leaving.forget_backend("be_two")
    ((_, other),) = read_sections(TWO.replace("p_1", "p_2"))
    assert "its settings changed" in plan_one(running, other, NEW).reasons[0]
    ((_, same),) = read_sections(TWO)
    assert plan_one(running, same, NEW).reasons == ()
    running.leaving.dropped.clear()
    assert plan_one(running, other, NEW).reasons == ()
