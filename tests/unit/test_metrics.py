"""The metrics file: what Prometheus reads of the status."""

import re
import resource
import stat
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import metrics
from lbsync.agent.apply.reload_limiter import Cause
from lbsync.errors import LbsyncError
from lbsync.status import CAUSES, LastPass, Quarantined, SourceStatus, State, Status

SAMPLE = re.compile(r'(lbsync_[a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+\})? (-?[0-9.e+]+)')


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


def samples(status: Status) -> dict[str, float]:
    """Each sample of the text, every line of which must be one that Prometheus reads."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in metrics.text(status).removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert (kinds[match[1]] == "counter") == match[1].endswith("_total")
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_a_status_is_told_in_numbers() -> None:
    assert samples(a_status()) == {
        'lbsync_certificate_not_after_seconds{file="/etc/certs/shop.pem"}': 2000,
        'lbsync_build_info{version="1.2.3",haproxy="2.6.12"}': 1,
        'lbsync_generation_info{digest="abc",base="012",generation="3"}': 1,
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


def test_the_operations_page_names_metrics_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    named = set(re.findall(r"lbsync_[a-z_]+", page))
    told = {name.partition("{")[0] for name in samples(a_status())}
    assert len(named) > 10
    assert named <= told


@given(st.text(max_size=20))
def test_no_text_breaks_a_line(odd: str) -> None:
    samples(a_status(lbsync=odd, digest=odd))


def test_the_file_is_whole_and_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.prom"
    metrics.write(file, a_status())
    assert file.read_text() == metrics.text(a_status())
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(LbsyncError, match="metrics_file"):
        metrics.write(tmp_path / "absent" / "lbsync.prom", a_status())


def test_metrics_that_cannot_be_renewed_show_it_by_their_time(tmp_path: Path) -> None:
    file = tmp_path / "lbsync.prom"
    metrics.write(file, a_status())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(LbsyncError, match="metrics_file"):
            metrics.write(file, a_status(state="failing"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert file.stat().st_mtime == 0.0
    assert file.read_text() == metrics.text(a_status())
    metrics.write(file, a_status())
    assert file.stat().st_mtime > 0.0
