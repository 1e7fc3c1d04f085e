"""The status as metrics for Prometheus, in a file that node-exporter's textfile collector reads.

No server of our own: a file needs no port and no rights, and goes on telling when the agent is dead
(`lbsync_written_timestamp_seconds` stands still then). So times are points in time, not ages. For the
same reason it stays where a newer one cannot be written: an alert on what is missing nobody has.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import msgspec

from lbsync.atomic import replace_file
from lbsync.errors import LbsyncError
from lbsync.status import CAUSES, State, Status


class Metric(msgspec.Struct, frozen=True):
    """One metric with its samples."""

    name: str
    """Without the prefix `lbsync_`."""
    kind: Literal["gauge", "counter"]
    help: str
    value: float = 1.0
    labels: Mapping[str, str] = {}
    """Of the one sample."""
    by: str = ""
    """The label that tells several samples apart; empty: there is one."""
    values: Mapping[str, float] = {}
    """Value of `by` to sample."""


def text(status: Status) -> str:
    """Return the metrics of a status in Prometheus' text format."""
    return "".join(map(_lines, _metrics(status)))


def write(path: Path, status: Status) -> None:
    """Replace the file in one step; everybody may read it. Raises `LbsyncError`.

    The old one has its time of modification at 0 then, if that can be set: node-exporter shows it as
    `node_textfile_mtime_seconds`.
    """
    try:
        # Not forced to disk: the next pass writes it anew.
        replace_file(path, text(status).encode(), 0o644, durable=False)
    except OSError as error:
        with suppress(OSError):
            os.utime(path, (0.0, 0.0))
        raise LbsyncError(
            f"{path}: cannot be written: {error.strerror}; give the agent's user the right to "
            "write in that directory (and the unit ReadWritePaths=), or correct [agent] metrics_file"
        ) from error


def _metrics(status: Status) -> Iterator[Metric]:
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
    yield Metric("build_info", "gauge", "Versions of the agent and of HAProxy.", labels=versions)
    yield Metric(
        "generation_info", "gauge", "What HAProxy was last proved to serve.", labels=served
    )
    yield Metric("state", "gauge", "1 for the state the host is in.", by="state", values=states)
    yield Metric(
        "revision_verified", "gauge", "Revision of the source that HAProxy was proved to serve.",
        status.revision,
    )  # fmt: skip
    yield Metric(
        "revision_seen", "gauge", "Revision of the source that the last pass looked at.",
        status.revision_seen,
    )  # fmt: skip
    yield Metric(
        "verified_timestamp_seconds", "gauge",
        "When what HAProxy runs was last read back and found equal; 0: never.",
        status.verified_at,
    )  # fmt: skip
    yield Metric(
        "written_timestamp_seconds", "gauge", "When this was written; it is after each pass.",
        status.written_at,
    )  # fmt: skip
    yield Metric("services", "gauge", "Services that are served.", status.services)
    yield Metric("servers", "gauge", "Servers of these services.", status.servers)


def _what_is_wrong(status: Status) -> Iterator[Metric]:
    yield Metric(
        "failing_since_timestamp_seconds", "gauge", "Since when the present error stands; 0: there is none.",
        status.failing_since,
    )  # fmt: skip
    if status.source is not None:
        yield Metric("source_up", "gauge", "1: the source answers.", status.source.ok)
    yield Metric("quarantined", "gauge", "Keys that are quarantined.", len(status.quarantined))
    yield Metric(
        "removal_held", "gauge", "1: a removal waits for lbsync confirm.", bool(status.held)
    )
    yield Metric(
        "reload_waits", "gauge", "1: a reload is wanted and has to wait.", bool(status.waits)
    )
    yield Metric("drained", "gauge", "1: the host is drained.", bool(status.draining))
    yield Metric(
        "held_by_hand", "gauge", "Servers that somebody set by hand, until lbsync release.",
        status.by_hand_count,
    )  # fmt: skip
    if status.certificates:
        yield Metric(
            "certificate_not_after_seconds", "gauge",
            "When a certificate ends: of those that HAProxy shows, and of those for etcd.",
            by="file", values=status.certificates,
        )  # fmt: skip
    yield Metric("old_workers", "gauge", "Replaced workers that still live.", status.old_workers)


def _what_was_done(status: Status) -> Iterator[Metric]:
    yield Metric(
        "started_timestamp_seconds", "gauge", "When the agent started; counters begin then.",
        status.started_at,
    )  # fmt: skip
    yield Metric("passes_total", "counter", "Passes.", status.passes)
    if status.last_pass is not None:
        yield Metric(
            "last_pass_seconds", "gauge", "Length of the last pass.", status.last_pass.seconds
        )
    yield Metric(
        "reloads_total", "counter", "Reloads that were proved, by cause.", by="cause",
        values={cause: status.reloads_by_cause.get(cause, 0) for cause in CAUSES},
    )  # fmt: skip
    yield Metric(
        "needless_reloads_total", "counter", "Reloads that changed nothing of what runs.",
        status.needless_reloads,
    )  # fmt: skip
    yield Metric("runtime_steps_total", "counter", "Changes made without a reload.", status.steps)
    yield Metric(
        "haproxy_replaced_total", "counter",
        "Times HAProxy's worker was another one, and not by a reload of the agent's.", status.replaced,
    )  # fmt: skip
    yield Metric(
        "healed_total", "counter", "Differences that read-backs found and put right.", status.healed
    )


def _lines(metric: Metric) -> str:
    name = f"lbsync_{metric.name}"
    if metric.by:
        samples = [({metric.by: label}, value) for label, value in metric.values.items()]
    else:
        samples = [(dict(metric.labels), metric.value)]
    lines = [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
    lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Return whole numbers without a point, others with all their digits."""
    return str(int(value)) if value == int(value) else repr(float(value))
