"""`/healthz` and `/readyz` for the probes of Kubernetes: whether passes end, and whether they help."""

import contextlib
import http.server
import socket
import time
from collections.abc import Callable, Iterator

from lbsync.errors import LbsyncError
from lbsync.loop import Report
from lbsync.settings import Bind
from lbsync.threads import KeptThread

_JOIN_S = 10.0
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
        """Tell whether the loop turns. Trouble outside is none of its own: a restart cures nothing."""
        age = self._clock() - self._at
        if age > 3 * self._every + _SLACK_S:
            return False, f"no pass has ended for {age:.0f} s"
        return True, self._sentence

    def ready(self) -> tuple[bool, str]:
        """Tell whether this replica publishes, or could take over at once."""
        is_alive, sentence = self.alive()
        return is_alive and self._ready, sentence


@contextlib.contextmanager
def serving(bind: Bind | None, health: Health) -> Iterator[None]:
    """Answer probes meanwhile. Raises `LbsyncError` when the address cannot be listened on."""
    if bind is None:
        yield
        return
    try:
        server = _Server((bind.address, bind.port), health)
    except OSError as error:
        raise LbsyncError(
            f"[publisher] health_bind: {bind} cannot be listened on: {error.strerror}; name another"
        ) from error
    thread = KeptThread(lambda: server.serve_forever(0.2), "health")
    thread.start()
    try:
        yield
    finally:
        thread.stop()
        server.shutdown()
        server.server_close()
        thread.join(_JOIN_S)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self.health = health
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A probe that hangs up is none of our troubles."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0

    def do_GET(self) -> None:
        """Answer 200 or 503 with one sentence."""
        answers = {"/healthz": self.server.health.alive, "/readyz": self.server.health.ready}
        if (ask := answers.get(self.path.partition("?")[0])) is None:
            self.send_error(404)
            return
        is_well, sentence = ask()
        body = f"{sentence}\n".encode()
        self.send_response(200 if is_well else 503)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: no line for each."""
