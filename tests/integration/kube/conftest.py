"""A fake API server, and reflectors that watch it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.fake_kube import FakeKube
from lbsync.clients.kube import Client, ClusterConfig, Kind
from tests.kube import FAST, Heard, Watching, config_for


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [thread.name for thread in set(threading.enumerate()) - before] == []


@pytest.fixture
def fakes(no_thread_is_left: None) -> Iterator[Callable[..., FakeKube]]:
    """Start fakes of a kind: `fakes(minor=20)`."""
    made: list[FakeKube] = []

    def start(**options: Any) -> FakeKube:
        made.append(FakeKube(**options).start())
        return made[-1]

    yield start
    for fake in made:
        fake.stop()


@pytest.fixture
def fake(fakes: Callable[..., FakeKube]) -> FakeKube:
    return fakes()


@pytest.fixture
def config(fake: FakeKube, tmp_path: Path) -> ClusterConfig:
    return config_for(fake, tmp_path)


@pytest.fixture
def client(config: ClusterConfig) -> Iterator[Client]:
    made = Client(config, FAST)
    yield made
    made.close()


@pytest.fixture
def watching(no_thread_is_left: None, request: pytest.FixtureRequest) -> Iterator[Watching]:
    """Start reflectors; of the fixture `config` unless told otherwise."""
    made: list[Heard] = []

    def start(kind: Kind[Any], *, config: ClusterConfig | None = None, **options: Any) -> Heard:
        made.append(Heard(config or request.getfixturevalue("config"), kind, **options))
        made[-1].start()
        return made[-1]

    yield start
    for heard in made:
        heard.close()
