"""Where a configuration wants the servers' states to be kept over a reload."""

import contextlib
from pathlib import Path

from lbsync.agent.generations.store import Generation
from lbsync.agent.haproxycfg.config import Config
from lbsync.atomic import replace_file

NONE = b"1\n"
"""A state file without states; HAProxy warns of one that is missing or empty (measured)."""


def place(config: Config, live: Path) -> str | None:
    """Return where a configuration wants the state, relative to its generation.

    None unless it names a file below the live link, as in
    `server-state-file /var/lib/lbsync/live/servers.state`: a file elsewhere would outlive its
    generation. (HAProxy does not apply `default-path` to this one, so it is absolute.)
    """
    for placed in config.of("global"):
        path = Path(placed.section.state_file)
        if live in path.parents and ".." not in path.parts:
            return str(path.relative_to(live))
    return None


def empty(generation: Generation, config: Config, live: Path) -> None:
    """Put a file without states into a generation, where its configuration names one there.

    HAProxy warns of one that is missing. An aid: what cannot be written is left.
    """
    if (where := place(config, live)) is None:
        return
    file = generation.path / where
    with contextlib.suppress(OSError):
        if file.exists():
            replace_file(file, NONE)
        else:
            # Lost by a power cut it costs no more than that warning; syncing costs milliseconds.
            file.write_bytes(NONE)
            file.chmod(0o644)
