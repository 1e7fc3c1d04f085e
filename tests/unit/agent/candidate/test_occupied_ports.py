"""A port that another program had stays that program's."""

import json
import time
from pathlib import Path

import pytest

from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.clients.haproxy import listeners


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    ports: list[int] = []
    monkeypatch.setattr(listeners, "listening", lambda: [("*", port) for port in ports])
    return ports


def test_a_port_is_remembered_over_a_restart_of_the_agent(tmp_path: Path, heard: list[int]) -> None:
    heard += [80, 5432]
    OccupiedPorts(tmp_path).observe([80])
    heard.clear()
    found = OccupiedPorts(tmp_path)
    assert list(found.known()) == [5432]
    found.given_away = frozenset({5432})
    assert list(found.known()) == []


def test_what_haproxy_has_or_just_had_is_no_other_programs(
    tmp_path: Path, heard: list[int]
) -> None:
    heard += [80, 7000]
    found = OccupiedPorts(tmp_path)
    found.observe([80, 7000])
    found.observe([80], at_once=True)
    assert list(found.known()) == []


def test_while_it_is_unknown_what_haproxy_has_nothing_is_noted(
    tmp_path: Path, heard: list[int]
) -> None:
    heard.append(5432)
    found = OccupiedPorts(tmp_path)
    found.observe([])
    assert list(found.known()) == []


@pytest.mark.parametrize(
    "text", ["", "[" * 5000, '{"a":1}', '{"5432":1e400}', '{"5432":-1e300}', '{"5432":1e300}', "[]"]
)
def test_a_damaged_memory_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "occupied-ports.json").write_text(text)
    OccupiedPorts(tmp_path).known()


def test_a_port_that_was_left_long_ago_is_free(tmp_path: Path) -> None:
    ages = {"5432": time.time() - 29 * 86_400, "5433": time.time() - 31 * 86_400}
    (tmp_path / "occupied-ports.json").write_text(json.dumps(ages))
    assert list(OccupiedPorts(tmp_path).known()) == [5432]
