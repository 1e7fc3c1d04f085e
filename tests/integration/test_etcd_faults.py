"""What happens to etcd happens to the mirror, and nothing worse: no change lost, none stale.

Each fault here has been seen to make some client of etcd go silent, spin, or lose events.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from harness import etcd as etcd_harness
from harness import launch
from harness.etcd import Etcd, open_etcd
from harness.ports import free_port
from harness.proxy import Proxy
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.source import Delete, Put
from lbsync.errors import Unavailable
from tests.conftest import demand

DEAF = Path(__file__).with_name("deaf_watch.py")
Clusters = Callable[..., Etcd]
Watching = Callable[..., EtcdSource]


def nothing() -> None:
    pass


@pytest.fixture
def watching() -> Iterator[Watching]:
    """Open a source on some endpoints and wait until its watch is open."""
    opened: list[EtcdSource] = []

    def begin(*urls: str, **options: Any) -> EtcdSource:
        source = open_etcd(urls, **options)
        opened.append(source)
        source.start(nothing)
        wait_until("the watch", lambda: source.health().ok)
        return source

    yield begin
    for source in opened:
        source.close()


@pytest.fixture
def proxies() -> Iterator[Callable[[int], Proxy]]:
    opened: list[Proxy] = []

    def begin(target: int) -> Proxy:
        opened.append(Proxy(target))
        return opened[-1]

    yield begin
    for proxy in opened:
        proxy.close()


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """Three nodes; whoever harms them heals them."""
    demand(etcd_harness.installed(), "etcd")
    cluster = Etcd(tmp_path_factory.mktemp("trio"), 3).start()
    yield cluster
    cluster.stop()


def leader_first(cluster: Etcd) -> tuple[str, ...]:
    leader = cluster.leader().url
    return (leader, *(url for url in cluster.urls if url != leader))


def down(source: EtcdSource, timeout: float = 20) -> str:
    """Wait until the source knows that it is cut off; return its reason."""
    wait_until("the fault to be noticed", lambda: not source.health().ok, timeout=timeout)
    return source.health().detail


def agrees(source: EtcdSource, cluster: Etcd, prefix: str = "/lbsync/") -> None:
    """Wait until the mirror is what another client reads."""
    plain = open_etcd(cluster.urls, prefix)
    try:
        stored = dict(plain.snapshot().items)
    finally:
        plain.close()

    wait_until("the mirror to agree", lambda: source.snapshot().items == stored, timeout=60)
    wait_until("the watch", lambda: source.health().ok, timeout=60)


def write_many(cluster: Etcd, count: int, size: int = 1) -> None:
    """Write `count` keys at as many revisions, quickly."""
    source = open_etcd(cluster.urls)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: source.commit([], [Put(f"k{i}", b"x" * size)]), range(count)))
        source.commit([], [Delete("k0"), Put("last", b"1")])
    finally:
        source.close()


def listings(logs: Iterable[Mapping[str, object]]) -> list[object]:
    return [entry["why"] for entry in logs if entry["event"] == "listed etcd"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_restarted_etcd_is_watched_on_without_reading_it_all_again(
    clusters: Clusters, watching: Watching, number: signal.Signals
) -> None:
    cluster = clusters().start()
    cluster.put("/lbsync/before", "1")
    source = watching(cluster.node.url)
    held = source.snapshot()
    cluster.node.stop(number)
    assert cluster.node.url in down(source)
    assert source.snapshot() == held
    with capture_logs() as logs:
        cluster.start()
        wait_until("the watch", lambda: source.health().ok)
    assert listings(logs) == []
    cluster.put("/lbsync/after", "1")
    agrees(source, cluster)


def test_an_agent_that_starts_before_etcd_says_so_and_recovers(clusters: Clusters) -> None:
    cluster = clusters()
    woken = threading.Event()
    source = open_etcd(cluster.urls, timeout=0.5)
    try:
        source.start(woken.set)
        with pytest.raises(Unavailable, match="not listed yet"):
            source.snapshot()
        wait_until("a reason", lambda: "refused" in source.health().detail)
        with pytest.raises(Unavailable, match=f"{cluster.node.url}: connection refused"):
            source.snapshot()
        cluster.start()
        cluster.put("/lbsync/a", "1")
        wait_until("the key", lambda: source.health().ok and "a" in source.snapshot().items)
        assert woken.is_set()
    finally:
        source.close()


def test_when_the_leader_dies_another_member_takes_over(trio: Etcd, watching: Watching) -> None:
    source = watching(*leader_first(trio))
    trio.put("/lbsync/before", "1")
    leader = trio.leader()
    leader.kill()
    down(source)
    wait_until("the watch", lambda: source.health().ok, timeout=60)
    assert source.commit([], [Put("during", b"1")]) > 0
    wait_until("the change", lambda: "during" in source.snapshot().items)
    assert leader.url not in source.health().detail.split(",")[0]
    trio.start()
    agrees(source, trio)


def test_a_frozen_member_is_left_for_another(trio: Etcd, watching: Watching) -> None:
    source = watching(*trio.urls)
    frozen = trio.nodes[0]
    assert frozen.url in source.health().detail
    frozen.send(signal.SIGSTOP)
    try:
        assert "no answer in time" in down(source)
        wait_until("the watch", lambda: source.health().ok, timeout=60)
        source.commit([], [Put("frozen", b"1")])
        wait_until("the change", lambda: "frozen" in source.snapshot().items)
    finally:
        frozen.send(signal.SIGCONT)
    agrees(source, trio)


def test_a_member_without_quorum_is_not_believed(trio: Etcd, watching: Watching) -> None:
    source = watching(*trio.urls)
    for node in trio.nodes[1:]:
        node.kill()
    assert "leader" in down(source)
    trio.start()
    trio.put("/lbsync/after-quorum", "1")
    agrees(source, trio)


def test_an_unplugged_cable_is_noticed_and_mended(
    etcd: Etcd, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    proxy = proxies(etcd.node.port)
    source = watching(proxy.url, prefix="/cable/")
    proxy.stall()
    assert "no answer in time" in down(source)
    etcd.put("/cable/a", "1")
    proxy.resume()
    agrees(source, etcd, "/cable/")


def test_a_connection_cut_while_catching_up_loses_nothing(
    clusters: Clusters, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    """etcd catches up in responses of 1,000 revisions; the second one does not get through."""
    cluster = clusters().start()
    cluster.put("/lbsync/anchor", "1")
    proxy = proxies(cluster.node.port)
    source = watching(proxy.url)
    proxy.retarget(free_port())
    down(source)
    write_many(cluster, 2500, size=400)
    with capture_logs() as logs:
        proxy.cut_after(700_000)
        proxy.retarget(cluster.node.port)
        agrees(source, cluster)
    assert proxy.cuts == 1
    assert listings(logs) == []


def test_more_than_four_megabytes_at_once_get_through(
    clusters: Clusters, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    """gRPC refuses messages above 4 MB unless told otherwise."""
    cluster = clusters().start()
    cluster.put("/lbsync/anchor", "1")
    proxy = proxies(cluster.node.port)
    source = watching(proxy.url)
    proxy.retarget(free_port())
    down(source)
    write_many(cluster, 8, size=800_000)
    with capture_logs() as logs:
        proxy.retarget(cluster.node.port)
        agrees(source, cluster)
    assert listings(logs) == []


def test_what_was_compacted_away_is_read_anew(
    clusters: Clusters, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    cluster = clusters().start()
    cluster.put("/lbsync/kept", "1")
    cluster.put("/lbsync/removed", "1")
    cluster.put("/lbsync/newest", "1")
    proxy = proxies(cluster.node.port)
    source = watching(proxy.url)
    proxy.retarget(free_port())
    down(source)
    cluster.delete("/lbsync/removed")
    cluster.put("/lbsync/added", "1")
    cluster.compact()
    with capture_logs() as logs:
        proxy.retarget(cluster.node.port)
        agrees(source, cluster)
    assert source.snapshot().items.keys() == {"kept", "newest", "added"}
    assert listings(logs) == ["etcd compacted up to revision 6"]


def test_a_wiped_etcd_is_read_anew(clusters: Clusters, watching: Watching) -> None:
    cluster = clusters().start()
    for i in range(5):
        cluster.put(f"/lbsync/old{i}", "1")
    source = watching(cluster.node.url)
    cluster.node.kill()
    cluster.node.wipe()
    cluster.start()
    cluster.put("/lbsync/new", "1")
    agrees(source, cluster)
    assert source.snapshot().items.keys() == {"new"}


def test_a_wiped_etcd_that_has_overtaken_the_old_one_is_read_anew(
    clusters: Clusters, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    """Same cluster id, higher revision: nothing in a header tells that the past is another one."""
    cluster = clusters().start()
    cluster.put("/lbsync/old", "1")
    proxy = proxies(cluster.node.port)
    source = watching(proxy.url)
    proxy.retarget(free_port())
    down(source)
    cluster.node.kill()
    cluster.node.wipe()
    cluster.start()
    for i in range(5):
        cluster.put(f"/lbsync/new{i}", "1")
    proxy.retarget(cluster.node.port)
    agrees(source, cluster)
    assert "old" not in source.snapshot().items


def test_an_etcd_restored_from_a_copy_is_read_anew(clusters: Clusters, watching: Watching) -> None:
    cluster = clusters().start()
    cluster.put("/lbsync/a", "old")
    cluster.node.stop()
    saved = cluster.node.save()
    cluster.start()
    source = watching(cluster.node.url)
    source.commit([], [Put("a", b"new"), Put("b", b"1")])
    wait_until("the change", lambda: "b" in source.snapshot().items)
    cluster.node.kill()
    cluster.node.restore(saved)
    cluster.start()
    wait_until("the older state", lambda: "b" not in source.snapshot().items, timeout=60)
    cluster.put("/lbsync/c", "1")
    agrees(source, cluster)
    assert source.snapshot().items["a"].value == b"old"


def test_another_cluster_at_the_same_address_is_read_anew(
    clusters: Clusters, watching: Watching, proxies: Callable[[int], Proxy]
) -> None:
    first, second = clusters(token="first").start(), clusters(token="second").start()
    first.put("/lbsync/a", "1")
    for i in range(5):
        second.put(f"/lbsync/b{i}", "1")
    proxy = proxies(first.node.port)
    source = watching(proxy.url)
    before = source.cluster_id
    proxy.retarget(second.node.port)
    agrees(source, second)
    assert source.cluster_id != before


def test_two_hundred_watches_leave_no_thread_and_no_file_open(etcd: Etcd) -> None:
    def once() -> None:
        source = open_etcd(etcd.urls, "/leak/")
        source.start(nothing)
        wait_until("the watch", lambda: source.health().ok, every=0.001)
        source.close()

    once()
    me = psutil.Process(os.getpid())
    threads, files = threading.active_count(), me.num_fds()
    for _ in range(200):
        once()
    wait_until("gRPC to end its threads", lambda: threading.active_count() <= threads)
    wait_until("gRPC to close its sockets", lambda: me.num_fds() <= files + 2)


def test_a_watch_that_nobody_hands_on_ends_its_process_with_the_reason(etcd: Etcd) -> None:
    ended = launch.run([str(etcd.urls[0]), "/deaf/"], code=DEAF.read_text())
    assert ended.returncode == 0, ended.stderr
    health, stuck, closed = ended.stdout.splitlines()
    assert health.startswith("health: a watch that was given up does not end")
    assert stuck.startswith("stuck: the watch of etcd was given up (etcd: no answer is heard")
    assert closed == "closed"
