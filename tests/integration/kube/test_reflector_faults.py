"""A reflector follows the cluster through everything that goes wrong."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from harness.fake_kube import FakeKube
from harness.fake_kube.objects import endpoint, endpoint_slice, node, service
from harness.fake_kube.place import User
from harness.fake_kube.resources import of_kind
from harness.wait import wait_until
from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    INGRESSES,
    NODES,
    SERVICES,
    Change,
    Cluster,
    ClusterConfig,
    Watch,
)
from tests.kube import FAST, Heard, Watching, config_for


def open_watch(heard: Heard) -> Heard:
    wait_until(f"the watch of {heard.name}", lambda: heard.health().ok)
    return heard


def messages(logs: list[Any], level: str = "") -> list[str]:
    return [line["event"] for line in logs if not level or line["log_level"] == level]


def test_after_a_cut_it_goes_on_from_where_it_was(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.drop()
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.stats.lists == 1


def test_what_happened_while_the_server_was_down_is_heard(
    fake: FakeKube, watching: Watching
) -> None:
    for name in ("stays", "goes", "changes"):
        fake.put(service(name))
    heard = open_watch(watching(SERVICES))
    fake.stop()
    wait_until("the loss", lambda: not heard.health().ok)
    assert heard.synced
    assert heard.names() == {"stays", "goes", "changes"}
    fake.delete("Service", "default", "goes")
    fake.patch("Service", "default", "changes", {"spec": {"type": "NodePort"}})
    fake.put(service("new"))
    fake.start()
    wait_until("the news", lambda: len(heard.changes) == 6)
    assert heard.names() == {"stays", "changes", "new"}
    assert heard.store["default", "changes"].type == "NodePort"
    assert heard.stats.lists == 1


def test_a_history_compacted_meanwhile_is_listed_anew_and_compared(
    fake: FakeKube, watching: Watching
) -> None:
    for name in ("stays", "goes"):
        fake.put(service(name))
    heard = open_watch(watching(SERVICES))
    with structlog.testing.capture_logs() as logs:
        fake.stop()
        fake.delete("Service", "default", "goes")
        fake.put(service("new"))
        fake.storage.compact()
        fake.start()
        open_watch(heard)
        wait_until("the news", lambda: heard.names() == {"stays", "new"})
    assert [(c.name, c.after is None) for c in sorted(heard.changes[2:], key=lambda c: c.name)] == [
        ("goes", True),
        ("new", False),
    ]
    assert (heard.stats.lists, heard.stats.expired) == (2, 1)
    assert messages(logs, "error") == []


def test_a_list_that_outlives_its_pages_is_taken_in_one_piece(
    fake: FakeKube, watching: Watching
) -> None:
    for number in range(1001):
        fake.put(service(f"s{number}"))

    def compact() -> None:
        fake.put(service("new"))
        fake.storage.compact()

    fake.faults.after_list(compact)
    heard = open_watch(watching(SERVICES))
    assert len(heard.store) == 1002
    assert [r.target.split("?")[-1][:9] for r in fake.requests[:3]] == [
        "limit=500",
        "limit=500",  # with the token that has become too old
        "/api/v1/s",  # all at once
    ]


def test_what_changes_between_list_and_watch_is_not_lost(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    fake.faults.after_list(lambda: fake.delete("Service", "default", "a"))
    heard = watching(SERVICES)
    wait_until("the deletion", lambda: heard.synced and not heard.store)
    assert heard.stats.lists == 1


def test_a_service_made_anew_during_downtime_is_one_change(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("web"))
    heard = open_watch(watching(SERVICES))
    fake.stop()
    fake.delete("Service", "default", "web")
    fake.put(service("web"))
    fake.storage.compact()
    fake.start()
    wait_until("the change", lambda: len(heard.changes) == 2)
    change = heard.changes[1]
    assert change.before is not None
    assert change.after is not None
    assert change.before.uid != change.after.uid


def test_bookmarks_bring_the_version_forward_and_nothing_into_the_store(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.put(node("n1", "192.0.2.1"))
    fake.storage.bookmark()
    wait_until("the bookmark", lambda: heard.stats.events == 1)
    assert heard.names() == {"a"}
    fake.stop()
    fake.storage.compact()
    fake.start()
    open_watch(heard)
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert (heard.stats.lists, heard.stats.expired) == (1, 0)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_errors_of_the_server_are_outlasted(code: int, fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    fake.faults.refuse(3, code)
    heard = watching(SERVICES)
    open_watch(heard)
    assert heard.names() == {"a"}
    fake.faults.refuse(4, code)
    fake.drop()
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.stats.lists == 1


def test_a_list_that_fails_is_not_an_empty_one(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    fake.faults.refuse(10_000, 503, part="/services")
    heard = watching(SERVICES)
    wait_until("some tries", lambda: len(fake.requests) > 5)
    assert not heard.synced
    assert "HTTP 503" in heard.health().detail
    fake.faults.heal()
    open_watch(heard)
    # The same for a list that follows a 410.
    fake.stop()
    fake.storage.compact()
    fake.put(service("b"))
    fake.storage.compact()
    fake.faults.refuse(10_000, 503, part="limit=500")
    fake.start()
    before = len(fake.requests)
    wait_until("some tries", lambda: len(fake.requests) > before + 5)
    assert heard.names() == {"a"}
    assert heard.synced
    assert not heard.health().ok


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null", b"<html>", b'{"kind":"Status"}'])
def test_an_answer_that_is_no_list_is_not_an_empty_one(
    answer: bytes, fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.faults.replace_body(answer, part="limit=")
    fake.storage.compact()
    fake.drop()
    wait_until("a try", lambda: not heard.health().ok)
    assert heard.names() == {"a"}
    fake.faults.heal()
    open_watch(heard)
    assert heard.names() == {"a"}


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured(code: int, fake: FakeKube, watching: Watching) -> None:
    fake.faults.refuse(1, code, retry_after=1)
    open_watch(watching(SERVICES))
    first, second = fake.requests[:2]
    assert second.at - first.at >= 1.0


def test_an_event_cut_in_the_middle_is_not_believed_and_comes_again(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.faults.cut_in_mid_line(3)
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert [change.name for change in heard.changes] == ["a", "b"]
    assert heard.stats.lists == 1
    assert heard.stats.watches == 4


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff garbage\n",
        b'{"type":"ADDED"}\n',
        b'{"type":"ADDED","object":{"metadata":{}}}\n',
        b'{"type":"ADDED","object":null}\n',
        b'{"type":"SOMETHING","object":{"metadata":{"name":"x"}}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"decode"}}\n',
        b'{"type":"ERROR","object":null}\n',
        b'{"type":"BOOKMARK","object":{}}\n',
        b'"x"\n',
    ],
)
def test_garbage_in_a_stream_harms_nothing(line: bytes, fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.faults.send_instead(line)
    fake.put(service("b"))
    fake.put(service("c"))
    wait_until("c", lambda: heard.names() == {"a", "b", "c"})


def test_a_stream_that_trickles_is_followed(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.faults.trickle = 0.0005
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.stats.watches == 1


def test_a_list_that_trickles_too_long_is_given_up(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    fake.faults.trickle = 0.02
    heard = watching(SERVICES, page=0.1)
    wait_until("a refusal", lambda: "too slowly" in heard.health().detail)
    fake.faults.heal()
    open_watch(heard)


def test_a_stalled_connection_is_left_for_a_new_one(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES, watch=(1.0, 1.0), watch_slack=0.1, read=0.2))
    fake.faults.stall()
    fake.put(service("b"))
    wait_until("the end of patience", lambda: not heard.health().ok)
    fake.faults.resume()
    wait_until("b", lambda: heard.names() == {"a", "b"})


def test_a_stream_that_the_server_does_not_end_is_ended(
    fake: FakeKube, config: ClusterConfig
) -> None:
    """A proxy may keep a stream busy with bookmarks and never let it end."""
    fake.put(service("a"))
    states: list[str] = []
    heard: Heard = Heard(
        config,
        SERVICES,
        watch=(0.2, 0.2),
        watch_slack=0.05,
        on_state=lambda: states.append(heard.health().detail),
    )
    heard.start()
    try:
        ended = "did not end the stream in time"

        def has_ended() -> bool:
            fake.storage.bookmark()
            return any(ended in state for state in states)

        wait_until("the end", has_ended)
    finally:
        heard.close()


def test_streams_that_end_in_good_order_are_followed_by_new_ones(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = watching(SERVICES, watch=(1.0, 1.0), ended_early=0.5)
    wait_until("a second stream", lambda: heard.stats.watches >= 2)
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.health().ok
    assert heard.stats.lists == 1


def test_a_cluster_restored_from_a_backup_is_believed(fake: FakeKube, watching: Watching) -> None:
    fake.put(service("old"))
    backup = fake.storage.backup()
    fake.put(service("lost"))
    fake.patch("Service", "default", "old", {"spec": {"type": "NodePort"}})
    with structlog.testing.capture_logs() as logs:
        heard = open_watch(watching(SERVICES))
        fake.restore(backup)
        wait_until("the past", lambda: heard.names() == {"old"})
    assert heard.store["default", "old"].type == "ClusterIP"
    assert heard.stats.rewound == 1
    assert any("restored from a backup" in line for line in messages(logs, "warning"))
    fake.put(service("new"))
    wait_until("new", lambda: heard.names() == {"old", "new"})


def test_a_restore_that_cuts_no_connection_is_noticed_at_the_end_of_the_watch(
    fake: FakeKube, watching: Watching
) -> None:
    """The real server says nothing at all to a watch from a version that is yet to come."""
    fake.put(service("old"))
    backup = fake.storage.backup()
    for number in range(5):
        fake.put(service(f"lost{number}"))
    heard = open_watch(watching(SERVICES, watch=(1.0, 1.0)))
    fake.storage.restore(backup)
    wait_until("the past", lambda: heard.names() == {"old"})


def test_a_version_that_goes_back_within_a_stream_is_noticed(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    old = b'{"type":"ADDED","object":{"metadata":{"name":"x","namespace":"d","resourceVersion":"3"}}}\n'
    fake.faults.send_instead(old)
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.stats.lists == 2


def test_the_periodic_comparison_finds_nothing_where_all_is_well(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = watching(SERVICES, watch=(0.1, 0.1), relist=(0.0, 0.0))
    for number in range(5):
        fake.put(service(f"s{number}"))
        count = heard.stats.checks
        wait_until("a comparison", partial(lambda count: heard.stats.checks > count, count))
    assert heard.stats.differences == 0


def test_the_periodic_comparison_heals_and_counts_what_a_watch_swallowed(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES, watch=(1.0, 1.0), relist=(0.5, 0.5)))
    version = fake.storage.version + 1
    mark = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}\n' % version
    fake.faults.send_instead(mark)
    fake.put(service("b"))
    with structlog.testing.capture_logs() as logs:
        wait_until("the healing", lambda: heard.names() == {"a", "b"})
        wait_until("the count", lambda: heard.stats.differences == 1)
    assert "a comparison found what the watch had missed" in messages(logs)


def test_a_missing_right_is_named_and_asked_for_again(
    fake: FakeKube, tmp_path: Path, watching: Watching
) -> None:
    fake.put(service("a"))
    fake.users["weak"] = User("system:serviceaccount:lb:lbsync", {("list", "nodes")})
    with structlog.testing.capture_logs() as logs:
        heard = watching(SERVICES, config=config_for(fake, tmp_path, "weak"))
        wait_until("two complaints", lambda: len(messages(logs, "error")) >= 2)
        assert len(fake.requests) > 2
        detail = heard.health().detail
    assert 'cannot list resource "services"' in detail
    assert "Role" in detail
    assert not heard.synced
    fake.users["weak"].allowed = None
    open_watch(heard)
    assert heard.names() == {"a"}


def test_an_api_group_that_is_not_there_is_named(
    fakes: Callable[..., FakeKube], tmp_path: Path, watching: Watching
) -> None:
    fake = fakes()
    fake.faults.refuse(4, 404, part="/ingresses")
    heard = watching(INGRESSES, config=config_for(fake, tmp_path))
    wait_until("a try", lambda: "serves no ingresses" in heard.health().detail)
    assert not heard.synced
    open_watch(heard)


def test_slices_of_a_server_upgraded_under_a_watch_go_on(
    fakes: Callable[..., FakeKube], tmp_path: Path, watching: Watching
) -> None:
    fake = fakes(minor=20)
    fake.put(endpoint_slice("a", "web", [endpoint("10.0.0.1", nodeName="n1")]))
    heard = open_watch(watching(ENDPOINT_SLICES, config=config_for(fake, tmp_path)))
    fake.stop()
    fake.minor = 25
    fake.start()
    fake.put(endpoint_slice("b", "web", [endpoint("10.0.0.2", nodeName="n1")]))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert [change.name for change in heard.changes] == ["a", "b"]


def test_an_object_that_cannot_be_read_keeps_its_last_readable_state(
    fake: FakeKube, watching: Watching
) -> None:
    fake.put(service("good"))
    stored = fake.put(service("odd"))
    resource = of_kind("Service")
    heard = open_watch(watching(SERVICES))
    fake.storage.write(resource, ("default", "odd"), stored | {"spec": {"ports": "none"}})
    fake.put(service("next"))
    wait_until("the next", lambda: heard.names() == {"good", "odd", "next"})
    assert heard.store["default", "odd"].ports[0].port == 80
    assert heard.stats.unreadable == 1
    # And in a list.
    fake.stop()
    fake.storage.compact()
    fake.storage.write(resource, ("default", "odd"), stored | {"spec": {"ports": 7}})
    fake.storage.compact()
    fake.start()
    wait_until("the list", lambda: heard.stats.lists == 2)
    assert heard.names() == {"good", "odd", "next"}
    assert heard.store["default", "odd"].ports[0].port == 80


def test_all_reflectors_together_ask_a_server_that_is_away_only_now_and_then(
    fake: FakeKube, config: ClusterConfig
) -> None:
    spacing = 0.4
    changes: list[Change[Any]] = []
    cluster = Cluster(
        config,
        [Watch(SERVICES), Watch(ENDPOINT_SLICES), Watch(NODES), Watch(INGRESSES)],
        changes.append,
        timing=msgspec.structs.replace(FAST, away_spacing=spacing),
    )
    cluster.start()
    try:
        wait_until("all watches", lambda: cluster.health().ok)
        fake.faults.refuse(12, 503)
        first = len(fake.requests)
        with structlog.testing.capture_logs() as logs:
            fake.drop()
            wait_until("all watches", lambda: cluster.health().ok and len(fake.requests) > 12)
        tries = [request.at for request in fake.requests[first:]][:13]
        # As a whole: a busy machine may bring one request late, and the next one soon after.
        assert tries[-1] - tries[0] >= (len(tries) - 1) * spacing * 0.9
        assert [text[:29] for text in messages(logs)] == [
            "Kubernetes API server is away",
            "Kubernetes API server is back",
        ]
    finally:
        cluster.close()


def test_a_long_absence_is_recalled_now_and_then(fake: FakeKube, watching: Watching) -> None:
    with structlog.testing.capture_logs() as logs:
        fake.faults.refuse(8, 503)
        open_watch(watching(SERVICES, away_reminder=0.05, backoff_first=0.03))
    told = messages(logs)
    assert told[0].startswith("Kubernetes API server is away: ")
    assert any(text.startswith("Kubernetes API server is away since ") for text in told[1:-1])


@pytest.mark.parametrize("what", ["nothing", "stalled list", "stalled watch", "refused", "down"])
def test_closing_takes_no_time_whatever_it_waits_for(
    what: str, fake: FakeKube, watching: Watching
) -> None:
    if what == "stalled list":
        fake.faults.stall()
    heard = watching(SERVICES, read=60.0, watch_slack=60.0, refused=60.0, backoff_first=60.0)
    if what == "stalled list":
        wait_until("the request", lambda: bool(fake.requests))
    elif what == "refused":
        fake.users.clear()
        fake.drop()
    elif what == "down":
        fake.stop()
    else:
        open_watch(heard)
        if what == "stalled watch":
            fake.faults.stall()
    began = time.monotonic()
    heard.close()
    assert time.monotonic() - began < 30
    assert not heard.health().ok


def test_a_watch_that_ends_at_once_again_and_again_is_replaced_by_lists(
    fake: FakeKube, watching: Watching
) -> None:
    """Such as from a server that cannot encode what it was asked for."""
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    fake.faults.replace_body(b"", part="watch=true")
    fake.drop()
    wait_until("some tries", lambda: heard.stats.watches > 5)
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"}, timeout=60)
    wait_until("the trouble to be told", lambda: not heard.health().ok)
    assert "ends each watch at once" in heard.health().detail
    fake.faults.heal()
    open_watch(heard)


def test_an_error_within_the_stream_is_followed_by_a_list(
    fake: FakeKube, watching: Watching
) -> None:
    """The same version may bring the same error for ever."""
    fake.put(service("a"))
    heard = open_watch(watching(SERVICES))
    told = {"kind": "Status", "status": "Failure", "code": 500, "message": "PrevKv is nil"}
    fake.faults.send_instead(msgspec.json.encode({"type": "ERROR", "object": told}) + b"\n")
    fake.put(service("b"))
    wait_until("b", lambda: heard.names() == {"a", "b"})
    assert heard.stats.lists == 2
    open_watch(heard)
