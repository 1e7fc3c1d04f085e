"""One real HAProxy for each test, in each version that this machine has."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.haproxy import binaries, branches
from tests.haproxy_bench import Bench


@pytest.fixture(params=branches())
def binary(request: pytest.FixtureRequest) -> str:
    found = binaries().get(request.param)
    if found is None:
        message = f"no HAProxy {request.param} on this machine"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def bench(binary: str, tmp_path: Path) -> Iterator[Bench]:
    """A state directory with one live generation, and HAProxy not yet started."""
    bench = Bench(tmp_path, binary)
    yield bench
    bench.close()


@pytest.fixture
def served(bench: Bench) -> Bench:
    """The same with HAProxy running and the first generation confirmed."""
    bench.start_with(bench.rendered("one"))
    return bench
