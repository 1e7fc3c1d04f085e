"""What can go wrong between a client and an API server, on command."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from harness.fake_kube.status import ApiError

_REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass
class _Refusal:
    left: int
    code: int
    retry_after: int | None
    part: str


class Refused(ApiError):
    """An answer on command; carries its `Retry-After`."""

    def __init__(self, code: int, retry_after: int | None) -> None:
        super().__init__(code, "refused on command", _REASONS.get(code, "Unknown"))
        self.retry_after = retry_after


class Faults:
    """The faults that are switched on; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: list[_Refusal] = []
        self._cuts = 0
        self._garbage: list[bytes] = []
        self._bodies: list[tuple[str, bytes]] = []
        self._races: list[Callable[[], None]] = []
        self._moving = threading.Event()
        self._moving.set()
        self.trickle = 0.0
        """Seconds between any two pieces of ten bytes; 0: everything at once."""

    def refuse(
        self, count: int, code: int = 503, *, retry_after: int | None = None, part: str = ""
    ) -> None:
        """Answer the next `count` requests whose path and query contain `part` with an error."""
        with self._lock:
            self._refusals.append(_Refusal(count, code, retry_after, part))

    def heal(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._refusals.clear()
            self._garbage.clear()
            self._bodies.clear()
            self._cuts = 0
        self.trickle = 0.0
        self.resume()

    def stall(self) -> None:
        """Keep all connections open and say nothing any more."""
        self._moving.clear()

    def resume(self) -> None:
        """End `stall`."""
        self._moving.set()

    def cut_in_mid_line(self, count: int = 1) -> None:
        """Send only half of each of the next watch events, then close the connection."""
        with self._lock:
            self._cuts += count

    def send_instead(self, line: bytes) -> None:
        """Send `line` in place of the next watch event."""
        with self._lock:
            self._garbage.append(line)

    def replace_body(self, body: bytes, *, part: str = "") -> None:
        """Answer requests whose path and query contain `part` with 200 and this body."""
        with self._lock:
            self._bodies.append((part, body))

    def after_list(self, action: Callable[[], None]) -> None:
        """Do something once between making the answer to a list and sending it."""
        with self._lock:
            self._races.append(action)

    def check(self, target: str) -> None:
        """Raise `Refused` when this request is to fail."""
        with self._lock:
            for refusal in self._refusals:
                if refusal.left > 0 and refusal.part in target:
                    refusal.left -= 1
                    raise Refused(refusal.code, refusal.retry_after)

    def body(self, target: str) -> bytes | None:
        """Return what to answer instead, if anything."""
        with self._lock:
            return next((body for part, body in self._bodies if part in target), None)

    def take_cut(self) -> bool:
        """Say whether the event at hand is to be cut."""
        with self._lock:
            cut = self._cuts > 0
            self._cuts -= cut
            return cut

    def change(self, line: bytes) -> bytes:
        """Return what to send for a watch event."""
        with self._lock:
            return self._garbage.pop(0) if self._garbage else line

    def take_race(self) -> Callable[[], None] | None:
        """Return what to do after a list, once."""
        with self._lock:
            return self._races.pop(0) if self._races else None

    def wait_until_moving(self, seconds: float) -> bool:
        """Wait while stalled; say whether things move."""
        return self._moving.wait(seconds)
