"""Taking a configuration apart, and doing so cheaply a second time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.haproxycfg.parser import Bind, Section
from lbsync.agent.section_kinds import KINDS

TEXT = """\
# made by hand
global
    description  lb "1f0c" x
    default-path config
    server-state-file /var/lib/lbsync/servers.state

defaults plain
    mode http
    default-server weight 50 disabled

frontend fe_http from plain
    bind *:80,[::]:80 v4v6
    bind 10.0.0.1:8000-8002,:9000 name x
    bind unix@/run/fe.sock
    bind fd@3
    bind "$HOST:80"
    bind quic4@:443 ssl crt a.pem
    acl bad src -f maps/denied.lst
    http-request set-var(txn.b) req.hdr(host),lower,map_beg(maps/routes.map,none)
    use_backend be_a if { path /a }
    use_backend %[var(txn.b)]
    default_backend be_b
    errorfile 503 errors/503.http

backend be_a
    default-server check weight 20
    server s1 10.0.0.1:80 weight 5 disabled
    server s2 [2001:db8::1]:81 enabled
    server s3 app.example:+5
    server-template t 2-3 10.0.0.9:82

 listen both
    bind 127.0.0.1:1
    disabled
"""


def parsed(text: str) -> Config:
    return Parser().parse(text)


def section(text: str, name: str) -> Section:
    return next(placed.section for placed in parsed(text).placed if placed.section.name == name)


def test_sections_are_found_with_their_lines() -> None:
    found = [(p.section.kind, p.section.name, p.line) for p in parsed(TEXT).placed]
    assert found == [
        ("global", "", 2),
        ("defaults", "plain", 7),
        ("frontend", "fe_http", 11),
        ("backend", "be_a", 25),
        ("listen", "both", 32),
    ]


def test_the_global_section_names_the_generation_and_its_files() -> None:
    (placed,) = parsed(TEXT).of("global")
    assert placed.section.description == "lb 1f0c x"
    assert placed.section.default_path == "config"
    assert placed.section.state_file == "/var/lib/lbsync/servers.state"


def test_binds_are_read_in_every_form() -> None:
    binds = section(TEXT, "fe_http").binds
    assert [(b.kind, b.address, b.port, b.line) for b in binds] == [
        ("tcp", "*", 80, 1),
        ("tcp", "::", 80, 1),
        ("tcp", "10.0.0.1", 8000, 2),
        ("tcp", "10.0.0.1", 8001, 2),
        ("tcp", "10.0.0.1", 8002, 2),
        ("tcp", "*", 9000, 2),
        ("unix", "/run/fe.sock", 0, 3),
        ("other", "", 0, 4),
        ("other", "", 0, 5),
        ("udp", "*", 443, 6),
    ]
    assert binds[1].both_families


@pytest.mark.parametrize(
    ("bind", "wanted"),
    [
        ("bind :80 thread 1/1", Bind("*", 80, 1, "tcp", "thread 1/1")),
        ("bind 0.0.0.0:80", Bind("*", 80, 1)),
        ("bind ipv6@:80", Bind("::", 80, 1)),
        (":::80", None),
        ("bind ::1:80", Bind("::1", 80, 1)),
        ("bind :80 namespace blue", Bind("*", 80, 1, "other", "namespace blue")),
        ("bind 10.1.1.1:80 transparent", Bind("10.1.1.1", 80, 1, "other")),
    ],
)
def test_one_bind(bind: str, wanted: Bind | None) -> None:
    assert section(f"frontend f\n  {bind}\n", "f").binds == ((wanted,) if wanted else ())


def test_servers_carry_what_default_server_gives_them() -> None:
    found = section(TEXT, "be_a").servers
    assert [(s.name, s.address, s.port, s.weight, s.disabled) for s in found] == [
        ("s1", "10.0.0.1", 80, 5, True),
        ("s2", "2001:db8::1", 81, 20, False),
        ("s3", "app.example", 0, 20, None),
        ("t2", "10.0.0.9", 82, 20, None),
        ("t3", "10.0.0.9", 82, 20, None),
    ]


def test_the_same_words_mean_something_else_after_another_default_server() -> None:
    line = "server s 10.0.0.1:80 check"
    text = f"backend one\n{line}\nbackend two\ndefault-server weight 9 disabled\n{line}\n"
    told = [(s.weight, s.disabled) for name in ("one", "two") for s in section(text, name).servers]
    assert told == [(None, None), (9, True)]


def test_what_a_section_refers_to_is_known() -> None:
    frontend = section(TEXT, "fe_http")
    assert frontend.inherits == "plain"
    assert frontend.maps == (("maps/routes.map", "beg"),)
    assert frontend.lists == ("maps/denied.lst",)
    assert frontend.errorfiles == ("errors/503.http",)
    assert frontend.backends == ("be_a", "be_b")


def test_a_disabled_section_listens_on_nothing() -> None:
    assert {placed.section.name for placed, _ in parsed(TEXT).binds()} == {"fe_http"}


def test_a_line_leads_to_its_section() -> None:
    config = parsed(TEXT)
    names = {line: at.section.name for line in range(1, 36) if (at := config.section_at(line))}
    assert 1 not in names
    assert (names[2], names[6], names[10], names[24], names[31]) == (
        "",
        "",
        "plain",
        "fe_http",
        "be_a",
    )
    assert names[34] == "both"


LINES = st.sampled_from(
    [
        *sorted(KINDS),
        *(f"{kind} n{number}" for kind in ("backend", "frontend") for number in range(3)),
        "  server a 10.0.0.1:80",
        "  bind :80",
        "bind :81",
        "",
        "# comment",
        "  .if TRUE",
        ".endif",
        " backend indented",
        "globalist",
    ]
)
TEXTS = st.lists(LINES, max_size=25).map("\n".join)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_the_memory_of_earlier_texts_never_shows(texts: list[str]) -> None:
    parser = Parser()
    for text in [*texts, texts[0]]:
        assert parser.parse(text) == Parser().parse(text)


EDITS = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 3), st.lists(LINES, max_size=3)), max_size=5
)


@given(st.lists(LINES, max_size=25), EDITS)
def test_a_text_that_is_edited_reads_as_if_it_were_new(
    lines: list[str], edits: list[tuple[int, int, list[str]]]
) -> None:
    parser = Parser()
    parser.parse("\n".join(lines))
    for at, gone, come in edits:
        lines[at : at + gone] = come
        text = "\n".join(lines)
        assert parser.parse(text) == Parser().parse(text)


@pytest.mark.parametrize("after", ["globalist\n", "global x\n", "global", "global\n\n\nbackend b"])
def test_a_keyword_at_the_end_of_a_text_may_go_on(after: str) -> None:
    parser = Parser()
    parser.parse("backend a\n\nglobal")
    text = f"backend a\n\n{after}"
    assert parser.parse(text) == Parser().parse(text)


@given(TEXTS)
def test_lines_point_at_what_they_name(text: str) -> None:
    lines = text.split("\n")
    for placed in parsed(text).placed:
        assert lines[placed.line - 1].split()[0] == placed.section.kind
        for server in placed.section.servers:
            assert lines[placed.line - 1 + server.line].split()[1] == server.name


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    parsed(text)
    parsed("backend b\n" + text)
    parsed("frontend f\n bind " + text + "\n server " + text)


def test_a_short_text_that_is_read_again_and_again_takes_nothing_from_what_is_known() -> None:
    parser, long = (
        Parser(),
        "".join(f"backend b{number}\n    balance uri\n\n" for number in range(9)),
    )
    before = parser.parse(long)
    short = [parser.parse("global\n    daemon\n") for _ in range(3)]
    assert short[0] is short[2]
    after = parser.parse(f"{long}backend more\n")
    assert [p.section is q.section for p, q in zip(before.placed, after.placed, strict=False)] == [
        True
    ] * 9
