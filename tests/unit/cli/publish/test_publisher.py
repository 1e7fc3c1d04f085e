"""What the command line says of publishers, without any of them running."""

import io
import json

import pytest

from lbsync.cli.publish.changes import Said, show
from lbsync.cli.terminal import Terminal
from lbsync.errors import SettingsError
from lbsync.loop import Outcome, Report
from lbsync.model.publishing import HeartbeatRecord, LeaderRecord
from lbsync.published import describe
from lbsync.publisher.monitoring.health import Health
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Change
from lbsync.schema.publishing import Known, known
from lbsync.settings import load
from tests.fakes import FakeSource

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
LEADER = LeaderRecord("one", "2025-12-31T00:00:00Z")


def beat(synced_at: str = "2025-12-31T23:59:56Z", **more: object) -> HeartbeatRecord:
    return HeartbeatRecord("one", synced_at, 7, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "text", "is_well"),
    [
        (Known("c"), "no publisher is running", False),
        (Known("c", heartbeat=beat()), "no publisher leads right now", False),
        (Known("c", LEADER), "led by one, which has not published yet", False),
        (Known("c", LEADER, beat()), "7 published, in step 4 s ago, led by one", True),
        (Known("c", LEADER, beat(every=1.0)), "in step 4 s ago", False),
        (Known("c", LEADER, beat("")), "not in step yet", False),
        (Known("c", LEADER, beat(refused=2, held=1)), "2 refused, 1 held", False),
        (Known("c", LEADER, beat(kubernetes="away")), "is not watched: away", False),
        (Known("c", LEADER, beat(unread={"bank": "list services"})), "not read: bank", False),
        (Known("c", LEADER, beat(notices=("told",))), "in step 4 s ago", True),
    ],
)
def test_publishers_are_described_by_what_they_say(found: Known, text: str, is_well: bool) -> None:
    said, verdict = describe(found, NOW)
    assert text in said
    assert verdict is is_well


def test_what_publishers_wrote_is_read_by_cluster_and_nonsense_passed_over() -> None:
    store = FakeSource(
        {
            "publishers/a/leader": b'{"identity": "one", "since": "", "new": 1}',
            "publishers/a/heartbeat": b"nonsense",
            "publishers/a/reports/service/shop/cart": b'{"refused": "no"}',
            "publishers/a/reports/other/shop/cart": b"{}",
            "publishers/b/reports/ingress/shop/web": b'{"warnings": ["hm"]}',
        }
    )
    found = known(store.snapshot().items)
    assert found["a"].leader == LeaderRecord("one", "")
    assert found["a"].heartbeat is None
    assert {k: r.sentences for k, r in found["a"].reports.items()} == {"service shop/cart": ("no",)}
    assert found["b"].reports["ingress shop/web"].sentences == ("hm",)


def report(outcome: Outcome | None, error: str = "") -> Report:
    return Report(outcome, error, None, 0.1)


def test_probes_tell_a_loop_that_stands_still_from_trouble_outside() -> None:
    now = [0.0]
    health = Health(30.0, clock=lambda: now[0])
    assert health.alive()[0]
    assert not health.ready()[0]
    health.note(report(Outcome("stands by: two leads", confirmed=True)))
    assert health.ready() == (True, "stands by: two leads")
    refused = Outcome(
        "revision 7: nothing to write; 5 services published, 1 refused", confirmed=True
    )
    health.note(report(refused, "Service zoo/badhost: annotation lbsync.io/hosts: no host"))
    assert health.ready() == (True, refused.sentence), "one tenant's mistake is not this process's"
    health.note(report(None, "etcd does not answer"))
    assert health.alive() == (True, "etcd does not answer")
    assert not health.ready()[0]
    now[0] = 151.0
    assert not health.alive()[0]
    assert "151 s" in health.alive()[1]


def units() -> list[ServiceChanges]:
    change = Change("services/shop/cart", None, b'{"mode":"http"}')
    return [ServiceChanges("service", "shop/cart", (change,))]


def test_changes_are_shown_as_a_diff() -> None:
    stream = io.StringIO()
    warnings = {"service shop/cart": ["odd; mend it"], "ingress shop/web": []}
    said = Said("1 service published, 1 refused", ["why; cure"], warnings)
    show(Terminal(stream), units(), said, as_json=False)
    assert '+  "mode": "http"' in stream.getvalue()
    assert "why; cure" in stream.getvalue()
    assert "warning: odd; mend it" in stream.getvalue()
    assert stream.getvalue().endswith("1 key would be written; 1 service published, 1 refused\n")


def test_changes_are_shown_as_json() -> None:
    stream = io.StringIO()
    show(Terminal(stream), units(), Said("1 service published", ["held"]), as_json=True)
    found = json.loads(stream.getvalue())
    assert found["changes"][0]["after"] == {"mode": "http"}
    assert found["troubles"] == ["held"]


@pytest.mark.parametrize("text", ["0", "0ms", "0s"])
def test_a_batch_of_nothing_is_at_once(text: str) -> None:
    assert load(flags={"publisher.batch": text}, environ={}).publisher.batch.seconds == 0.0


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("cluster", "Prod/EU", "lower-case letters"),
        ("batch", "10", "unit"),
        ("batch", "2m", "at most 1m"),
        ("address_mode", "nodes", "none of pod, nodeport"),
        ("node_selector", "role", "role=lb"),
        ("brake_total_percent", "101", "100"),
        ("heartbeat", "1h", "not shorter than full_compare"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(name: str, value: str, cure: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(flags={f"publisher.{name}": value}, environ={})
    assert cure in str(raised.value)
    assert len(raised.value.problems) == 1
