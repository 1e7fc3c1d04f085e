"""Ports that tests hand to daemons: one number is never given to two of them."""

import socket
from pathlib import Path

from harness.ports import Ports

HOST = "127.0.0.1"


def test_two_test_runs_side_by_side_never_draw_the_same_port(tmp_path: Path) -> None:
    one, other = Ports(tmp_path), Ports(tmp_path)
    drawn = [run.free(HOST) for _ in range(1000) for run in (one, other)]
    assert len(set(drawn)) == len(drawn)


def test_a_port_that_something_listens_on_is_left_out(tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    taken = ports.free(HOST) + 1
    with socket.create_server((HOST, taken)):
        assert ports.free(HOST) > taken
