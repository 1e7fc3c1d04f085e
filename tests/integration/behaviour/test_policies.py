"""Policies of a service, each through HAProxy: who may come in, and what is added on the way."""

from collections.abc import Callable

import pytest

from harness.web import WebServer
from tests.site import Answer, Site, basic, crypt, servers

Web = Callable[[str], WebServer]
APP = "https://app.example.com"


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build(proxy='trusted_proxies = ["127.0.0.7"]')
    one = web("policy")
    site.service("hsts", one, hsts=True)
    site.service(
        "preload", one, hsts={"max_age": "365d", "subdomains": True, "preload": True},
        redirect={"https": True},
    )  # fmt: skip
    site.service(
        "cors", one, auth={"users": {"ann": crypt("x")}},
        cors={
            "origins": [APP, "http://localhost:3000", "https://*.example.org"],
            "methods": ["GET", "PUT"], "headers": ["X-Token"], "expose": ["X-Page"],
            "credentials": True, "max_age": "10m",
        },
    )  # fmt: skip
    site.service(
        "denied", one, deny=["127.0.0.2"], redirect={"https": True, "www": "add"}, hsts=True
    )
    site.service("cors-all", one, cors={"origins": ["*"]})
    site.service("cors-office", one, cors={"origins": [APP]}, allow=["203.0.113.0/24"])
    site.service(
        "cors-limited", one, cors={"origins": [APP]}, rate_limit={"requests": 1, "period": "1m"}
    )
    site.service("cors-none", cors={"origins": [APP]})
    users = {"ann": crypt("s3cret"), "bob@example.com": crypt("pass: word$#'\"")}
    site.service("auth", one, auth={"users": users, "realm": "It's (100) ours, ok"})
    many = [f"10.{high}.{low}.0/24" for high in range(2) for low in range(100)]
    site.service("allow", one, allow=["127.0.0.2", *many, "127.0.0.3/32", "fd00::/8"])
    site.service("deny", one, deny=[*many, "127.0.0.2"])
    site.service("both", one, allow=["127.0.0.0/30"], deny=["127.0.0.2"])
    site.service(
        "limited", one, rate_limit={"requests": 3, "period": "1m", "exempt": ["127.0.0.4"]}
    )
    limit = {"requests": 3, "period": "1h", "status": 503}
    site.put(
        {
            "services/t/shared": {"mode": "http", "hosts": ["shared.test"], "rate_limit": limit},
            "endpoints/t/shared/blue": servers(one),
            "endpoints/t/shared/green": servers(one),
        }
    )
    for name, rewrite in {
        "strip": {"strip": "/api"},
        "strips": {"strip": ["/a", "/a/b.c"]},
        "prefix": {"prefix": "/v2"},
        "swap": {"strip": "/old", "prefix": "/new%20(x)"},
        "pattern": {"pattern": r"/users/([0-9]+)/(.*)", "replacement": r"/u/\2/100%/\1"},
        "quoted": {"pattern": r"/it's/(a|b)[^/\]]{1,3}/?", "replacement": r"/$HOME/\1'%ci"},
    }.items():
        site.service(name, one, rewrite=rewrite)
    site.start()
    return site


def tls(site: Site, host: str, **request: object) -> Answer:
    """Ask as a balancer does that ends TLS in front."""
    return site.get(host, headers={"X-Forwarded-Proto": "https"}, client="127.0.0.7")


def test_hsts_is_said_over_https_alone(site: Site) -> None:
    assert tls(site, "hsts.test").headers["strict-transport-security"] == "max-age=15552000"
    assert "strict-transport-security" not in site.get("hsts.test").headers
    assert (
        tls(site, "preload.test").headers["strict-transport-security"]
        == "max-age=31536000; includeSubDomains; preload"
    )
    assert "strict-transport-security" not in site.get("preload.test").headers


def test_who_is_denied_is_not_even_redirected(site: Site) -> None:
    assert site.get("denied.test").status == 302
    assert site.get("denied.test", client="127.0.0.2").status == 403
    assert site.get("www.denied.test", client="127.0.0.2").status == 403


def preflight(site: Site, host: str, origin: str) -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    return site.get(host, method="OPTIONS", headers=headers)


def test_preflight_requests_are_answered_without_password_or_server(site: Site) -> None:
    answer = preflight(site, "cors.test", APP)
    assert answer.status == 204
    said = {name: value for name, value in answer.headers.items() if name.startswith("access")}
    assert said == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "X-Token",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "X-Page",
        "access-control-max-age": "600",
    }
    assert answer.headers["vary"] == "Origin"
    assert preflight(site, "cors-none.test", APP).status == 204
    kept_out = site.get("cors-office.test", headers={"Origin": APP})
    assert (kept_out.status, kept_out.headers["access-control-allow-origin"]) == (403, APP)
    assert preflight(site, "cors-office.test", APP).status == 403
    assert site.get("cors-limited.test").status == 200
    slowed = site.get("cors-limited.test", headers={"Origin": APP})
    assert (slowed.status, slowed.headers["access-control-allow-origin"]) == (429, APP)
    plain = preflight(site, "cors-all.test", "https://who.test")
    assert plain.headers["access-control-allow-origin"] == "*"
    assert plain.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert plain.headers["access-control-allow-headers"] == "authorization, content-type"
    assert "vary" not in plain.headers


@pytest.mark.parametrize(
    "origin", [APP, "http://localhost:3000", "https://a.example.org", "https://a.b.example.org"]
)
def test_an_origin_that_is_named_may_read_answers_and_also_refusals(
    site: Site, origin: str
) -> None:
    answer = site.get("cors.test", headers={"Origin": origin, **basic("ann", "x")})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    refused = site.get("cors.test", headers={"Origin": origin})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, origin)


