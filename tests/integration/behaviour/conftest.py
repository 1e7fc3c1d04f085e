"""What the tests of behaviour share: HAProxy of each release that is tested, and toy web servers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.haproxy import binaries, branches
from harness.web import WebServer
from tests.conftest import demand
from tests.site import Site


@pytest.fixture(scope="module", params=branches())
def binary(request: pytest.FixtureRequest) -> str:
    demand(request.param in binaries(), f"HAProxy {request.param}")
    return binaries()[request.param]


@pytest.fixture(scope="session")
def web() -> Iterator[Callable[[str], WebServer]]:
    """Toy web servers by name, started when first asked for."""
    made: dict[str, WebServer] = {}

    def by_name(name: str) -> WebServer:
        if name not in made:
            made[name] = WebServer(name)
        return made[name]

    yield by_name
    for server in made.values():
        server.stop()


@pytest.fixture(scope="module")
def build(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Make sites that are stopped in the end; `build(proxy=…)`."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        directory: Path = tmp_path_factory.mktemp("site")
        made.append(Site(directory, binary, **settings))
        return made[-1]

    yield make
    for site in made:
        site.stop()
