"""The agent's HTTP responses: metrics, probes, and its status."""

import threading
from collections.abc import Callable

import msgspec

from lbsync.agent.report.judgement import Judgement
from lbsync.agent.report.status import StatusReporter
from lbsync.errors import Unavailable
from lbsync.http import JSON, METRICS, Answer, Pages
from lbsync.log import span
from lbsync.status import Status
from lbsync.timestamps import ago

Silence = Callable[[], tuple[float, float]]
"""For how many seconds the loop was silent, and how many are allowed."""


def pages(reporter: StatusReporter, silence: Silence) -> Pages:
    """Return the agent's pages."""
    asking = threading.Lock()

    def status() -> Answer:
        # HAProxy may dawdle: at most one thread waits for it, the others are there for probes.
        if not asking.acquire(blocking=False):
            raise Unavailable("HAProxy is being asked for somebody else; ask again in a second")
        try:
            judged = Judgement.of(reporter.settings, reporter.status).document()
        finally:
            asking.release()
        document = msgspec.json.format(msgspec.json.encode(judged, enc_hook=str), indent=2)
        return Answer(f"{document.decode()}\n", media_type=JSON)

    return Pages(
        {
            "/metrics": lambda: Answer(reporter.metrics.text(), media_type=METRICS),
            "/healthz": lambda: alive(*silence()),
            "/readyz": lambda: ready(reporter.status),
            "/status": status,
        }
    )


def alive(silent_s: float, allowed_s: float) -> Answer:
    """Return whether the loop is alive, by the same measure as systemd's watchdog.

    Trouble outside does not count: a restart would not cure it.
    """
    if silent_s > allowed_s:
        return Answer(f"the loop has not turned for {span(silent_s)}\n", is_well=False)
    return Answer("the loop turns\n")


def ready(found: Status) -> Answer:
    """Tell whether HAProxy was proved to serve what is wanted, or the last good generation.

    Not being able to take over something new is no reason to take a host out: all would go together.
    """
    well = bool(found.verified_at) and found.state not in ("starting", "unconfirmed")
    said = f"{found.state}: {found.error}" if found.error else found.state
    proved = f"generation {found.generation}-{found.digest} proved {ago(found.verified_at)}"
    return Answer(
        f"{said}; {proved if found.verified_at else 'nothing proved yet'}\n", is_well=well
    )
