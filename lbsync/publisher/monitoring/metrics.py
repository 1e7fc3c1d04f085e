"""The publisher's metrics. docs/operations.md lists them."""

from collections.abc import Iterator

from lbsync.metrics import Metric, Timing, counter, gauge, gauges, info
from lbsync.publisher.monitoring.status import PublisherStatus

NAMESPACE = "lbsync_publisher"
TIMINGS = {
    "pass": Timing(
        "Length of passes.",
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
        "outcome",
        ("ok", "failed"),
    ),
    "change_served": Timing(
        "From the event of a change in the cluster to the write in etcd.",
        (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0),
        "outcome",
        ("ok",),
    ),
}


def of_status(status: PublisherStatus) -> Iterator[Metric]:
    """Yield what the record says, in numbers."""
    about = {"version": status.lbsync, "cluster": status.cluster}
    yield info("lbsync_publisher_build_info", "Version, and the cluster it publishes.", about)
    yield gauge("lbsync_publisher_leader", "1: this replica publishes.", status.leads)
    yield gauge(
        "lbsync_publisher_kubernetes_up", "1: the cluster is watched; the API server answers.",
        not status.kubernetes,
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_synced", "1: everything that is needed was listed.", not status.missing
    )
    yield gauges("lbsync_publisher_objects", "Objects that are known, by kind.", "kind",
        status.objects,
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_services", "Services that are published; 0 where another leads.",
        status.published,
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_refused", "Services that are refused, or wait for long.",
        len(status.refused),
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_conflicts", "Keys in the way, that somebody else wrote.",
        len(status.conflicts),
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_held", "Services with a removal of servers that is held.",
        status.held,
    )  # fmt: skip
    yield gauge("lbsync_publisher_unread", "Namespaces that cannot be read.", len(status.unread))
    yield gauge(
        "lbsync_publisher_written_timestamp_seconds", "When this was so; it is after each pass.",
        status.written_at,
    )  # fmt: skip
    yield gauge(
        "lbsync_publisher_started_timestamp_seconds",
        "When the publisher started; counters begin then.", status.started_at,
    )  # fmt: skip
    yield counter("lbsync_publisher_passes", "Passes.", status.passes)
    yield counter("lbsync_publisher_transactions", "Writes to etcd.", status.transactions)
    yield counter("lbsync_publisher_keys", "Keys written or removed.", status.keys)
