"""Where the states of servers and the counters are kept over a reload."""

from pathlib import Path

import pytest

from lbsync.agent.generations.carried_state import Places, places
from lbsync.agent.haproxycfg.config import Parser

LIVE = Path("/var/lib/lbsync/live")


@pytest.mark.parametrize("word", ["server-state-file", "stats-file"])
@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("/var/lib/lbsync/live/kept", "kept"),
        ("/var/lib/lbsync/kept", None),
        ("/var/lib/lbsync/live/../kept", None),
        ("kept", None),
    ],
)
def test_the_file_belongs_into_the_generation_or_is_not_written(
    word: str, file: str, wanted: str | None
) -> None:
    found = places(Parser().parse(f"global\n {word} {file}\n maxconn 1\n"), LIVE)
    assert (found.states if word == "server-state-file" else found.counters) == wanted
    assert list(found) in ([], [("kept", b"1\n")], [("kept", b"")])


def test_without_a_word_of_it_nothing_is_written() -> None:
    assert places(Parser().parse("global\n maxconn 1\n"), LIVE) == Places()
