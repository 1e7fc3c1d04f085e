"""Where a configuration wants the servers' states to be kept over a reload. Pure."""

from pathlib import Path

from lbsync.agent.sections import Config


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
