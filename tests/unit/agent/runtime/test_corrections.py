"""What a command may have changed, read from HAProxy's own words."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.parser import Server, read_sections
from lbsync.agent.runtime import corrections
from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.answers import Frontend, ServerState
from lbsync.errors import Unavailable

STAT = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,"
    "status,weight,\nfe,FRONTEND,,,0,0,{limit},0,0,0,0,0,0,,,,,{status},,\n\n"
)


def server(text: str) -> Server:
    ((_, section),) = read_sections(f"backend be\n server {text}\n")
    return section.servers[0]


def commands(line: str, state: str = "6", agent: str = "0", **more: object) -> list[str]:
    rest = str(more.pop("rest", "- 0 0 - - 0"))
    known: dict[str, Any] = {"op_state": 2, "admin_state": 0, "fqdn": "-", **more}
    now = ServerState(
        "be", "s", "10.0.0.1", 80, weight=1, check=state, agent=agent, rest=rest, **known
    )
    one = server(f"s {line}")
    return [said for _, said in corrections.of_server(one, now, corrections.extras(one.options))]


@pytest.mark.parametrize(
    ("line", "state", "more"),
    [
        ("10.0.0.1:80 check", "7", {}),
        ("10.0.0.1:80 check disabled", "14", {"op_state": 0, "admin_state": 5}),
        ("10.0.0.1:80 check", "6", {"op_state": 0}),
        ("10.0.0.1:80 check port 9", "6", {"rest": "- 0 9 - - 0"}),
        ("10.0.0.1:80 check addr 10.0.0.9 port 9", "6", {"rest": "- 0 9 10.0.0.9 10.0.0.9 9"}),
        ("10.0.0.1:80 check", "6", {"rest": "- 0 80 10.0.0.1 - 0"}),
        ("10.0.0.1:80 ssl verify none", "0", {"rest": "- 1 0 - - 0"}),
        ("10.0.0.1:80 check no-check", "0", {}),
        ("10.0.0.1:80 track be/t", "0", {"op_state": 0}),
        ("10.0.0.1:80", "0", {"op_state": 0, "admin_state": 1}),
        ("10.0.0.1:80 agent-check agent-port 7", "0", {"agent": "23", "rest": "- 0 0 - - 7"}),
        ("app.test:80 check", "6", {"fqdn": "app.test"}),
    ],
)
def test_what_is_as_written_is_no_difference(
    line: str, state: str, more: dict[str, object]
) -> None:
    assert commands(line, state, **more) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "state", "more", "cure"),
    [
        ("10.0.0.1:80 check", "2", {}, "enable health be/s"),
        ("10.0.0.1:80 agent-check agent-port 7", "0", {"agent": "18", "rest": "- 0 0 - - 7"}, "enable agent be/s"),
        ("10.0.0.1:80", "0", {"op_state": 0}, "set server be/s health up"),
        ("10.0.0.1:80", "0", {"op_state": 3}, "set server be/s health up"),
        ("10.0.0.1:80 check port 9", "6", {"rest": "- 0 8 - - 0"}, "set server be/s check-port 9"),
        ("10.0.0.1:80 check", "6", {"rest": "- 0 8 - - 0"}, "set server be/s check-port 80"),
        ("10.0.0.1:80 check", "6", {"rest": "- 0 0 10.0.0.9 - 0"}, "set server be/s check-addr 10.0.0.1"),
        ("10.0.0.1:80 agent-check agent-port 7", "0", {"agent": "22", "rest": "- 0 0 - - 8"},
         "set server be/s agent-port 7"),
        ("10.0.0.1:80 ssl verify none", "0", {"rest": "- 0 0 - - 0"}, "set server be/s ssl on"),
        ("10.0.0.1:80", "0", {"rest": "- 1 0 - - 0"}, "set server be/s ssl off"),
        ("app.test:80 check", "6", {"fqdn": "evil.test"}, "set server be/s fqdn app.test"),
    ],
)  # fmt: skip
def test_each_change_has_its_cure(
    line: str, state: str, more: dict[str, object], cure: str
) -> None:
    assert commands(line, state, **more) == [cure]  # type: ignore[arg-type]


def test_limits_of_the_process_are_those_of_the_configuration() -> None:
    info = {
        "Hard_maxconn": "100", "Maxconn": "100", "ConnRateLimit": "0", "SessRateLimit": "7",
        "SslRateLimit": "0", "CompressBpsRateLim": "2048",
    }  # fmt: skip
    written = "global\n    maxsessrate 7\n    maxcomprate 2\n"
    assert list(corrections.of_process(written, info)) == []
    assert [said for _, said in corrections.of_process("global\n", {**info, "Maxconn": "9"})] == [
        "set maxconn global 0",
        "set rate-limit sessions global 0",
        "set rate-limit http-compression global 0",
    ]
    assert list(corrections.of_process('global\n maxsessrate "${N}"\n maxcomprate 2\n', info)) == []


@pytest.mark.parametrize(
    ("text", "now", "cures"),
    [
        ("frontend fe\n", Frontend("fe", "100", "OPEN"), []),
        ("frontend fe\n maxconn 5\n", Frontend("fe", "5", "FULL"), []),
        ("frontend fe\n", Frontend("fe", "1", "OPEN"), ["set maxconn frontend fe 100"]),
        ("frontend fe\n maxconn 5\n", Frontend("fe", "1", "OPEN"), ["set maxconn frontend fe 5"]),
        ("frontend fe\n", Frontend("fe", "100", "PAUSED"), ["enable frontend fe"]),
        ("frontend fe\n", Frontend("fe", "100", "STOP"), [""]),
    ],
)
def test_a_frontend_is_open_and_takes_as_many_as_written(
    text: str, now: Frontend, cures: list[str]
) -> None:
    ((_, section),) = read_sections(text)
    assert [said for _, said in corrections.of_frontend(section, None, now, "100")] == cures


def test_frontends_are_read_by_their_header() -> None:
    found = answers.parse_frontends(STAT.format(limit=5, status="OPEN"))
    assert found == [Frontend("fe", "5", "OPEN")]


@given(st.text(max_size=80))
def test_any_answer_is_frontends_or_a_reason(answer: str) -> None:
    with contextlib.suppress(Unavailable):
        answers.parse_frontends(answer)


def test_servers_that_are_long_gone_leave_nothing_behind() -> None:
    """Each has a `guid` of its own with 3.0 and newer, and what was known of thousands stayed."""
    found = [corrections.extras(("check", "guid", f"be:{number}")) for number in range(3000)]
    assert len({id(each) for each in found}) == 1
    assert corrections.extras.cache_info().currsize < 300
