"""Who may claim what: the narrowest entry decides, and what is dangerous needs one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.model.permission import Permission
from lbsync.schema.decode import decode
from lbsync.schema.keys import parse_key
from lbsync.values.addresses import Endpoint
from lbsync.values.claims import Claims, HostClaim, PortClaim, ServerClaim
from lbsync.values.names import Address


def allowed(**entries: list[str]) -> Permission:
    kinds: dict[str, type[HostClaim | PortClaim | ServerClaim]] = {
        "hosts": HostClaim,
        "listen": PortClaim,
        "servers": ServerClaim,
    }
    made: dict[str, Any] = {
        name: tuple(map(kinds[name].parse, given)) for name, given in entries.items()
    }
    return Permission(Claims(**made))


DEFAULT = allowed()


def refusal(permission: Permission, key: str, value: object) -> str:
    parsed = parse_key(key)
    assert parsed is not None
    assert parsed.service is not None
    return permission.refusal(parsed.service.ns, decode(key, parsed, msgspec.json.encode(value)))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.0.9", "::1", "169.254.169.254", "fe80::1", "0.1.2.3", "::ffff:127.0.0.1",
     "::ffff:169.254.169.254", "64:ff9b::7f00:1", "::127.0.0.1", "2002:7f00:1::", "fd00:ec2::254", "100.100.100.200",
     "168.63.129.16", "192.0.0.192", "255.255.255.255", "240.0.0.1", "metadata.google.internal", "a.localhost",
     "fd00:ec2::23", "fd20:ce::254", "metadata.goog", "localhost.localdomain", "fd00:42::42", "fd00:a9fe:a9fe::1",
     "64:ff9b:1::7f00:1", "64:ff9b:1:fffe::a9fe:a9fe", "::ffff:0:127.0.0.1", "metadata.azure.internal",
     "localhost6.localdomain6", "host.docker.internal"],
)  # fmt: skip
def test_the_hosts_themselves_and_their_cloud_are_no_servers(address: str) -> None:
    value = {"servers": [{"name": "a", "address": address, "port": 80}]}
    said = refusal(DEFAULT, "endpoints/shop/web/blue", value)
    assert said.startswith("servers[0].address: ")
    assert "[claims] servers" in said
    assert "for nobody" in said


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "8.8.8.8", "192.168.1.1", "100.64.0.1", "192.0.2.1", "fd00::7", "2001:db8::1", "::ffff:10.0.0.1",
     "db.example.com", "127.example.com", "64:ff9b::a00:1"],
)  # fmt: skip
def test_any_other_server_is_allowed_by_default(address: str) -> None:
    assert DEFAULT.server("shop", Address.parse(address)) == ""


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://10.0.0.5:2379", "10.0.0.5"),
        ("http://10.0.0.5", "::ffff:10.0.0.5"),
        ("https://[fd00::5]:2379", "fd00::5"),
        ("http://[::ffff:10.0.0.5]:2379", "10.0.0.5"),
        ("https://etcd-1.example.com:2379", "ETCD-1.example.com."),
    ],
)
def test_etcd_is_no_server_of_anybody_who_was_not_given_it(endpoint: str, address: str) -> None:
    endpoints = [Endpoint.parse("http://192.0.2.1:2380"), Endpoint.parse(endpoint)]

    def said(permission: Permission, port: int = 2379) -> str:
        value = {"servers": [{"name": "a", "address": address, "port": port}]}
        return refusal(permission, "endpoints/shop/web/blue", value)

    assert "is etcd itself" in said(Permission(Claims(), endpoints))
    assert said(Permission(Claims(), endpoints), 8080) == ""
    for owner, allows in (("shop", True), ("other", False), ("*", True)):
        what = endpoint.partition("://")[2].removesuffix(":2379").strip("[]").replace("::ffff:", "")
        some = Permission(Claims(servers=(ServerClaim.parse(f"{owner}={what}"),)), endpoints)
        assert (said(some) == "") is allows


def test_an_entry_opens_a_forbidden_network_to_its_namespace_alone() -> None:
    some = allowed(servers=["edge=127.0.0.0/8", "*=127.9.0.0/16"])
    assert some.server("edge", Address("127.0.0.1")) == ""
    assert some.server("shop", Address("127.9.0.1")) == ""
    assert "for namespace edge alone" in some.server("shop", Address("127.0.0.1"))
    assert "for nobody" in some.server("edge", Address("169.254.169.254"))


def test_a_network_that_is_given_to_one_is_closed_to_others() -> None:
    some = allowed(servers=["kube=10.244.0.0/16", "-=*", "crm=*.crm.example"])
    assert some.server("kube", Address("10.244.3.4")) == ""
    assert "for namespace kube alone" in some.server("shop", Address("10.244.3.4"))
    assert "for namespace kube alone" in some.server("shop", Address.parse("::ffff:10.244.3.4"))
    assert some.server("shop", Address("10.245.0.1")) == ""
    assert some.server("crm", Address("a.crm.example")) == ""
    assert "for nobody" in some.server("crm", Address("a.example"))


def test_with_all_of_ipv4_given_to_one_nobody_else_has_any() -> None:
    some = allowed(servers=["kube=0.0.0.0/0"])
    assert "for namespace kube alone" in some.server("shop", Address("10.0.0.1"))


@pytest.mark.parametrize("port", [1, 22, 80, 443, 1023, 32768, 65535])
def test_ports_of_daemons_and_of_outgoing_connections_are_nobodys(port: int) -> None:
    said = refusal(DEFAULT, "services/db/main", {"mode": "tcp", "listen": port})
    assert said.startswith(f"listen: port {port} is for nobody")
    assert "1024-32767" in said
    assert f'let the operator add "db={port}"' in said


def test_a_port_is_given_to_a_namespace() -> None:
    some = allowed(listen=["mail=25", "games=27000-27999", "*=40000-40010"])
    assert some.port("mail", 25) == ""
    assert "for namespace mail alone" in some.port("db", 25)
    assert "for namespace games alone" in some.port("db", 27500)
    assert some.port("games", 27500) == some.port("db", 40005) == some.port("db", 5432) == ""


@pytest.mark.parametrize("hosts", [[], ["*"], ["*.com"], ["a.example.com", "*.de"]])
def test_nobody_has_any_host_or_a_top_level_domain_by_default(hosts: list[str]) -> None:
    said = refusal(DEFAULT, "services/evil/x", {"mode": "http", "hosts": hosts})
    assert said.startswith("hosts")
    assert "[claims] hosts" in said
    assert '"evil=*' in said
    assert (
        refusal(allowed(hosts=["*=*"]), "services/evil/x", {"mode": "http", "hosts": hosts}) == ""
    )


def test_a_host_belongs_to_the_namespace_of_its_narrowest_entry() -> None:
    some = allowed(
        hosts=["bank=*.bank.example.com", "bank=bank.example.com", "pay=pay.bank.example.com"]
    )
    assert some.host("bank", "login.bank.example.com") == ""
    assert some.host("pay", "pay.bank.example.com") == ""
    assert "for namespace pay alone" in some.host("bank", "pay.bank.example.com")
    assert "for namespace bank alone" in some.host("evil", "bank.example.com")
    assert "for namespace bank alone" in some.host("evil", "a.b.bank.example.com")
    assert "for namespace bank alone" in some.host("evil", "*.bank.example.com")
    assert some.host("evil", "evil.example.com") == ""


def test_a_wildcard_over_hosts_of_another_is_refused() -> None:
    some = allowed(hosts=["bank=bank.example.com", "*=*", "edge=*.example.com"])
    assert "takes in *.example.com" in some.host("evil", "*")
    assert "for namespace edge alone" in some.host("evil", "*.example.com")
    assert some.host("edge", "*.example.com") == ""


def test_the_www_twin_of_a_host_is_claimed_too() -> None:
    some = allowed(hosts=["bank=www.bank.example"])
    value = {"mode": "http", "hosts": ["bank.example"], "redirect": {"www": "strip"}}
    assert refusal(some, "services/evil/x", value).startswith("redirect.www: www.bank.example is")


def test_the_host_of_a_preview_is_claimed_too() -> None:
    some = allowed(hosts=["bank=www.bank.example"])
    preview = {"networks": ["10.0.0.0/8"], "hosts": {"green": "www.bank.example"}}
    value = {"mode": "http", "hosts": ["a.example"], "preview": preview}
    said = refusal(some, "services/evil/x", value)
    assert said.startswith("preview.hosts.green: www.bank.example is")


@pytest.mark.parametrize(
    "text", ["", "bank", "=*", "Bank=*", "a/b=*", "bank=", "bank=a b", "bank=*.*.x", "bank=1/2"]
)
def test_an_entry_that_is_none_is_refused_with_an_example(text: str) -> None:
    for kind in (HostClaim, PortClaim, ServerClaim):
        with pytest.raises(ValueError, match=r"write"):
            kind.parse(text)


@given(st.ip_addresses(), st.ip_addresses(v=4).map(lambda a: f"{a}/32"))
def test_the_short_cut_answers_as_the_look_at_each_network_does(address: object, net: str) -> None:
    some = allowed(servers=[f"other={net}"])
    try:
        parsed = Address.parse(str(address))
    except ValueError:
        return
    assert some.server("shop", parsed) == some._server("shop", parsed)  # the long way
