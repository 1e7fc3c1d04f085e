"""Addresses: what is taken, in which form it is kept, and what is refused."""

import ipaddress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lbsync.values.addresses import (
    Bind,
    Endpoint,
    GelfTarget,
    HttpBind,
    LogTarget,
    NameServer,
    Network,
)


@pytest.mark.parametrize(
    ("url", "host", "port", "address"),
    [
        ("http://127.0.0.1:2379", "127.0.0.1", 2379, "127.0.0.1"),
        ("http://10.0.0.2", "10.0.0.2", 2379, "10.0.0.2"),
        ("https://Etcd-1.example.com:2379/", "etcd-1.example.com", 2379, "etcd-1.example.com"),
        ("http://my_etcd:2379", "my_etcd", 2379, "my_etcd"),
        ("http://[::1]:1", "[::1]", 1, "::1"),
        ("https://[fe80::1%25eth0]:2379", "[fe80::1%25eth0]", 2379, "fe80::1%eth0"),
        ("https://[fe80::1%25enP2p1]", "[fe80::1%25enP2p1]", 2379, "fe80::1%enP2p1"),
    ],
)
def test_what_names_a_member_of_etcd_is_taken(url: str, host: str, port: int, address: str) -> None:
    endpoint = Endpoint.parse(url)
    assert (endpoint.host, endpoint.port) == (host, port)
    assert endpoint.socket_address == (address, port)
    assert endpoint.secure is url.startswith("https")
    assert Endpoint.parse(endpoint) == endpoint


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:2379", "ftp://a:1", "http://a:99999", "http://a:0", "", "http://", "http://a b:1",
     "http://a:1/v3", "http://joe:x@a:1", "http://a:1,http://b:1", "http://-a:1", "http://a;b:1",
     "http://[fe80::1%eth0]:1", "http://[fe80::1%25]:1", "http://[a]:1", "http://fe80::1:2379",
     "http://m\u00fcller:1", "http://a:\u0661", "http://a%41:1", "unix:///run/etcd.sock"],
)  # fmt: skip
def test_what_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"write it like|between 1 and|user and password_file"):
        Endpoint.parse(url)


@given(
    st.text() | st.from_regex(r"https?://[\[a-z%:._0-9\]-]{1,20}(:[0-9]{1,6})?/?", fullmatch=True)
)
def test_an_endpoint_that_is_taken_is_taken_apart_alike(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        return
    assert Endpoint.parse(endpoint) == endpoint
    assert f"{'https' if endpoint.secure else 'http'}://{endpoint.host}:{endpoint.port}" == endpoint


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (Bind, "*:80", "0.0.0.0:80"),
        (Bind, "[0:0::1]:080", "[::1]:80"),
        (NameServer, "10.0.0.2", "10.0.0.2:53"),
        (NameServer, "fd00::2", "[fd00::2]:53"),
        (NameServer, "[fd00::2]:5353", "[fd00::2]:5353"),
        (LogTarget, "10.0.0.2:514", "10.0.0.2:514"),
        (LogTarget, "/dev/log", "/dev/log"),
        (LogTarget, "stdout", "stdout"),
        (HttpBind, "*:9464", "0.0.0.0:9464"),
        (HttpBind, "/run/lbsync/http.sock", "/run/lbsync/http.sock"),
        (GelfTarget, "udp://graylog.example.com", "udp://graylog.example.com:12201"),
        (GelfTarget, "TLS://[fd00::1]:443/", "tls://[fd00::1]:443"),
    ],
)
def test_ip_and_port_are_read_alike_everywhere(
    kind: type[Bind | NameServer | LogTarget | HttpBind | GelfTarget], text: str, kept: str
) -> None:
    assert kind.parse(text) == kept
    assert kind.parse(kept) == kept


@pytest.mark.parametrize(
    ("kind", "text", "cure"),
    [
        (Bind, "80", "has no port"),
        (Bind, "::1:80", "in brackets"),
        (Bind, "1.2.3.4:0", "between 1 and"),
        (Bind, "a:80", "no IP address"),
        (NameServer, "*:53", "write an IP address, or IP:PORT"),
        (NameServer, "dns.example.com", "write an IP address, or IP:PORT"),
        (LogTarget, "*:514", "write /dev/log, IP:PORT, stdout or stderr"),
        (LogTarget, "10.0.0.2", "write /dev/log, IP:PORT, stdout or stderr"),
        (HttpBind, "9464", "has no port"),
        (HttpBind, "run/http.sock", "has no port"),
        (HttpBind, "/" + "x" * 200, "at most 107 bytes"),
        (HttpBind, "/run/a\u200bb", "no socket's path should have"),
        (GelfTarget, "graylog:12201", "write it like udp://"),
        (GelfTarget, "http://graylog:12201", "write it like udp://"),
        (GelfTarget, "tcp://user@graylog:1", "a URL holds no password"),
        (GelfTarget, "udp://graylog:99999", "write it like udp://"),
    ],
)
def test_all_else_is_refused_with_the_cure(
    kind: type[Bind | NameServer | LogTarget | HttpBind | GelfTarget], text: str, cure: str
) -> None:
    with pytest.raises(ValueError, match=cure):
        kind.parse(text)


@st.composite
def networks_and_addresses(draw: st.DrawFn) -> tuple[Any, Any]:
    """A network, and an address that is near it as likely as not; none is another spelling of IPv4."""
    base = draw(st.ip_addresses())
    assume(getattr(base, "ipv4_mapped", None) is None)
    network = ipaddress.ip_network((base, draw(st.integers(0, base.max_prefixlen))), strict=False)
    near = st.integers(0, base.max_prefixlen - 1).map(
        lambda bit: type(base)(int(base) ^ (1 << bit))
    )
    address = draw(near | st.ip_addresses())
    assume(getattr(address, "ipv4_mapped", None) is None)
    return network, address


@given(networks_and_addresses())
def test_an_address_begins_like_those_of_its_networks_and_of_no_other(
    pair: tuple[Any, Any],
) -> None:
    network, address = pair
    told = f"{address.version}:{address.packed.hex().upper()}"
    starts = Network.parse(str(network)).beginnings
    assert len(starts) <= 8
    assert any(map(told.startswith, starts)) == (address in network)


@given(networks_and_addresses())
def test_its_patterns_hold_its_addresses_and_none_of_the_other_family(
    pair: tuple[Any, Any],
) -> None:
    """As HAProxy reads them: an IPv4 address is looked for in IPv6 networks as `::ffff:a.b.c.d`, too."""
    network, address = pair
    seen = ipaddress.ip_address(f"::ffff:{address}") if address.version == 4 else address
    patterns = map(ipaddress.ip_network, Network.parse(str(network)).patterns)
    found = any(address in each or seen in each for each in patterns)
    assert found == (address in network)


def test_an_ipv4_network_that_is_spelled_as_ipv6_is_that_network() -> None:
    for spelled, meant in (
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
    ):
        assert Network.parse(spelled) == meant
    assert len(Network.parse("::/0").patterns) == 96
