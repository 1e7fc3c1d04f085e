"""From host and path to a service, and from a service to one of its groups, through HAProxy."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from harness.web import WebServer
from tests.site import Site, servers

Web = Callable[[str], WebServer]


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build()
    site.service("exact", web("exact"), hosts=["a.example.com", "Two.Example.COM."])
    site.service("zone", web("zone"), hosts=["*.example.com"])
    site.service("deep", web("deep"), hosts=["*.b.example.com"])
    site.service("part", web("part"), hosts=["*.c.b.example.com"], paths=["/only"])
    site.service("atom", web("atom"), hosts=["*.d.c.b.example.com"], paths=["/only/atom"])
    site.service("any", web("any"), hosts=[], paths=["/anywhere"])
    site.service("shop", web("shop"), hosts=["shop.test"])
    site.service("api", web("api"), hosts=["shop.test"], paths=["/api"])
    site.service("v2", web("v2"), hosts=["shop.test"], paths=["/api/v2", "/odd%20path/(x)"])
    site.put(
        {
            "services/t/colour": {"mode": "http", "hosts": ["colour.test"]},
            "endpoints/t/colour/blue": servers(web("blue")),
            "endpoints/t/colour/green": servers(web("green")),
            "routes/t/colour": {"groups": {"blue": 1}},
            "services/t/split": {"mode": "http", "hosts": ["split.test"]},
            "endpoints/t/split/blue": servers(web("blue")),
            "endpoints/t/split/green": servers(web("green")),
            "routes/t/split": {"groups": {"blue": 3, "green": 1}},
            "services/t/empty": {"mode": "http", "hosts": ["empty.test"]},
            "endpoints/t/empty/main": {"servers": []},
        }
    )
    site.start()
    return site


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("a.example.com", "exact"),
        ("A.EXAMPLE.COM", "exact"),
        ("a.example.com:8080", "exact"),
        ("a.example.com.", "exact"),
        ("a.example.com.:80", "exact"),
        ("two.example.com", "exact"),
        ("c.example.com", "zone"),
        ("d.c.example.com", "zone"),
        ("x.b.example.com", "deep"),
        ("y.x.b.example.com", "deep"),
        ("b.example.com", "zone"),
    ],
)
def test_an_exact_host_goes_before_a_suffix_and_the_longest_suffix_before_others(
    site: Site, host: str, served: str
) -> None:
    assert site.get(host).body == served


@pytest.mark.parametrize(
    ("path", "served"),
    [("/only/atom", "atom"), ("/only/x", "part"), ("/", "deep"), ("/anywhere", "deep")],
)
def test_a_suffix_without_the_path_leaves_the_request_to_the_next_around_it(
    site: Site, path: str, served: str
) -> None:
    assert site.get("x.d.c.b.example.com", path).body == served


@pytest.mark.parametrize(
    "host", ["example.com", "xexample.com", "a.example.com.evil.org", "example.com."]
)
def test_what_only_looks_like_a_host_is_not_served(site: Site, host: str) -> None:
    assert site.get(host).status == 404


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/", "shop"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api?x=/api/v2", "api"),
        ("/api/v1/y", "api"),
        ("/apis", "shop"),
        ("/api/v2", "v2"),
        ("/api/v2/z", "v2"),
        ("/api/v22", "api"),
        ("/API", "shop"),
        ("/odd%20path/(x)/y", "v2"),
        ("/odd%20path/%28x%29", "v2"),
        ("/odd+path/(x)", "shop"),
        ("//api", "api"),
        ("/%61pi", "api"),
        ("/%2Fapi%2fv2", "v2"),
        ("/" * 10_000 + "api", "api"),
        ("/api%2561", "shop"),
        ("/.api", "shop"),
        ("/api/...", "api"),
    ],
)
def test_the_longest_path_wins_and_is_cut_at_slashes(site: Site, path: str, served: str) -> None:
    assert site.get("shop.test", path).body == served


def test_a_path_that_cannot_be_written_anew_is_refused_or_led_by_its_beginning(site: Site) -> None:
    """HAProxy 3.2 and later no longer cut what outgrows a buffer once it is encoded."""
    answer = site.get("shop.test", "/" + "(" * 8000)
    assert answer.status == 400 or answer.body == "shop"


def test_no_spelling_of_a_path_leads_past_its_service_and_servers_see_it_as_it_came(
    site: Site, web: Web
) -> None:
    chance = random.Random(7)
    web("v2").requests.clear()
    for _ in range(100):
        path = spelled("/api/v2/x", chance)
        assert site.get("shop.test", path).body == "v2", path
        assert web("v2").requests[path]


def spelled(path: str, chance: random.Random) -> str:
    """Another spelling of a path that means the same to servers."""
    ways = {"/": ["/", "//", "/%2F", "/%2f/"]}
    return "".join(
        chance.choice(ways.get(sign, [sign, f"%{ord(sign):02x}", f"%{ord(sign):02X}"]))
        for sign in path
    )


@pytest.mark.parametrize(
    "path",
    ["/../api", "/api/..", "/apis/../api", "/./api", "/api/.", "/%2e/api", "/x/.%2E/api", "/x%2f..%2fapi",
     "/%00/../api", "/%00/api", "/api%00", "/api%00.png", "/" + "(" * 8000 + "/../../api", "/100%",
     "/%zz/api", "/api%2"],
)  # fmt: skip
def test_a_path_that_servers_read_in_several_ways_is_refused(site: Site, path: str) -> None:
    assert site.get("shop.test", path).status == 400


def test_a_request_for_no_path_is_served(site: Site) -> None:
    assert site.get("shop.test", "*", method="OPTIONS").status == 501


def test_a_service_without_hosts_takes_what_nobody_names(site: Site) -> None:
    assert site.get("nobody.test", "/anywhere/x").body == "any"
    assert site.get(None, "/anywhere").body == "any"
    assert site.get("[::1]:8080", "/anywhere").body == "any"
    assert site.get("shop.test", "/anywhere").body == "shop"
    assert site.get("nobody.test", "/").status == 404
    assert site.get(None, "/").status == 404


def test_a_host_with_a_slash_cannot_pass_for_host_and_path(site: Site) -> None:
    assert site.get("shop.test/api").status == 400
    assert site.get("t/shop").status == 400


def test_nobody_and_no_server_have_pages_of_their_own(site: Site) -> None:
    nobody = site.get("nobody.test")
    assert (nobody.status, nobody.headers["content-type"]) == (404, "text/plain")
    assert "No service answers" in nobody.body
    empty = site.get("empty.test")
    assert (empty.status, empty.headers["content-type"]) == (503, "text/html")
    assert "no server that can answer" in empty.body
    assert empty.headers["cache-control"] == "no-cache"


def test_one_write_to_the_route_moves_all_traffic(site: Site) -> None:
    assert {site.get("colour.test").body for _ in range(8)} == {"blue"}
    site.put({"routes/t/colour": {"groups": {"green": 1, "blue": 0}}})
    site.run_pass()
    assert {site.get("colour.test").body for _ in range(8)} == {"green"}


def test_weights_of_groups_split_the_traffic(site: Site) -> None:
    found = Counter(site.get("split.test").body for _ in range(400))
    assert found.keys() == {"blue", "green"}
    # 300 of 400 are expected; six standard deviations of chance are 52.
    assert 248 <= found["blue"] <= 352


def test_a_map_that_lost_a_line_leads_nowhere(build: Callable[..., Site], web: Web) -> None:
    """Somebody's hand, or half of an update: no request may go where no rule judges it."""
    site = build()
    site.service("page", web("blue"))
    site.service("other", web("green"))
    both = servers(web("blue"))
    site.put({f"endpoints/t/split/{group}": both for group in ("a", "b")})
    site.put({"services/t/split": {"mode": "http", "hosts": ["split.test"]}})
    site.service("any", web("any"), hosts=[])
    site.start()
    for gone in ("maps/backends.map t/page", "maps/splits.map t/split"):
        site.haproxy.ask(f"@1 del map {gone}")
    assert {site.get("split.test").status for _ in range(4)} == {404}
    assert site.get("page.test").status == 404
    assert site.get("other.test").body == "green"


