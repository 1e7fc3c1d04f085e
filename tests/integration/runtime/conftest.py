"""One real HAProxy for each test, in each version that this machine has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.haproxy import binaries, branches
from tests.conftest import demand
from tests.runtime_bed import Bed, World


@pytest.fixture(params=branches())
def program(request: pytest.FixtureRequest) -> str:
    found = binaries().get(request.param)
    demand(found is not None, f"HAProxy {request.param}")
    assert found is not None
    return found


@pytest.fixture
def beds(program: str, tmp_path: Path) -> Iterator[Callable[..., Bed]]:
    """Start HAProxies: `beds(world)`, with `master=True` to be reached through the master socket."""
    started: list[Bed] = []

    def start(world: World, *, master: bool = False) -> Bed:
        started.append(Bed(tmp_path / f"bed{len(started)}", program, world, master=master))
        return started[-1]

    yield start
    for bed in started:
        bed.stop()
