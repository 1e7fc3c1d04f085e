"""The metrics: what Prometheus reads of agent and publisher, and that it is what the manual says."""

import re
import resource
import stat
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import measure
from lbsync.agent.apply.reload_limiter import Cause
from lbsync.agent.report import metrics as agent
from lbsync.errors import LbsyncError
from lbsync.metrics import Metrics, Timing
from lbsync.publisher.monitoring import metrics as publisher
from lbsync.publisher.monitoring.status import PublisherStatus
from lbsync.status import CAUSES, LastPass, Quarantined, SourceStatus, State, Status

SAMPLE = re.compile(
    r'^(lbsync_[a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+\})? (-?[0-9.e+-]+)$', re.MULTILINE
)
ROOT = Path(__file__).parents[2]
#: Of the process, by the library; in the file as well, under names that node-exporter does not have.
PROCESS = re.compile(r"lbsync(_publisher)?_process_")
PUBLISHER = PublisherStatus(
    "shop-eu", "host/7", 1.0, lbsync="1.2.3", written_at=1100.5, passes=12, leads=True,
    objects={"services": 5, "nodes": 3}, published=4, refused=("why",), conflicts=("who", "what"),
    held=1, unread=("bank",), transactions=6, keys=9,
)  # fmt: skip


def a_status(**changes: object) -> Status:
    base = Status(
        "held", "lb-1", 7, "", 1100.5, lbsync="1.2.3", haproxy="2.6.12", revision=41,
        revision_seen=43, generation=3, digest="abc", base="012", verified_at=1099.25,
        failing_since=1000.0, source=SourceStatus(False, "away", 900.0), held="3 of 4 would go",
        quarantined=(Quarantined("services/a/b", "wrong"),), by_hand_count=2, services=5, servers=9,
        waits="splay", old_workers=1, passes=12, last_pass=LastPass("", 1100.0, 0.0125),
        reloads=3, reloads_by_cause={"change": 2, "start": 1}, healed=4, replaced=2, steps=6, started_at=1.0,
        certificates={"/etc/certs/shop.pem": 2000.0},
    )  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def agent_metrics(status: Status) -> Metrics:
    return Metrics(agent.NAMESPACE, lambda: agent.of_status(status), agent.TIMINGS)


def publisher_metrics() -> Metrics:
    return Metrics(publisher.NAMESPACE, lambda: publisher.of_status(PUBLISHER), publisher.TIMINGS)