def test_a_group_without_a_share_gets_nothing_whatever_becomes_of_the_others(
    build: Callable[..., Site], web: Web
) -> None:
    site = build(more="[agent]\nguard_percent = 100")
    site.put(
        {
            "services/t/page": {"mode": "http", "hosts": ["page.test"]},
            "endpoints/t/page/blue": servers(web("blue")),
            "endpoints/t/page/green": servers(web("green")),
            "routes/t/page": {"groups": {"blue": 1, "green": 0}},
        }
    )
    site.start()
    site.put(
        {
            "services/t/new": {"mode": "http", "hosts": ["new.test"]},
            "endpoints/t/new/green": servers(web("green")),
            "routes/t/new": {"groups": {"bleu": 1, "green": 0}},
        }
    )
    site.run_pass()

    def served() -> set[str]:
        site.agent.run_fast_path()
        found = {site.get("page.test").body[:5] for _ in range(8)}
        site.run_pass()
        return found | {site.get("page.test").body[:5] for _ in range(8)}

    assert site.get("new.test").status == 503
    assert served() == {"blue"}
    site.put({"endpoints/t/page/blue": servers()})
    assert served() == {"<!doc"}
    site.source.delete("endpoints/t/page/blue")
    assert served() == {"<!doc"}
    site.reconfigure()
    assert served() == {"<!doc"}
    site.put({"endpoints/t/page/blue": servers(web("blue"))})
    site.run_pass()
    assert served() == {"blue"}
    site.put({"routes/t/page": {"groups": {"blue": 0, "green": 0}}})
    assert served() == {"blue"}
