"""Which host a request is for: one that servers could read in another way is refused."""

from collections.abc import Callable

import pytest

from harness.web import WebServer
from tests.raw_http import ask_http2
from tests.site import Site

Web = Callable[[str], WebServer]


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web) -> Site:
    site = build()
    site.service("sec", web("front"), hosts=["sec.example.com"], deny=["0.0.0.0/0"])
    site.service("zone", web("zone"), hosts=["*.example.com"])
    site.service("any", web("any"), hosts=[])
    site.start()
    return site


def status(site: Site, target: str, *hosts: str, version: str = "1.1", method: str = "GET") -> int:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    request = f"{method} {target} HTTP/{version}\r\n{lines}Connection: close\r\n\r\n"
    return site.send(request.encode("latin-1")).status


@pytest.mark.parametrize(
    "host",
    [
        "", " ", "sec.example.com,x.example.com", "x.example.com, sec.example.com", "u@sec.example.com",
        "u:p@sec.example.com", "sec.example.com:x", "sec.example.com:80:80", "sec.example.com:123456",
        "sec%2eexample.com", "%73ec.example.com", "sec.example.com..", ".sec.example.com",
        "sec..example.com", ".", "..", "*", "*.example.com", "sec.example.com\x01", "sec\x0b.example.com",
        "sec.example.com x", "sec.example.com;x", "sec.example.com/x", "sec.example.com\\x",
        "sec.example.com?x", "sec.example.com#x", "http://sec.example.com", "séc.example.com", "\xff",
        "'sec.example.com'", '"sec.example.com"', "[::1", "::1", "[sec.example.com]", "[::1]x",
        "sec.example.com\x00", ":80", "sec.example.com.:80.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_is_no_host_name_is_refused(site: Site, host: str, version: str) -> None:
    assert status(site, "/", host, version=version) == 400


@pytest.mark.parametrize(
    "host",
    ["sec.example.com", "SEC.Example.COM", "sec.example.com.", "sec.example.com:80",
     "sec.example.com.:8443", "sec.example.com:", " sec.example.com "],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_every_spelling_of_a_host_is_that_host(site: Site, host: str, version: str) -> None:
    assert status(site, "/", host, version=version) == 403


@pytest.mark.parametrize(
    "host", ["x.example.com", "10.0.0.1", "[::1]:80", "a_b.test", "xn--bcher-kva.test"]
)
def test_other_hosts_are_served(site: Site, host: str) -> None:
    assert status(site, "/", host) == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "hosts", [[], ["sec.example.com"], ["x.example.com"], [""], ["SEC.example.com."]]
)
@pytest.mark.parametrize("scheme", ["http", "HTTP", "https"])
def test_the_host_of_a_whole_url_counts(
    site: Site, version: str, hosts: list[str], scheme: str
) -> None:
    found = status(site, f"{scheme}://sec.example.com/", *hosts, version=version)
    assert found == 403 if hosts in ([], ["sec.example.com"]) else found in (400, 403)


def test_the_server_gets_the_host_of_a_whole_url(site: Site, web: Web) -> None:
    assert status(site, "http://x.example.com/p", version="1.0") == 200
    assert web("zone").last_headers["host"] == "x.example.com"


@pytest.mark.parametrize(
    "target",
    ["http://sec.example.com?x/y", "http://u@sec.example.com/", "http:///x", "http://", "ftp://x.test/",
     "http://sec.example.com,x.example.com/", "http://sec.example.com\\@x.example.com/", "foo", "foo:bar",
     "admin/secret", "*", "?x", "#x", "http:/x", "sec.example.com:80", "x://sec.example.com/"],
)  # fmt: skip
@pytest.mark.parametrize("hosts", [[], ["x.example.com"]])
def test_a_target_that_is_neither_path_nor_url_is_refused(
    site: Site, target: str, hosts: list[str]
) -> None:
    for version in ("1.0", "1.1"):
        assert status(site, target, *hosts, version=version) == 400


def test_a_url_without_a_path_is_for_the_root(site: Site) -> None:
    assert status(site, "http://sec.example.com", "sec.example.com") == 403
    assert status(site, "http://sec.example.com", version="1.0") == 403
    assert status(site, "*", "sec.example.com", method="OPTIONS") == 403


def test_only_http_1_0_may_name_no_host(site: Site) -> None:
    assert status(site, "/", version="1.0") == 200
    assert status(site, "/") == 400


def test_two_hosts_are_refused(site: Site) -> None:
    for hosts in (["sec.example.com", "x.example.com"], ["x.example.com", "sec.example.com"]):
        assert status(site, "/", *hosts) == 400
    assert status(site, "/", "sec.example.com", "sec.example.com") == 403


@pytest.mark.parametrize(
    ("authority", "host", "found"),
    [
        ("sec.example.com", None, {403}),
        ("sec.example.com", "x.example.com", {403}),
        ("x.example.com", "sec.example.com", {200, 403}),
        (None, "sec.example.com", {403}),
        ("SEC.example.com.:443", None, {403}),
        (None, None, {400}),
        ("", None, {0, 400}),
        ("u@sec.example.com", None, {0, 400}),
        ("sec.example.com,x.example.com", None, {0, 400}),
        ("x.example.com/..", None, {0, 400}),
        ("sec%2eexample.com", None, {0, 400}),
    ],
)
def test_http_2_has_the_same_hosts(
    site: Site, web: Web, authority: str | None, host: str | None, found: set[int]
) -> None:
    named = [(":authority", authority), ("host", host)]
    headers = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
    headers += [(name, value) for name, value in named if value is not None]
    with site.connected() as opened:
        assert ask_http2(opened, headers) in found
    if 200 in found:  # Then the server must have been asked for the one that was judged.
        assert web("zone").last_headers["host"] == authority
