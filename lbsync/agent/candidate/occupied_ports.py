"""Remembers ports of other programs on this host: a port that is free right now may still be theirs.

A daemon that restarts leaves its port free for a moment. A tcp service that took it then would keep
the daemon from coming back, and its clients would reach the service's servers.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lbsync.atomic import replace_file
from lbsync.clients.haproxy import listeners
from lbsync.schema import reading

#: Longer than a daemon that is upgraded or moved is away.
_FORGET_S = 30 * 86_400.0
#: Seconds between two observations, which cost a fraction of a millisecond.
_APART_S = 1.0
#: Seconds between two writes if only times changed.
_WRITE_S = 3600.0
#: How long a port of HAProxy's does not count as another program's: a replaced worker may still hold it.
_OURS_S = 60.0


class OccupiedPorts:
    """`<state_dir>/occupied-ports.json`: port to when it was last seen (seconds since 1970).

    Best effort: what cannot be read is unknown, what cannot be written is known until the process ends.
    """

    def __init__(self, state_dir: Path) -> None:
        """`state_dir`: the agent's state directory."""
        self.given_away: frozenset[int] = frozenset()
        """Ports that the settings give to HAProxy anyway."""
        self._path = state_dir / "occupied-ports.json"
        self._seen: dict[int, float] = self._read()
        self._ours: dict[int, float] = {}
        self._observed_at = float("-inf")
        self._written_at = time.time()

    def observe(self, ours: Iterable[int] = (), *, at_once: bool = False) -> None:
        """Note which ports are listened on now; `at_once`: even if that was just done.

        `ours`: ports that HAProxy runs. While none are known, nothing is noted.
        """
        now = time.monotonic()
        self._ours |= dict.fromkeys(ours, now)
        if not self._ours or (now < self._observed_at + _APART_S and not at_once):
            return
        self._observed_at = now
        others = {
            port
            for _, port in listeners.listening()
            if now - self._ours.get(port, float("-inf")) > _OURS_S
        }
        fresh = others - self._seen.keys()
        at = time.time()
        self._seen |= dict.fromkeys(others, at)
        if fresh or at > self._written_at + _WRITE_S:
            self._write(at)

    def known(self) -> Mapping[int, str]:
        """Return the ports, and on which day each was last seen (UTC)."""
        oldest = time.time() - _FORGET_S
        return {
            port: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
            for port, at in self._seen.items()
            if at > oldest and port not in self.given_away
        }

    def rewrite(self) -> None:
        """Write what is known: the file may be gone."""
        if self._seen:
            self._write(time.time())

    def _read(self) -> dict[int, float]:
        try:
            found = reading.record(self._path.read_bytes(), dict[int, float])
        except (OSError, reading.Unreadable):
            return {}
        # A clock that was ahead must not make an entry last for ever, nor an impossible date.
        now = time.time()
        return {port: min(max(at, 0.0), now) for port, at in found.items()}

    def _write(self, at: float) -> None:
        self._written_at = at
        self._seen = {port: seen for port, seen in self._seen.items() if seen > at - _FORGET_S}
        with contextlib.suppress(OSError):
            replace_file(self._path, msgspec.json.encode(self._seen), 0o640)
