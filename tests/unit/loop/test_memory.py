"""What is done in every pass must not make work for the garbage collector: until it comes, that is memory."""

import gc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lbsync.agent.desired.decode import Entry
from lbsync.agent.generations import durable
from lbsync.agent.haproxycfg.config import Placed
from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.clients.haproxy.answers import ServerState
from lbsync.loop import memory
from lbsync.model.desired import Backend, Service
from lbsync.model.records import EndpointsRecord, ServerRecord, ServiceRecord
from lbsync.model.snapshot import Item

_TIMES = 20


def left_behind(work: Callable[[int], object]) -> int:
    """Return how many objects only the collector can free, after so many times the same work."""
    work(0)
    gc.collect()
    gc.disable()
    try:
        for number in range(_TIMES):
            work(number + 1)
        return gc.collect()
    finally:
        gc.enable()


def test_giving_memory_back_takes_none() -> None:
    assert left_behind(lambda _: memory.give_back()) < _TIMES


def test_a_generation_of_many_files_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    files = [(f"maps/{number}.map", b"", 0o644) for number in range(20)]
    work = left_behind(lambda number: durable.write_tree(tmp_path / str(number), files))
    assert work < _TIMES


@pytest.mark.parametrize(
    "kind",
    [
        *(Item, Entry, ServiceRecord, EndpointsRecord, ServerRecord, Service, Backend),
        *(Placed, Section, Server, ServerState),
    ],
)
def test_what_a_host_has_ten_thousand_of_is_not_searched_for_cycles(
    kind: type[msgspec.Struct],
) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert not config.gc
