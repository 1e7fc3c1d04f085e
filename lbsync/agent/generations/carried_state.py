"""Files of a configuration for what is kept across a reload: the servers' states, and counters."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lbsync.agent.generations.store import Generation
from lbsync.agent.haproxycfg.config import Config
from lbsync.atomic import replace_file

_NO_STATES = b"1\n"
"""A state file without states; HAProxy warns of one that is missing or empty (measured)."""


class Places(msgspec.Struct, frozen=True):
    """Files that HAProxy reads when it starts, relative to the generation; None: it is to read none.

    Only those below the live link count, as in `server-state-file /var/lib/lbsync/live/servers.state`:
    a file elsewhere would outlive its generation. (HAProxy does not apply `default-path` to these, so
    they are absolute.)
    """

    states: str | None = None
    """Of `server-state-file`."""
    counters: str | None = None
    """Of `stats-file` (HAProxy 3.0)."""

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield each place with what is written there for nothing."""
        if self.states is not None:
            yield self.states, _NO_STATES
        if self.counters is not None:
            yield self.counters, b""


def places(config: Config, live: Path) -> Places:
    """Return where a configuration wants them."""
    found = Places()
    for placed in config.of("global"):
        section = placed.section
        found = Places(
            _below(section.state_file, live) or found.states,
            _below(section.stats_file, live) or found.counters,
        )
    return found


def _below(file: str, live: Path) -> str | None:
    path = Path(file)
    if live in path.parents and ".." not in path.parts:
        return str(path.relative_to(live))
    return None


def empty(generation: Generation, config: Config, live: Path) -> None:
    """Put files that carry nothing into a generation, where its configuration names some there.

    HAProxy warns of one that is missing. An aid: what cannot be written is left.
    """
    for where, nothing in places(config, live):
        file = generation.path / where
        with contextlib.suppress(OSError):
            if file.exists():
                replace_file(file, nothing)
            else:
                # Lost by a power cut it costs no more than that warning; syncing costs milliseconds.
                file.write_bytes(nothing)
                file.chmod(0o644)
