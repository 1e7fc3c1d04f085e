"""As root, HAProxy 3.4 is locked in an empty directory and says nothing of it; before, nothing changes."""

import os
from collections.abc import Callable

import pytest

from harness.web import WebServer
from lbsync.clients.haproxy import binary as program
from tests.conftest import demand
from tests.site import Site


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], web: Callable[[str], WebServer]) -> Site:
    demand(os.geteuid() == 0, "root")
    site = build()
    text = site.settings.read_text().replace('\nuser = ""', '\nuser = "nobody"')
    site.settings.write_text(text)
    site.reconfigure()
    site.service("page", web("page"))
    site.start()
    return site


def test_requests_are_served_and_logged_from_inside_also_after_a_reload(
    site: Site, binary: str, web: Callable[[str], WebServer]
) -> None:
    locked_in = program.version(binary) >= (3, 4)
    assert ("chroot auto" in site.text()) == locked_in
    for number in range(2):
        assert site.get("page.test", f"/{number}").body == "page"
        assert site.logged(f"/{number}".encode())["status"] == 200
        site.service("page", web("page"), timeouts={"server": f"1{number}s"})
        site.run_pass()
    said = site.haproxy.log.read_text()
    assert "chroot" not in said
