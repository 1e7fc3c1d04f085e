"""Rules that `haproxy -c` does not know."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.haproxycfg.lint import Finding, broken

DIGEST = "1f0c"
GOOD = """\
global
    description lb 1f0c
    default-path config
frontend fe
    bind :80
    http-request set-var(txn.b) req.hdr(host),map(maps/backends.map)
    use_backend %[var(txn.b)]
backend be_a
    server a 10.0.0.1:80
"""
MAP = b"# comment\n\na.test be_a\n  b.test   be_a  \n"


def findings(
    config: str = GOOD, maps: bytes = MAP, more: dict[str, bytes] | None = None
) -> list[Finding]:
    every = {"haproxy.cfg": config.encode(), "maps/backends.map": maps, **(more or {})}
    return list(broken(every, Parser().parse(config), DIGEST))


def test_a_good_set_breaks_none() -> None:
    assert findings() == []


def test_a_cut_last_line_is_told() -> None:
    (found,) = findings(GOOD.rstrip("\n"))
    assert "line feed" in found.text
    assert found.line == 9


def test_a_set_that_could_not_be_proved_is_told() -> None:
    (found,) = findings(GOOD.replace("1f0c", "other"))
    assert "description 1f0c" in found.text


@pytest.mark.parametrize(
    "change", [("    bind :80\n", ""), ("    bind :80\n", "    bind :80\n    disabled\n")]
)
def test_a_configuration_that_serves_nothing_is_told(change: tuple[str, str]) -> None:
    (found,) = findings(GOOD.replace(*change))
    assert "listens" in found.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bind :80", "bind *:80"),
        ("bind :80", "bind 0.0.0.0:80 ssl crt x.pem"),
        ("bind 127.0.0.1:80-90", "bind 127.0.0.1:85"),
        ("bind [::1]:80", "bind ::1:80"),
        ("bind /run/a.sock", "bind unix@/run/a.sock"),
    ],
)
def test_one_address_bound_twice_is_told_with_both_places(first: str, second: str) -> None:
    text = GOOD.replace("bind :80", first) + f"frontend other\n    mode http\n    {second}\n"
    (found,) = findings(text)
    assert (found.section, found.line) == ("other", 12)
    assert "frontend 'fe' (line 5)" in found.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bind :80", "bind :81"),
        ("bind :443 ssl crt x.pem", "bind quic4@:443 ssl crt x.pem"),
        ("bind :80 thread 1/1", "bind :80 thread 1/2"),
        ("bind :80 interface eth0", "bind :80 interface eth1"),
        ("bind 10.0.0.1:80", "bind :80"),
        ('bind "$A:80"', 'bind "$B:80"'),
        (".if TRUE\nbind :80\n.else", "bind :80"),
    ],
)
def test_binds_that_are_apart_on_purpose_are_let_be(first: str, second: str) -> None:
    assert findings(GOOD.replace("bind :80", f"{first}\n    {second}\n    mode http")) == []


def test_a_file_that_nobody_rendered_is_told() -> None:
    (found,) = findings(GOOD.replace("bind :80\n", "bind :80\n    acl x src -f maps/no.lst\n"))
    assert (found.section, found.line) == ("fe", 6)
    assert "maps/no.lst" in found.text


def test_absolute_files_are_haproxys_own_matter() -> None:
    assert findings(GOOD.replace("bind :80\n", "bind :80\n    acl x src -f /etc/no.lst\n")) == []


def test_a_map_that_leads_to_no_backend_is_told() -> None:
    found = findings(maps=MAP + b"c.test be_gone\nd.test fe\ne.test\n")
    assert [(f.file, f.line, f.section) for f in found] == [
        ("maps/backends.map", 5, "be_gone"),
        ("maps/backends.map", 6, "fe"),
        ("maps/backends.map", 7, ""),
    ]


def test_other_maps_may_hold_anything() -> None:
    assert findings(more={"maps/splits.map": b"a 10\n"}) == []


def test_a_finding_reads_as_a_sentence_with_its_place() -> None:
    finding = Finding("haproxy.cfg", 7, "be_a", "unknown keyword 'x'")
    assert str(finding) == "haproxy.cfg:7 (be_a): unknown keyword 'x'"
    assert str(Finding("", 0, "", "no place")) == "no place"


def test_settings_without_the_section_they_stand_on_are_told_once_and_of_nobody() -> None:
    lost = "defaults p_1 from d_base\ndefaults p_2 from d_base\nbackend be_b from p_1\n"
    (found,) = findings(GOOD + lost)
    assert (found.line, found.section) == (10, "defaults")
    assert "begin one with 'defaults d_base'" in found.text
