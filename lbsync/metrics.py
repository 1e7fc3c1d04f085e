"""Metrics for Prometheus, from one registry: for `/metrics`, and for a file.

The file is for node-exporter's textfile collector: it goes on telling when the agent is dead. So times
are points in time, not ages, and the file stays where a newer one cannot be written: an alert on what
is missing nobody has. Names that node-exporter has itself (`process_…`) must not be in it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lbsync.atomic import replace_file
from lbsync.errors import LbsyncError

__all__ = ["Metric", "Metrics", "Timing", "counter", "counters", "gauge", "gauges", "info"]

# Since when a counter counts is one metric of ours, not one beside each histogram.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Timing(NamedTuple):
    """A histogram of how long something took."""

    help: str
    buckets: tuple[float, ...]
    """Upper limits in seconds."""
    label: str
    """What tells its series apart."""
    values: tuple[str, ...]
    """All values of `label`; each is there from the beginning, or a rate of it would begin with a gap."""


class Metrics:
    """Everything that one service tells: what a record says now, and what was measured."""

    def __init__(
        self,
        namespace: str,
        now: Callable[[], Iterable[Metric]],
        timings: Mapping[str, Timing],
    ) -> None:
        """`namespace`: what all names begin with. `now` returns what is so, each time it is asked.
        `timings`: names without namespace and `_seconds`."""
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(_Now(now))
        prometheus_client.ProcessCollector(namespace=namespace, registry=self._registry)
        self._series = {
            (name, value): histogram.labels(value)
            for name, timing in timings.items()
            for histogram in (_histogram(namespace, name, timing, self._registry),)
            for value in timing.values
        }

    def observe(self, what: str, how: str, seconds: float) -> None:
        """Count a measured time; one that no timing is about is passed over. From any thread."""
        if (series := self._series.get((what, how))) is not None:
            series.observe(seconds)

    def text(self) -> str:
        """Return all of it in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry).decode()

    def write(self, path: Path) -> None:
        """Replace the file in one step; everybody may read it. Raises `LbsyncError`.

        The old one has its time of modification at 0 then, if that can be set: node-exporter shows it
        as `node_textfile_mtime_seconds`.
        """
        try:
            # Not forced to disk: the next pass writes it anew.
            replace_file(path, self.text().encode(), 0o644, durable=False)
        except OSError as error:
            with suppress(OSError):
                os.utime(path, (0.0, 0.0))
            raise LbsyncError(
                f"{path}: cannot be written: {error.strerror}; give the agent's user the right to "
                "write in that directory (and the unit ReadWritePaths=), or correct [agent] "
                "metrics_file"
            ) from error


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a metric with one sample that may rise and fall."""
    return GaugeMetricFamily(name, text, value=value)


def counter(name: str, text: str, value: float) -> Metric:
    """Return a metric with one sample that only rises; its name gets `_total`."""
    return CounterMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a metric that may rise and fall, with a sample for each value of a label."""
    made = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        made.add_metric([value], number)
    return made


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a metric that only rises, with a sample for each value of a label."""
    made = CounterMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        made.add_metric([value], number)
    return made


def info(name: str, text: str, labels: Mapping[str, str]) -> Metric:
    """Return a metric whose labels are what it says; its sample is 1."""
    made = GaugeMetricFamily(name, text, labels=list(labels))
    made.add_metric(list(labels.values()), 1.0)
    return made


def _histogram(
    namespace: str, name: str, timing: Timing, registry: prometheus_client.CollectorRegistry
) -> prometheus_client.Histogram:
    return prometheus_client.Histogram(
        f"{namespace}_{name}_seconds", timing.help, (timing.label,), buckets=timing.buckets,
        registry=registry,
    )  # fmt: skip


class _Now(Collector):
    def __init__(self, now: Callable[[], Iterable[Metric]]) -> None:
        self._now = now

    def collect(self) -> Iterable[Metric]:
        return self._now()
