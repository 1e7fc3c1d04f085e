"""tcp services through HAProxy."""

import http.client
import socket
from collections import Counter
from collections.abc import Callable

import pytest

from harness.ports import free_port
from harness.web import WebServer
from tests.site import Site, servers

Web = Callable[[str], WebServer]


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("plain", "split", "allow", "deny", "six", "empty")}


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Web, ports: dict[str, int]) -> Site:
    site = build()
    policies = {
        "allow": {"allow": ["127.0.0.2"]},
        "deny": {"deny": ["127.0.0.2"]},
        "six": {"allow": ["127.0.0.2", "::/0"]},
    }
    for name, port in ports.items():
        backends = () if name == "empty" else (web("blue"),)
        fields = policies.get(name, {})
        site.service(name, *backends, mode="tcp", listen=port, **fields)
    site.put(
        {
            "endpoints/t/split/green": servers(web("green")),
            "routes/t/split": {"groups": {"main": 1, "green": 3}},
        }
    )
    site.start()
    return site


def test_a_tcp_service_is_reached_on_its_port(site: Site, ports: dict[str, int]) -> None:
    assert site.get("any", port=ports["plain"]).body == "blue"


def test_weights_of_groups_split_connections(site: Site, ports: dict[str, int]) -> None:
    found = Counter(site.get("any", port=ports["split"]).body for _ in range(200))
    assert 110 <= found["green"] <= 190  # 150 are expected; the deviation of chance is 6
    assert found["blue"] + found["green"] == 200


def test_a_route_moves_all_connections(site: Site, ports: dict[str, int]) -> None:
    site.put({"routes/t/split": {"groups": {"green": 1}}})
    site.run_pass()
    assert {site.get("any", port=ports["split"]).body for _ in range(8)} == {"green"}


@pytest.mark.parametrize(("name", "good", "bad"), [("allow", 2, 1), ("deny", 1, 2), ("six", 2, 1)])
def test_networks_are_let_in_or_refused(
    site: Site, ports: dict[str, int], name: str, good: int, bad: int
) -> None:
    assert site.get("any", port=ports[name], client=f"127.0.0.{good}").body == "blue"
    with pytest.raises((ConnectionError, EOFError)):
        site.get("any", port=ports[name], client=f"127.0.0.{bad}")


def test_without_servers_the_connection_is_closed(site: Site, ports: dict[str, int]) -> None:
    with socket.create_connection(("127.0.0.1", ports["empty"]), 30) as opened:
        assert opened.recv(10) == b""


def test_a_connection_leaves_one_line_of_json(site: Site, ports: dict[str, int]) -> None:
    site.forget_log()
    site.get("any", port=ports["deny"])
    line = site.logged(b'"fe_t_deny"')
    assert (line["backend"], line["server"], line["peer"]) == (
        "be_t_deny_main",
        "blue",
        "127.0.0.1",
    )
    assert line["bytes_out"] > 0


def test_only_listed_networks_tell_a_tcp_client_by_the_proxy_protocol(
    build: Callable[..., Site], web: Web
) -> None:
    site, office, barred = build(proxy='accept_proxy = ["127.0.0.1"]'), free_port(), free_port()
    site.service("office", web("blue"), mode="tcp", listen=office, allow=["203.0.113.0/24"])
    site.service("barred", web("blue"), mode="tcp", listen=barred, deny=["192.0.2.1"])
    site.start()
    told = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 80\r\n"
    assert site.get("any", port=office, before=told).body == "blue"
    assert site.get("any", port=barred, client="127.0.0.2").body == "blue"
    # On a unix socket a client has no address that a list could name.
    pipe = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8" + b"/x".ljust(216, b"\0")
    for port, client, before in (
        (office, "127.0.0.2", told),
        (office, "127.0.0.2", b""),
        (office, "127.0.0.1", b""),
        (office, "127.0.0.1", told.replace(b"203", b"198")),
        (office, "127.0.0.1", pipe),
        (barred, "127.0.0.1", pipe),
    ):
        with pytest.raises((ConnectionError, EOFError, http.client.HTTPException)):
            site.get("any", port=port, client=client, before=before)


def test_a_connection_that_one_side_has_closed_ends_after_its_own_time(
    build: Callable[..., Site],
) -> None:
    """Else it would hold the old process after a reload for as long as a tunnel may be silent."""
    site, port = build(proxy='timeout_half_closed = "1s"'), free_port()
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        server = {"name": "silent", "address": "127.0.0.1", "port": silent.getsockname()[1]}
        fields = {"mode": "tcp", "listen": port, "check": {"type": "none"}}
        site.put({"services/t/slow": fields, "endpoints/t/slow/main": {"servers": [server]}})
        site.start()
        with socket.create_connection(("127.0.0.1", port), 30) as opened:
            opened.sendall(b"question")
            taken, _ = silent.accept()
            with taken:
                opened.shutdown(socket.SHUT_WR)
                assert opened.recv(10) == b""
