"""The agent's metrics: its status in numbers, and durations. docs/operations.md lists them."""

from collections.abc import Iterator
from typing import get_args

from lbsync.metrics import Metric, Timing, counter, counters, gauge, gauges, info
from lbsync.status import CAUSES, State, Status

NAMESPACE = "lbsync"
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ENDS = ("outcome", ("ok", "failed"))
TIMINGS = {
    "change_served": Timing(
        "From the wake that a change brought to the proof that HAProxy serves it.",
        (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0),
        "by",
        ("runtime", "reload"),
    ),
    "pass": Timing("Length of passes.", _SHORT, *_ENDS),
    "render": Timing("Printing all templates.", _SHORT, *_ENDS),
    "haproxy_check": Timing("`haproxy -c`; it failed where HAProxy refused.", _SHORT, *_ENDS),
    "runtime_change": Timing("The commands of one change without a reload.", _SHORT, *_ENDS),
    "reload": Timing("From a reload's request to its proof.", _SHORT, *_ENDS),
    "read_back": Timing("Reading what HAProxy runs.", _SHORT, *_ENDS),
}


def of_status(status: Status) -> Iterator[Metric]:
    """Yield what a status says, in numbers."""
    yield from _what_is_served(status)
    yield from _what_is_wrong(status)
    yield from _what_was_done(status)


def _what_is_served(status: Status) -> Iterator[Metric]:
    versions = {"version": status.lbsync, "haproxy": status.haproxy}
    served = {
        "digest": status.digest,
        "base": status.base,
        "generation": str(status.generation),
    }
    states = {state: float(state == status.state) for state in get_args(State)}
    yield info("lbsync_build_info", "Versions of the agent and of HAProxy.", versions)
    yield info("lbsync_generation_info", "What HAProxy was last proved to serve.", served)
    yield gauges("lbsync_state", "1 for the state the host is in.", "state", states)
    yield gauge(
        "lbsync_revision_verified", "Revision of the source that HAProxy was proved to serve.",
        status.revision,
    )  # fmt: skip
    yield gauge(
        "lbsync_revision_seen", "Revision of the source that the last pass looked at.",
        status.revision_seen,
    )  # fmt: skip
    yield gauge(
        "lbsync_verified_timestamp_seconds",
        "When what HAProxy runs was last read back and found equal; 0: never.", status.verified_at,
    )  # fmt: skip
    yield gauge(
        "lbsync_written_timestamp_seconds", "When this was so; it is after each pass.",
        status.written_at,
    )  # fmt: skip
    yield gauge("lbsync_services", "Services that are served.", status.services)
    yield gauge("lbsync_servers", "Servers of these services.", status.servers)


def _what_is_wrong(status: Status) -> Iterator[Metric]:
    yield gauge(
        "lbsync_failing_since_timestamp_seconds",
        "Since when the present error stands; 0: there is none.", status.failing_since,
    )  # fmt: skip
    if status.source is not None:
        yield gauge("lbsync_source_up", "1: the source answers.", status.source.ok)
    yield gauge("lbsync_quarantined", "Keys that are quarantined.", len(status.quarantined))
    yield gauge("lbsync_removal_held", "1: a removal waits for lbsync confirm.", bool(status.held))
    yield gauge("lbsync_reload_waits", "1: a reload is wanted and has to wait.", bool(status.waits))
    yield gauge("lbsync_drained", "1: the host is drained.", bool(status.draining))
    yield gauge(
        "lbsync_held_by_hand", "Servers that somebody set by hand, until lbsync release.",
        status.by_hand_count,
    )  # fmt: skip
    if status.certificates:
        yield gauges("lbsync_certificate_not_after_seconds",
            "When a certificate ends: of those that HAProxy shows, and of those for etcd.",
            "file", status.certificates,
        )  # fmt: skip
    yield gauge("lbsync_old_workers", "Replaced workers that still live.", status.old_workers)


def _what_was_done(status: Status) -> Iterator[Metric]:
    yield gauge(
        "lbsync_started_timestamp_seconds", "When the agent started; counters begin then.",
        status.started_at,
    )  # fmt: skip
    yield counter("lbsync_passes", "Passes.", status.passes)
    if status.last_pass is not None:
        yield gauge(
            "lbsync_last_pass_seconds", "Length of the last pass.", status.last_pass.seconds
        )
    yield counters("lbsync_reloads", "Reloads that were proved, by cause.", "cause",
        {cause: status.reloads_by_cause.get(cause, 0) for cause in CAUSES},
    )  # fmt: skip
    yield counter(
        "lbsync_needless_reloads", "Reloads that changed nothing of what runs.",
        status.needless_reloads,
    )  # fmt: skip
    yield counter("lbsync_runtime_steps", "Changes made without a reload.", status.steps)
    yield counter(
        "lbsync_haproxy_replaced",
        "Times HAProxy's worker was another one, and not by a reload of the agent's.",
        status.replaced,
    )  # fmt: skip
    yield counter(
        "lbsync_healed", "Differences that read-backs found and put right.", status.healed
    )