@pytest.mark.parametrize(
    "origin",
    ["http://app.example.com", f"{APP}:8443", f"{APP}.evil.test", "https://example.org", "null",
     "https://evil.test/.example.org", "https://aexample.org", "https://a.exampleXorg", "*", APP[:-1],
     f"{APP}, https://evil.test", f"https://evil.test, {APP}"],
)  # fmt: skip
def test_other_origins_may_not(site: Site, origin: str) -> None:
    answer = site.get("cors.test", headers={"Origin": origin, **basic("ann", "x")})
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers
    assert preflight(site, "cors.test", origin).status == 401


def test_a_service_without_servers_tells_the_page_so(site: Site) -> None:
    answer = site.get("cors-none.test", headers={"Origin": APP})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (503, APP)


def test_a_password_is_asked_for_and_believed(site: Site) -> None:
    answer = site.get("auth.test")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="It\'s (100) ours, ok"'
    assert site.get("auth.test", headers=basic("ann", "s3cret")).status == 200
    assert site.get("auth.test", headers=basic("bob@example.com", "pass: word$#'\"")).status == 200
    for user, password in [("ann", "wrong"), ("ann", ""), ("eve", "s3cret"), ("ANN", "s3cret")]:
        assert site.get("auth.test", headers=basic(user, password)).status == 401
    assert site.get("auth.test", headers={"Authorization": "Bearer x"}).status == 401


@pytest.mark.parametrize(
    "method", ["GET", "OPTIONS", "TRACE", "PROPFIND", "get", "A", "X" * 200, "CONNECT "]
)
def test_no_method_passes_by_a_policy(site: Site, method: str) -> None:
    """OPTIONS is answered without a password for a page that cors names, and for nobody else."""
    for host in ("auth.test", "cors.test"):
        assert site.get(host, method=method).status in (400, 401)
    for host in ("deny.test", "cors-office.test"):
        assert site.get(host, method=method, client="127.0.0.2").status in (400, 403)
    asked = {"Origin": "https://evil.test", "Access-Control-Request-Method": "PUT"}
    assert site.get("cors.test", method=method, headers=asked).status in (400, 401)


@pytest.mark.parametrize(
    ("host", "let_in"),
    [
        ("allow.test", {"127.0.0.2", "127.0.0.3"}),
        ("deny.test", {"127.0.0.1", "127.0.0.3", "127.0.0.4"}),
        ("both.test", {"127.0.0.1", "127.0.0.3"}),
    ],
)
def test_networks_are_let_in_or_refused(site: Site, host: str, let_in: set[str]) -> None:
    clients = [f"127.0.0.{last}" for last in range(1, 5)]
    found = {client: site.get(host, client=client).status for client in clients}
    assert found == {client: 200 if client in let_in else 403 for client in clients}


def test_a_client_behind_a_trusted_balancer_is_judged_by_its_own_address(site: Site) -> None:
    def status(client: str) -> int:
        headers = {"X-Forwarded-For": client}
        return site.get("allow.test", headers=headers, client="127.0.0.7").status

    assert [status(client) for client in ("10.1.99.9", "fd12::7", "10.2.0.1", "fe80::7")] == [
        200, 200, 403, 403,
    ]  # fmt: skip


def test_each_client_has_its_own_rate_and_is_told_when_to_come_back(site: Site) -> None:
    found = [site.get("limited.test").status for _ in range(5)]
    assert found == [200, 200, 200, 429, 429]
    answer = site.get("limited.test")
    assert answer.headers["retry-after"] == "60"
    assert "Too many requests" in answer.body
    assert site.get("limited.test", client="127.0.0.3").status == 200
    assert {site.get("limited.test", client="127.0.0.4").status for _ in range(6)} == {200}


def test_all_groups_of_a_service_count_together_and_an_ipv6_network_as_one(site: Site) -> None:
    def status(client: str) -> int:
        headers = {"X-Forwarded-For": client}
        return site.get("shared.test", headers=headers, client="127.0.0.7").status

    found = [status(f"2001:db8:0:1::{number}") for number in range(8)]
    assert found == [200] * 3 + [503] * 5
    assert status("2001:db8:0:2::1") == 200


@pytest.mark.parametrize(
    ("host", "path", "seen"),
    [
        ("strip.test", "/api/x?y=/api", "/x?y=/api"),
        ("strip.test", "/api", "/"),
        ("strip.test", "/api?q", "/?q"),
        ("strip.test", "/apis/api", "/apis/api"),
        ("strips.test", "/a/b.c/d", "/d"),
        ("strips.test", "/a/bXc/d", "/bXc/d"),
        ("prefix.test", "/", "/v2/"),
        ("prefix.test", "/x?y", "/v2/x?y"),
        ("swap.test", "/old/x", "/new%20(x)/x"),
        ("swap.test", "/other", "/new%20(x)/other"),
        ("pattern.test", "/users/42/a/b?c=d", "/u/a/b/100%/42?c=d"),
        ("pattern.test", "/users/x/a", "/users/x/a"),
        ("quoted.test", "/it's/axy", "/$HOME/a'%ci"),
        ("pattern.test", "/more/users/42/a", "/more/users/42/a"),
    ],
)
def test_servers_see_the_rewritten_path(
    site: Site, web: Web, host: str, path: str, seen: str
) -> None:
    before = web("policy").requests[seen]
    assert site.get(host, path).status == 200
    assert web("policy").requests[seen] == before + 1