def samples(metrics: Metrics) -> dict[str, float]:
    """Each sample of the text, every line of which must be one that Prometheus reads."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in metrics.text().removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert (kinds.get(match[1]) == "counter") == match[1].endswith("_total")
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def of_record(found: dict[str, float]) -> dict[str, float]:
    """Those that are no histogram's and no process's."""
    timed = re.compile(r"_seconds_(bucket|count|sum)")
    return {k: v for k, v in found.items() if not timed.search(k) and not PROCESS.match(k)}


def test_a_status_is_told_in_numbers() -> None:
    assert of_record(samples(agent_metrics(a_status()))) == {
        'lbsync_certificate_not_after_seconds{file="/etc/certs/shop.pem"}': 2000,
        'lbsync_build_info{haproxy="2.6.12",version="1.2.3"}': 1,
        'lbsync_generation_info{base="012",digest="abc",generation="3"}': 1,
        **{f'lbsync_state{{state="{one}"}}': one == "held" for one in get_args(State)},
        "lbsync_revision_verified": 41,
        "lbsync_revision_seen": 43,
        "lbsync_verified_timestamp_seconds": 1099.25,
        "lbsync_written_timestamp_seconds": 1100.5,
        "lbsync_services": 5,
        "lbsync_servers": 9,
        "lbsync_failing_since_timestamp_seconds": 1000,
        "lbsync_source_up": 0,
        "lbsync_quarantined": 1,
        "lbsync_removal_held": 1,
        "lbsync_reload_waits": 1,
        "lbsync_drained": 0,
        "lbsync_held_by_hand": 2,
        "lbsync_old_workers": 1,
        "lbsync_started_timestamp_seconds": 1,
        "lbsync_passes_total": 12,
        "lbsync_last_pass_seconds": 0.0125,
        'lbsync_reloads_total{cause="change"}': 2,
        'lbsync_reloads_total{cause="start"}': 1,
        'lbsync_reloads_total{cause="heal"}': 0,
        'lbsync_reloads_total{cause="rollback"}': 0,
        "lbsync_needless_reloads_total": 0,
        "lbsync_runtime_steps_total": 6,
        "lbsync_haproxy_replaced_total": 2,
        "lbsync_healed_total": 4,
    }


def test_every_cause_of_a_reload_is_there_from_the_beginning() -> None:
    assert get_args(Cause) == CAUSES, "or a rate of it begins with a gap"


def test_how_a_publisher_does_is_told_in_numbers() -> None:
    assert of_record(samples(publisher_metrics())) == {
        'lbsync_publisher_build_info{cluster="shop-eu",version="1.2.3"}': 1,
        "lbsync_publisher_leader": 1,
        "lbsync_publisher_kubernetes_up": 1,
        "lbsync_publisher_synced": 1,
        'lbsync_publisher_objects{kind="nodes"}': 3,
        'lbsync_publisher_objects{kind="services"}': 5,
        "lbsync_publisher_services": 4,
        "lbsync_publisher_refused": 1,
        "lbsync_publisher_conflicts": 2,
        "lbsync_publisher_held": 1,
        "lbsync_publisher_unread": 1,
        "lbsync_publisher_written_timestamp_seconds": 1100.5,
        "lbsync_publisher_started_timestamp_seconds": 1,
        "lbsync_publisher_passes_total": 12,
        "lbsync_publisher_transactions_total": 6,
        "lbsync_publisher_keys_total": 9,
    }


@pytest.mark.parametrize("timings", [agent.TIMINGS, publisher.TIMINGS])
def test_what_is_counted_is_what_is_measured(timings: dict[str, Timing]) -> None:
    assert timings.keys() <= set(get_args(measure.What))
    for timing in timings.values():
        assert set(timing.values) <= set(get_args(measure.How))
    assert agent.TIMINGS.keys() == set(get_args(measure.What))


def test_a_measured_time_is_counted_where_it_belongs() -> None:
    metrics = agent_metrics(a_status())
    before = samples(metrics)
    measure.tell(metrics.observe)
    with measure.timed("haproxy_check"):
        pass
    with pytest.raises(ZeroDivisionError), measure.timed("haproxy_check"):
        raise ZeroDivisionError
    measure.observe("change_served", "runtime", 0.03)
    measure.observe("change_served", "ok", 0.03)  # nobody counts that
    after = samples(metrics)
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed['lbsync_haproxy_check_seconds_count{outcome="ok"}'] == 1
    assert changed['lbsync_haproxy_check_seconds_count{outcome="failed"}'] == 1
    assert changed['lbsync_change_served_seconds_sum{by="runtime"}'] == pytest.approx(0.03)
    assert 'lbsync_change_served_seconds_bucket{by="runtime",le="0.025"}' not in changed
    assert changed['lbsync_change_served_seconds_bucket{by="runtime",le="0.05"}'] == 1


def families(metrics: Metrics) -> set[str]:
    """The names that a graph or an alert may use, those of the process aside."""
    found = {name.partition("{")[0] for name in samples(metrics)}
    return {name for name in found if not PROCESS.match(name)}


def listed() -> set[str]:
    """The metrics in the tables of the operations page; of a histogram without `_bucket`."""
    page = (ROOT / "docs" / "operations.md").read_text()
    return set(re.findall(r"^\| `(lbsync_[a-z_]+)[`{]", page, re.MULTILINE))


def test_the_operations_page_lists_every_metric_and_no_other() -> None:
    there = families(agent_metrics(a_status())) | families(publisher_metrics())
    there = {re.sub(r"_seconds_(bucket|count|sum)$", "_seconds", name) for name in there}
    assert listed() == there


def test_what_the_operations_page_names_elsewhere_is_there_too() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = {name for name in re.findall(r"lbsync_[a-z_]+", page) if not PROCESS.match(name)}
    there = families(agent_metrics(a_status())) | families(publisher_metrics()) | listed()
    assert {name for name in named if not name.endswith("_")} <= there


@given(st.text(max_size=20))
def test_no_text_breaks_a_line(odd: str) -> None:
    samples(agent_metrics(a_status(lbsync=odd, digest=odd)))


def of_file(file: Path) -> dict[str, float]:
    return of_record({m[1] + (m[2] or ""): float(m[3]) for m in SAMPLE.finditer(file.read_text())})


def test_the_file_is_whole_and_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.prom"
    metrics = agent_metrics(a_status())
    metrics.write(file)
    assert of_file(file) == of_record(samples(metrics))
    assert not re.search(r"^process_", file.read_text(), re.MULTILINE), "node-exporter has these"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(LbsyncError, match="metrics_file"):
        metrics.write(tmp_path / "absent" / "lbsync.prom")


def test_metrics_that_cannot_be_renewed_show_it_by_their_time(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.prom"
    agent_metrics(a_status()).write(file)
    text = file.read_text()
    metrics = agent_metrics(a_status(state="failing"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(LbsyncError, match="metrics_file"):
            metrics.write(file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert file.stat().st_mtime == 0.0
    assert file.read_text() == text
    metrics.write(file)
    assert file.stat().st_mtime > 0.0
