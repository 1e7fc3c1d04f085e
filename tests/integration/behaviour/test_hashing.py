"""Which server a client is sent to by a hash must not depend on what else changes."""

from collections.abc import Callable

from harness.web import WebServer
from tests.site import Site

Web = Callable[[str], WebServer]
_URIS = [f"/item/{number}" for number in range(150)]


def answers(site: Site) -> dict[str, str]:
    """Which server answers for each URI."""
    return {uri: site.get("page.test", uri).body for uri in _URIS}


def test_clients_stay_where_they_were_when_other_servers_come_and_go(
    build: Callable[..., Site], web: Web
) -> None:
    site = build()
    names = [f"hash-{number}" for number in range(5)]
    site.service("page", *map(web, names), balance="uri")
    site.start()
    first = answers(site)
    assert set(first.values()) == set(names)

    site.service("page", *map(web, names[1:]), balance="uri")
    assert "without a reload" in site.run_pass().sentence
    without = answers(site)
    moved = {uri for uri in _URIS if first[uri] != without[uri]}
    assert moved == {uri for uri in _URIS if first[uri] == names[0]}

    site.service("other", web(names[0]))
    assert "reloaded" in site.run_pass().sentence
    assert answers(site) == without, "a fresh HAProxy agrees"

    site.service("page", *map(web, names), balance="uri")
    assert "without a reload" in site.run_pass().sentence
    assert answers(site) == first
