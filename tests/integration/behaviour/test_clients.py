"""Who the client is behind a trusted balancer, and what holds for one that cannot be told."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.web import WebServer
from tests.site import Site

Web = Callable[[str], WebServer]
BALANCER = "127.0.0.7"
TELLER = "127.0.0.9"
"""Sends the PROXY protocol."""
NETWORKS = ["203.0.113.0/24", "2001:db8::/32"]


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build(proxy=f'trusted_proxies = ["{BALANCER}"]\naccept_proxy = ["{TELLER}"]')
    one, two = web("front"), web("two")
    site.service("allow", one, allow=NETWORKS)
    site.service("deny", one, deny=NETWORKS)
    # What a network that holds the balancer's own address lets in must be the balancer alone.
    site.service("near", one, allow=["127.0.0.0/8", "0.0.0.0/0", "::/0"])
    site.service("far", one, deny=["192.0.2.1"])
    site.service("six", one, allow=["198.51.100.0/24", "::/0"])
    site.service("four", one, deny=["::/1", "8000::/1", "::ffff:198.51.100.0/120"])
    limit = {"requests": 2, "period": "1h", "exempt": ["127.0.0.0/8"]}
    site.service("limited", one, rate_limit=limit)
    site.service("hashed", one, two, balance="source")
    site.start()
    return site


def told(site: Site, host: str, *forwarded: str, client: str = BALANCER) -> int:
    """Ask with these lines of X-Forwarded-For; return the status."""
    lines = "".join(f"X-Forwarded-For: {value}\r\n" for value in forwarded)
    request = f"GET / HTTP/1.1\r\nHost: {host}.test\r\nConnection: close\r\n{lines}\r\n"
    return site.send(request.encode("latin-1"), client=client).status


@pytest.mark.parametrize(
    "last",
    [
        "203.0.113.9",
        "203.0.113.9:4711",
        "2001:db8::7",
        "2001:DB8:0:0::7",
        "[2001:db8::7]",
        "[2001:db8::7]:4711",
        "[203.0.113.9]:80",
        "::ffff:203.0.113.9",
        "[::FFFF:203.0.113.9]:80",
        "::ffff:cb00:7109",
        "10.0.0.1,203.0.113.9",
        "10.0.0.1,\t [2001:db8::7]:1",
        "unknown, 203.0.113.9",
    ],
)
def test_an_address_is_read_with_brackets_and_port(site: Site, last: str) -> None:
    assert (told(site, "allow", last), told(site, "deny", last)) == (200, 403)
    assert (told(site, "allow", "192.0.2.8", last), told(site, "deny", "192.0.2.8", last)) == (
        200,
        403,
    )
    assert told(site, "far", last) == 200


UNREADABLE = [
    "unknown", "_hidden", "", " ", "203.0.113.9,", "203.0.113.9, ", "203.0.113.9, unknown", "203.0.113",
    "203.0.113.9x", "203.0.113.9 x", "203.0.113.9/24", "203.0.113.9;x", "0203.0.113.9", "203.0.113.256",
    "203.0.113.9:", "203.0.113.9:x", "0xcb.0.113.9", "3405803785", "[2001:db8::7", "2001:db8::7]", "[]",
    "[2001:db8::7]x", "[[2001:db8::7]]", "2001:db8::7%eth0", "2001:db8::7::1", "for=203.0.113.9", "*",
    '"[2001:db8::7]:80"', "client.example.com", ":", "::ffff:203.0.113.9:80:", "203.0.113.9:80:80",
    "2002:cb00:7109::1", "[2002:CB00:7109::]:80", "::203.0.113.9", "::cb00:7109",
]  # fmt: skip


@pytest.mark.parametrize("last", UNREADABLE)
def test_who_cannot_be_told_is_refused_by_either_list(site: Site, last: str) -> None:
    for host in ("allow", "deny", "near", "far"):
        assert told(site, host, last) == 403
        assert told(site, host, "203.0.113.9", last) == 403


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")))
@settings(max_examples=60)
def test_nothing_in_the_header_makes_a_client_of_the_balancer(site: Site, last: str) -> None:
    """The service that lets in the balancer alone."""
    if "allow-balancer" not in site.text():
        site.service("allow-balancer", allow=[BALANCER])
        site.run_pass()
    assert told(site, "allow-balancer", last) in (403, 400)


@pytest.mark.parametrize(
    ("last", "six", "four"),
    [
        ("203.0.113.9", 403, 200),
        ("::ffff:203.0.113.9", 403, 200),
        ("198.51.100.1", 200, 403),
        ("2001:db8::7", 200, 403),
        ("::1", 200, 403),
        ("::fffe:0:1", 200, 403),
    ],
)
def test_a_network_of_ipv6_holds_no_ipv4_address(
    site: Site, last: str, six: int, four: int
) -> None:
    assert (told(site, "six", last), told(site, "four", last)) == (six, four)


@pytest.mark.parametrize("source", ["2002:7f00:7::1", "::127.0.0.7", "::1", "2001:db8::1"])
def test_nobody_is_trusted_for_the_ipv4_address_in_his_own(site: Site, source: str) -> None:
    header = f"PROXY TCP6 {source} ::1 40000 80\r\n".encode()
    headers = {"X-Forwarded-For": "203.0.113.9"}
    for host in ("allow", "near"):
        answer = site.get(f"{host}.test", headers=headers, client=TELLER, before=header)
        is_in = host == "near" and source in ("::1", "2001:db8::1")
        is_in |= host == "allow" and source == "2001:db8::1"
        assert answer.status == (200 if is_in else 403)


def test_who_cannot_be_told_is_counted_as_one_client_and_as_nobody_elses(site: Site) -> None:
    found = [told(site, "limited", last) for last in ("unknown", "", "_hidden", "203.0.113.9, ")]
    assert found == [200, 200, 429, 429]
    assert told(site, "limited", "203.0.113.9") == 200
    assert told(site, "limited") == 200
    networks = [f"[2001:db8:{number}::1]:4711" for number in range(6)]
    assert {told(site, "limited", last) for last in networks} == {200}
    mapped = [f"::ffff:203.0.113.{number}" for number in range(20, 26)]
    assert {told(site, "limited", last) for last in mapped} == {200}


def test_clients_are_spread_by_their_own_addresses(site: Site) -> None:
    def servers(last: str) -> set[str]:
        headers = {"X-Forwarded-For": last}
        return {site.get("hashed.test", headers=headers, client=BALANCER).body for _ in range(4)}

    own = [servers(f"[2001:db8:{number}::1]:4711") for number in range(20)]
    assert all(len(found) == 1 for found in own)
    assert set.union(*own) == {"front", "two"}
    assert servers("unknown") == {"front", "two"}


def test_without_the_header_the_balancer_asks_for_itself(site: Site, web: Web) -> None:
    assert (told(site, "near"), told(site, "far"), told(site, "allow")) == (200, 200, 403)
    assert web("front").last_headers["x-forwarded-for"] == BALANCER


@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.8"])
def test_nobody_else_is_asked_for_an_address(site: Site, client: str) -> None:
    for last in ("203.0.113.9", "unknown", ""):
        assert told(site, "near", last, client=client) == 200
        assert told(site, "allow", last, client=client) == 403


def test_the_log_and_the_server_are_told_no_other_address(site: Site, web: Web) -> None:
    for last, client in [
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("unknown", "-"),
        ("1.2.3.4x", "-"),
    ]:
        site.forget_log()
        assert told(site, "hashed", "192.0.2.8", last) == 200
        line = site.logged(b"hashed.test")
        assert (line["client"], line["peer"]) == (client, BALANCER)
    headers = {"X-Forwarded-For": "unknown"}
    site.get("deny.test", headers=headers, client=BALANCER)
    site.get("limited.test", headers={"X-Forwarded-For": "198.51.100.7"}, client=BALANCER)
    # The toy server keeps the last of several lines: what HAProxy adds is the balancer's address.
    assert web("front").last_headers["x-forwarded-for"] == BALANCER


def test_a_socket_for_both_families_makes_no_other_client_of_an_ipv4_address(
    build: Callable[..., Site], web: Web
) -> None:
    site = build(proxy=f'trusted_proxies = ["{BALANCER}"]')
    settings_file = site.directory / "lbsync.toml"
    text = settings_file.read_text().replace(f"127.0.0.1:{site.port}", f"[::]:{site.port}")
    settings_file.write_text(text)
    site.reconfigure()
    site.service("allow", web("front"), allow=["127.0.0.2", "203.0.113.0/24"])
    site.service("limited", web("front"), rate_limit={"requests": 1, "period": "1h"})
    site.start()
    assert [site.get("allow.test", client=f"127.0.0.{n}").status for n in (1, 2)] == [403, 200]
    assert told(site, "allow", "203.0.113.9") == 200
    assert {site.get("limited.test", client=f"127.0.0.{n}").status for n in (1, 2, 3)} == {200}
