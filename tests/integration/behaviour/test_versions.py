"""Which version of a service a client gets, while its traffic moves from one group to another: through HAProxy."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.ports import free_port
from harness.wait import wait_until
from harness.web import WebServer
from tests.site import Answer, Site, servers

Web = Callable[[str], WebServer]
BALANCER = "127.0.0.7"
OFFICE = "127.0.0.9"
"""A client in a network that may see previews."""
NETWORKS = ["127.0.0.9", "203.0.113.0/25", "198.51.100.128/26", "2001:db8::/33"]
HEADER = "X-Lbsync-Group"
FAST = {"interval": "100ms", "rise": 1, "fall": 1}
HASH = "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG."
"""Of `secret`."""


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build(proxy=f'trusted_proxies = ["{BALANCER}"]')
    for name in ("kept", "other", "falls"):
        sticky = {"cookie": "other" if name == "other" else "SRV"}
        site.put(
            {
                f"services/t/{name}": {"mode": "http", "hosts": [f"{name}.test"], "sticky": sticky},
                f"endpoints/t/{name}/blue": servers(web("blue")),
                f"endpoints/t/{name}/green": servers(web("green")),
                f"endpoints/t/{name}/grey": servers(web("grey")),
                f"routes/t/{name}": {"groups": {"blue": 1}},
            }
        )
    nobody = {"name": "gone", "address": "127.0.0.1", "port": free_port()}
    site.put(
        {
            "services/t/falls": {
                "mode": "http", "hosts": ["falls.test"], "sticky": {"cookie": "SRV"}, "check": FAST
            },
            "endpoints/t/falls/green": {"servers": [nobody]},
            "routes/t/falls": {"groups": {"blue": 1, "green": 1}},
        }
    )  # fmt: skip
    site.put(
        {
            "services/t/shown": {
                "mode": "http",
                "hosts": ["shown.test"],
                "redirect": {"www": "add"},
                "preview": {
                    "networks": NETWORKS,
                    "hosts": {"green": "green.shown.test", "later": "later.shown.test"},
                },
            },
            "endpoints/t/shown/blue": servers(web("blue")),
            "endpoints/t/shown/green": servers(web("green")),
            "routes/t/shown": {"groups": {"blue": 1}},
        }
    )
    site.service("allow", web("blue"), allow=NETWORKS)
    preview = {"networks": [OFFICE]}
    policies: dict[str, dict[str, object]] = {
        "locked": {"auth": {"users": {"ann": HASH}}},
        "shut": {"deny": [OFFICE]},
        "few": {"rate_limit": {"requests": 2, "period": "1h"}},
        "off": {},
    }
    for name, policy in policies.items():
        more: dict[str, object] = {} if name == "off" else {"preview": preview}
        site.service(name, web("blue"), **policy, **more)
        site.put(
            {
                f"endpoints/t/{name}/green": servers(web("green")),
                f"routes/t/{name}": {"groups": {"main": 1}},
            }
        )
    site.start()
    return site


def route(site: Site, name: str, **shares: int) -> None:
    """Write a route, and see that it is in force without a reload."""
    site.put({f"routes/t/{name}": {"groups": shares}})
    assert "reloaded" not in site.run_pass().sentence


def asked(site: Site, cookie: str, name: str = "kept", times: int = 6) -> set[str]:
    """Who answers a client with this cookie."""
    return {site.get(f"{name}.test", headers={"Cookie": cookie}).body for _ in range(times)}


def shown(site: Site, group: str = "green", host: str = "www.shown.test", **more: str) -> Answer:
    """The answer to a client of the office that asks for a group."""
    return site.get(host, headers={HEADER: group, **more}, client=OFFICE)


def group_headers(web: WebServer) -> set[str]:
    """The headers by which a group may be named, of those that a server got last."""
    return {name for name in web.last_headers if name.replace("_", "-") == HEADER.lower()}


def test_a_client_stays_with_the_version_of_its_cookie_through_all_steps(site: Site) -> None:
    route(site, "kept", blue=1)
    first = site.get("kept.test")
    assert first.headers["set-cookie"].startswith("SRV=blue/blue;")
    for blue, green in ((9500, 500), (1, 9999)):
        route(site, "kept", blue=blue, green=green)
        assert asked(site, "SRV=blue/blue") == {"blue"}
        assert asked(site, "other=x; SRV=green/green") == {"green"}
        assert asked(site, "SRV=green/of-before") == {"green"}, "the version, if not the server"
    route(site, "kept", green=1)
    moved = site.get("kept.test", headers={"Cookie": "SRV=blue/blue"})
    assert (moved.body, moved.headers["set-cookie"][:16]) == ("green", "SRV=green/green;")


@pytest.mark.parametrize(
    "cookie", ["SRV=grey/grey", "SRV=grey", "SRV=none/x", "SRV=/", "SRV=", "SRV=blue/t/kept", "other=grey/grey"]
)  # fmt: skip
def test_a_cookie_that_somebody_made_up_leads_to_no_group_without_traffic(
    site: Site, cookie: str
) -> None:
    site.put({"routes/t/kept": {"groups": {"blue": 1, "green": 1, "grey": 0}}})
    site.run_pass()
    assert asked(site, cookie, times=4) <= {"blue", "green"}


def test_each_service_knows_its_own_cookie_and_its_own_groups(site: Site) -> None:
    route(site, "other", blue=1, green=1)
    assert asked(site, "SRV=grey/grey; other=green/green", "other") == {"green"}
    by_another = {
        site.get("other.test", headers={"Cookie": "SRV=green/green"}).body for _ in range(60)
    }
    assert by_another == {"blue", "green"}


def test_a_version_that_has_no_server_up_keeps_nobody(site: Site) -> None:
    def answered() -> Counter[int]:
        return Counter(
            site.get("falls.test", headers={"Cookie": "SRV=green/gone"}).status for _ in range(8)
        )

    wait_until("its clients to be served by the other version", lambda: answered()[200] > 0)


def test_a_group_without_traffic_is_seen_by_header_and_by_its_own_host(
    site: Site, web: Web
) -> None:
    by_header = shown(site)
    assert (by_header.body, by_header.headers["cache-control"]) == ("green", "no-store")
    assert not group_headers(web("green"))
    shown(site, X_Lbsync_Group="green")
    assert not group_headers(web("green")), "nor as servers may take it, from CGI's variables"
    by_host = site.get("green.shown.test", client=OFFICE)
    assert (by_host.body, by_host.headers["cache-control"]) == ("green", "no-store")
    assert shown(site, "blue", "green.shown.test").body == "green", "the host decides"
    assert shown(site, "blue").body == "blue"
    plain = site.get("www.shown.test", client=OFFICE)
    assert (plain.body, "cache-control" in plain.headers) == ("blue", False)
    assert shown(site, host="shown.test").location == "http://www.shown.test/", "as without it"


def test_from_other_networks_nothing_leads_to_it(site: Site, web: Web) -> None:
    plain = site.get("www.shown.test", headers={HEADER: "green"})
    assert (plain.status, plain.body) == (200, "blue")
    assert not group_headers(web("blue"))
    assert site.get("green.shown.test").status == 403
    assert site.get("later.shown.test").status == 403
    told = {"X-Forwarded-For": OFFICE}
    assert site.get("www.shown.test", headers={HEADER: "green", **told}).body == "blue"
    assert site.get("green.shown.test", headers=told).status == 403, (
        "nobody's word but a balancer's"
    )


@pytest.mark.parametrize(
    "group", ["grey", "later", "Green", "green/", "green/t", "*", "", "green, green", "x" * 6000]
)
def test_a_name_of_no_group_is_passed_over(site: Site, group: str) -> None:
    assert shown(site, group).body == "blue"
    assert site.get("later.shown.test", client=OFFICE).status == 503


def test_a_service_without_preview_has_none(site: Site, web: Web) -> None:
    assert shown(site, host="off.test").body == "blue"
    assert not group_headers(web("blue"))


def test_the_policies_of_the_service_hold_for_a_preview(site: Site) -> None:
    assert shown(site, host="locked.test").status == 401
    assert shown(site, host="locked.test", Authorization="Basic YW5uOnNlY3JldA==").status == 200
    assert shown(site, host="shut.test").status == 403
    assert [shown(site, host="few.test").status for _ in range(3)] == [200, 200, 429]


def test_groups_and_networks_of_previews_change_without_a_reload(site: Site, web: Web) -> None:
    preview = {"networks": ["127.0.0.8/31", "127.0.0.12/30"], "hosts": {"main": "main.new.test"}}
    site.service("new", web("blue"), redirect={"https": False})
    site.put(
        {"endpoints/t/new/green": servers(web("green")), "routes/t/new": {"groups": {"main": 1}}}
    )
    site.run_pass()
    site.service("new", web("blue"), redirect={"https": False}, preview=preview)
    assert "without a reload" in site.run_pass().sentence
    assert shown(site, host="new.test").body == "green"
    assert site.get("main.new.test", client="127.0.0.15").body == "blue"
    preview["networks"] = ["127.0.0.12/30"]
    site.service("new", web("blue"), redirect={"https": False}, preview=preview)
    assert "without a reload" in site.run_pass().sentence
    assert shown(site, host="new.test").body == "blue"
    assert site.get("main.new.test", client=OFFICE).status == 403
    site.service("new", web("blue"), redirect={"https": False})
    assert "without a reload" in site.run_pass().sentence
    assert site.get("main.new.test", client="127.0.0.15").status == 404


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(network="203.0.113.0/24").map(str),
    st.ip_addresses(network="198.51.100.0/24").map(str),
    st.ip_addresses(network="2001:db8::/32").map(str),
    st.ip_addresses(network="203.0.113.0/24").map(lambda a: f"::ffff:{a}"),
    st.ip_addresses(network="203.0.113.0/24").map(lambda a: f"2002:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}::"),
    st.ip_addresses(network="::/112").map(str),
    st.text("0123456789abcdef:.[] ,", max_size=24),
)  # fmt: skip


def test_who_is_in_a_network_is_decided_as_for_allow(site: Site) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ADDRESSES)
    def holds(address: str) -> None:
        told = {"X-Forwarded-For": address, HEADER: "green"}
        may = site.get("allow.test", headers=told, client=BALANCER).status == 200
        seen = site.get("www.shown.test", headers=told, client=BALANCER).body
        by_host = site.get("green.shown.test", headers=told, client=BALANCER).status
        assert (seen, by_host) == (("green", 200) if may else ("blue", 403))

    holds()
