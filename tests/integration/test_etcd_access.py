"""Getting in (TLS, passwords), writing for certain, leases, and doubting the mirror."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.certificates import Authority
from harness.etcd import Etcd, etcd_settings, open_etcd
from harness.proxy import Proxy
from harness.wait import wait_until
from lbsync.clients.etcd.connections import Connections
from lbsync.clients.etcd.kv import Kv
from lbsync.clients.etcd.mirror import Mirror
from lbsync.clients.etcd.probe import Probe
from lbsync.clients.etcd.source import EtcdSource
from lbsync.clients.etcd.usage import usage
from lbsync.clients.etcd.watch import Watch
from lbsync.clients.source import Delete, Expect, Put
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.model.snapshot import Snapshot

Clusters = Callable[..., Etcd]
Open = Callable[..., EtcdSource]


def nothing() -> None:
    pass


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Open]:
    opened: list[EtcdSource] = []

    def begin(*urls: str, **options: Any) -> EtcdSource:
        if "password" in options:
            file = tmp_path / "password"
            file.write_text(options.pop("password"))
            options |= {"user": "lb", "password_file": str(file)}
        opened.append(open_etcd(urls, **options))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_tls_with_a_client_certificate(clusters: Clusters, source: Open, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    cluster = clusters().secure(authority).start()
    cert, key = authority.sign("client")
    trusted: dict[str, Any] = {"ca": str(authority.ca), "cert": str(cert), "key": str(key)}
    secure = source(*cluster.urls, **trusted)
    secure.start(nothing)
    secure.commit([], [Put("a", b"1")])
    wait_until("the change", lambda: secure.health().ok and "a" in secure.snapshot().items)

    (used,) = usage(etcd_settings(cluster.urls, **trusted)).values()
    assert used.quota > used.size > 0
    assert used.revision >= 2
    assert used.compacted == -1

    with pytest.raises(Unavailable, match="may want a client certificate"):
        source(*cluster.urls, ca=str(authority.ca), timeout=2.0).get("a")
    stranger = Authority(tmp_path / "other").ca
    with pytest.raises(Unavailable, match="not signed by an authority in etcd ca"):
        source(*cluster.urls, ca=str(stranger), timeout=2.0).get("a")


def test_whose_certificate_has_expired_is_told_with_the_day(
    clusters: Clusters, source: Open, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    good = dict(zip(("cert", "key"), map(str, authority.sign("client")), strict=True))
    ran_out = r"certificate expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC \(24 h ago\)"

    theirs = clusters().secure(authority, server=authority.sign_expired("old-server"))
    theirs.node.launch()
    wait_until("the member to listen", lambda: listens(theirs.node.port))
    watching = source(*theirs.urls, ca=str(authority.ca), timeout=2.0, **good)
    watching.start(nothing)
    wait_until("the reason", lambda: re.search(f"its {ran_out}", watching.health().detail))
    with pytest.raises(Unavailable, match=f"its {ran_out}"):
        source(*theirs.urls, ca=str(authority.ca), timeout=2.0, **good).get("a")

    ours = clusters().secure(authority).start()
    cert, key = map(str, authority.sign_expired("old-client"))
    with pytest.raises(Unavailable, match=rf"{cert} \(etcd cert\) expired on "):
        source(*ours.urls, ca=str(authority.ca), timeout=2.0, cert=cert, key=key).get("a")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_certificate_replaced_on_disk_is_used_for_the_next_connection(
    clusters: Clusters, source: Open, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    cluster = clusters().secure(authority).start()
    cert, key = Authority(tmp_path / "stranger").sign("client")
    options = {"ca": str(authority.ca), "cert": str(cert), "key": str(key)}
    watching = source(*cluster.urls, timeout=2.0, **options)
    watching.start(nothing)
    wait_until("the refusal", lambda: "broke off TLS" in watching.health().detail)
    for new, old in zip(authority.sign("client"), (cert, key), strict=True):
        shutil.copy(new, old)
    wait_until("the watch", lambda: watching.health().ok)


def test_a_token_that_ran_out_or_died_with_a_restart_is_replaced(
    clusters: Clusters, source: Open
) -> None:
    cluster = clusters()
    cluster.node.extra += ["--auth-token", "simple", "--auth-token-ttl", "1"]
    cluster.start().demand_password("lb", "secret", prefix="/lbsync/")
    watching = source(*cluster.urls, password="secret")
    watching.start(nothing)
    wait_until("the watch", lambda: watching.health().ok)
    watching.commit([], [Put("a", b"1")])

    expired = time.monotonic() + 3
    wait_until("the token to run out", lambda: time.monotonic() > expired)
    watching.commit([], [Put("b", b"1")])
    wait_until("the change", lambda: "b" in watching.snapshot().items)

    cluster.node.kill()
    wait_until("the fault", lambda: not watching.health().ok)
    cluster.start()
    wait_until("the watch", lambda: watching.health().ok)
    watching.commit([], [Put("c", b"1")])
    wait_until("the change", lambda: "c" in watching.snapshot().items)


def test_a_password_that_was_rotated_is_read_again_at_the_next_login(
    clusters: Clusters, source: Open, tmp_path: Path
) -> None:
    cluster = clusters().start()
    cluster.demand_password("lb", "old", prefix="/lbsync/")
    watching = source(*cluster.urls, password="old")
    watching.start(nothing)
    wait_until("the watch", lambda: watching.health().ok)

    cluster.ctl("user", "delete", "lb")
    cluster.ctl("user", "add", "lb:new")
    cluster.ctl("user", "grant-role", "lb", "part")
    cluster.node.kill()
    cluster.start()
    wait_until("the refusal", lambda: "authentication failed" in watching.health().detail)
    (tmp_path / "password").write_text("new")
    wait_until("the watch", lambda: watching.health().ok)
    watching.commit([], [Put("a", b"1")])
    wait_until("the change", lambda: "a" in watching.snapshot().items)


def test_a_password_that_cannot_be_read_is_named_and_waited_for(
    clusters: Clusters, source: Open, tmp_path: Path
) -> None:
    cluster = clusters().start()
    cluster.demand_password("lb", "secret", prefix="/lbsync/")
    watching = source(*cluster.urls, password="secret")
    file = tmp_path / "password"
    file.rename(tmp_path / "away")
    watching.start(nothing)
    wait_until("the reason", lambda: f"password_file: {file} cannot" in watching.health().detail)
    (tmp_path / "away").rename(file)
    wait_until("the watch", lambda: watching.health().ok)


def test_wrong_credentials_are_named_and_can_be_put_right(clusters: Clusters, source: Open) -> None:
    cluster = clusters().start()
    early = source(*cluster.urls, password="secret")
    assert early.get("a") is None, "a user may be set before authentication is switched on"
    cluster.demand_password("lb", "secret", prefix="/lbsync/")
    assert early.get("a") is None, "authentication was switched on under a running agent"
    with pytest.raises(Unavailable, match="authentication failed"):
        source(*cluster.urls, password="wrong").get("a")
    with pytest.raises(Unavailable, match="set etcd user and password"):
        source(*cluster.urls).get("a")
    outside = source(*cluster.urls, password="secret", prefix="/other/")
    with pytest.raises(Unavailable, match="permission denied"):
        outside.commit([], [Put("a", b"1")])
    outside.start(nothing)
    wait_until("the refusal", lambda: "permission denied" in outside.health().detail)


def test_a_write_whose_answer_was_lost_is_told_from_one_that_was_not_done(
    etcd: Etcd, source: Open
) -> None:
    """The proxy lets the request through and cuts instead of passing the answer on."""
    proxy = Proxy(etcd.node.port)
    try:
        writer = source(proxy.url, prefix="/lost/")
        writer.get("warm-up")
        for i in range(10):
            proxy.cut_after(1 + i * 7)
            key = f"k{i}"
            revision = writer.commit([Expect(key, create_revision=0)], [Put(key, b"mine")])
            stored = writer.get(key)
            assert stored is not None
            assert stored.mod_revision == stored.create_revision == revision
            proxy.cut_after(1)
            writer.commit([Expect(key, mod_revision=revision)], [Delete(key)])
            assert writer.get(key) is None
        assert proxy.cuts > 5
        theirs = writer.commit([], [Put("k", b"mine")])
        proxy.cut_after(1)
        with pytest.raises(Conflict):
            writer.commit([Expect("k", create_revision=theirs + 1)], [Put("k", b"mine")])
    finally:
        proxy.close()


def test_a_commit_that_etcd_cannot_take_is_refused_with_the_reason(
    etcd: Etcd, source: Open
) -> None:
    writer = source(*etcd.urls, prefix="/refused/")
    most = [Put(f"k{i}", b"1") for i in range(128)]
    writer.commit([], most)
    with pytest.raises(Rejected, match="at most 128"):
        writer.commit([], [*most, Put("k", b"1")])
    with pytest.raises(Rejected, match="duplicate key"):
        writer.commit([], [Put("a", b"1"), Put("a", b"2")])
    with pytest.raises(Conflict, match="lease"):
        writer.commit([], [Put("a", b"1", lease=4711)])


def test_a_lease_outlives_its_time_only_while_it_is_renewed(etcd: Etcd, source: Open) -> None:
    alive, dead = source(*etcd.urls, prefix="/lease/"), source(*etcd.urls, prefix="/lease/")
    kept, lost, began = alive.lease(4), dead.lease(2), time.monotonic()
    alive.commit([], [Put("kept", b"1", lease=kept.id)])
    dead.commit([], [Put("lost", b"1", lease=lost.id)])
    dead.close()
    wait_until("the dead one's key to go", lambda: alive.get("lost") is None)
    wait_until("the holder to know", lambda: lost.remaining() == 0.0)
    wait_until("the other's time to be over", lambda: time.monotonic() > began + 5.0)
    assert alive.get("kept") is not None
    assert kept.remaining() > 0.0


def test_a_lease_that_etcd_dropped_says_so(etcd: Etcd, source: Open) -> None:
    holder = source(*etcd.urls, prefix="/dropped/")
    lease = holder.lease(2)
    etcd.ctl("lease", "revoke", f"{lease.id:x}")
    wait_until("the loss to be noticed", lambda: lease.remaining() == 0.0)
    lease.end()


def test_a_lease_is_not_counted_on_while_etcd_is_away(clusters: Clusters, source: Open) -> None:
    cluster = clusters().start()
    lease = source(*cluster.urls, timeout=2.0).lease(2)
    cluster.stop()
    wait_until("the lease to be uncertain", lambda: lease.remaining() == 0.0)


def test_keys_that_are_no_text_are_reported_and_disturb_no_other(etcd: Etcd, source: Open) -> None:
    watching = source(*etcd.urls, prefix="/bytes/")
    subprocess_put(etcd, b"/bytes/\xff\xfe", b"1")
    subprocess_put(etcd, b"/bytes/good", b"1")
    assert watching.snapshot().unreadable == (r"\xff\xfe",)
    watching.start(nothing)
    wait_until("the watch", lambda: watching.health().ok)
    subprocess_put(etcd, b"/bytes/\xfd", b"1")
    wait_until("the key", lambda: len(watching.snapshot().unreadable) == 2)
    assert watching.snapshot().items.keys() == {"good"}


def subprocess_put(etcd: Etcd, key: bytes, value: bytes) -> None:
    """Write a key that is no UTF-8."""
    command: list[str | bytes] = ["etcdctl", f"--endpoints={etcd.node.url}", "put", key, value]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_mirror_that_is_wrong_is_found_out_and_healed(etcd: Etcd) -> None:
    connections, mirror = Connections(etcd_settings(etcd.urls)), Mirror()
    kv = Kv(connections, "/doubt/")
    watch = Watch(connections, kv, mirror, nothing)
    probe = Probe(connections, kv, mirror, watch, resync=0.05, every=0.05)
    try:
        kv.commit([], [Put("a", b"1"), Put("b", b"1"), Put("c", b"1")])
        watch.start()
        probe.start()
        wait_until("the watch", lambda: watch.health().ok)
        right = mirror.snapshot()
        assert right is not None
        wrong = {key: item for key, item in right.items.items() if key != "a"}
        wrong["ghost"] = right.items["b"]
        mirror.replace(Snapshot(right.revision, right.cluster_id, wrong))
        wait_until("the differences", lambda: probe.differences == 2)
        # Leases of earlier tests that end meanwhile move the revision, not these keys.
        wait_until(
            "the cure", lambda: (m := mirror.snapshot()) is not None and m.items == right.items
        )
        wait_until("the watch", lambda: watch.health().ok)
    finally:
        probe.stop()
        watch.stop()
        connections.close()
        probe.join()
        watch.join()


def test_changes_during_a_comparison_are_no_differences(etcd: Etcd, source: Open) -> None:
    # Two looks are as far apart as a busy machine may hold up the watch's thread; in use it is 5 s.
    watching = source(*etcd.urls, prefix="/busy/", resync=1.0)
    watching.start(nothing)
    wait_until("the watch", lambda: watching.health().ok)
    until = time.monotonic() + 3.5

    def write(name: str) -> None:
        count = 0
        while time.monotonic() < until:
            count += 1
            watching.commit([], [Put(name, str(count).encode()), Delete(f"{name}-once")])
            watching.commit([], [Put(f"{name}-once", b"1")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert watching.differences == 0
    wait_until(
        "the mirror to agree",
        lambda: all(watching.get(key) == item for key, item in watching.snapshot().items.items()),
    )
