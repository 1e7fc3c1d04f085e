"""A fake cluster, a real store, and publishers between them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.etcd import Etcd
from harness.fake_kube import FakeKube
from harness.publisher import PublisherProcess, Store
from tests.driven import Driven

_prefixes = itertools.count(1)


@pytest.fixture
def store(etcd: Etcd) -> Iterator[Store]:
    """A prefix of its own in the shared etcd."""
    made = Store(etcd.urls, f"/publish{next(_prefixes)}/")
    yield made
    made.close()


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    made = FakeKube().start()
    yield made
    made.stop()


@pytest.fixture
def publishers(
    store: Store, fake: FakeKube, tmp_path: Path
) -> Iterator[Callable[..., PublisherProcess]]:
    """Make publisher processes, with fields of `[publisher]`; not started."""
    made: list[PublisherProcess] = []

    def make(of: FakeKube | None = None, **fields: Any) -> PublisherProcess:
        name = f"p{len(made)}"
        made.append(PublisherProcess(store, of or fake, tmp_path, name=name))
        return made[-1].configure(**fields)

    yield make
    for process in made:
        process.kill()


@pytest.fixture
def driven(store: Store, fake: FakeKube, tmp_path: Path) -> Iterator[Callable[..., Driven]]:
    """Make publishers whose passes are run by the test, with fields of `[publisher]`."""
    before = set(threading.enumerate())
    made: list[Driven] = []

    def make(of: FakeKube | None = None, **fields: Any) -> Driven:
        directory = tmp_path / f"driven{len(made)}"
        directory.mkdir()
        made.append(Driven(store, of or fake, directory, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert [name for name in left if "watch" in name or "events" in name] == []
