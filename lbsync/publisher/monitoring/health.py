"""What a publisher answers over HTTP: probes of Kubernetes, metrics, and how it does."""

import time
from collections.abc import Callable

import msgspec

from lbsync.http import JSON, METRICS, Answer, Pages
from lbsync.loop import Report
from lbsync.metrics import Metrics
from lbsync.publisher.monitoring.status import PublisherStatus

_SLACK_S = 60.0
"""A first sync or a store that dawdles is no reason to be killed."""


class Health:
    """What the last pass said; written by the loop, read by probes."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`every`: seconds after which at the latest a pass is run."""
        self._every = every
        self._clock = clock
        self._at = clock()
        self._sentence = "no pass has ended yet"
        self._ready = False

    def note(self, report: Report) -> None:
        """Take in the end of a pass."""
        self._at = self._clock()
        outcome = report.outcome
        self._ready = outcome is not None and outcome.confirmed
        # What is wrong with some Service is in its report; here it would look like trouble of this process.
        wrong = "" if self._ready else report.error
        self._sentence = wrong or (outcome.sentence if outcome else "")

    def alive(self) -> tuple[bool, str]:
        """Return whether the loop is alive. Trouble outside does not count: a restart would not cure it."""
        age = self._clock() - self._at
        if age > 3 * self._every + _SLACK_S:
            return False, f"no pass has ended for {age:.0f} s"
        return True, self._sentence

    def ready(self) -> tuple[bool, str]:
        """Tell whether this replica publishes, or could take over at once."""
        is_alive, sentence = self.alive()
        return is_alive and self._ready, sentence


def pages(health: Health, metrics: Metrics, status: Callable[[], PublisherStatus]) -> Pages:
    """Return the publisher's pages."""

    def document() -> Answer:
        text = msgspec.json.format(msgspec.json.encode(status(), enc_hook=str), indent=2).decode()
        return Answer(f"{text}\n", media_type=JSON)

    return Pages(
        {
            "/metrics": lambda: Answer(metrics.text(), media_type=METRICS),
            "/healthz": lambda: _probe(health.alive()),
            "/readyz": lambda: _probe(health.ready()),
            "/status": document,
        }
    )


def _probe(found: tuple[bool, str]) -> Answer:
    is_well, sentence = found
    return Answer(f"{sentence}\n", is_well)
