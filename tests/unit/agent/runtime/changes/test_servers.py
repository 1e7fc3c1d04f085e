"""What a change of one section asks for."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.steps import (
    AddServer,
    DeleteServer,
    RetireServer,
    SetAddress,
    SetState,
    SetWeight,
    Step,
)
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.plan import merge, plan, plan_one
from lbsync.clients.haproxy.capabilities import Capabilities, of_release

OLD, NEW = of_release((2, 6, 12)), of_release((2, 8, 25))
HEAD = "global\n    description one\ndefaults\n    default-server inter 5s init-addr none\n"


def planned(
    old: str, new: str, *, head: str = HEAD, can: Capabilities = OLD
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    was = Parser().parse(f"{head}backend be\n{old}\n")
    made = plan(RuntimeConfig(was, {}), Parser().parse(f"{head}backend be\n{new}\n"), {}, can)
    return made.steps, made.reasons


def steps(old: str, new: str, **more: object) -> list[Step]:
    found, reasons = planned(old, new, **more)  # type: ignore[arg-type]
    assert reasons == ()
    return list(found)


def reason(old: str, new: str, **more: object) -> str:
    _, reasons = planned(old, new, **more)  # type: ignore[arg-type]
    assert len(reasons) == 1
    return reasons[0]


A = " server a 10.0.0.1:80 check weight 5"


@pytest.mark.parametrize(
    ("new", "wanted"),
    [
        (" server a 10.0.0.2:80 check weight 5", SetAddress("be", "a", "10.0.0.2", 80)),
        (" server a 10.0.0.1:81 check weight 5", SetAddress("be", "a", "10.0.0.1", 81)),
        (" server a [::1]:80 check weight 5", SetAddress("be", "a", "::1", 80)),
        (" server a 10.0.0.1:80 check weight 0", SetWeight("be", "a", 0)),
        (" server a 10.0.0.1:80 check", SetWeight("be", "a", 1)),
        (A + " disabled", SetState("be", "a", "maint")),
    ],
)
def test_a_server_is_changed_while_it_runs(new: str, wanted: Step) -> None:
    assert steps(A, new) == [wanted]


@pytest.mark.parametrize(
    "same",
    [
        A + " # a comment",
        "\n# a comment\n\n" + A,
        " server a 10.0.0.1:80   weight 5 check",
        " server a ipv4@10.0.0.1:80 check weight 5",
        " server a 10.0.0.1:80 check weight 7 weight 5 enabled",
        " server a 10.0.0.1:80 check weight 5 inter 5s",
    ],
)
def test_what_means_the_same_asks_for_nothing(same: str) -> None:
    assert steps(A, same) == []


def test_a_server_that_ends_its_maintenance_gets_ready() -> None:
    assert steps(A + " disabled", A) == [SetState("be", "a", "ready")]


def test_a_new_server_is_given_all_words_in_force() -> None:
    own = " default-server rise 3 check\n"
    found = steps(own + A, own + A + "\n server b 10.0.0.9:80 weight 7 inter 1s no-check")
    assert found == [
        AddServer("be", "b", "10.0.0.9", 80, ("inter", "1s", "rise", "3", "weight", "7"))
    ]


def test_capacity_comes_before_capacity_goes() -> None:
    both = A + "\n server b 10.0.0.2:80 weight 0\n server c 10.0.0.3:80"
    new = (
        " server b 10.0.0.2:80 weight 9\n server c 10.0.0.3:80 disabled\n server d 10.0.0.4:80\n"
        " server a 10.0.0.1:80 check weight 1"
    )
    assert [type(step).__name__ for step in steps(both, new)] == [
        "AddServer",
        "SetWeight",
        "SetState",
        "SetWeight",
    ]
    assert steps(both, A)[-2:] == [RetireServer("be", "b"), RetireServer("be", "c")]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (A, " balance leastconn\n" + A, "backend be, line 6: 'balance leastconn' is new"),
        (" timeout server 5s\n" + A, A, "backend be, line 5: 'timeout server 5s' is gone"),
        (A, A + " maxconn 5", "backend be, line 6: server a: 'maxconn 5' is new"),
        (A, " server a app.test:80 check weight 5", "otherwise than by IP address and port"),
        (A, A + "\n server b app.test:80", "line 7: server b is new, and it is not given by IP"),
        (A, A + "\n server b 10.0.0.1", "server b is new, and it is not given by IP"),
        (A, A + "\n server b unix@/run/x", "server b is new, and it is not given by IP"),
        (A, A + "\n server b 10.0.0.1:80 cookie b", "before 2.8 takes 'cookie' only"),
        (A, A + "\n server b 10.0.0.1:80 socks4 x", "takes 'socks4' only when it starts"),
        (A, A + "\n server b 10.0.0.1:80 guid b", "before 3.0 takes 'guid' only"),
        (A, A + "\n server b 10.0.0.1:80 set-proxy-v2-tlv-fmt(0x20) %b", "before 3.0 takes"),
        (A, A + "\n server b 10.0.0.1:80 sni str($X)", ""),
        (A, A + '\n server b 10.0.0.1:80 sni "$X"', "cannot be written into a command"),
        (A, A + "\n server b 10.0.0.1:80 ssl ca-file ca.pem", "loads 'ca-file ca.pem' only"),
        (A, A + "\n server-template t 1-3 10.0.0.1:80", "'server-template t 1-3 10.0.0.1:80' is"),
        (A, A + "\n .if defined(X)\n .endif", "'.if defined(X)' is new"),
        (A, A + "\n option httpchk", "'option httpchk' is new"),
        (A, A + "\n stats auth ann:secret", "'stats auth ann:…' is new"),
        (A, A + "\n http-check send hdr Authorization 'Basic c2Vj'", "hdr Authorization …' is new"),
        (A + "\n user ann password $6$x", A, "'user ann password …' is gone"),
        (A, A + "\n user a Insecure-Password x groups b", "'user a Insecure-Password … groups b'"),
        (" option a\n option b", " option b\n option a", "'option b' stands in another place"),
    ],
)
def test_everything_else_is_a_reload_and_says_why(old: str, new: str, words: str) -> None:
    if words:
        assert words in reason(old, new)
    else:
        assert steps(old, new)


@pytest.mark.parametrize(
    ("algorithm", "dynamic"),
    [
        ("roundrobin", True),
        ("leastconn", True),
        ("random(2)", True),
        ("source\n hash-type consistent", True),
        ("static-rr", False),
        ("source", False),
        ("uri whole", False),
        ("hdr(host)", False),
        ("source\n hash-type map-based sdbm", False),
    ],
)
@pytest.mark.parametrize(
    "new", [A + "\n server b 10.0.0.9:80", "", " server a 10.0.0.1:80 check weight 6"]
)
def test_static_algorithms_take_no_other_servers(algorithm: str, dynamic: bool, new: str) -> None:
    how = f" balance {algorithm}\n"
    assert (planned(how + A, how + new)[1] == ()) == dynamic
    # It may also be said for all proxies at once.
    assert (planned(A, new, head=HEAD + how)[1] == ()) == dynamic


def test_an_address_moves_under_any_algorithm() -> None:
    how = " balance source\n"
    moved = A.replace("0.1:80", "0.2:80")
    assert steps(how + A, how + moved) == [SetAddress("be", "a", "10.0.0.2", 80)]


def test_the_order_of_servers_counts_only_where_it_decides() -> None:
    b = "\n server b 10.0.0.2:80"
    assert steps(A + b, b + "\n" + A) == []
    first = " balance first\n"
    assert "in another order" in reason(first + A + b, first + b + "\n" + A)
    assert "in another order" in reason(first + A, first + b + "\n" + A)
    assert len(steps(first + A, first + A + b)) == 1


def test_a_file_that_a_server_uses_already_can_be_used_again() -> None:
    old = " server a 10.0.0.1:80 ssl verify required ca-file ca.pem"
    found = steps(old, old + "\n server b 10.0.0.2:80 ssl verify required ca-file ca.pem")
    assert isinstance(found[0], AddServer)


@pytest.mark.parametrize(
    ("words", "since"),
    [
        ("source 10.0.0.9:0 usesrc hdr_ip(x-client) weight 5", (2, 6, 0)),
        ("source 10.0.0.9 interface eth1", (2, 6, 0)),
        ("shard disabled", (2, 8, 0)),
        ("guid enabled hash-key id pool-conn-name hdr(host)", (3, 0, 0)),
        ("set-proxy-v2-tlv-fmt(0x20) %b set-proxy-v2-tlv-fmt(0x21) %s", (3, 0, 0)),
        ("check init-state down", (3, 1, 0)),
        ("idle-ping 1s strict-maxconn", (3, 2, 0)),
        ("renegotiate", (3, 3, 0)),
        ("no-sni-auto", (3, 4, 0)),
    ],
)
def test_a_word_is_given_to_the_releases_that_take_it(
    words: str, since: tuple[int, int, int]
) -> None:
    found = steps(A, f"{A}\n server b 10.0.0.1:80 {words}", can=of_release(since))
    assert isinstance(found[0], AddServer)
    assert " ".join(found[0].options) == f"inter 5s {words}"
    if since > (2, 6, 0):
        before = (since[0], since[1] - 1, 99)
        assert "is new" in reason(A, f"{A}\n server b 10.0.0.1:80 {words}", can=of_release(before))


def test_a_default_that_a_server_takes_back_is_not_given_to_it() -> None:
    old = " default-server renegotiate\n" + A
    found = steps(old, old + "\n server b 10.0.0.1:80 no-renegotiate", can=of_release((3, 4, 0)))
    assert isinstance(found[0], AddServer)
    assert found[0].options == ("inter", "5s")


def test_newer_versions_take_cookies() -> None:
    found = steps(A, A + "\n server b 10.0.0.1:80 cookie b", can=NEW)
    assert isinstance(found[0], AddServer)
    dynamic = " cookie S insert dynamic\n dynamic-cookie-key x\n"
    new = dynamic + A + "\n server b 10.0.0.1:80"
    assert "dynamic-cookie-key" in reason(dynamic + A, new, can=NEW)


def test_a_name_that_was_leaving_comes_back_elsewhere() -> None:
    parser = Parser()
    empty, one, moved = (
        parser.parse(f"{HEAD}backend be\n{text}\n")
        for text in ("", A, " server a 10.0.0.7:80 check weight 2")
    )
    running = RuntimeConfig(one, {})
    running.adopt(empty, {}, plan(running, empty, {}, OLD).steps)
    assert list(running.leaving.servers) == ["be"]
    back = plan(running, moved, {}, OLD)
    assert back.steps == (
        SetAddress("be", "a", "10.0.0.7", 80),
        SetWeight("be", "a", 2),
        SetState("be", "a", "ready"),
    )
    running.adopt(moved, {}, back.steps)
    assert not running.leaving


def test_another_server_of_a_leaving_name_waits_until_that_one_is_gone() -> None:
    parser = Parser()
    empty = parser.parse(f"{HEAD}backend be\n")
    running = RuntimeConfig(parser.parse(f"{HEAD}backend be\n{A}\n"), {})
    running.adopt(empty, {}, plan(running, empty, {}, OLD).steps)
    other = parser.parse(f"{HEAD}backend be\n server a 10.0.0.1:80 maxconn 3\n")
    first, second = plan(running, other, {}, OLD).steps
    assert first == DeleteServer("be", "a")
    assert isinstance(second, AddServer)


def test_a_leaving_server_of_which_nothing_is_known_comes_back_by_a_reload() -> None:
    parser = Parser()
    running = RuntimeConfig(parser.parse(f"{HEAD}backend be\n"), {})
    running.adopt_steps([RetireServer("be", "a")])
    made = plan(running, parser.parse(f"{HEAD}backend be\n{A}\n"), {}, OLD)
    assert made.steps == ()
    assert "what it is like is not known" in made.reasons[0]


def test_a_server_of_a_section_that_needs_a_reload_waits_and_others_do_not() -> None:
    head = HEAD + "backend other\n server x 10.0.0.1:80\n"
    moved = HEAD + "backend other\n server x 10.0.0.2:80\n"
    old = Parser().parse(head + "backend be\n" + A)
    new = Parser().parse(moved + "backend be\n option httpchk\n server a 10.0.0.3:80")
    made = plan(RuntimeConfig(old, {}), new, {}, OLD)
    assert made.steps == (SetAddress("other", "x", "10.0.0.2", 80),)
    assert made.reasons == ("backend be, line 8: 'option httpchk' is new",)


def test_sections_that_come_and_go_are_told() -> None:
    old = Parser().parse(HEAD + "backend be\nbackend gone\n")
    new = Parser().parse(HEAD + "backend be\nbackend new\n")
    assert plan(RuntimeConfig(old, {}), new, {}, OLD).reasons == (
        "backend new, line 6: the section is new",
        "backend gone: the section is gone",
    )


def test_a_proxy_that_stands_on_other_defaults_is_a_reload() -> None:
    two = "defaults one\n mode http\ndefaults two\n mode tcp\n"
    old = Parser().parse(two + "backend be from one\n")
    assert (
        "is new"
        in plan(
            RuntimeConfig(old, {}), Parser().parse(two + "backend be from two\n"), {}, OLD
        ).reasons[0]
    )
    old = Parser().parse("defaults\n mode http\nbackend be\ndefaults\n mode tcp\n")
    new = Parser().parse("defaults\n mode http\ndefaults\n mode tcp\nbackend be\n")
    assert plan(RuntimeConfig(old, {}), new, {}, OLD).reasons == (
        "backend be: it stands on another 'defaults' section than before",
    )
    swapped = Parser().parse("backend be\ndefaults\n mode http\n")
    old = Parser().parse("defaults\n mode http\nbackend be\n")
    assert plan(RuntimeConfig(old, {}), swapped, {}, OLD).reload


def test_the_digest_in_global_is_no_change_but_the_rest_of_it_is() -> None:
    old = Parser().parse(HEAD + "backend be\n")
    new = Parser().parse(HEAD.replace(" one", " two # x") + "backend be\n")
    assert plan(RuntimeConfig(old, {}), new, {}, OLD).empty
    more = Parser().parse(HEAD.replace(" one", " two\n maxconn 5") + "backend be\n")
    assert plan(RuntimeConfig(old, {}), more, {}, OLD).reasons == (
        "global, line 3: 'maxconn 5' is new",
    )


def test_one_section_is_planned_without_the_others() -> None:
    config = Parser().parse(f"{HEAD}backend be\n{A}\nbackend more\n{A}\n")
    running = RuntimeConfig(config, {})
    (new,) = [
        placed.section
        for placed in Parser().parse("backend be\n server a 10.0.0.2:80 check weight 5\n").placed
    ]
    one = plan_one(running, new, OLD)
    assert one.steps == (SetAddress("be", "a", "10.0.0.2", 80),)
    running.adopt_section(new, one.steps)
    assert plan_one(running, new, OLD).empty
    unknown = Parser().parse("backend unknown\n").placed[0].section
    assert plan_one(running, unknown, OLD, 7).reasons == (
        "backend unknown, line 7: the section is new",
    )
    both = merge([one, plan_one(running, unknown, OLD)])
    assert both.steps == one.steps and both.reload
