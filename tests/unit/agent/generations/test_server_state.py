"""Where the states of servers are kept over a reload."""

from pathlib import Path

import pytest

from lbsync.agent.generations.server_state import place
from lbsync.agent.haproxycfg.config import Parser

LIVE = Path("/var/lib/lbsync/live")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("server-state-file /var/lib/lbsync/live/servers.state", "servers.state"),
        ("server-state-file /var/lib/lbsync/servers.state", None),
        ("server-state-file /var/lib/lbsync/live/../servers.state", None),
        ("server-state-file servers.state", None),
        ("maxconn 1", None),
    ],
)
def test_the_file_belongs_into_the_generation_or_is_not_written(
    line: str, wanted: str | None
) -> None:
    assert place(Parser().parse(f"global\n {line}\n"), LIVE) == wanted
