"""A server that hangs is told from one that has nothing to say, and the newest reason is shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
import structlog

from harness.fake_kube import ADMIN, FakeKube
from harness.fake_kube.objects import service
from harness.fake_kube.place import User
from harness.wait import wait_until
from lbsync.clients.kube import ENDPOINT_SLICES, SERVICES, Cluster, Watch
from tests.kube import FAST, config_for

LIVELY = msgspec.structs.replace(FAST, quiet=0.2, probe=0.3, silent=0.7, read=0.5)


def following(fake: FakeKube, directory: Path, **times: Any) -> Cluster:
    timing = msgspec.structs.replace(LIVELY, **times)
    watches: list[Watch[Any]] = [Watch(SERVICES), Watch(ENDPOINT_SLICES)]
    made = Cluster(config_for(fake, directory), watches, lambda change: None, timing=timing)
    made.start()
    wait_until("the watches", lambda: made.health().ok)
    return made


@pytest.fixture
def cluster(fake: FakeKube, tmp_path: Path) -> Iterator[Cluster]:
    made = following(fake, tmp_path)
    yield made
    made.close()


def test_a_server_that_hangs_is_noticed_and_followed_when_it_thaws(
    fake: FakeKube, cluster: Cluster
) -> None:
    fake.faults.stall()
    wait_until("the silence to be noticed", lambda: not cluster.health().ok)
    wait_until("the reason", lambda: "no answer in time" in cluster.health().detail)
    fake.put(service("late"))
    fake.faults.resume()
    wait_until("the news", lambda: cluster.get(SERVICES, "default", "late"))
    wait_until("health", lambda: cluster.health().ok)


def test_a_server_with_nothing_to_say_is_asked_and_its_streams_stay(
    fake: FakeKube, cluster: Cluster
) -> None:
    before = len(fake.requests)
    wait_until("it to be asked thrice", lambda: len(fake.requests) >= before + 3)
    assert cluster.health().ok
    assert {stats.watches for stats in cluster.stats().values()} == {1}


@pytest.mark.parametrize("code", [401, 403, 404, 429])
def test_a_refusal_is_a_sign_of_life(code: int, fake: FakeKube, cluster: Cluster) -> None:
    fake.faults.refuse(10_000, code)
    before = len(fake.requests)
    wait_until("it to be asked twice", lambda: len(fake.requests) >= before + 2)
    assert cluster.health().ok
    assert {stats.watches for stats in cluster.stats().values()} == {1}


def test_without_a_sign_of_life_nobody_says_that_all_is_well(
    fake: FakeKube, tmp_path: Path
) -> None:
    """Whoever should have asked did not: as if its thread had ended."""
    cluster = following(fake, tmp_path, quiet=3600.0)
    try:
        wait_until("the silence to be noticed", lambda: not cluster.health().ok)
        assert "has given no sign of life for" in cluster.health().detail
        fake.put(service("late"))
        wait_until("health", lambda: cluster.health().ok)
    finally:
        cluster.close()


def test_a_stream_whose_bookmarks_cease_is_opened_anew(fake: FakeKube, tmp_path: Path) -> None:
    """Behind a balancer its server may hang while another one answers."""
    cluster = following(fake, tmp_path, quiet=0.1, bookmarks=0.3)
    try:
        fake.storage.bookmark()
        wait_until(
            "new streams",
            lambda: min(stats.watches for stats in cluster.stats().values()) >= 2,
        )
        fake.put(service("late"))
        wait_until("the news", lambda: cluster.get(SERVICES, "default", "late"))
    finally:
        cluster.close()


def test_until_the_first_bookmark_a_stream_is_short(fake: FakeKube, tmp_path: Path) -> None:
    """A server that hangs before it sent one is then noticed by the end of the stream."""
    cluster = following(fake, tmp_path, watch=(90.0, 90.0), watch_unproved=31.0)

    def asked() -> set[str]:
        found = (parse_qs(one.target.partition("?")[2]) for one in fake.requests)
        return {each["timeoutSeconds"][0] for each in found if "timeoutSeconds" in each}

    try:
        assert asked() == {"31"}
        fake.storage.bookmark()
        wait_until("the bookmarks", lambda: all(one.has_bookmarks for one in cluster.reflectors))
        fake.drop()
        wait_until("longer streams", lambda: asked() == {"31", "90"})
    finally:
        cluster.close()


def test_many_watches_that_are_refused_are_one_trouble(fake: FakeKube, tmp_path: Path) -> None:
    """As when an account loses its rights to a hundred namespaces at once."""
    fake.users[ADMIN] = User("weak", set())
    watches: list[Watch[Any]] = [Watch(SERVICES, f"n{n}") for n in range(30)]
    with structlog.testing.capture_logs() as logs:
        cluster = Cluster(config_for(fake, tmp_path), watches, lambda change: None, timing=LIVELY)
        try:
            cluster.start()
            wait_until("all to be refused", lambda: all(one.refusal for one in cluster.reflectors))
        finally:
            cluster.close()
    told = [line for line in logs if line["event"].startswith("cannot watch")]
    assert 1 <= len(told) <= LIVELY.most_lines


def test_after_an_outage_the_reason_of_now_is_shown(fake: FakeKube, cluster: Cluster) -> None:
    """The server is back, and the account's rights are gone: 'connection aborted' is long past."""
    fake.stop()
    wait_until("the outage", lambda: "cannot connect" in cluster.health().detail)
    fake.users[ADMIN] = User("weak", set())
    with structlog.testing.capture_logs() as logs:
        fake.start()
        wait_until("the refusal", lambda: "cannot list" in cluster.health().detail)
        wait_until(
            "it to be back",
            lambda: any("is back" in line["event"] for line in logs),
        )
        assert "cannot list" in cluster.health().detail
    fake.users[ADMIN] = User("admin")
    wait_until("health", lambda: cluster.health().ok)


def test_a_server_that_starts_may_refuse_once_without_an_alarm(
    fake: FakeKube, cluster: Cluster
) -> None:
    """It has not read its roles yet (measured: half a second)."""
    with structlog.testing.capture_logs() as logs:
        fake.faults.refuse(1, 403, part="/services")
        fake.faults.refuse(1, 403, part="/endpointslices")
        fake.drop()
        watches = {name: stats.watches for name, stats in cluster.stats().items()}
        wait_until(
            "new streams",
            lambda: all(stats.watches > watches[n] for n, stats in cluster.stats().items()),
        )
        wait_until("health", lambda: cluster.health().ok)
    assert [line for line in logs if line["log_level"] == "error"] == []
